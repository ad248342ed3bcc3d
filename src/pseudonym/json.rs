//! Pseudonyms within a JSON document: its shape, its booleans and its small numbers stay.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::value::Pseudonymizer;

/// Deeper than this nothing of Evolution's goes; what is deeper is left out.
const DEEPEST: usize = 100;

/// What is to become of the text at a place in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaf {
    /// It stays: it says what kind of thing this is.
    Public,
    /// A pseudonym takes its place.
    Personal,
}

/// The members of an object, in order, their values as they are written.
struct Members<'d>(Vec<(String, &'d RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// The document with pseudonyms in place of what `leaf` calls personal; it is asked with the keys that lead to a text, from the
/// outside in (places in arrays have none), and with the text. `None` where the text is no JSON.
pub fn map_json(text: &str, names: &Pseudonymizer, leaf: &dyn Fn(&[&str], &str) -> Leaf) -> Option<String> {
    let document: &RawValue = serde_json::from_str(text).ok()?;
    let mut out = String::with_capacity(text.len());
    Writer { names, leaf, out: &mut out }.write(document.get(), &mut Vec::new(), 0)?;
    Some(out)
}

struct Writer<'w> {
    names: &'w Pseudonymizer,
    leaf: &'w dyn Fn(&[&str], &str) -> Leaf,
    out: &'w mut String,
}

impl Writer<'_> {
    fn write(&mut self, text: &str, path: &mut Vec<String>, depth: usize) -> Option<()> {
        let (names, leaf) = (self.names, self.leaf);
        match text.as_bytes().first()? {
            _ if depth > DEEPEST => self.out.push_str("null"),
            b'{' => {
                let members: Members<'_> = serde_json::from_str(text).ok()?;
                self.out.push('{');
                for (position, (key, value)) in members.0.into_iter().enumerate() {
                    if position > 0 {
                        self.out.push(',');
                    }
                    let shown = if is_value(&key) { names.map_value(&key) } else { key.clone() };
                    self.out.push_str(&serde_json::to_string(&shown).ok()?);
                    self.out.push(':');
                    path.push(key);
                    self.write(value.get(), path, depth + 1)?;
                    path.pop();
                }
                self.out.push('}');
            }
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                self.out.push('[');
                for (position, item) in items.into_iter().enumerate() {
                    if position > 0 {
                        self.out.push(',');
                    }
                    self.write(item.get(), path, depth + 1)?;
                }
                self.out.push(']');
            }
            b'"' => {
                let value: String = serde_json::from_str(text).ok()?;
                let keys: Vec<&str> = path.iter().map(String::as_str).collect();
                match leaf(&keys, &value) {
                    Leaf::Public => self.out.push_str(text),
                    Leaf::Personal => {
                        self.out.push_str(&serde_json::to_string(&names.map_value(&value)).ok()?)
                    }
                }
            }
            b't' | b'f' | b'n' => self.out.push_str(text),
            _ => match names.map_number(text) {
                Some(number) => self.out.push_str(&number),
                None => self.out.push_str(text),
            },
        }
        Some(())
    }
}

/// Whether a key is no name of a field but a value, such as a number that something is kept for.
fn is_value(key: &str) -> bool {
    key.contains('@') || key.bytes().filter(u8::is_ascii_digit).count() >= 6
}

#[cfg(test)]
mod tests {
    use super::super::permutation::PseudonymKey;
    use super::super::time_shift::TimeShift;
    use super::*;

    #[test]
    fn the_shape_stays() {
        let names = Pseudonymizer::new(PseudonymKey::fixed(9), TimeShift::random());
        let leaf = |path: &[&str], _: &str| if path == ["type"] { Leaf::Public } else { Leaf::Personal };
        let text = r#"{"type": "conversation", "n": [1.50, 1e400, -0, {}], "x": {"type": "hello"},
            "5511999998888@s.whatsapp.net": [], "e": "", "fromMe": true, "z": null}"#;
        let mapped = map_json(text, &names, &leaf).unwrap();
        assert!(
            mapped.starts_with(r#"{"type":"conversation","n":[1.50,1e400,-0,{}],"x":{"type":""#),
            "{mapped}"
        );
        assert!(mapped.ends_with(r#"@s.whatsapp.net":[],"e":"","fromMe":true,"z":null}"#), "{mapped}");
        assert!(!mapped.contains("hello") && !mapped.contains("5511999998888"), "{mapped}");
        assert_eq!(map_json("not json", &names, &leaf), None);
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        // Refused or cut, and never too deep for the stack.
        assert!(map_json(&deep, &names, &leaf).is_none_or(|mapped| mapped.contains("null")));
    }
}
