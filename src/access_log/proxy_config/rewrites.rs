//! Which wrong names a proxy in front of the server may correct, and which it must not.
//!
//! Ids and names in different letter case are corrected, if exactly one instance can be meant. Tokens and phone numbers
//! are not: a token does not belong in a path, and a number can be written in too many ways.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::access_log::sanitize::sanitize;
use crate::evolution::instances::{Instance, InstanceDirectory, is_uuid, trim_invisible};
use crate::redact;
use crate::rules::misuse::MisuseKind;
use crate::text::escape;

/// A wrong name, and the instance that is meant by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewrite<'d> {
    /// [`MisuseKind::Id`] or [`MisuseKind::LetterCase`].
    pub confusion: MisuseKind,
    /// The text from clients, decoded, in any case of its ASCII letters.
    pub written: &'d str,
    /// The right name.
    pub name: &'d str,
}

/// An instance that is not rewritten, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedName {
    /// The instance, fit to be printed in one line; a token in it is masked.
    pub instance: String,
    /// The end of a sentence that begins with the instance.
    pub reason: &'static str,
}

/// The rewrites for a proxy.
#[derive(Debug, Default)]
pub struct Rewrites<'d> {
    /// In the order of the instances; whatever the letter case, no two are written alike.
    pub safe: Vec<Rewrite<'d>>,
    /// In the order of the instances.
    pub left: Vec<SkippedName>,
    /// The number of instances that were looked at.
    pub instances: usize,
}

/// Tokens shorter than this are not looked for inside a name: they would be found in ordinary words.
const SHORTEST_WITHIN: usize = 6;

/// Bytes of a name that are shown in a comment.
const LONGEST_SHOWN: usize = 120;

const BOTH: [MisuseKind; 2] = [MisuseKind::Id, MisuseKind::LetterCase];

impl<'d> Rewrites<'d> {
    /// Those that are asked for and safe.
    pub fn collect(directory: &'d InstanceDirectory, wanted: impl Fn(MisuseKind, &Instance) -> bool) -> Self {
        let meanings = NameMeanings::of(directory);
        let mut rewrites = Self { instances: directory.instances().len(), ..Self::default() };
        let mut written = HashSet::new();
        for instance in directory.instances() {
            for confusion in BOTH.into_iter().filter(|confusion| wanted(*confusion, instance)) {
                match meanings.judge(confusion, instance) {
                    Ok(Some(rewrite)) if written.insert(key(rewrite.written)) => rewrites.safe.push(rewrite),
                    Ok(_) => {}
                    Err(reason) => rewrites.left.push(meanings.left(instance, reason, directory)),
                }
            }
        }
        rewrites.left.dedup();
        rewrites
    }
}

/// Everything that a text in the place of an instance name can mean, in any letter case.
struct NameMeanings<'d> {
    /// Names of the instances that have this name or id.
    names: HashMap<String, BTreeSet<&'d str>>,
    tokens: HashSet<String>,
    /// Tokens that would be a secret inside a longer name.
    within: Vec<String>,
}

impl<'d> NameMeanings<'d> {
    fn of(directory: &'d InstanceDirectory) -> Self {
        let mut names: HashMap<String, BTreeSet<&str>> = HashMap::new();
        let mut tokens = HashSet::new();
        for instance in directory.instances() {
            for text in [instance.name.as_str(), trim_invisible(&instance.id)] {
                names.entry(key(text)).or_default().insert(&instance.name);
            }
            tokens.extend(
                instance
                    .token
                    .as_deref()
                    .map(|token| key(trim_invisible(token)))
                    .filter(|token| !token.is_empty()),
            );
        }
        let is_hidden = |token: &&String| {
            token.len() >= SHORTEST_WITHIN && directory.by_name_ignoring_case(token).is_empty()
        };
        let within = tokens.iter().filter(is_hidden).cloned().collect();
        Self { names, tokens, within }
    }

