//! The server's own 404 message, wherever it was kept: a client's transcript, an error webhook, the console log.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use memchr::{memchr, memmem};

use crate::access_log::timestamp::Timestamp;

static AFTER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(" instance does not exist"));
static NOT_LISTED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(" not found"));

/// Maximum number of JSON strings, one in another, that a body may be wrapped in.
const DEEPEST: u32 = 3;

/// Bytes at the start of a line in which a time is looked for.
const PREFIX: usize = 80;

/// Maximum length of a time, in bytes.
const LONGEST: usize = 40;

/// Reads the name out of `The "x" instance does not exist`, also with the quotes escaped for JSON, however often, or as
/// `\u0022`; and how often they were escaped.
///
/// A line counts as one request: such texts often hold the body twice, as the message and as the response.
pub(super) fn name(line: &[u8]) -> Option<(Cow<'_, [u8]>, usize)> {
    AFTER.find_iter(line).find_map(|at| quoted_before(&line[..at], b"The "))
}

/// Reads the name out of `Instance "x" not found`, the answer to a question for the list of instances.
pub(super) fn not_listed(line: &[u8]) -> Option<Cow<'_, [u8]>> {
    NOT_LISTED.find_iter(line).find_map(|at| quoted_before(&line[..at], b"Instance ")).map(|(name, _)| name)
}

fn quoted_before<'l>(text: &'l [u8], word: &[u8]) -> Option<(Cow<'l, [u8]>, usize)> {
    for mark in [&b"\\u0022"[..], b"&quot;"] {
        if let Some(text) = text.strip_suffix(mark) {
            let opening = [word, mark].concat();
            let name = &text[memmem::rfind(text, &opening)? + opening.len()..];
            return Some((
                unescape(name).map_or(Cow::Borrowed(name), |name| Cow::Owned(name.into_bytes())),
                1,
            ));
        }
    }
    let text = text.strip_suffix(b"\"")?;
    let backslashes = text.iter().rev().take_while(|&&byte| byte == b'\\').count();
    // Each level of JSON doubles the backslashes and adds one: none, 1, 3, 7.
    let levels = (0..=DEEPEST).find(|level| backslashes == (1 << level) - 1)?;
    let escape = &text[text.len() - backslashes..];
    let text = &text[..text.len() - backslashes];
    let opening = [word, escape, b"\""].concat();
    let start = memmem::rfind(text, &opening)? + opening.len();
    let mut name = Cow::Borrowed(&text[start..]);
    for _ in 0..levels {
        let Some(inner) = unescape(&name) else { break };
        name = Cow::Owned(inner.into_bytes());
    }
    Some((name, levels as usize))
}

fn unescape(name: &[u8]) -> Option<String> {
    memchr(b'\\', name)?;
    serde_json::from_str(&format!("\"{}\"", str::from_utf8(name).ok()?)).ok()
}

/// A time near the beginning of the line, as `docker logs --timestamps` and most programs put it there: in the forms of
/// ISO 8601, of Go and of Tornado, of syslog, or in seconds since 1970.
pub(super) fn time(line: &[u8]) -> Option<Timestamp> {
    let head = String::from_utf8_lossy(&line[..line.len().min(PREFIX + LONGEST)]);
    let marks = head.match_indices(['-', '/']).take_while(|(mark, _)| *mark < PREFIX);
    let starts = marks.filter_map(|(mark, _)| mark.checked_sub(4));
    let iso = starts.filter_map(|start| head.get(start..)).find_map(|text| {
        // `2026-11-21 03:59:12` has one space inside, and what follows is not part of the time.
        let is_edge = |c: char| matches!(c, ' ' | ']' | '"' | '\'' | '\t' | '|');
        let ends = text.match_indices(is_edge).map(|(at, _)| at).take(3).chain([text.len()]);
        // The longest: a zone may follow another space.
        ends.filter_map(|end| Timestamp::from_iso(text[..end].trim_end_matches([':', ','])))
            .last()
            .or_else(|| gin(text))
    });
    iso.or_else(|| tornado(&head)).or_else(|| Timestamp::from_syslog(&head)).or_else(|| epoch(&head))
}

/// `[W 261121 03:59:12 web:2348]`
fn tornado(head: &str) -> Option<Timestamp> {
    let (level, rest) = head[head.find('[')? + 1..].split_once(' ')?;
    let (day, clock) = (rest.get(..6)?, rest.get(7..15)?);
    let date = format!("20{}-{}-{}", day.get(..2)?, day.get(2..4)?, day.get(4..)?);
    (level.len() == 1).then(|| Timestamp::from_iso(&format!("{date} {clock}")))?
}

