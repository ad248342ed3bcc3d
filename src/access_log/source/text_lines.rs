//! A text as lines: of UTF-16 in UTF-8, of a document of JSON its records.

use std::io::{self, ErrorKind, Read};

use memchr::memchr;

use super::block::LONGEST_LINE;
use super::utf16;
use crate::access_log::formats::json_documents::{JsonDocuments, is_document};

/// Bytes of a text that are looked at to tell what it is: more than any line of a log has.
const HEAD: usize = LONGEST_LINE;

/// The lines of a text: of UTF-16 in UTF-8, of a document of JSON its records.
pub(super) fn text_lines(mut reader: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut head = vec![0; HEAD];
    let mut length = 0;
    // A pipe may give few bytes at a time; its first line tells, unless it only opens a bracket.
    let is_undecided = |head: &[u8]| {
        memchr(b'\n', head).is_none()
            || matches!(head.trim_ascii(), b"" | b"{" | b"[" | b"[{")
            || head.len() < 4
    };
    while length < HEAD && is_undecided(&head[..length]) {
        match reader.read(&mut head[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The error is reported where it is read.
            Err(error) => {
                reader = Box::new(Failing(Some(error)));
                break;
            }
        }
    }
    head.truncate(length);
    let is_wide = utf16::is_wide(&head);
    let plain = if is_wide {
        utf16::decoded(&head)
    } else {
        head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&head).to_vec()
    };
    let whole: Box<dyn Read + Send> = match is_wide {
        true => Box::new(utf16::Utf16Reader::new(io::Cursor::new(head).chain(reader))),
        false => Box::new(io::Cursor::new(plain.clone()).chain(reader)),
    };
    Ok(if is_document(&plain) { Box::new(Taken::new(whole)) } else { whole })
}

/// Gives an error that came while the head of a text was looked at.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// A document, taken apart into lines as it is read.
struct Taken {
    reader: Box<dyn Read + Send>,
    records: JsonDocuments,
    lines: Vec<u8>,
    given: usize,
    has_ended: bool,
}

impl Taken {
    fn new(reader: Box<dyn Read + Send>) -> Self {
        Self { reader, records: JsonDocuments::default(), lines: Vec::new(), given: 0, has_ended: false }
    }
}

impl Read for Taken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut piece = [0; 8192];
        while self.given == self.lines.len() && !self.has_ended {
            self.lines.clear();
            self.given = 0;
            match self.reader.read(&mut piece)? {
                0 => {
                    self.records.flush_incomplete(&mut self.lines);
                    self.has_ended = true;
                }
                count => self.records.feed(&piece[..count], &mut self.lines),
            }
        }
        let count = buffer.len().min(self.lines.len() - self.given);
        buffer[..count].copy_from_slice(&self.lines[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}