    /// The rewrite, `None` where there is nothing to rewrite, or why it is not safe.
    fn judge(
        &self,
        confusion: MisuseKind,
        instance: &'d Instance,
    ) -> Result<Option<Rewrite<'d>>, &'static str> {
        let Instance { name, id, .. } = instance;
        if !instance.is_callable() {
            return Err("has a name that cannot be written in a URL; rename it");
        }
        if !instance.is_plain() {
            return Err(
                "has a name that a proxy may decode on its way; its clients have to write it percent-encoded",
            );
        }
        let written = match confusion {
            MisuseKind::Id if id.is_empty() => return Ok(None),
            MisuseKind::Id if !is_uuid(trim_invisible(id)) => return Err("has an id that is not a UUID"),
            MisuseKind::Id => trim_invisible(id),
            _ if name.bytes().any(|byte| byte.is_ascii_alphabetic()) => name,
            _ => return Ok(None),
        };
        if [written, name].into_iter().any(|text| self.holds_token(text)) {
            return Err("has a name or an id that holds a token, which is a secret");
        }
        match (self.names.get(&key(written)), confusion) {
            (Some(meant), _) if meant.len() == 1 => Ok(Some(Rewrite { confusion, written, name })),
            (_, MisuseKind::Id) => Err("has an id that may mean another instance too"),
            _ => Err("has a name that differs from another one in letter case only"),
        }
    }

    fn holds_token(&self, text: &str) -> bool {
        let text = key(text);
        let is_within = |token: &String| token.len() < text.len() && text.contains(token.as_str());
        self.tokens.contains(&text) || self.within.iter().any(is_within)
    }

    fn left(&self, instance: &Instance, reason: &'static str, directory: &InstanceDirectory) -> SkippedName {
        let name = if self.tokens.contains(&key(trim_invisible(&instance.name))) {
            escape::escape_control(&redact::redact_secret(&instance.name))
        } else {
            sanitize(instance.name.as_bytes(), LONGEST_SHOWN, Some(directory))
        };
        SkippedName { instance: format!("\"{name}\""), reason }
    }
}

