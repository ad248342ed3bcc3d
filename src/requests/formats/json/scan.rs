//! Finds the wanted fields of a line of JSON without building the rest of it.

use std::borrow::Cow;

use memchr::memchr2;

use super::fields::{Fields, Place, Slot, Value, slot};

/// Objects and lists inside each other; what is deeper is left to a real parser.
const DEEPEST: u32 = 16;

/// The fields of a line, or `None` where it is not as plain as programs write it: then a real parser has to read it.
///
/// Every bracket, quote and comma is where it belongs when this succeeds; what stands inside a text that nobody asked
/// for is not looked at.
pub(super) fn fields(line: &[u8]) -> Option<Fields<'_>> {
    let mut cursor = Cursor { line, at: 0, fields: Fields::default() };
    cursor.object(Some(Place::Top), DEEPEST)?;
    cursor.space();
    (cursor.at == line.len()).then_some(cursor.fields)
}

struct Cursor<'l> {
    line: &'l [u8],
    at: usize,
    fields: Fields<'l>,
}

impl<'l> Cursor<'l> {
    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r') = self.line.get(self.at) {
            self.at += 1;
        }
    }

    /// Steps over this byte, if it comes next.
    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.line.get(self.at) == Some(&byte)).then(|| self.at += 1)
    }

    /// Reads an object and keeps what is wanted of it; nothing, where it is no place that is looked into.
    fn object(&mut self, place: Option<Place>, deeper: u32) -> Option<()> {
        self.eat(b'{')?;
        self.space();
        if self.eat(b'}').is_some() {
            return Some(());
        }
        loop {
            self.space();
            let (key, is_escaped) = self.string()?;
            if is_escaped {
                return None;
            }
            self.space();
            self.eat(b':')?;
            self.space();
            let wanted = place.and_then(|place| slot(place, key));
            let within = place.and_then(|place| place.within(key));
            self.value(wanted, within, deeper)?;
            self.space();
            if self.eat(b',').is_none() {
                return self.eat(b'}');
            }
        }
    }

    fn value(&mut self, wanted: Option<(Slot, u8)>, within: Option<Place>, deeper: u32) -> Option<()> {
        match self.line.get(self.at)? {
            b'"' => {
                let start = self.at;
                let (text, is_escaped) = self.string()?;
                if let Some(wanted) = wanted {
                    let text = if is_escaped { unescaped(&self.line[start..self.at])? } else { text.into() };
                    self.fields.put(wanted, Value::Text(text));
                }
            }
            b'{' => self.object(within, deeper.checked_sub(1)?)?,
            b'[' => self.list(wanted, deeper.checked_sub(1)?)?,
            b't' => self.literal(b"true")?,
            b'f' => self.literal(b"false")?,
            b'n' => self.literal(b"null")?,
            _ => {
                let number = self.number()?;
                if let Some(wanted) = wanted {
                    self.fields.put(wanted, Value::Number(number.into()));
                }
            }
        }
        Some(())
    }

    /// Of a list the first element counts, if it is text.
    fn list(&mut self, wanted: Option<(Slot, u8)>, deeper: u32) -> Option<()> {
        self.eat(b'[')?;
        self.space();
        if self.eat(b']').is_some() {
            return Some(());
        }
        let mut wanted = wanted.filter(|_| self.line.get(self.at) == Some(&b'"'));
        loop {
            self.space();
            self.value(wanted.take(), None, deeper)?;
            self.space();
            if self.eat(b',').is_none() {
                return self.eat(b']');
            }
        }
    }

    /// The inside of a text, and whether it holds escapes.
    fn string(&mut self) -> Option<(&'l [u8], bool)> {
        self.eat(b'"')?;
        let (start, mut is_escaped) = (self.at, false);
        loop {
            let end = self.at + memchr2(b'"', b'\\', self.line.get(self.at..)?)?;
            if self.line[end] == b'"' {
                self.at = end + 1;
                return Some((&self.line[start..end], is_escaped));
            }
            is_escaped = true;
            self.at = end + 2;
        }
    }

    fn number(&mut self) -> Option<&'l [u8]> {
        let rest = &self.line[self.at..];
        let end = rest
            .iter()
            .position(|byte| !(byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E')));
        let number = &rest[..end?];
        let digits = number.strip_prefix(b"-").unwrap_or(number);
        self.at += number.len();
        // Anything but digits and one point between them is left to a real parser, as are zeros in front.
        let whole = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let is_plain = match &digits[whole..] {
            [] => true,
            [b'.', fraction @ ..] => !fraction.is_empty() && fraction.iter().all(u8::is_ascii_digit),
            _ => false,
        };
        (is_plain && whole > 0 && (whole == 1 || digits[0] != b'0')).then_some(number)
    }

    fn literal(&mut self, word: &[u8]) -> Option<()> {
        self.line[self.at..].starts_with(word).then(|| self.at += word.len())
    }
}

/// The text that a quoted JSON string stands for.
fn unescaped(quoted: &[u8]) -> Option<Cow<'static, [u8]>> {
    serde_json::from_slice::<String>(quoted).ok().map(|text| Cow::Owned(text.into_bytes()))
}
