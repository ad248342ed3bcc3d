//! Lines that a container's runtime has cut in pieces, put together again.
//!
//! Sources: containerd and CRI-O mark each piece but the last with `P`; Docker's `json-file` driver ends only the last one with a
//! newline. Both cut at 16 KiB.

use memchr::memmem;

/// Maximum length of a line in bytes; longer lines are not from an access log.
const LONGEST: usize = 64 * 1024;

/// The pieces of a line that is not whole yet.
#[derive(Debug, Default)]
pub(super) struct CutLine {
    /// The properties that all pieces of the line share.
    stream: Vec<u8>,
    text: Vec<u8>,
}

/// One line of a file as a piece of a line.
struct Piece<'l> {
    /// The text before the piece.
    before: &'l [u8],
    /// The properties that all pieces of one line share.
    stream: &'l [u8],
    text: &'l [u8],
    /// The text after the piece.
    after: &'l [u8],
    is_last: bool,
}

/// The kinds of lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LinePiece {
    /// All of it is there.
    Whole,
    /// More will come.
    Incomplete,
    /// The last piece: the whole line, with what the runtime put around the last piece.
    Completed(Vec<u8>),
}

impl CutLine {
    /// Takes the next line of the file.
    pub fn push(&mut self, line: &[u8]) -> LinePiece {
        let Some(piece) = cri(line).or_else(|| docker(line)) else { return LinePiece::Whole };
        if self.stream != piece.stream || self.text.len() + piece.text.len() > LONGEST {
            self.forget();
        }
        if piece.is_last {
            if self.text.is_empty() {
                return LinePiece::Whole;
            }
            let whole = [piece.before, &self.text, piece.text, piece.after].concat();
            self.forget();
            return LinePiece::Completed(whole);
        }
        self.stream = piece.stream.to_vec();
        self.text.extend_from_slice(piece.text);
        LinePiece::Incomplete
    }

    /// A line that was cut here is not continued.
    pub fn forget(&mut self) {
        self.stream.clear();
        self.text.clear();
    }
}

/// `2026-11-21T03:59:12.123456789Z stdout P text`
fn cri(line: &[u8]) -> Option<Piece<'_>> {
    if line.get(10) != Some(&b'T') {
        return None;
    }
    let mut words = line.splitn(4, |&byte| byte == b' ');
    let (time, stream, mark, text) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let is_cri = time.len() > 10 && matches!(stream, b"stdout" | b"stderr");
    let is_last = match mark {
        b"F" => true,
        b"P" => false,
        _ => return None,
    };
    let before = &line[..line.len() - text.len()];
    is_cri.then_some(Piece { before, stream, text, after: b"", is_last })
}

/// `{"log":"text","stream":"stdout","time":"…"}`
fn docker(line: &[u8]) -> Option<Piece<'_>> {
    const BEFORE: &[u8] = b"{\"log\":\"";
    const AFTER: &[u8] = b"\",\"stream\":\"";
    let text = line.strip_prefix(BEFORE)?;
    let end = memmem::find(text, AFTER)?;
    let after = &text[end..];
    let stream = after[AFTER.len()..].split(|&byte| byte == b'"').next()?;
    let text = &text[..end];
    Some(Piece { before: BEFORE, stream, text, after, is_last: text.ends_with(b"\\n") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(lines: &[&str]) -> Vec<LinePiece> {
        let mut cut = CutLine::default();
        lines.iter().map(|line| cut.push(line.as_bytes())).collect()
    }

    #[test]
    fn pieces_become_one_line() {
        use LinePiece::{Completed, Incomplete, Whole};
        let completed = |text: &str| Completed(text.as_bytes().to_vec());
        let cri = [
            "2026-11-21T03:59:12Z stdout P a",
            "2026-11-21T03:59:12Z stdout P b ",
            "2026-11-21T03:59:13Z stdout F c",
        ];
        assert_eq!(pushed(&cri), [Incomplete, Incomplete, completed("2026-11-21T03:59:13Z stdout F ab c")]);
        let docker = [
            r#"{"log":"a","stream":"stdout","time":"x"}"#,
            r#"{"log":"\"b\n","stream":"stdout","time":"y"}"#,
        ];
        assert_eq!(
            pushed(&docker),
            [Incomplete, completed(r#"{"log":"a\"b\n","stream":"stdout","time":"y"}"#)]
        );
        // Another stream, and lines that are whole.
        assert_eq!(pushed(&[cri[0], "2026-11-21T03:59:13Z stderr F c", cri[2]]), [Incomplete, Whole, Whole]);
        assert_eq!(pushed(&[docker[1], cri[2], "a stdout P b", ""]), [Whole, Whole, Whole, Whole]);
    }
}
