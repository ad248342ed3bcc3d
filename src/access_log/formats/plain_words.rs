//! Lines whose fields are between spaces, with nothing around most of them: `time client host GET /path 404 140
//! "agent"`.

use std::borrow::Cow;

use super::combined::may_be_host;
use super::{api_404_body, client_address};
use crate::access_log::log_text::{METHODS, host_of, is_version, quoted, status, unescape, without_port};
use crate::access_log::request::{ExtraFields, Request, RequestTarget};
use crate::access_log::timestamp::TimestampParser;

/// Words that may be before the method: more are a sentence.
const MOST_BEFORE: usize = 12;

/// Reads a line that has the method, the path and the status in a row, and the client's address before them.
pub(super) fn parse<'l>(line: &'l [u8], clock: &mut TimestampParser) -> Option<Request<'l>> {
    let words = words(line);
    let verb = words.iter().take(MOST_BEFORE).position(|word| METHODS.contains(word))?;
    let path = *words.get(verb + 1).filter(|path| path.starts_with(b"/") || host_of(path).is_some())?;
    let behind = &words[verb + 2..];
    let behind = match behind.split_first() {
        Some((version, rest)) if is_version(version) => rest,
        _ => behind,
    };
    let answer = behind.first().filter(|word| word.len() == 3).and_then(|word| status(word))?;
    let before = &words[..verb];
    let client = before.iter().find_map(|word| client_address::within(word).map(|range| &word[range]))?;
    let host = before.iter().find(|word| may_be_host(word)).map(|host| without_port(host));
    let is_agent = |word: &&&[u8]| {
        word.len() > 2
            && quoted(word)
                .is_some_and(|(inside, _)| !matches!(inside, b"-" | b"") && host_of(inside).is_none())
    };
    let agent = behind[1..].iter().rev().find(is_agent).and_then(|word| quoted(word));
    let mut in_brackets =
        || before.iter().find_map(|word| clock.clf(word.strip_prefix(b"[")?.strip_suffix(b"]")?));
    Some(Request {
        method: Some(Cow::Borrowed(words[verb])),
        status: Some(answer),
        time: in_brackets().or_else(|| api_404_body::time(line)),
        client: Some(Cow::Borrowed(client_address::unmapped(client))),
        host: host.or_else(|| host_of(path)).map(Cow::Borrowed),
        more: ExtraFields::Known { user_agent: agent.map(|(inside, _)| unescape(inside)), router: None },
        ..Request::new(RequestTarget::Path(Cow::Borrowed(path)))
    })
}

/// The words of a line; what is in quotes, or a time in brackets, is one.
fn words(line: &[u8]) -> Vec<&[u8]> {
    let (mut words, mut rest) = (Vec::new(), line.trim_ascii_start());
    while !rest.is_empty() {
        let in_brackets = || memchr::memchr(b']', rest).filter(|_| rest[0] == b'[').map(|end| end + 1);
        let end = match quoted(rest) {
            Some((_, behind)) => rest.len() - behind.len(),
            None => {
                in_brackets().or_else(|| rest.iter().position(u8::is_ascii_whitespace)).unwrap_or(rest.len())
            }
        };
        words.push(&rest[..end]);
        rest = rest[end..].trim_ascii_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verb_path_and_status_in_a_row_are_a_request() {
        let read = |line: &'static str| {
            let request = parse(line.as_bytes(), &mut TimestampParser::default())?;
            let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"-")).into_owned();
            let agent = request.user_agent();
            let time = request.time.map_or_else(|| "-".into(), |time| time.to_string());
            let fields =
                [text(request.client.as_deref()), text(request.host.as_deref()), text(agent.as_deref())];
            Some(format!("{:?} {} {time}", request.status, fields.join(" ")))
        };
        for (line, expected) in [
            (
                "2026-11-21T03:59:12+00:00 203.0.113.7 wa.example.com GET /a 404 140 0.012 \"n8n 2\"",
                Some("Some(404) 203.0.113.7 wa.example.com n8n 2 2026-11-21T03:59:12Z"),
            ),
            (
                "203.0.113.7 [21/Nov/2026:03:59:12 +0000] POST /a HTTP/1.1 404 140 \"-\" \"n8n\"",
                Some("Some(404) 203.0.113.7 - n8n 2026-11-21T03:59:12Z"),
            ),
            ("203.0.113.7 GET /a took 404 ms", None),
            ("GET /a 404", None),
        ] {
            assert_eq!(read(line).as_deref(), expected, "{line}");
        }
    }
}
