//! Lines of a log as bytes, one at a time, in flat memory whatever the input.

use std::io::{self, BufRead, ErrorKind};

use anyhow::Result;
use memchr::memchr;

use super::formats::{KNOWN, Parser};
use super::summary::Collector;
use crate::exit::failure;

/// Bytes of a line that are looked at; what is longer is no access log's line.
pub const LONGEST_LINE: usize = 64 * 1024;

/// How much is read at once, in bytes.
pub const BUFFER: usize = 256 * 1024;

/// What was in one file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Lines with anything in them.
    pub lines: u64,
    /// Lines that tell of a request.
    pub parsed: u64,
    /// Whether it holds Evolution's own console log.
    pub is_console: bool,
}

/// Reads a log to its end and gives every line to the collector.
///
/// # Errors
/// When reading fails, or the first bytes show that this is no text.
pub fn scan(mut reader: impl BufRead, collector: &mut Collector) -> Result<Scanned> {
    refuse_binary(fill(&mut reader)?)?;
    let mut scanned = Scanned::default();
    let mut parser = Parser::default();
    for_each_line(reader, |line| {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        scanned.lines += 1;
        let request = parser.parse(line);
        scanned.parsed += u64::from(request.is_some());
        collector.line(request.as_ref());
    })?;
    scanned.is_console = parser.saw_console;
    Ok(scanned)
}

/// Calls `each` with every line, without its line break, cut at [`LONGEST_LINE`].
///
/// # Errors
/// When reading fails.
pub fn for_each_line(mut reader: impl BufRead, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    // The beginning of a line whose end is not in the buffer yet.
    let mut begun = Vec::new();
    loop {
        let buffer = fill(&mut reader)?;
        if buffer.is_empty() {
            break;
        }
        let mut rest = buffer;
        while let Some(end) = memchr(b'\n', rest) {
            if begun.is_empty() {
                each(without_return(&rest[..end.min(LONGEST_LINE)]));
            } else {
                extend(&mut begun, &rest[..end]);
                each(without_return(&begun));
                begun.clear();
            }
            rest = &rest[end + 1..];
        }
        extend(&mut begun, rest);
        let length = buffer.len();
        reader.consume(length);
    }
    if !begun.is_empty() {
        each(without_return(&begun));
    }
    Ok(())
}

fn extend(begun: &mut Vec<u8>, piece: &[u8]) {
    let room = LONGEST_LINE.saturating_sub(begun.len());
    begun.extend_from_slice(&piece[..piece.len().min(room)]);
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The next bytes, without consuming them; none at the end.
fn fill(reader: &mut impl BufRead) -> io::Result<&[u8]> {
    loop {
        match reader.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(_) => break,
        }
    }
    // The bytes are buffered by now: this reads nothing. (A borrow cannot leave the loop above.)
    reader.fill_buf()
}

fn refuse_binary(head: &[u8]) -> Result<()> {
    const MAGIC: [(&[u8], &str); 4] = [
        (b"\x1F\x8B", "zcat"),
        (b"\x28\xB5\x2F\xFD", "zstdcat"),
        (b"BZh", "bzcat"),
        (b"\xFD7zXZ\x00", "xzcat"),
    ];
    if let Some((_, unpack)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(failure("this file is compressed", format!("{unpack} FILE | evodoctor logs -")));
    }
    if head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF") {
        let next = "iconv -f UTF-16 -t UTF-8 FILE | evodoctor logs -";
        return Err(failure("this file is UTF-16, as PowerShell's > writes it", next));
    }
    if memchr(0, head).is_some() {
        return Err(failure("this file is binary, not a log", format!("give a log that is text: {KNOWN}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;
    use crate::exit::Failure;
    use proptest::prelude::*;

    fn lines(bytes: &[u8], capacity: usize) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for_each_line(BufReader::with_capacity(capacity, bytes), |line| lines.push(line.to_vec())).unwrap();
        lines
    }

    #[test]
    fn a_line_is_cut_and_the_next_one_whole() {
        for length in [LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1, 3 * LONGEST_LINE] {
            let text = ["x".repeat(length), "y".into()].join("\n");
            for capacity in [1, 7, BUFFER] {
                let lines = lines(text.as_bytes(), capacity);
                assert_eq!(lines.len(), 2);
                assert_eq!(lines[0].len(), length.min(LONGEST_LINE));
                assert_eq!(lines[1], b"y");
            }
        }
    }

    #[test]
    fn what_is_no_text_is_refused_with_the_way_to_read_it() {
        let refused = |bytes: &[u8]| {
            format!("{:?}", refuse_binary(bytes).unwrap_err().downcast_ref::<Failure>().unwrap())
        };
        assert!(refused(b"\x1F\x8B\x08").contains("zcat"));
        assert!(refused(b"\xFF\xFEa\0").contains("iconv"));
        assert!(refused(b"ab\0c").contains("nginx"));
        assert!(refuse_binary("joão\n".as_bytes()).is_ok());
    }

    proptest! {
        /// However the bytes arrive, the lines are those that splitting all of them at once gives.
        #[test]
        fn lines_do_not_depend_on_the_buffer(pieces in prop::collection::vec("[a\r]{0,9}", 0..12), capacity in 1_usize..40) {
            let text = pieces.join("\n");
            let expected: Vec<Vec<u8>> = text
                .split_inclusive('\n')
                .map(|line| line.strip_suffix('\n').unwrap_or(line))
                .map(|line| line.strip_suffix('\r').unwrap_or(line).as_bytes().to_vec())
                .collect();
            prop_assert_eq!(lines(text.as_bytes(), capacity), expected);
        }
    }
}
