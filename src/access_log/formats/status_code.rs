//! Where in a text a number is the status of an answer, and not a size, a duration, a process or a telephone number.

use crate::access_log::log_text;

/// Words for what a status means; one of them behind a number says that it is one.
const REASONS: [&str; 26] = [
    "ok",
    "created",
    "accepted",
    "no content",
    "moved",
    "found",
    "see other",
    "not modified",
    "temporary redirect",
    "permanent redirect",
    "bad request",
    "unauthorized",
    "payment required",
    "forbidden",
    "not found",
    "method not allowed",
    "not acceptable",
    "request timeout",
    "conflict",
    "unprocessable",
    "too many requests",
    "internal server error",
    "bad gateway",
    "service unavailable",
    "gateway time",
    "client error",
];

/// Words that are before a status.
const NAMES: [&str; 14] = [
    "status",
    "code",
    "statuscode",
    "httpcode",
    "response",
    "returned",
    "returns",
    "answered",
    "responded",
    "completed",
    "error",
    "http",
    "got",
    "result",
];

/// Units behind a number that is not a status.
const UNITS: [&str; 9] = ["ms", "s", "b", "bytes", "kb", "mb", "ns", "us", "%"];

/// The status that comes first behind a path, perhaps behind the version of HTTP: ` 404`, ` -> 404`, ` HTTP/1.1" 404`.
pub(super) fn right_behind(text: &[u8]) -> Option<u16> {
    let mut text = skip_marks(text);
    if text.len() > 5 && text[..5].eq_ignore_ascii_case(b"HTTP/") {
        let end = text.iter().position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.')));
        text = skip_marks(&text[end?..]);
    }
    let status = known(text.get(..3)?)?;
    is_alone(&text[3..]).then_some(status)
}

/// The status right before a method and a path: `404 - GET /path`, `[404]: POST /path`.
pub(super) fn right_before(text: &[u8]) -> Option<u16> {
    let text = trim_marks(text);
    let letters = text.iter().rev().take_while(|byte| byte.is_ascii_uppercase()).count();
    let (before, verb) = text.split_at(text.len() - letters);
    let marked = trim_marks(before);
    let at = marked.len().checked_sub(3)?;
    // A number and a method with only a space between them may mean anything, but not after a closing bracket.
    let is_marked = before.len() > marked.len() + 1 || marked[..at].ends_with(b"] ");
    if !(log_text::METHODS.contains(&verb) && is_marked) {
        return None;
    }
    let is_edge = at == 0 || matches!(marked[at - 1], b' ' | b'[' | b'(' | b'|' | b'\t');
    known(&marked[at..]).filter(|_| is_edge)
}

/// The first number that a word beside it calls a status: `status code 404`, `"code":404`, `404 Not Found`.
pub(super) fn named(text: &[u8]) -> Option<u16> {
    let is_word =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'-' | b'/' | b'+');
    (0..text.len().checked_sub(2)?).find_map(|at| {
        let status = known(&text[at..at + 3])?;
        let (before, behind) = (&text[..at], &text[at + 3..]);
        let begins = before.last().is_none_or(|byte| !is_word(byte) || *byte == b'-');
        (begins && is_alone(behind) && (is_named_before(before) || is_named_behind(behind))).then_some(status)
    })
}

/// The status that ends a line about an answer, as .NET's client writes it: `Received HTTP response headers after 40.4ms - 404`.
pub(super) fn at_end(line: &[u8]) -> Option<u16> {
    let (before, digits) = line.trim_ascii_end().split_last_chunk::<3>()?;
    let is_answer = before.ends_with(b"ms - ") && memchr::memmem::find(before, b" HTTP re").is_some();
    known(digits).filter(|_| is_answer)
}

/// The status of a line that is an answer's first: `< HTTP/1.1 404`, `HTTP/2 404`, `<< HTTP/2.0 404 Not Found`.
pub(super) fn status_line(line: &[u8]) -> Option<u16> {
    let start = line.iter().position(|byte| byte.is_ascii_alphanumeric())?;
    let text = &line[start..];
    if start > 12 || !text.get(..5)?.eq_ignore_ascii_case(b"HTTP/") {
        return None;
    }
    right_behind(text)
}

