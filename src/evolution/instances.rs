//! The instances, and every way in which a client may refer to one of them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;

use aho_corasick::AhoCorasick;
use strsim::osa_distance;

use super::phone;

/// One instance, as far as requests are concerned.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Instance {
    /// `Instance.id`, a UUID.
    pub id: String,
    /// The name that a path has to contain.
    pub name: String,
    /// The phone number its owner typed in.
    pub number: Option<String>,
    /// Its API key: a secret.
    pub token: Option<String>,
    /// The WhatsApp account that is logged in, such as `5511999990000@s.whatsapp.net`.
    pub owner_jid: Option<String>,
}

impl Instance {
    /// True if a URL can reach it at all. Every client and proxy removes `.` and `..` from a path, and an empty segment
    /// names no instance; any other name works when it is percent-encoded [run].
    pub fn is_callable(&self) -> bool {
        !matches!(self.name.as_str(), "" | "." | "..")
    }

    /// True if its name survives a proxy that decodes a path and encodes it again.
    pub fn is_plain(&self) -> bool {
        let odd = |c: char| matches!(c, '/' | '?' | '%' | '#') || c.is_control();
        self.is_callable() && self.name.trim() == self.name && !self.name.contains(odd)
    }
}

impl fmt::Debug for Instance {
    /// Everything but the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("number", &self.number)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("owner_jid", &self.owner_jid)
            .finish()
    }
}

/// Minimum length of a token that is searched inside other text: shorter ones would match ordinary words.
const SHORTEST_WITHIN: usize = 6;

/// The number of near names that are worth reading.
const MOST_NEAR: usize = 3;

/// All instances of one server, found by whatever a client may write for them.
#[derive(Default)]
pub struct InstanceDirectory {
    instances: Vec<Instance>,
    names: HashMap<String, usize>,
    spellings: HashMap<String, Vec<usize>>,
    ids: HashMap<String, usize>,
    tokens: HashMap<String, Vec<usize>>,
    /// The tokens that are looked for inside a text.
    secrets: Option<AhoCorasick>,
    /// The tokens that are a secret only where they are the whole text; ASCII letters in lower case.
    short_secrets: HashSet<String>,
    numbers: HashMap<String, Vec<usize>>,
}

impl fmt::Debug for InstanceDirectory {
    /// The instances; the indexes hold tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.instances).finish()
    }
}

impl InstanceDirectory {
    /// Indexes the instances.
    pub fn new(instances: Vec<Instance>) -> Self {
        let mut directory = Self::default();
        for (at, instance) in instances.iter().enumerate() {
            directory.names.entry(instance.name.clone()).or_insert(at);
            directory.spellings.entry(spelling(&instance.name)).or_default().push(at);
            directory.ids.entry(spelling(&instance.id)).or_insert(at);
            let numbers = [&instance.number, &instance.owner_jid];
            let mut keys: Vec<String> = numbers
                .into_iter()
                .flatten()
                .filter_map(|n| phone::parse_phone(n))
                .map(|n| n.comparison_key())
                .collect();
            keys.dedup();
            for key in keys {
                directory.numbers.entry(key).or_default().push(at);
            }
        }
        directory.ids.remove("");
        let mut secrets = Vec::new();
        for (at, token) in instances.iter().enumerate().filter_map(|(at, i)| Some((at, i.token.as_ref()?))) {
            let key = spelling(token);
            // A token that is also an instance's name is in every path already and is not a secret.
            if !key.is_empty() && !directory.spellings.contains_key(&key) {
                directory.tokens.entry(key).or_default().push(at);
                let secret = trim_invisible(token);
                if secret.len() < SHORTEST_WITHIN {
                    directory.short_secrets.insert(secret.to_ascii_lowercase());
                } else {
                    secrets.push(secret);
                }
            }
        }
        let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(secrets);
        directory.secrets = Some(automaton.expect("tokens are short, and no more than instances"));
        directory.instances = instances;
        directory
    }

    /// Every instance, in the order given.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// The instance with exactly this name: what the server does.
    pub fn by_name(&self, name: &str) -> Option<&Instance> {
        self.names.get(name).map(|&at| &self.instances[at])
    }

    /// The instances whose name differs in nothing but letter case and space around it.
    pub fn by_name_ignoring_case(&self, name: &str) -> Vec<&Instance> {
        self.all(self.spellings.get(&spelling(name)))
    }

    /// The instance with this id, whatever the letter case and the space around it.
    pub fn by_id(&self, id: &str) -> Option<&Instance> {
        self.ids.get(&spelling(id)).map(|&at| &self.instances[at])
    }

    /// The instances with this token, whatever the letter case and the space around it.
    pub fn by_token(&self, token: &str) -> Vec<&Instance> {
        self.all(self.tokens.get(&spelling(token)))
    }

    /// The instances with this phone number or JID, however it is punctuated.
    pub fn by_number(&self, number: &str) -> Vec<&Instance> {
        phone::parse_phone(number)
            .map(|number| self.all(self.numbers.get(&number.comparison_key())))
            .unwrap_or_default()
    }

    /// The instances with the most similar names, nearest first, at most three.
    pub fn closest_names(&self, name: &str) -> Vec<&Instance> {
        let name = spelling(name);
        let length = name.chars().count();
        // One slip in three letters, never more than three: `alfa` is one from `alfe` and two from `alpha`.
        let limit = match length {
            0..3 => return Vec::new(),
            3 => 1,
            4..9 => 2,
            _ => 3,
        };
        let mut near: Vec<(usize, &Instance)> = self
            .instances
            .iter()
            .filter(|instance| instance.name.chars().count().abs_diff(length) <= limit)
            .map(|instance| (osa_distance(&spelling(&instance.name), &name), instance))
            .filter(|&(distance, _)| distance <= limit)
            .collect();
        near.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
        near.into_iter().take(MOST_NEAR).map(|(_, instance)| instance).collect()
    }

