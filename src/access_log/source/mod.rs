//! The bytes of logs, as blocks of whole lines, in flat memory whatever the input: files, packed files, pipes, files
//! that grow.

mod block;
mod follow;
mod text_lines;
mod utf16;

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::{Context, Result};
use memchr::{memchr, memmem, memrchr};

pub use self::block::{BLOCK, Block, LONGEST_LINE};
use self::follow::{FollowedFile, FollowedPipe};
use super::formats::columns::{ColumnHeader, FIELDS};
use super::formats::{CONSOLE, KNOWN, record_time};
use super::read_progress::ReadProgress;
use super::timestamp::Timestamp;
use crate::error::user_error;
use crate::text::decompress::{self, Compression};
use crate::text::escape::escape_control;

/// A log, read from its beginning to its end.
pub struct LogSource {
    /// Its name, safe to print.
    pub name: String,
    reader: Box<dyn Read + Send>,
    /// The beginning of a line whose end has not been read yet.
    begun: Vec<u8>,
    /// True if what comes next is the rest of a line that was too long.
    is_in_long_line: bool,
    /// True if data is returned at once, because more may take long to come.
    is_live: bool,
    is_new: bool,
    /// When the last record of Evolution's console log began, in a log that has such.
    record: Option<Option<Timestamp>>,
    /// The columns named so far, in a log that names them.
    columns: Option<Option<Arc<ColumnHeader>>>,
    /// True if it ended in the middle of what gzip or zstd packed.
    pub is_cut_short: bool,
}

impl LogSource {
    /// Opens a log; `-` is stdin. What is read of it counts as progress.
    pub fn open(path: &Path, follow: bool, progress: &Arc<ReadProgress>) -> Result<Self> {
        let name = escape_control(&path.display().to_string());
        let context = || format!("cannot read {name}");
        let (file, is_file) = if path == Path::new("-") {
            (File::from(rustix::io::dup(io::stdin()).with_context(context)?), false)
        } else {
            let file = File::open(path).with_context(context)?;
            let is_file = file.metadata().with_context(context)?.is_file();
            (file, is_file)
        };
        if is_file && !follow {
            progress.total.fetch_add(file.metadata().with_context(context)?.len(), Relaxed);
        } else {
            progress.is_endless.store(true, Relaxed);
        }
        let (reader, packing) = match (is_file, follow) {
            // A growing file is not compressed, and reading its first bytes could block for ever.
            (true, true) => {
                let growing = Box::new(FollowedFile::new(path, file, Arc::clone(progress)));
                (Box::new(progress.counting(growing)) as Box<dyn Read + Send>, Compression::None)
            }
            (true, false) => unpacked(progress.counting(Box::new(file))).with_context(context)?,
            (false, _) => {
                let patient = FollowedPipe::new(file, Arc::clone(progress));
                unpacked(progress.counting(Box::new(patient))).with_context(context)?
            }
        };
        let reader =
            if follow && is_file { reader } else { text_lines::text_lines(reader).with_context(context)? };
        Ok(Self {
            name,
            reader,
            begun: Vec::new(),
            is_in_long_line: false,
            is_live: packing == Compression::None && (follow || !is_file),
            is_new: true,
            record: None,
            columns: None,
            is_cut_short: false,
        })
    }

    /// Reads the next whole lines into the block; the last line may lack its end. False at the end.
    ///
    /// # Errors
    /// When reading fails, or the first bytes show that this is not text.
    pub fn fill(&mut self, block: &mut Block) -> Result<bool> {
        loop {
            block.start(&self.begun);
            self.begun.clear();
            let is_end = self.read_into(block)?;
            if self.is_new && block.length > 0 {
                self.is_new = false;
                refuse_binary(block.bytes(), &self.name)?;
                self.record = memmem::find(block.bytes(), CONSOLE).map(|_| None);
                let first = block.bytes().split(|&byte| byte == b'\n').next().unwrap_or_default();
                let table = ColumnHeader::parse_table(first).map(|columns| Some(Arc::new(columns)));
                self.columns = table.or_else(|| memmem::find(block.bytes(), FIELDS).map(|_| None));
            }
            self.cut(block, is_end);
            if block.length > 0 {
                self.note_record(block);
                return Ok(true);
            }
            if is_end {
                return Ok(false);
            }
        }
    }

    /// Reads until the block is full, or, of what is live, until it holds a line. Whether the end was reached.
    fn read_into(&mut self, block: &mut Block) -> Result<bool> {
        while !block.free().is_empty() {
            match self.reader.read(block.free()) {
                Ok(0) => return Ok(true),
                Ok(count) => {
                    let fresh = block.length;
                    block.length += count;
                    if self.is_live && memchr(b'\n', &block.bytes()[fresh..]).is_some() {
                        return Ok(false);
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    self.is_cut_short = true;
                    return Ok(true);
                }
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.name)),
            }
        }
        Ok(false)
    }

    /// Leaves whole lines in the block. What follows the last is kept for the next block; of a line longer than any
    /// block its beginning stays, and the rest is skipped.
    fn cut(&mut self, block: &mut Block, is_end: bool) {
        if self.is_in_long_line {
            let Some(end) = memchr(b'\n', block.bytes()) else {
                block.length = 0;
                return;
            };
            block.drop_front(end + 1);
            self.is_in_long_line = false;
        }
        if is_end {
            return;
        }
        match memrchr(b'\n', block.bytes()) {
            Some(end) => {
                self.begun.extend_from_slice(&block.bytes()[end + 1..]);
                block.length = end + 1;
            }
            None if block.free().is_empty() => {
                self.is_in_long_line = true;
                block.length = LONGEST_LINE;
            }
            None => {
                self.begun.extend_from_slice(block.bytes());
                block.length = 0;
            }
        }
    }

    /// Tells the block which console record it begins in, and remembers the one in which it ends.
    fn note_record(&mut self, block: &mut Block) {
        block.columns = self.columns.clone().flatten();
        if let Some(columns) = &mut self.columns
            && let Some(at) = memmem::rfind(block.bytes(), FIELDS)
        {
            let line = &block.bytes()[at..];
            let line = &line[..memchr(b'\n', line).unwrap_or(line.len())];
            *columns = ColumnHeader::parse_header(line.trim_ascii_end()).map(Arc::new);
        }
        block.record = self.record.flatten();
        if let Some(record) = &mut self.record
            && let Some(at) = memmem::rfind(block.bytes(), CONSOLE)
        {
            let line = &block.bytes()[at..];
            *record = record_time(&line[..memchr(b'\n', line).unwrap_or(line.len()).min(LONGEST_LINE)]);
        }
    }
}

