//! Fields of `COPY … TO STDOUT` in PostgreSQL's text format.

use std::borrow::Cow;
use std::fmt::Write;

/// One field of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyField<'r> {
    /// `NULL`, written as `\N`.
    Null,
    /// A value, without escapes.
    Value(Cow<'r, str>),
}

/// A field as it is between tabs. `None` where it is not UTF-8.
pub fn decode_field(field: &[u8]) -> Option<CopyField<'_>> {
    if field == b"\\N" {
        return Some(CopyField::Null);
    }
    let text = std::str::from_utf8(field).ok()?;
    if !text.contains('\\') {
        return Some(CopyField::Value(text.into()));
    }
    let mut value = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            value.push(character);
            continue;
        }
        value.push(match characters.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            other => other,
        });
    }
    Some(CopyField::Value(value.into()))
}

/// Writes a value as a field.
pub fn encode_field(value: &str, out: &mut String) {
    if !value.contains(['\\', '\n', '\r', '\t', '\u{8}', '\u{b}', '\u{c}']) {
        out.push_str(value);
        return;
    }
    for character in value.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            other => out.push(other),
        }
    }
}

/// An array of texts, as the server writes it, with `map` applied to each of them. Bounds and `NULL`s stay.
pub fn map_array(array: &str, map: &mut dyn FnMut(&str) -> String) -> String {
    let mut out = String::with_capacity(array.len());
    // Bounds that are not 1 come first: `[0:1]={…}`.
    let start = array.find('{').unwrap_or(array.len());
    out.push_str(&array[..start]);
    let mut characters = array[start..].chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '{' | '}' | ',' => out.push(character),
            '"' => {
                let mut element = String::new();
                while let Some(inner) = characters.next() {
                    match inner {
                        '"' => break,
                        '\\' => element.extend(characters.next()),
                        other => element.push(other),
                    }
                }
                quote(&map(&element), &mut out);
            }
            first => {
                let mut element = String::from(first);
                while let Some(next) = characters.next_if(|next| !matches!(next, ',' | '}')) {
                    element.push(next);
                }
                if element == "NULL" {
                    out.push_str(&element);
                } else {
                    quote(&map(&element), &mut out);
                }
            }
        }
    }
    out
}

fn quote(element: &str, out: &mut String) {
    let escaped = element.replace('\\', "\\\\").replace('"', "\\\"");
    write!(out, "\"{escaped}\"").expect("writing to a string");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_read() {
        assert_eq!(decode_field(b"\\N"), Some(CopyField::Null));
        assert_eq!(decode_field(b""), Some(CopyField::Value("".into())));
        assert_eq!(decode_field(b"a\\tb\\\\N"), Some(CopyField::Value("a\tb\\N".into())));
        assert_eq!(decode_field(b"\xff"), None);
    }

    #[test]
    fn arrays_are_mapped_by_element() {
        let mut upper = |text: &str| text.to_uppercase();
        let mapped = map_array(r#"[0:1]={{ab,NULL},{"c,\"d","NULL"}}"#, &mut upper);
        assert_eq!(mapped, r#"[0:1]={{"AB",NULL},{"C,\"D","NULL"}}"#);
        assert_eq!(map_array("{}", &mut upper), "{}");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in "\\PC{0,30}[\\\\\t\n\r\u{8}\u{b}\u{c}N]{0,5}\\PC{0,5}") {
            let mut field = String::new();
            encode_field(&value, &mut field);
            prop_assert!(!field.contains(['\n', '\t']));
            prop_assert_eq!(decode_field(field.as_bytes()), Some(CopyField::Value(value.as_str().into())));
        }
    }
}
