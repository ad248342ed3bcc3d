//! The pattern of a rule: conditions on the parts of an error.
//!
//! A rule's header has a line `answers:` for each kind of error that it answers. The conditions of a line hold together:
//!
//! | condition | holds where |
//! |---|---|
//! | `code=23505` | the error has this SQLSTATE or Prisma code, or one that means the same (P2002) |
//! | `http=503` | the answer has this status |
//! | `model=Chat` | it is about this model or table |
//! | `fields=instanceId,remoteJid` | it is about exactly these fields, in any order |
//! | `constraint=Chat_instanceId_remoteJid_key` | it names this constraint or index |
//! | `relation=Kafka` | the server's message names this table or type, with or without its schema |
//! | `column=wavoipToken` | it names this column |
//! | `migration=20250918182355` | it names the migration of this number |
//! | `message=disk-full` | it holds this message, in any language (`src/rules/error_lookup/known_messages.rs`) |
//! | `width=255` | a value is too long for so many characters |
//! | `name=uuid` | the word that no instance has as its name is a `uuid`, `phone` or `encoded` |
//! | `text="words … more words"` | it holds these whole words, in any case; `…` stands for anything between |
//! | `exact="NOT VALID"` | the same, in this case |

use std::sync::LazyLock;

use regex::Regex;

use super::{ErrorParts, NameForm, error_codes};

/// One condition, by its key.
#[derive(Debug, Clone)]
enum Condition {
    Code(String),
    Http(u16),
    Model(String),
    Fields(Vec<String>),
    Constraint(String),
    Relation(String),
    Column(String),
    Migration(String),
    Message(String),
    Width(u32),
    Name(NameForm),
    Words(Regex),
}

/// The conditions of one line; all of them hold, or the rule is not the answer.
#[derive(Debug, Clone)]
pub struct ErrorPattern(Vec<Condition>);

static CONDITION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^\s*([a-z]+)=(?:"((?:[^"\\]|\\.)*)"|(\S+))"#).expect("a pattern of this program")
});

impl ErrorPattern {
    /// Reads the value of `answers`.
    ///
    /// # Errors
    /// The reason, where a condition is none of those above.
    pub fn parse(line: &str) -> Result<Self, String> {
        let mut conditions = Vec::new();
        let mut rest = line;
        while !rest.trim().is_empty() {
            let found = CONDITION.captures(rest).ok_or_else(|| format!("{rest:?} is not a condition"))?;
            let value = found
                .get(2)
                .or_else(|| found.get(3))
                .map_or("", |value| value.as_str())
                .replace("\\\"", "\"");
            conditions.push(Condition::parse(&found[1], value)?);
            rest = &rest[found[0].len()..];
        }
        if conditions.is_empty() {
            Err("a pattern without conditions".to_owned())
        } else {
            Ok(Self(conditions))
        }
    }

    /// Returns its specificity, where all conditions hold.
    pub(super) fn specificity(&self, parts: &ErrorParts) -> Option<u32> {
        self.0
            .iter()
            .all(|condition| condition.holds(parts))
            .then(|| self.0.iter().map(Condition::weight).sum())
    }

    /// The codes that it asks for.
    pub(super) fn codes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|condition| match condition {
            Condition::Code(code) => Some(code.as_str()),
            _ => None,
        })
    }
}

impl Condition {
    fn parse(key: &str, value: String) -> Result<Self, String> {
        let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is not a number"));
        Ok(match key {
            "code" => Self::Code(value),
            "http" => Self::Http(number(&value)? as u16),
            "model" => Self::Model(value),
            "fields" => Self::Fields(value.split(',').map(str::to_owned).collect()),
            "constraint" => Self::Constraint(value),
            "relation" => Self::Relation(value),
            "column" => Self::Column(value),
            "migration" => Self::Migration(value),
            "message" if super::known_messages::ALL.iter().any(|message| message.name == value) => {
                Self::Message(value)
            }
            "message" => {
                return Err(format!(
                    "{value:?} is not a message of src/rules/error_lookup/known_messages.rs"
                ));
            }
            "width" => Self::Width(number(&value)?),
            "name" => Self::Name(match value.as_str() {
                "uuid" => NameForm::Uuid,
                "phone" => NameForm::Phone,
                "encoded" => NameForm::Encoded,
                other => return Err(format!("{other:?} is not a form of a name")),
            }),
            "text" => Self::Words(words(&value, true)),
            "exact" => Self::Words(words(&value, false)),
            other => return Err(format!("{other:?} is not a condition")),
        })
    }

