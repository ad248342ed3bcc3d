//! Pseudonyms within a JSON document: its shape, its booleans and its small numbers stay.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Maximum depth: nothing in Evolution is deeper, and deeper values are left out.
const DEEPEST: usize = 100;

/// The replacements of a document's values.
pub struct LeafMap<'m> {
    /// Of a text, by the keys that lead to it from the outside in (places in arrays have none); `None` leaves it.
    pub text: &'m dyn Fn(&[&str], &str) -> Option<String>,
    /// Of a number; `None` leaves it.
    pub number: &'m dyn Fn(&str) -> Option<String>,
    /// Of a key that is not a name of a field but a value, such as an address that something is kept for.
    pub key: &'m dyn Fn(&str) -> String,
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

/// The document with other values in it. `None` where the text is not JSON.
pub fn map_json(text: &str, map: &LeafMap<'_>) -> Option<String> {
    let document: &RawValue = serde_json::from_str(text).ok()?;
    let mut out = String::with_capacity(text.len());
    Writer { map, out: &mut out }.write(document.get(), &mut Vec::new(), 0)?;
    Some(out)
}

struct Writer<'w> {
    map: &'w LeafMap<'w>,
    out: &'w mut String,
}

impl Writer<'_> {
    fn write(&mut self, text: &str, path: &mut Vec<String>, depth: usize) -> Option<()> {
        let map = self.map;
        match text.as_bytes().first()? {
            _ if depth > DEEPEST => self.out.push_str("null"),
            b'{' => {
                let members: Members<'_> = serde_json::from_str(text).ok()?;
                self.out.push('{');
                for (position, (key, value)) in members.0.into_iter().enumerate() {
                    if position > 0 {
                        self.out.push(',');
                    }
                    let shown = if is_value(&key) { (map.key)(&key) } else { key.clone() };
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
                match (map.text)(&keys, &value) {
                    None => self.out.push_str(text),
                    Some(mapped) => self.out.push_str(&serde_json::to_string(&mapped).ok()?),
                }
            }
            b't' | b'f' | b'n' => self.out.push_str(text),
            _ => match (map.number)(text) {
                Some(number) => self.out.push_str(&number),
                None => self.out.push_str(text),
            },
        }
        Some(())
    }
}

/// True if a key is not a name of a field but a value, such as a number or a person's name that something is kept for.
/// Names of fields begin with a small letter and have no spaces; a position is one, too.
fn is_value(key: &str) -> bool {
    let is_name = key.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !is_name || !key.chars().all(is_of_name) || key.bytes().filter(u8::is_ascii_digit).count() >= 6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_stays() {
        let map = LeafMap {
            text: &|path, text| (path != ["type"]).then(|| text.to_uppercase()),
            number: &|number| (number.len() > 8).then(|| "7".to_owned()),
            key: &|_| "another".to_owned(),
        };
        let text = r#"{"type": "conversation", "n": [1.50, 1e400, -0, {}, 123456789], "x": {"type": "hello"},
            "5511999998888@s.whatsapp.net": [], "e": "", "fromMe": true, "z": null, "Maria": {"0": 7}}"#;
        let mapped = r#"{"type":"conversation","n":[1.50,1e400,-0,{},7],"x":{"type":"HELLO"},"another":[],"e":"","fromMe":true,"z":null,"another":{"0":7}}"#;
        assert_eq!(map_json(text, &map).unwrap(), mapped);
        assert_eq!(map_json("not json", &map), None);
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        // Refused or cut, and never too deep for the stack.
        assert!(map_json(&deep, &map).is_none_or(|mapped| mapped.contains("null")));
    }
}