/// The key for comparisons without letter case.
fn key(text: &str) -> String {
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::classify::{NameVerdict, classify_name};
    use proptest::prelude::*;

    const ID: &str = "6f1b2c3d-0a4b-4c5d-8e6f-00000000000";

    fn instance(id: &str, name: &str, token: &str) -> Instance {
        Instance { id: id.into(), name: name.into(), token: Some(token.into()), ..Instance::default() }
    }

    /// `written → name`, then what is left and why.
    fn summary(instances: Vec<Instance>) -> Vec<String> {
        let directory = InstanceDirectory::new(instances);
        let rewrites = Rewrites::collect(&directory, |_, _| true);
        let safe = rewrites.safe.iter().map(|rewrite| format!("{} → {}", rewrite.written, rewrite.name));
        safe.chain(rewrites.left.iter().map(|left| format!("{} {}", left.instance, left.reason))).collect()
    }

    #[test]
    fn ids_and_letter_case_are_rewritten() {
        let id = format!("{ID}1");
        assert_eq!(
            summary(vec![instance(&id, "Alpha", "t")]),
            [format!("{id} → Alpha"), "Alpha → Alpha".to_owned()]
        );
        assert_eq!(summary(vec![instance(&id, "5511", "t")]), [format!("{id} → 5511")]);
        assert_eq!(summary(vec![instance("", "5511", "t")]), [""; 0]);
    }

    #[test]
    fn ambiguous_names_are_not_rewritten() {
        let (one, two) = (format!("{ID}1"), format!("{ID}2"));
        let case = "has a name that differs from another one in letter case only";
        assert_eq!(
            summary(vec![instance(&one, "Alpha", ""), instance(&two, "alpha", "")]),
            [
                format!("{one} → Alpha"),
                format!("{two} → alpha"),
                format!("\"Alpha\" {case}"),
                format!("\"alpha\" {case}")
            ]
        );
        let id = "has an id that may mean another instance too";
        assert_eq!(
            summary(vec![instance(&one, "Alpha", ""), instance("", &one.to_uppercase(), "")]),
            [
                "Alpha → Alpha".to_owned(),
                format!("\"Alpha\" {id}"),
                format!("\"{}\" {case}", one.to_uppercase())
            ]
        );
        assert_eq!(
            summary(vec![instance(&one, "a", ""), instance(&one, "b", "")])[2..],
            [format!("\"a\" {id}"), format!("\"b\" {id}")]
        );
        assert_eq!(summary(vec![instance("cm3x", "a", "")]), ["a → a", "\"a\" has an id that is not a UUID"]);
    }

    #[test]
    fn tokens_are_neither_rewritten_nor_shown() {
        let (one, two) = (format!("{ID}1"), format!("{ID}2"));
        let secret = "has a name or an id that holds a token, which is a secret";
        assert_eq!(
            summary(vec![instance(&one, "a", &one.to_uppercase())]),
            ["a → a".to_owned(), format!("\"a\" {secret}")]
        );
        let instances = vec![
            instance(&one, "Of-correct-horse-battery", ""),
            instance(&two, "B", "CORRECT-HORSE-BATTERY"),
        ];
        assert_eq!(summary(instances)[2..], [format!("\"Of-corr…ry\" {secret}")]);
        let instances =
            vec![instance(&one, "Correct-horse-battery", ""), instance(&two, "B", "CORRECT-HORSE-BATTERY")];
        assert_eq!(summary(instances)[2..], [format!("\"Corr…ry\" {secret}")]);
    }

    #[test]
    fn a_name_that_a_proxy_cannot_write_is_left_and_shown_in_one_line() {
        let lost = "has a name that cannot be written in a URL; rename it";
        let odd =
            "has a name that a proxy may decode on its way; its clients have to write it percent-encoded";
        let names = ["a/b", "a\nb}", " a", "..", "a\u{1b}[2J#"];
        let lines = summary(names.map(|name| instance("", name, "")).to_vec());
        let shown = [("a/b", odd), ("a\\nb}", odd), (" a", odd), ("..", lost), ("a\\x1b[2J#", odd)];
        assert_eq!(lines, shown.map(|(name, reason)| format!("\"{name}\" {reason}")));
    }

    fn instances() -> impl Strategy<Value = Vec<Instance>> {
        let id = prop::sample::select(vec![
            "",
            "cm3x",
            "6f1b2c3d-0a4b-4c5d-8e6f-000000000001",
            "6F1B2C3D-0A4B-4C5D-8E6F-000000000001",
            "6f1b2c3d-0a4b-4c5d-8e6f-000000000002",
        ]);
        let name = prop_oneof!["[abABàÀ]{1,3}", ".{0,8}", "6[fF]1[bB]2c3d-0a4b-4c5d-8e6f-00000000000[12]"];
        let token = prop::sample::select(vec![
            "",
            "ab",
            "ABA",
            "secret-token",
            "6F1B2C3D-0A4B-4C5D-8E6F-000000000002",
        ]);
        prop::collection::vec(
            (id, name, token).prop_map(|(id, name, token)| instance(id, &name, token)),
            1..6,
        )
    }

    proptest! {
        /// The log's verdict on what is rewritten is the same instance, and never that the name exists or is a token.
        #[test]
        fn what_is_rewritten_means_one_instance(instances in instances()) {
            let directory = InstanceDirectory::new(instances);
            for rewrite in Rewrites::collect(&directory, |_, _| true).safe {
                for written in [rewrite.written.to_owned(), rewrite.written.to_ascii_lowercase(), rewrite.written.to_ascii_uppercase()] {
                    match classify_name(&written, Some(&directory)) {
                        NameVerdict::ExistsNow => prop_assert_eq!(&written, rewrite.name),
                        NameVerdict::Wrong(wrong) => {
                            prop_assert!(matches!(wrong.confusion, MisuseKind::Id | MisuseKind::LetterCase), "{wrong:?}");
                            prop_assert!(wrong.meant.iter().all(|meant| meant.name == rewrite.name), "{wrong:?}");
                            prop_assert!(!wrong.meant.is_empty());
                        }
                    }
                }
            }
        }

        /// As proxies compare, which is without the case of ASCII letters, no two are the same.
        #[test]
        fn no_two_are_written_alike(instances in instances()) {
            let directory = InstanceDirectory::new(instances);
            let rewrites = Rewrites::collect(&directory, |_, _| true).safe;
            let distinct: HashSet<String> = rewrites.iter().map(|rewrite| rewrite.written.to_ascii_lowercase()).collect();
            prop_assert_eq!(distinct.len(), rewrites.len());
        }
    }
}
