//! The pseudonym of one value, by its form: a JID, a URL, a time, JSON, or whatever else.

use std::cell::RefCell;

use super::alphabet::Place;
use super::json::{LeafMap, map_json};
use super::permutation::{PseudonymKey, Symbol};
use super::time_shift::TimeShift;

/// The servers of WhatsApp's addresses, which tell what an address is of.
const SERVERS: &[&str] = &[
    "s.whatsapp.net",
    "c.us",
    "g.us",
    "lid",
    "hosted",
    "hosted.lid",
    "broadcast",
    "newsletter",
    "call",
    "bot",
    "msgr",
    "interop",
];

/// Constants that are the same in every database, and identify nobody.
const CONSTANTS: &[&str] = &["status@broadcast", "0@s.whatsapp.net", "lid", "none", "null", "undefined"];

/// The schemes of URLs.
const SCHEMES: &[&str] =
    &["https", "http", "wss", "ws", "amqps", "amqp", "postgresql", "postgres", "rediss", "redis", "data"];

/// Digits in a row that are not part of an address: a device or an agent.
const SHORT: usize = 5;

/// A value with fewer letters and digits equals another one's pseudonym by chance, and identifies nobody.
const TELLING: usize = 10;

/// Replaces values by pseudonyms.
#[derive(Clone)]
pub struct Pseudonymizer {
    key: PseudonymKey,
    shift: TimeShift,
}

impl Pseudonymizer {
    /// With these secrets.
    pub fn new(key: PseudonymKey, shift: TimeShift) -> Self {
        Self { key, shift }
    }

    /// The offset of all times.
    pub fn shift(&self) -> TimeShift {
        self.shift
    }

    /// The pseudonym of a value.
    pub fn map_value(&self, text: &str) -> String {
        if CONSTANTS.contains(&text) {
            return text.to_owned();
        }
        if let Some(mapped) = self.map_addresses(text).or_else(|| self.shift.map_text(text)) {
            return mapped;
        }
        let is_container = text.starts_with(['{', '[']) && text.ends_with(['}', ']']);
        if is_container && let Some(mapped) = self.map_document(text, &mut |_, _| false) {
            return mapped;
        }
        let scheme = text.split_once("://").filter(|(scheme, _)| SCHEMES.contains(scheme));
        match scheme {
            Some((scheme, rest)) => format!("{scheme}://{}", self.map_text(rest)),
            None => self.map_text(text),
        }
    }

    /// A JSON document with pseudonyms in place of every text that is not public, by the keys that lead to it and by
    /// itself. `None` where the text is not JSON.
    pub fn map_document(
        &self,
        document: &str,
        is_public: &mut dyn FnMut(&[&str], &str) -> bool,
    ) -> Option<String> {
        let is_public = RefCell::new(is_public);
        let map = LeafMap {
            text: &|path, text| (!(is_public.borrow_mut())(path, text)).then(|| self.map_value(text)),
            number: &|number| self.map_number(number),
            key: &|key| self.map_value(key),
        };
        map_json(document, &map)
    }

    /// The pseudonym of a whole number: another time, another number of as many digits, or a small number as it is.
    pub fn map_number(&self, text: &str) -> Option<String> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.len() < 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let epoch = text.parse().ok().and_then(|number| self.shift.map_epoch(number));
        // The first digit stays: a number has no leading zero, and must not outgrow its type.
        Some(epoch.map_or_else(
            || {
                let kept = text.len() - digits.len() + 1;
                format!("{}{}", &text[..kept], self.map_text(&text[kept..]))
            },
            |epoch| epoch.to_string(),
        ))
    }

    /// Letters and digits are replaced, in the order in which they stand; the rest stays. What is between them does not
    /// matter: `+55 (11) 99999-8888` and `5511999998888` stay the same number.
    pub fn map_text(&self, text: &str) -> String {
        let is_hex = is_hex(text);
        let places: Vec<Option<Place>> = text.chars().map(|c| Place::find(c, is_hex)).collect();
        let mut symbols: Vec<Symbol> = places.iter().flatten().map(|place| place.symbol).collect();
        self.key.permute(&mut symbols);
        let mut values = symbols.iter().map(|symbol| symbol.value);
        let replaced = text.chars().zip(&places).map(|(character, place)| match place {
            Some(place) => place.character(values.next().expect("one for each place")),
            None => character,
        });
        replaced.collect()
    }

    /// The addresses of a text that holds nothing else: one, or several with commas between. An address keeps its server and
    /// its device.
    fn map_addresses(&self, text: &str) -> Option<String> {
        let mut mapped = String::with_capacity(text.len());
        let mut has_one = false;
        for part in text.split_inclusive([',', ';', ' ']) {
            let address = part.trim_end_matches([',', ';', ' ']);
            if CONSTANTS.contains(&address) || address.is_empty() {
                mapped.push_str(part);
                continue;
            }
            let (user, server) = address.split_once('@')?;
            if !SERVERS.contains(&server) {
                return None;
            }
            has_one = true;
            mapped.push_str(&self.map_user(user));
            mapped.push('@');
            mapped.push_str(server);
            mapped.push_str(&part[address.len()..]);
        }
        has_one.then_some(mapped)
    }

    /// The part before an address's server: `number`, `number:device`, `number.agent`, `number-time` of an old group.
    fn map_user(&self, user: &str) -> String {
        let parts = user.split_inclusive(['-', ':', '.', '_']);
        let mapped = parts.map(|part| {
            let run = part.trim_end_matches(['-', ':', '.', '_']);
            let is_short = run.len() < SHORT && run.bytes().all(|byte| byte.is_ascii_digit());
            let run_mapped = if is_short { run.to_owned() } else { self.map_text(run) };
            run_mapped + &part[run.len()..]
        });
        mapped.collect()
    }
}

