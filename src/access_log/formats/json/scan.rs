//! Finds the wanted fields of a line of JSON without building the rest of it.

use std::borrow::Cow;

use memchr::memchr2;
use serde_json::Value as Json;

use super::key_names::KeyNames;
use crate::access_log::formats::fields::{FieldValue, Fields, Slot};

/// Objects and lists inside each other; what is deeper is left to a real parser.
const DEEPEST: u32 = 16;

/// The fields of a line, or `None` where it is not as plain as programs write it: then a real parser has to read it.
///
/// If this succeeds, every bracket, quote and comma is in its place; strings that are not needed are not decoded.
pub(super) fn fields<'l, N: KeyNames>(line: &'l [u8], order: &mut KeyOrder<N>) -> Option<Fields<'l>> {
    order.last = 0;
    let mut cursor = Cursor::<N> { line, at: 0, fields: Fields::default(), pair: None, order };
    cursor.object(Some(N::TOP), DEEPEST)?;
    cursor.space();
    (cursor.at == line.len()).then_some(cursor.fields)
}

/// The fields of a line that a real parser has read.
pub(super) fn parsed<N: KeyNames>(json: &Json) -> Fields<'static> {
    let mut fields = Fields::default();
    add::<N>(&mut fields, N::TOP, json);
    fields
}

/// The field that a value is for, and the priority of its key.
type Wanted = Option<(Slot, u8)>;

/// The most keys that are remembered, and the longest, in bytes with its marks.
const MOST_KEYS: usize = 128;
const LONGEST_KEY: usize = 64;

/// The keys of the last lines, with what they mean and what came behind each: the lines of one program have few orders.
#[derive(Debug)]
pub(super) struct KeyOrder<N: KeyNames> {
    /// The first stands for the beginning of a line.
    keys: Vec<KnownKey<N>>,
    last: usize,
}

#[derive(Debug)]
struct KnownKey<N: KeyNames> {
    /// The key with its quotes and its colon.
    text: Vec<u8>,
    place: N::Place,
    wanted: Wanted,
    /// The numbers of the keys that came behind it, the last one first; 0 for none.
    next: [usize; 2],
}

impl<N: KeyNames> Default for KeyOrder<N> {
    fn default() -> Self {
        let beginning = KnownKey { text: Vec::new(), place: N::TOP, wanted: None, next: [0; 2] };
        Self { keys: vec![beginning], last: 0 }
    }
}

impl<N: KeyNames> KeyOrder<N> {
    /// The next key's length and meaning, where the text begins with one that came here before.
    fn expected(&mut self, place: N::Place, text: &[u8]) -> Option<(usize, Wanted)> {
        for at in self.keys[self.last].next {
            let key = &self.keys[at];
            if at != 0 && key.place == place && text.starts_with(&key.text) {
                self.last = at;
                return Some((key.text.len(), key.wanted));
            }
        }
        None
    }

    /// Another key than was expected.
    fn learn(&mut self, place: N::Place, text: &[u8], wanted: Wanted) {
        let known = self.keys.iter().skip(1).position(|key| key.place == place && key.text == text);
        let at = match known {
            Some(at) => at + 1,
            None if self.keys.len() < MOST_KEYS && text.len() <= LONGEST_KEY => {
                self.keys.push(KnownKey { text: text.to_vec(), place, wanted, next: [0; 2] });
                self.keys.len() - 1
            }
            None => return,
        };
        let next = &mut self.keys[self.last].next;
        *next = [at, next[0]];
        self.last = at;
    }
}

struct Cursor<'l, 'o, N: KeyNames> {
    line: &'l [u8],
    at: usize,
    fields: Fields<'l>,
    /// In a list of headers: the place, and what the last name means.
    pair: Option<(N::Place, Wanted)>,
    order: &'o mut KeyOrder<N>,
}