    fn holds(&self, parts: &ErrorParts) -> bool {
        match self {
            Self::Code(code) => parts.has_code(code),
            Self::Http(status) => parts.http.contains(status),
            Self::Model(model) => parts.models.contains(model),
            Self::Fields(fields) => {
                fields.len() == parts.fields.len() && fields.iter().all(|field| parts.fields.contains(field))
            }
            Self::Constraint(name) => parts.constraints.contains(name),
            Self::Relation(name) => {
                parts.relations.iter().any(|found| found == name || found.rsplit('.').next() == Some(name))
            }
            Self::Column(name) => parts.columns.contains(name),
            Self::Migration(number) => parts.migrations.contains(number),
            Self::Message(name) => parts.messages.contains(&name.as_str()),
            Self::Width(width) => parts.width == Some(*width),
            Self::Name(form) => parts.name == Some(*form),
            Self::Words(words) => words.is_match(&parts.text),
        }
    }

    /// The names of one thing tell more than the kind of error, and that more than a status.
    fn weight(&self) -> u32 {
        match self {
            Self::Constraint(_) => 100,
            Self::Relation(_) | Self::Column(_) | Self::Fields(_) => 40,
            // Two places that fit tell more than one.
            Self::Words(words) => 40 + 5 * words.as_str().matches(GAP).count() as u32,
            Self::Model(_) | Self::Width(_) | Self::Name(_) => 30,
            Self::Message(_) => 25,
            Self::Code(code) if error_codes::is_outer(code) => 10,
            Self::Code(_) => 20,
            Self::Migration(_) => 15,
            Self::Http(_) => 10,
        }
    }
}

/// The regular expression for `…`.
const GAP: &str = ".{0,300}?";

/// Whole words, with anything where `…` stands. Accents are folded in the paste, so they are left out here.
fn words(phrase: &str, ignores_case: bool) -> Regex {
    let edge = |c: Option<char>| if c.is_some_and(char::is_alphanumeric) { r"\b" } else { "" };
    let word = |part: &str| {
        let (first, last) = (edge(part.chars().next()), edge(part.chars().last()));
        format!("{first}{}{last}", regex::escape(part))
    };
    let parts: Vec<String> = phrase.split('…').map(str::trim).map(word).collect();
    let flags = if ignores_case { "(?i)" } else { "" };
    Regex::new(&format!("{flags}{}", parts.join(GAP))).expect("escaped words are a pattern")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole_and_in_order() {
        let holds = |pattern: &str, text: &str| {
            let parts = ErrorParts { text: text.to_owned(), ..ErrorParts::default() };
            ErrorPattern::parse(pattern).unwrap().specificity(&parts).is_some()
        };
        assert!(holds(r#"text="NOT VALID""#, "it is not valid"));
        assert!(!holds(r#"exact="NOT VALID""#, "it is not valid"));
        assert!(!holds(r#"text="valid""#, "invalid"));
        assert!(holds(r#"text="a … c""#, "a b c") && !holds(r#"text="c … a""#, "a b c"));
        assert!(holds(r#"text="say \"x\"""#, r#"they say "x""#));
    }

    #[test]
    fn unknown_conditions_are_refused() {
        for bad in ["", "codes=1", "message=no-such", "name=nick", "http=x", "words without key"] {
            assert!(ErrorPattern::parse(bad).is_err(), "{bad}");
        }
    }
}
