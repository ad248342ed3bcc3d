//! The sentences of a finding: what is wrong with the name or route, and what to write instead.

use super::classify::WrongName;
use super::name_history::{MOST_NAMES, NameHistory};
use crate::evolution::instances::{Instance, trim_invisible};
use crate::evolution::routes::{self, RouteError};
use crate::rules::misuse::MisuseKind;
use crate::text::escape;

/// The subject of a tally.
#[derive(Debug)]
pub(super) enum MisuseDetail<'d> {
    /// A name that the server refused.
    Name(WrongName<'d>, SpellingError),
    /// A path and a query that name different instances.
    Crossed,
    /// A method or path that the server does not have.
    Route {
        /// The right request, as `GET /path`.
        meant: String,
        /// The mistake in the path; `None` if the method is wrong.
        fault: Option<RouteError>,
    },
    /// A name that the server should have refused.
    Unguarded(WrongName<'d>),
    /// A name that the log shows at work in different letter case, where there is no list to look it up in.
    Like(String),
    /// Names beyond the limit.
    Rest,
}

/// The kinds of wrong spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SpellingError {
    Plus,
    EncodedTwice,
    StraySpace,
    /// Its escapes are those of Latin-1.
    Latin,
    /// It is written with other characters of Unicode that look the same.
    Unicode,
}

impl SpellingError {
    /// The reason why the server did not find a name that is only spelled wrongly.
    pub fn of(name: &str, wrong: &WrongName<'_>) -> Self {
        if *routes::decode_segment(name.as_bytes()) != *name.as_bytes() {
            Self::EncodedTwice
        } else if !name.is_ascii() && wrong.confusion == MisuseKind::Encoding && trim_invisible(name) == name
        {
            Self::Unicode
        } else if name.contains('+') && !wrong.meant.iter().any(|instance| instance.name.contains('+')) {
            Self::Plus
        } else {
            Self::StraySpace
        }
    }
}

impl<'d> MisuseDetail<'d> {
    /// Its rule.
    pub fn kind(&self) -> MisuseKind {
        match self {
            Self::Name(wrong, _) => wrong.confusion,
            Self::Crossed => MisuseKind::Crossed,
            Self::Like(_) => MisuseKind::LetterCase,
            Self::Route { .. } => MisuseKind::Route,
            Self::Unguarded(_) => MisuseKind::Unguarded,
            Self::Rest => MisuseKind::Unknown,
        }
    }

    /// True if it was judged by its form alone.
    pub fn is_probable(&self) -> bool {
        match self {
            Self::Name(wrong, _) | Self::Unguarded(wrong) => wrong.probable,
            Self::Rest => true,
            Self::Like(_) | Self::Crossed | Self::Route { .. } => false,
        }
    }

    /// The instances that may have been meant.
    pub fn meant(&self) -> &[&'d Instance] {
        match self {
            Self::Name(wrong, _) | Self::Unguarded(wrong) => &wrong.meant,
            _ => &[],
        }
    }