impl<'l, N: KeyNames> Cursor<'l, '_, N> {
    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r') = self.line.get(self.at) {
            self.at += 1;
        }
    }

    /// Steps over this byte, if it comes next.
    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.line.get(self.at) == Some(&byte)).then(|| self.at += 1)
    }

    /// Reads an object and keeps what is wanted of it; nothing, where it is not a place that is looked into.
    fn object(&mut self, place: Option<N::Place>, deeper: u32) -> Option<()> {
        self.eat(b'{')?;
        self.space();
        if self.eat(b'}').is_some() {
            return Some(());
        }
        loop {
            self.space();
            if let Some((outer, named)) = self.pair.filter(|_| place.is_none()) {
                let key = self.key()?;
                self.space();
                self.half_of_pair(outer, named, key, deeper)?;
            } else if let Some(place) = place {
                self.member(place, deeper)?;
            } else {
                self.key()?;
                self.space();
                self.value(None, None, deeper)?;
            }
            self.space();
            if self.eat(b',').is_none() {
                return self.eat(b'}');
            }
        }
    }

    /// A key with its value, in a place that is looked into.
    fn member(&mut self, place: N::Place, deeper: u32) -> Option<()> {
        let start = self.at;
        let wanted = if let Some((length, wanted)) = self.order.expected(place, &self.line[start..]) {
            self.at += length;
            wanted
        } else {
            let key = self.key()?;
            let wanted = N::meaning(place, key);
            self.order.learn(place, &self.line[start..self.at], wanted);
            wanted
        };
        let end = self.at;
        self.space();
        let first = self.line.get(self.at);
        let within = match first {
            Some(b'{' | b'[') => {
                let key = &self.line[start + 1..end];
                let key = &key[..key.iter().rposition(|&byte| byte == b'"')?];
                N::within(place, key, first == Some(&b'['))
            }
            _ => None,
        };
        self.value(wanted, within, deeper)
    }

    /// A key without its quotes, and the colon behind it.
    fn key(&mut self) -> Option<&'l [u8]> {
        let (key, is_escaped) = self.string()?;
        self.space();
        self.eat(b':')?;
        (!is_escaped).then_some(key)
    }

    /// `"name": "user-agent"` or `"value": "n8n"`, as HAR lists headers.
    fn half_of_pair(
        &mut self,
        place: N::Place,
        named: Option<(Slot, u8)>,
        key: &[u8],
        deeper: u32,
    ) -> Option<()> {
        match key {
            b"name" | b"key" if self.line.get(self.at) == Some(&b'"') => {
                let (name, _) = self.string()?;
                self.pair = Some((place, N::meaning(place, name)));
                Some(())
            }
            // OpenTelemetry says of which type a value is.
            b"value" | b"stringValue" | b"intValue" => self.value(named, None, deeper),
            _ => self.value(None, None, deeper),
        }
    }

    fn value(&mut self, wanted: Option<(Slot, u8)>, within: Option<N::Place>, deeper: u32) -> Option<()> {
        match self.line.get(self.at)? {
            b'"' => {
                let start = self.at;
                let (text, is_escaped) = self.string()?;
                if let Some(wanted) = wanted {
                    let text = if is_escaped { unescaped(&self.line[start..self.at])? } else { text.into() };
                    self.fields.insert(wanted, FieldValue::Text(text));
                }
            }
            b'{' => self.object(within, deeper.checked_sub(1)?)?,
            b'[' => self.list(wanted, within, deeper.checked_sub(1)?)?,
            b't' => self.literal(b"true")?,
            b'f' => self.literal(b"false")?,
            b'n' => {
                self.literal(b"null")?;
                if let Some(wanted @ (Slot::Upstream | Slot::OriginStatus, _)) = wanted {
                    self.fields.insert(wanted, FieldValue::Nothing);
                }
            }
            _ => {
                let number = self.number()?;
                if let Some(wanted) = wanted {
                    self.fields.insert(wanted, FieldValue::Number(number.into()));
                }
            }
        }
        Some(())
    }

    /// Of a list the first element counts, if it is text; a list of headers holds names and values.
    fn list(&mut self, wanted: Option<(Slot, u8)>, within: Option<N::Place>, deeper: u32) -> Option<()> {
        self.eat(b'[')?;
        self.space();
        if self.eat(b']').is_some() {
            return Some(());
        }
        // journald writes what is not plain text byte by byte.
        if let Some(wanted @ (Slot::Line, _)) = wanted
            && self.line.get(self.at).is_some_and(u8::is_ascii_digit)
        {
            let bytes = self.bytes()?;
            self.fields.insert(wanted, FieldValue::Text(Cow::Owned(bytes)));
            return Some(());
        }
        let mut wanted = wanted.filter(|_| self.line.get(self.at) == Some(&b'"'));
        let pairs = within.filter(|&place| N::holds_pairs(place)).map(|place| (place, None));
        let outer = std::mem::replace(&mut self.pair, pairs);
        loop {
            self.space();
            self.value(wanted.take(), None, deeper)?;
            self.space();
            if self.eat(b',').is_none() {
                self.pair = outer;
                return self.eat(b']');
            }
        }
    }

    /// The rest of a list of bytes.
    fn bytes(&mut self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            self.space();
            let number = self.number()?;
            bytes.push(str::from_utf8(number).ok()?.parse().ok()?);
            self.space();
            if self.eat(b',').is_none() {
                return self.eat(b']').map(|()| bytes);
            }
        }
    }

    /// The inside of a text, and whether it holds escapes.
    fn string(&mut self) -> Option<(&'l [u8], bool)> {
        self.eat(b'"')?;
        let (start, mut is_escaped) = (self.at, false);
        loop {
            let end = self.at + quote_or_backslash(self.line.get(self.at..)?)?;
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

/// Where the first quote or backslash is. Most texts are short: eight bytes at a time find it before a search of a whole
/// vector has begun.
#[inline]
fn quote_or_backslash(text: &[u8]) -> Option<usize> {
    const SHORT: usize = 32;
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = u64::from_ne_bytes([0x80; 8]);
    // The top bit of each byte that is 0; above the first such byte there may be others that are not.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & TOPS;
    let mut at = 0;
    while at < SHORT
        && let Some(bytes) = text[at..].first_chunk::<8>()
    {
        let word = u64::from_le_bytes(*bytes);
        let found = zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr2(b'"', b'\\', &text[at..]).map(|found| at + found)
}

/// The text that a quoted JSON string stands for.
pub(in crate::access_log::formats) fn unescaped(quoted: &[u8]) -> Option<Cow<'static, [u8]>> {
    serde_json::from_slice::<String>(quoted).ok().map(|text| Cow::Owned(text.into_bytes()))
}

fn add<N: KeyNames>(fields: &mut Fields<'static>, place: N::Place, json: &Json) {
    for (key, value) in json.as_object().into_iter().flatten() {
        if let Some(wanted) = N::meaning(place, key.as_bytes())
            && let Some(value) = usable(value, wanted.0)
        {
            fields.insert(wanted, value);
        }
        if let Some(place) = N::within(place, key.as_bytes(), value.is_array()) {
            match value {
                Json::Object(_) => add::<N>(fields, place, value),
                Json::Array(pairs) if N::holds_pairs(place) => pairs.iter().for_each(|pair| {
                    let typed = |value: &Json| {
                        ["stringValue", "intValue"].iter().find_map(|of| value.get(of).cloned())
                    };
                    let name = ["name", "key"].iter().find_map(|key| pair.get(key)?.as_str());
                    let value = pair.get("value").map(|value| typed(value).unwrap_or_else(|| value.clone()));
                    if let (Some(name), Some(value)) = (name, value.as_ref().and_then(Json::as_str))
                        && let Some(wanted) = N::meaning(place, name.as_bytes())
                    {
                        fields.insert(wanted, FieldValue::Text(Cow::Owned(value.as_bytes().to_vec())));
                    }
                }),
                _ => {}
            }
        }
    }
}

/// A text or a number; of a list the first text, as Caddy lists every value that a header had.
fn usable(value: &Json, slot: Slot) -> Option<FieldValue<'static>> {
    let text = |text: &str| Some(FieldValue::Text(Cow::Owned(text.as_bytes().to_vec())));
    match value {
        Json::String(string) => text(string),
        Json::Number(number) => Some(FieldValue::Number(Cow::Owned(number.to_string().into_bytes()))),
        Json::Array(values) => text(values.first()?.as_str()?),
        Json::Null if matches!(slot, Slot::Upstream | Slot::OriginStatus) => Some(FieldValue::Nothing),
        _ => None,
    }
}