fn unpacked(bytes: impl Read + Send + 'static) -> io::Result<(Box<dyn Read + Send>, Compression)> {
    decompress::decompress_reader(BufReader::with_capacity(BLOCK / 4, bytes))
}

fn refuse_binary(head: &[u8], name: &str) -> Result<()> {
    const MAGIC: [(&[u8], &str); 4] = [
        (b"BZh", "bzcat"),
        (b"\xFD7zXZ\x00", "xzcat"),
        (b"PK\x03\x04", "unzip -p"),
        (b"7z\xBC\xAF", "7z x -so"),
    ];
    const LOOKED_AT: usize = 4096;
    // A tar archive has its mark behind the first name.
    const TAR: std::ops::Range<usize> = 257..262;
    let is_tar = head.get(TAR) == Some(b"ustar");
    let unpack = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, unpack)| *unpack);
    if let Some(unpack) = unpack.or(is_tar.then_some("tar -xOf")) {
        let next = format!("{unpack} {name} | evodoctor logs -");
        return Err(user_error("this file is compressed in a format that evodoctor does not read", next));
    }
    if memchr(0, &head[..head.len().min(LOOKED_AT)]).is_some() {
        return Err(user_error(
            "this file is binary, not a log",
            format!("give a log that is text: {KNOWN}"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::UserError;
    use proptest::prelude::*;

    fn source(bytes: impl Read + Send + 'static) -> LogSource {
        LogSource {
            name: "test".into(),
            reader: Box::new(bytes),
            begun: Vec::new(),
            is_in_long_line: false,
            is_live: false,
            is_new: true,
            record: None,
            columns: None,
            is_cut_short: false,
        }
    }

    /// Gives its bytes in pieces of this length.
    struct Dripping(Vec<u8>, usize);

    impl Read for Dripping {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(self.1).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0.drain(..count);
            Ok(count)
        }
    }

    fn lines(text: &[u8], piece: usize, is_live: bool) -> Vec<Vec<u8>> {
        let mut source = source(Dripping(text.to_vec(), piece));
        source.is_live = is_live;
        let (mut block, mut lines) = (Block::default(), Vec::new());
        while source.fill(&mut block).unwrap() {
            lines.extend(block.lines().map(<[u8]>::to_vec));
        }
        lines
    }

    #[test]
    fn a_line_is_cut_and_the_next_one_whole() {
        for length in
            [LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK]
        {
            let text = ["x".repeat(length), "y".into()].join("\n");
            let lines = lines(text.as_bytes(), BLOCK / 3, false);
            assert_eq!(lines.len(), 2, "{length}");
            assert_eq!(lines[0].len(), length.min(LONGEST_LINE));
            assert_eq!(lines[1], b"y");
        }
    }

    #[test]
    fn a_binary_file_is_refused_with_a_hint() {
        let refused = |bytes: &[u8]| {
            format!("{:?}", refuse_binary(bytes, "a.log").unwrap_err().downcast_ref::<UserError>().unwrap())
        };
        assert!(refused(b"BZh9").contains("bzcat a.log"));
        assert!(refused(b"PK\x03\x04").contains("unzip -p a.log"));
        assert!(refused(&[&[b'x'; 257][..], b"ustar\0"].concat()).contains("tar -xOf a.log"));
        assert!(refused(b"ab\0c").contains("nginx"));
        assert!(refuse_binary("joão\n".as_bytes(), "a.log").is_ok());
    }

    #[test]
    fn a_block_knows_the_console_record_that_it_begins_in() {
        let header = "[Evolution API]  1 - Sat Nov 21 2026 04:07:09   ERROR\n";
        let text = [header.as_bytes(), &[b"x\n".repeat(BLOCK / 2), b"y\n".to_vec()].concat()].concat();
        let mut source = source(Dripping(text, BLOCK));
        let mut block = Block::default();
        assert!(source.fill(&mut block).unwrap());
        assert_eq!(block.record, None);
        assert!(source.fill(&mut block).unwrap());
        assert_eq!(block.record.unwrap().to_string(), "2026-11-21T04:07:09");
    }

    proptest! {
        /// However the bytes arrive, the lines are those that splitting all of them at once gives.
        #[test]
        fn lines_do_not_depend_on_the_pieces(
            pieces in prop::collection::vec("[a\r]{0,9}", 0..12),
            piece in 1_usize..40,
            is_live in any::<bool>(),
        ) {
            let text = pieces.join("\n");
            let expected: Vec<Vec<u8>> = text
                .split_inclusive('\n')
                .map(|line| line.strip_suffix('\n').unwrap_or(line))
                .map(|line| line.strip_suffix('\r').unwrap_or(line).as_bytes().to_vec())
                .collect();
            prop_assert_eq!(lines(text.as_bytes(), piece, is_live), expected);
        }
    }
}