    /// The right name, where there is one and a URL can reach it; the right method and path, where those are wrong.
    pub fn instead(&self) -> Option<&str> {
        match self {
            Self::Route { meant, .. } => Some(meant),
            Self::Like(name) => Some(name),
            // A similar name is a guess, and a guess should not be pasted.
            Self::Name(wrong, _) | Self::Unguarded(wrong) if wrong.confusion != MisuseKind::Unknown => {
                match wrong.meant.as_slice() {
                    [instance] if instance.is_callable() => Some(&instance.name),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The sentence for a finding. `listed` is true if there was a list of instances to compare with.
    pub fn detail(&self, written: &str, listed: bool, past: &NameHistory) -> String {
        match self {
            Self::Name(wrong, reason) => {
                let what = name(wrong, *reason, written, listed);
                format!("{what}{}", ending(wrong)) + &history(past, wrong.confusion)
            }
            Self::Crossed => format!(
                "\"{written}\" names one instance in the path and another in the query: \
                 the key was checked for the first, and the second was served."
            ),
            Self::Like(name) => format!(
                "\"{written}\" differs from \"{}\", which works in this log, only in letter case; \
                 names are case-sensitive.",
                escape::escape_control(name)
            ),
            Self::Route { fault: None, .. } => {
                format!("The API has no {written}; this path takes another HTTP method.")
            }
            Self::Route { fault: Some(RouteError::Segments), .. } => {
                format!("The API has no {written}: a part of the path is missing, or there is one too many.")
            }
            Self::Route { fault: Some(RouteError::Spelling), .. } => {
                format!("The API has no {written}: the path is misspelled.")
            }
            Self::Route { fault: Some(RouteError::Order), .. } => {
                format!("The API has no {written}: the instance's name is the last part of the path.")
            }
            Self::Route { fault: Some(RouteError::Slashes), .. } => {
                format!(
                    "The API has no {written}: a slash is doubled, because the server's address in the \
                     client ends with one."
                )
            }
            Self::Route { fault: Some(RouteError::Manager), .. } => {
                format!(
                    "The API has no {written}: the client was given the manager's address, not the API's."
                )
            }
            Self::Route { fault: Some(RouteError::Parameter), .. } => {
                format!("{written} stands in the place of an id, and this is an instance's name.")
            }
            Self::Unguarded(wrong) => {
                let what = name(wrong, SpellingError::StraySpace, written, listed);
                format!("{what}{} The server answered 500 instead of saying so.", ending(wrong))
            }
            Self::Rest => {
                format!("More than {MOST_NAMES} different wrong names: the others are counted together.")
            }
        }
    }
}

impl MisuseDetail<'_> {
    /// The sentence for a request that names two instances and was not served.
    pub fn not_served(&self, written: &str) -> String {
        format!("\"{written}\" names one instance in the path and another in the query. It was not served.")
    }
}

fn name(wrong: &WrongName<'_>, reason: SpellingError, written: &str, listed: bool) -> String {
    let names = either(&wrong.meant);
    match (wrong.confusion, wrong.meant.is_empty()) {
        (MisuseKind::Id, false) => format!("{written} is the id of the instance {names}, not its name."),
        (MisuseKind::Id, true) if listed => {
            format!("{written} has the form of an id, but no instance listed has it: it may be deleted.")
        }
        (MisuseKind::Id, true) => format!("{written} has the form of an instance's id, not of a name."),
        (MisuseKind::LetterCase, _) => {
            format!("\"{written}\" differs from {names} only in letter case; names are case-sensitive.")
        }
        (MisuseKind::Encoding, no_name) => {
            let reason = match reason {
                SpellingError::Plus => "a space in a path is %20; a + is a plus sign",
                SpellingError::EncodedTwice => "it was percent-encoded twice",
                SpellingError::Latin => "it was percent-encoded as Latin-1, and the server expects UTF-8",
                SpellingError::Unicode => "it has other Unicode characters that look the same",
                SpellingError::StraySpace => "it has an extra space or invisible character around it",
            };
            let names = if no_name { "an instance's name" } else { &names };
            format!("\"{written}\" is a wrong spelling of {names}: {reason}.")
        }
        (MisuseKind::Token, false) => {
            format!("{written} is the token of the instance {names}: a secret, and this log holds it.")
        }
        (MisuseKind::Token, true) => {
            format!("{written} has the form of a token or key; if it is one, this log holds a secret.")
        }
        (MisuseKind::Phone, false) => {
            format!("{written} is the phone number of the instance {names}, not its name.")
        }
        (MisuseKind::Phone, true) => format!("{written} has the form of a phone number or WhatsApp id."),
        (_, false) => format!("No instance is named \"{written}\"; similar: {names}."),
        (_, true) if listed => format!("No instance is named \"{written}\", and no name is similar."),
        (_, true) => format!("The server has no instance named \"{written}\"."),
    }
}

/// Further remarks on the instances that may be meant.
fn ending(wrong: &WrongName<'_>) -> &'static str {
    match (wrong.confusion, wrong.meant.as_slice()) {
        (MisuseKind::Unknown, _) | (_, []) => "",
        (_, [instance]) if !instance.is_callable() => {
            " That name cannot be written in a URL either: rename the instance."
        }
        (_, [instance]) if instance.name.contains('/') => {
            " Its slash must be written as %2F, and a proxy that decodes the path or strips a prefix may \
             break that."
        }
        (_, [_]) => "",
        _ => " Ask the client's owner which of them is meant.",
    }
}

/// The log's evidence about a deleted name.
fn history(past: &NameHistory, confusion: MisuseKind) -> String {
    if confusion != MisuseKind::Unknown {
        return String::new();
    }
    match (past.deleted, past.worked_until.filter(|_| past.is_gone)) {
        (Some(time), _) => format!(" It was deleted at {}, as this log shows.", time.in_own_zone()),
        (None, Some(time)) => {
            format!(
                " It worked until {}, as this log shows: it was deleted or renamed since.",
                time.in_own_zone()
            )
        }
        (None, None) => String::new(),
    }
}

/// Names in quotes, joined by "or".
fn either(instances: &[&Instance]) -> String {
    let names: Vec<String> =
        instances.iter().map(|instance| format!("\"{}\"", escape::escape_control(&instance.name))).collect();
    names.join(" or ")
}
