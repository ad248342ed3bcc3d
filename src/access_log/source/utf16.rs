//! UTF-16, as PowerShell's `>` and many editors write it.

use std::io::{self, Read};

/// True if a text begins as UTF-16, with its mark or without.
pub(super) fn is_wide(head: &[u8]) -> bool {
    let pairs = || head.chunks_exact(2).take(32);
    let is_unmarked =
        |zero: usize| head.len() >= 8 && pairs().all(|pair| pair[zero] == 0 && pair[1 - zero] != 0);
    head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF") || is_unmarked(0) || is_unmarked(1)
}

/// The text in UTF-8, as far as it goes.
pub(super) fn decoded(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    // What is in memory cannot fail to be read.
    let _ = Utf16Reader::new(text).read_to_end(&mut plain);
    plain
}

/// A text in UTF-16, read as UTF-8.
pub(super) struct Utf16Reader<R> {
    reader: R,
    /// Bytes of a character that is not whole yet.
    rest: Vec<u8>,
    is_big: Option<bool>,
    plain: Vec<u8>,
    given: usize,
}

impl<R: Read> Utf16Reader<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, rest: Vec::new(), is_big: None, plain: Vec::new(), given: 0 }
    }

    fn decode(&mut self, is_end: bool) {
        let is_big = *self
            .is_big
            .get_or_insert_with(|| self.rest.starts_with(b"\xFE\xFF") || self.rest.first() == Some(&0));
        let unit = |pair: &[u8]| {
            let pair = [pair[0], pair[1]];
            if is_big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
        };
        let mut units: Vec<u16> = self.rest.chunks_exact(2).map(unit).collect();
        let is_half = |unit: &u16| (0xD800..0xDC00).contains(unit);
        if !is_end {
            units.pop_if(|last| is_half(last));
        }
        self.rest.drain(..units.len() * 2);
        for character in char::decode_utf16(units) {
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            if character != '\u{FEFF}' {
                self.plain.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
}

impl<R: Read> Read for Utf16Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut piece = [0; 8192];
        while self.given == self.plain.len() {
            self.plain.clear();
            self.given = 0;
            let count = self.reader.read(&mut piece)?;
            self.rest.extend_from_slice(&piece[..count]);
            if self.rest.len() >= 2 || count == 0 {
                self.decode(count == 0);
            }
            if count == 0 && self.plain.is_empty() {
                return Ok(0);
            }
        }
        let count = buffer.len().min(self.plain.len() - self.given);
        buffer[..count].copy_from_slice(&self.plain[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_orders_are_read_whole_in_whatever_pieces() {
        let text = "GET /jo\u{e3}o \u{1f600} 404\r\n";
        for is_big in [false, true] {
            for mark in ["\u{FEFF}", ""] {
                let units = [mark, text].concat();
                let bytes: Vec<u8> = units
                    .encode_utf16()
                    .flat_map(|unit| if is_big { unit.to_be_bytes() } else { unit.to_le_bytes() })
                    .collect();
                assert!(is_wide(&bytes[..16]));
                assert_eq!(String::from_utf8(decoded(&bytes)).unwrap(), text);
                let mut plain = String::new();
                let (head, tail) = bytes.split_at(27);
                Utf16Reader::new(head.chain(tail)).read_to_string(&mut plain).unwrap();
                assert_eq!(plain, text);
            }
        }
        assert!(!is_wide(b"GET / 404"));
    }
}