fn is_named_before(before: &[u8]) -> bool {
    let before = trim_marks(before);
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'/' | b'.');
    let start = before.iter().rposition(|byte| !is_letter(byte)).map_or(0, |at| at + 1);
    let word: String = before[start..]
        .iter()
        .filter(|byte| **byte != b'_')
        .map(|&byte| byte.to_ascii_lowercase() as char)
        .collect();
    NAMES.iter().any(|name| word.ends_with(name)) || word.starts_with("http/")
}

fn is_named_behind(behind: &[u8]) -> bool {
    let text = behind.trim_ascii_start();
    let text = text.strip_prefix(b"(").unwrap_or(text);
    REASONS.iter().any(|reason| {
        text.get(..reason.len()).is_some_and(|head| head.eq_ignore_ascii_case(reason.as_bytes()))
            && text.get(reason.len()).is_none_or(|byte| !byte.is_ascii_alphanumeric())
    })
}

/// True if a number ends here, and no unit follows.
fn is_alone(behind: &[u8]) -> bool {
    let ends = behind
        .first()
        .is_none_or(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'%' | b'/' | b'-')));
    let is_fraction = behind.first() == Some(&b'.') && behind.get(1).is_some_and(u8::is_ascii_digit);
    let text = behind.trim_ascii_start();
    let length =
        text.iter().position(|byte| !byte.is_ascii_alphabetic() && *byte != b'%').unwrap_or(text.len());
    let has_unit = UNITS.iter().any(|unit| text[..length].eq_ignore_ascii_case(unit.as_bytes()));
    ends && !is_fraction && !has_unit
}

/// A number that is a status of HTTP or of a well-known proxy.
fn known(digits: &[u8]) -> Option<u16> {
    let is_known = |status: &u16| {
        matches!(
            status,
            100..=103 | 200..=208 | 226 | 300..=308 | 400..=418 | 421..=426 | 428 | 429 | 431 | 444 | 451 | 494..=499
                | 500..=511 | 520..=530
        )
    };
    log_text::status(digits).filter(is_known)
}

fn is_mark(byte: &u8) -> bool {
    matches!(
        byte,
        b' ' | b'\t'
            | b'"'
            | b'\''
            | b'`'
            | b':'
            | b';'
            | b'-'
            | b'>'
            | b'='
            | b'|'
            | b'['
            | b']'
            | b'('
            | b')'
            | b'\\'
            | b','
    )
}

fn skip_marks(text: &[u8]) -> &[u8] {
    const MOST: usize = 8;
    let text = text.strip_prefix("\u{2192}".as_bytes()).unwrap_or(text);
    &text[text.iter().take(MOST).position(|byte| !is_mark(byte)).unwrap_or(text.len().min(MOST))..]
}

fn trim_marks(text: &[u8]) -> &[u8] {
    &text[..text.iter().rposition(|byte| !is_mark(byte)).map_or(0, |at| at + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_only_where_the_text_says_so() {
        for (text, expected) in [
            ("failed with status code 404", Some(404)),
            ("{\"httpCode\": \"404\"}", Some(404)),
            ("HTTP_CODE=404", Some(404)),
            ("(404 Not Found)", Some(404)),
            ("success: 404 (Not Found).", Some(404)),
            ("AxiosError: 404", Some(404)),
            ("took 404 ms", None),
            ("status 404ms", None),
            ("pid 404", None),
            ("code 5511404", None),
            ("size=404", None),
            ("status 140", None),
            ("port:404", None),
        ] {
            assert_eq!(named(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(at_end(b"  Received HTTP response headers after 40.4ms - 404"), Some(404));
        assert_eq!(at_end(b"pages 1ms - 404"), None);
        assert_eq!(status_line(b"< HTTP/2 404 "), Some(404));
        assert_eq!(status_line(b"     << HTTP/2.0 404 Not Found 113b"), Some(404));
        assert_eq!(status_line(b"> GET /a HTTP/1.1"), None);
    }
}