    /// Where in the text known tokens stand, whatever the case of their ASCII letters; in order. Tokens that overlap are
    /// one range, so that nothing of either is left over.
    pub fn tokens_within(&self, text: &str) -> Vec<Range<usize>> {
        if self.short_secrets.contains(&text.to_ascii_lowercase()) {
            return std::iter::once(0..text.len()).collect();
        }
        let mut found: Vec<Range<usize>> = Vec::new();
        for token in self.secrets.iter().flat_map(|secrets| secrets.find_overlapping_iter(text)) {
            let mut range = token.range();
            while let Some(last) = found.pop_if(|last| range.start < last.end) {
                range = range.start.min(last.start)..range.end.max(last.end);
            }
            found.push(range);
        }
        found
    }

    fn all(&self, found: Option<&Vec<usize>>) -> Vec<&Instance> {
        found.into_iter().flatten().map(|&at| &self.instances[at]).collect()
    }
}

/// The key by which names, ids and tokens are compared without letter case and surrounding spaces.
fn spelling(text: &str) -> String {
    trim_invisible(text).to_lowercase()
}

/// True if the text has the form of an instance's id: a UUID in any letter case.
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The text without the spaces around it, those that take no room on a screen among them.
pub fn trim_invisible(text: &str) -> &str {
    text.trim_matches(|c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> InstanceDirectory {
        let instance =
            |id: &str, name: &str, number: Option<&str>, token: &str, owner: Option<&str>| Instance {
                id: id.into(),
                name: name.into(),
                number: number.map(Into::into),
                token: Some(token.into()),
                owner_jid: owner.map(Into::into),
            };
        InstanceDirectory::new(vec![
            instance(
                "6f1b2c3d-0000-4000-8000-000000000001",
                "alpha",
                Some("5511999990000"),
                "TOKEN-OF-ALPHA-1",
                None,
            ),
            instance(
                "6f1b2c3d-0000-4000-8000-000000000002",
                "Alpha",
                None,
                "s3",
                Some("551188880000@s.whatsapp.net"),
            ),
            instance("6f1b2c3d-0000-4000-8000-000000000003", "beta store", None, "Beta Store", None),
        ])
    }

    fn names<'d>(found: impl IntoIterator<Item = &'d Instance>) -> Vec<&'d str> {
        found.into_iter().map(|instance| instance.name.as_str()).collect()
    }

    #[test]
    fn each_way_of_meaning_an_instance_finds_it() {
        let directory = directory();
        assert_eq!(names(directory.by_name("Alpha")), ["Alpha"]);
        assert!(directory.by_name("ALPHA").is_none());
        assert_eq!(names(directory.by_name_ignoring_case(" ALPHA\u{200B}")), ["alpha", "Alpha"]);
        assert_eq!(names(directory.by_id("6F1B2C3D-0000-4000-8000-000000000003 ")), ["beta store"]);
        assert_eq!(names(directory.by_token("token-of-alpha-1")), ["alpha"]);
        assert_eq!(names(directory.by_number("+55 (11) 99999-0000")), ["alpha"]);
        assert_eq!(names(directory.by_number("5511988880000")), ["Alpha"]);
        assert!(directory.by_id("").is_none() && directory.by_number("").is_empty());
    }

    #[test]
    fn similar_names_are_found() {
        let directory = directory();
        assert_eq!(names(directory.closest_names("alfa")), ["Alpha", "alpha"]);
        assert_eq!(names(directory.closest_names("beta-store")), ["beta store"]);
        assert!(directory.closest_names("al").is_empty());
        assert!(directory.closest_names("gamma ray").is_empty());
    }

    #[test]
    fn tokens_are_found_inside_any_text() {
        let directory = directory();
        assert_eq!(directory.tokens_within("curl token-of-ALPHA-1, TOKEN-OF-ALPHA-1"), [5..21, 23..39]);
        assert!(directory.tokens_within("S3").contains(&(0..2)));
        assert!(directory.tokens_within("aws s3 ls").is_empty(), "too short to look for inside a text");
        assert!(directory.tokens_within("beta store").is_empty(), "a name hides nothing");
        let tokens = ["abcdefgh", "defghijk", "efghij", "ABCDEFGHIJKLMN"];
        let instance = |token: &str| Instance { token: Some(token.into()), ..Instance::default() };
        let overlapping = InstanceDirectory::new(tokens.map(instance).to_vec());
        assert_eq!(overlapping.tokens_within("_abcdefghijk_efghij_"), [1..12, 13..19]);
        assert_eq!(overlapping.tokens_within("abcdefghijklmn").first(), Some(&(0..14)));
        assert!(!format!("{directory:?}").contains("TOKEN-OF-ALPHA-1"));
    }

    #[test]
    fn names_that_no_url_reaches_are_known() {
        let named = |name: &str| Instance { name: name.into(), ..Instance::default() };
        for name in ["beta store", "joão+1", "..."] {
            assert!(named(name).is_callable() && named(name).is_plain(), "{name:?}");
        }
        for name in [" alpha", "alpha ", "a/b", "a?b", "a%b", "a#b", "a\tb"] {
            assert!(named(name).is_callable() && !named(name).is_plain(), "{name:?}");
        }
        for name in ["", ".", ".."] {
            assert!(!named(name).is_callable() && !named(name).is_plain(), "{name:?}");
        }
    }
}
