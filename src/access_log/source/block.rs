//! A piece of a log that holds whole lines.

use std::sync::Arc;

use memchr::memchr;

use crate::access_log::formats::columns::ColumnHeader;
use crate::access_log::timestamp::Timestamp;

/// Bytes of a line that are looked at; what is longer is not an access log's line.
pub const LONGEST_LINE: usize = 64 * 1024;

/// Bytes that are read at once: what a core's own cache holds beside everything else.
pub const BLOCK: usize = 128 * 1024;

/// Whole lines of one log, in memory that is used again and again.
#[derive(Debug)]
pub struct Block {
    buffer: Vec<u8>,
    /// Bytes of the buffer that are filled.
    pub(super) length: usize,
    /// When the record of Evolution's console log began in which the first line stands.
    pub record: Option<Timestamp>,
    /// The columns that the file has named so far, if it names them.
    pub columns: Option<Arc<ColumnHeader>>,
}

impl Default for Block {
    /// An empty one.
    fn default() -> Self {
        Self { buffer: vec![0; BLOCK], length: 0, record: None, columns: None }
    }
}

impl Block {
    /// Begins again, with the beginning of a line.
    pub(super) fn start(&mut self, begun: &[u8]) {
        self.buffer[..begun.len()].copy_from_slice(begun);
        self.length = begun.len();
        self.record = None;
        self.columns = None;
    }

    /// Where to read to.
    pub(super) fn free(&mut self) -> &mut [u8] {
        &mut self.buffer[self.length..]
    }

    /// Removes as much from the beginning.
    pub(super) fn drop_front(&mut self, count: usize) {
        self.buffer.copy_within(count..self.length, 0);
        self.length -= count;
    }

    /// What was read.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    /// The lines, without their breaks, cut at [`LONGEST_LINE`].
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (line, after) = match memchr(b'\n', rest) {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None => (rest, &[][..]),
            };
            rest = after;
            let line = &line[..line.len().min(LONGEST_LINE)];
            Some(line.strip_suffix(b"\r").unwrap_or(line))
        })
    }
}