/// True if a value says something by itself: it is long enough that no pseudonym is the same by chance.
pub fn is_telling(text: &str) -> bool {
    text.chars().filter(|character| character.is_alphanumeric()).take(TELLING).count() == TELLING
        && !CONSTANTS.contains(&text)
}

/// True if a text is a number in hexadecimal digits, such as a UUID: its letters stay such digits.
fn is_hex(text: &str) -> bool {
    text.len() >= 16
        && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn pseudonyms() -> Pseudonymizer {
        Pseudonymizer::new(PseudonymKey::fixed(3), TimeShift::random())
    }

    #[test]
    fn a_value_keeps_its_form() {
        let names = pseudonyms();
        let number = names.map_value("5511999998888");
        assert_ne!(number, "5511999998888");
        assert!(number.len() == 13 && number.bytes().all(|byte| byte.is_ascii_digit()), "{number}");
        assert_eq!(names.map_value("5511999998888@s.whatsapp.net"), format!("{number}@s.whatsapp.net"));
        assert_eq!(names.map_value("5511999998888:12@s.whatsapp.net"), format!("{number}:12@s.whatsapp.net"));
        assert_eq!(
            names.map_value("5511999998888@s.whatsapp.net,lid,5511999998888@lid"),
            format!("{number}@s.whatsapp.net,lid,{number}@lid")
        );
        let spaced = names.map_value("+55 (11) 99999-8888");
        assert_eq!(spaced.chars().filter(char::is_ascii_digit).collect::<String>(), number);
        assert_eq!(names.map_value("Loja Um").to_lowercase().replace(' ', ""), names.map_value("lojaum"));
        let id = names.map_value("b0a6f0c2-7d1e-4c7b-9a39-3f2f1a5f0c11");
        assert!(is_hex(&id) && id.matches('-').count() == 4, "{id}");
        assert_eq!(names.map_value(&id.to_uppercase()), names.map_value(&id).to_uppercase());
        assert!(names.map_value("https://n8n.example.com/webhook?x=1").starts_with("https://"));
        for constant in ["status@broadcast", "lid", ""] {
            assert_eq!(names.map_value(constant), constant);
        }
    }

    #[test]
    fn json_in_a_text_stays_json() {
        let mapped = pseudonyms().map_value(r#"{"noiseKey": {"private": "a\nb"}, "registered": true}"#);
        let value: serde_json::Value = serde_json::from_str(&mapped).unwrap();
        assert_eq!(value["registered"], true);
        assert_ne!(value["noiseKey"]["private"], "a\nb");
        assert_eq!(value["noiseKey"]["private"].as_str().unwrap().len(), 3);
    }

    #[test]
    fn numbers_keep_their_size() {
        let names = pseudonyms();
        assert_eq!(names.map_number("443"), None);
        assert_eq!(names.map_number("1.5"), None);
        let number = names.map_number("5511999998888").unwrap();
        assert!(number.len() == 13 && number.starts_with('5') && number != "5511999998888", "{number}");
        let time: i64 = names.map_number("1700000000").unwrap().parse().unwrap();
        assert_eq!(time, 1_700_000_000 + names.shift().seconds());
    }

    #[test]
    fn no_two_values_share_a_pseudonym() {
        let names = pseudonyms();
        let two = |first: char| ('a'..='z').map(move |second| format!("{first}{second}"));
        let seen: BTreeSet<String> = ('a'..='z').flat_map(two).map(|text| names.map_value(&text)).collect();
        assert_eq!(seen.len(), 26 * 26);
    }

    proptest! {
        #[test]
        fn length_punctuation_and_case_stay(text in "\\PC{0,40}") {
            let mapped = pseudonyms().map_text(&text);
            prop_assert_eq!(mapped.len(), text.len());
            for (before, after) in text.chars().zip(mapped.chars()) {
                prop_assert_eq!(before.is_ascii_digit(), after.is_ascii_digit());
                prop_assert_eq!(before.is_ascii_uppercase(), after.is_ascii_uppercase());
                prop_assert_eq!(before.is_ascii_punctuation(), after.is_ascii_punctuation());
            }
        }
    }
}
