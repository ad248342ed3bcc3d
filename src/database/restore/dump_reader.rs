//! The bytes of a dump as they come, in lines and in rows of COPY. A thread reads (and unpacks) while the server
//! works on what was read before.

use std::io::{self, Read};
use std::thread;

use anyhow::{Result, anyhow};
use memchr::{memchr, memmem, memrchr};
use tokio::sync::mpsc;

/// Bytes that are read at once.
const CHUNK: usize = 256 * 1024;

/// The number of chunks that may wait.
const AHEAD: usize = 8;

/// The longest line and statement that is taken: what Postgres takes, in bytes.
pub const LONGEST: usize = (1 << 30) - 1;

/// The rest of a dump.
pub struct DumpReader {
    chunks: mpsc::Receiver<io::Result<Vec<u8>>>,
    buffer: Vec<u8>,
    at: usize,
    is_at_end: bool,
    /// True if what comes next begins a line.
    is_line_start: bool,
}

impl DumpReader {
    /// Starts reading. `open` is called in the reading thread, which ends with the source or with this value.
    pub fn new(open: impl FnOnce() -> io::Result<Box<dyn Read + Send>> + Send + 'static) -> Self {
        let (sender, chunks) = mpsc::channel(AHEAD);
        thread::spawn(move || {
            let mut source = match open() {
                Ok(source) => source,
                Err(error) => return drop(sender.blocking_send(Err(error))),
            };
            loop {
                let mut chunk = Vec::with_capacity(CHUNK);
                let read = source.by_ref().take(CHUNK as u64).read_to_end(&mut chunk);
                let is_last = read.is_err() || chunk.is_empty();
                if !chunk.is_empty() && sender.blocking_send(Ok(chunk)).is_err() {
                    return;
                }
                if let Err(error) = read {
                    return drop(sender.blocking_send(Err(error)));
                }
                if is_last {
                    return;
                }
            }
        });
        Self { chunks, buffer: Vec::new(), at: 0, is_at_end: false, is_line_start: true }
    }

    /// The next line with its end; `None` at the end of the dump.
    pub async fn next_line(&mut self) -> Result<Option<&[u8]>> {
        let mut searched = 0;
        let length = loop {
            match memchr(b'\n', &self.rest()[searched..]) {
                Some(found) => break searched + found + 1,
                None if self.is_at_end => break self.rest().len(),
                None if self.rest().len() > LONGEST => {
                    return Err(anyhow!("a line of more than 1 GB, which is too long for a dump"));
                }
                None => {
                    searched = self.rest().len();
                    self.more().await?;
                }
            }
        };
        self.is_line_start = true;
        self.at += length;
        Ok(Some(&self.buffer[self.at - length..self.at]).filter(|line| !line.is_empty()))
    }

    /// The next rows of a COPY; `None` when its end mark has been read.
    ///
    /// # Errors
    /// When it cannot be read, or the dump ends before the mark ([`io::ErrorKind::UnexpectedEof`]).
    pub async fn next_rows(&mut self) -> Result<Option<&[u8]>> {
        while !self.is_at_end && self.rest().len() < b"\\.\r\n".len() {
            self.more().await?;
        }
        let rest = self.rest();
        if rest.is_empty() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if self.is_line_start
            && let Some(length) = end_mark(rest)
        {
            self.at += length;
            return Ok(None);
        }
        let length = match memmem::find(rest, b"\n\\.").or_else(|| memrchr(b'\n', rest)) {
            Some(line_end) => line_end + 1,
            None => rest.len(),
        };
        self.is_line_start = rest[length - 1] == b'\n';
        self.at += length;
        Ok(Some(&self.buffer[self.at - length..self.at]))
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    async fn more(&mut self) -> Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        match self.chunks.recv().await {
            Some(chunk) => self.buffer.extend_from_slice(&chunk?),
            None => self.is_at_end = true,
        }
        Ok(())
    }
}

/// The length of the line `\.` where the text begins with it.
fn end_mark(text: &[u8]) -> Option<usize> {
    [&b"\\.\n"[..], b"\\.\r\n"]
        .iter()
        .find(|mark| text.starts_with(mark))
        .map(|mark| mark.len())
        .or_else(|| (text == b"\\.").then_some(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, the worst of all sources.
    struct Slow(io::Cursor<Vec<u8>>);

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(1);
            self.0.read(&mut buffer[..length])
        }
    }

    #[tokio::test]
    async fn rows_end_at_their_mark_and_nowhere_else() {
        for end in ["\n", "\r\n"] {
            let rows = format!("a\\.{end}\\\\.{end}\\.x{end}");
            let text = format!("COPY t FROM stdin;{end}{rows}\\.{end}SELECT 1;{end}").into_bytes();
            let mut input = DumpReader::new(move || Ok(Box::new(Slow(io::Cursor::new(text)))));
            assert_eq!(
                input.next_line().await.unwrap().unwrap(),
                format!("COPY t FROM stdin;{end}").as_bytes()
            );
            let mut read = Vec::new();
            while let Some(piece) = input.next_rows().await.unwrap() {
                read.extend_from_slice(piece);
            }
            assert_eq!(String::from_utf8(read).unwrap(), rows);
            assert_eq!(input.next_line().await.unwrap().unwrap(), format!("SELECT 1;{end}").as_bytes());
            assert_eq!(input.next_line().await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn rows_without_their_mark_are_an_error() {
        let mut input = DumpReader::new(|| Ok(Box::new(&b"1\n2"[..])));
        let error = loop {
            match input.next_rows().await {
                Ok(piece) => assert!(piece.is_some(), "no mark was there"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::UnexpectedEof);
    }
}