/// `2026/11/21 - 03:59:12`
fn gin(text: &str) -> Option<Timestamp> {
    let (date, clock) = (text.get(..10)?, text.get(10..)?.strip_prefix(" - ")?);
    Timestamp::from_iso(&format!("{date} {}", clock.get(..8)?))
}

/// `1795233552.123`
fn epoch(head: &str) -> Option<Timestamp> {
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    // A telephone number has no point.
    let numbers =
        head.split(|c| !is_number(c)).filter(|number| number.find('.') == Some(10) && number.len() > 12);
    numbers
        .filter_map(|number| number.parse().ok())
        .find(|number| (1e9..1e19).contains(number))
        .and_then(Timestamp::from_unix)
}

/// When the record of the console log that a line begins was written.
pub fn record_time(line: &[u8]) -> Option<Timestamp> {
    Timestamp::from_console(&without_colour(&String::from_utf8_lossy(line)))
}

/// The text without ANSI escape sequences, each of which leaves a space.
fn without_colour(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut pieces = text.split("\u{1B}[");
    plain.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        plain.push(' ');
        let end = piece.find(|c: char| ('@'..='~').contains(&c)).map_or(piece.len(), |at| at + 1);
        plain.push_str(&piece[end..]);
    }
    plain
}

#[cfg(test)]
mod tests {
    fn name(line: &str) -> Option<String> {
        super::name(line.as_bytes()).map(|(name, _)| String::from_utf8_lossy(&name).into_owned())
    }

    #[test]
    fn the_name_is_found_however_often_it_was_wrapped() {
        let body = r#"{"status":404,"error":"Not Found","response":{"message":["The \"g 1\" instance does not exist"]}}"#;
        assert_eq!(name(r#"The "g 1" instance does not exist"#).as_deref(), Some("g 1"));
        let listed = super::not_listed(br#"{"message":["Instance \"g 1\" not found"]}"#);
        assert_eq!(listed.as_deref(), Some(&b"g 1"[..]));
        assert_eq!(super::not_listed(br#"file "g 1" not found"#), None);
        assert_eq!(name("  message: [ 'The \"g 1\" instance does not exist' ]").as_deref(), Some("g 1"));
        let mut text = body.to_owned();
        for _ in 0..3 {
            assert_eq!(name(&text).as_deref(), Some("g 1"), "{text}");
            text = serde_json::to_string(&text).unwrap();
        }
        assert_eq!(name(r#"[\"The \\\"a\\\"b\\\" instance does not exist\"]"#).as_deref(), Some("a\"b"));
        assert_eq!(name(r#""The \"jo\u00e3o\" instance does not exist""#).as_deref(), Some("joão"));
        assert_eq!(name(r#"The "" instance does not exist"#).as_deref(), Some(""));
    }

    #[test]
    fn other_404_messages_are_not_matched() {
        for line in [
            "",
            " instance does not exist",
            "The instance does not exist",
            "\" instance does not exist",
            r#"{"message":["Cannot GET /instance/connectionState"]}"#,
            r#"{"message":["Instance \"nosuch\" not found"]}"#,
            r#"The \\"x\\" instance does not exist"#,
        ] {
            assert_eq!(name(line), None, "{line}");
        }
    }

    #[test]
    fn a_time_at_the_beginning_is_read() {
        let time = |prefix: &str| {
            let line = format!("{prefix}The \"g1\" instance does not exist");
            super::time(line.as_bytes()).map(|time| time.to_string())
        };
        assert_eq!(time("2026-11-21T04:07:09.123Z ").as_deref(), Some("2026-11-21T04:07:09Z"));
        assert_eq!(time("n8n-1 | 2026-11-21 04:07:09 error: ").as_deref(), Some("2026-11-21T04:07:09"));
        assert_eq!(time("[2026-11-21T04:07:09+02:00] ").as_deref(), Some("2026-11-21T02:07:09Z"));
        assert_eq!(time("{\"t\":\"2026-11-21T04:07:09Z\",\"b\":\""), Some("2026-11-21T04:07:09Z".into()));
        assert_eq!(time("2026/11/21 04:07:09.123 ").as_deref(), Some("2026-11-21T04:07:09"));
        assert_eq!(time("[GIN] 2026/11/21 - 04:07:09 | ").as_deref(), Some("2026-11-21T04:07:09"));
        assert_eq!(time("[0] a: [[1795233552.122, {}], ").as_deref(), Some("2026-11-21T03:59:12Z"));
        assert_eq!(time("[W 261121 04:07:09 web:2348] ").as_deref(), Some("2026-11-21T04:07:09"));
        assert_eq!(time("a-b c-d "), None);
    }
}
