//! Any other text that shows a request: n8n's and other clients' own logs, `curl -v`, the server's `Cannot GET /…`.

use std::borrow::Cow;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use memchr::memmem;

use super::combined::address_in;
use super::{api_404_body, client_address, status_code};
use crate::access_log::log_text::{METHODS, host_of};
use crate::access_log::request::{Request, RequestTarget};
use crate::access_log::timestamp::Timestamp;
use crate::evolution::routes::routes;

/// The first segments of all routes, as they appear inside a path.
static RESOURCES: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let mut resources: Vec<String> = routes()
        .iter()
        .filter_map(|route| Some(format!("/{}/", route.path[1..].split('/').next()?)))
        .collect();
    resources.sort_unstable();
    resources.dedup();
    AhoCorasick::builder().ascii_case_insensitive(true).build(resources).expect("a few short words")
});

/// The requests of which a line shows the path, in their order; the status is missing where the line does not say it.
pub(super) fn paths(line: &[u8]) -> Vec<Request<'_>> {
    let mut words: Vec<(usize, usize)> = Vec::new();
    for found in RESOURCES.find_iter(line) {
        let word = word_around(line, found.start());
        if words.last() != Some(&word) && !is_mention(line, word.0) {
            words.push(word);
        }
    }
    let mut requests: Vec<Request<'_>> = Vec::new();
    for (at, &(start, end)) in words.iter().enumerate() {
        let from = at.checked_sub(1).map_or(0, |before| words[before].1);
        let until = words.get(at + 1).map_or(line.len(), |next| next.0);
        let (before, behind) = (&line[from..start], &line[end..until]);
        let path = path_of(&line[start..end]);
        // `curl -v` and proxies write the same path twice: as it came, and as it went on.
        if requests
            .iter()
            .any(|other| other.asked == RequestTarget::Path(Cow::Borrowed(path)) && other.status.is_none())
        {
            continue;
        }
        let method = method(before);
        let status = status_code::right_behind(behind)
            .or_else(|| status_code::named(behind))
            .or_else(|| status_code::right_before(before))
            .or_else(|| status_code::named(before));
        requests.push(Request {
            method: method.map(Cow::Borrowed),
            status,
            time: api_404_body::time(line).or_else(|| time_behind(behind)),
            client: method
                .and(address_in(&line[..start]))
                .map(|(client, _)| client)
                .or_else(|| client_behind(behind))
                .map(Cow::Borrowed),
            host: host_of(path).map(Cow::Borrowed),
            ..Request::new(RequestTarget::Path(Cow::Borrowed(path)))
        });
    }
    requests
}

/// `Cannot GET /instance/connectionState`, the server's answer to a method or route that it does not have.
pub(super) fn cannot(line: &[u8]) -> Option<Request<'_>> {
    let rest = &line[memmem::find(line, b"Cannot ")? + b"Cannot ".len()..];
    let method = METHODS.into_iter().find(|method| rest.starts_with(method))?;
    let path = rest[method.len()..].strip_prefix(b" ").filter(|path| path.starts_with(b"/"))?;
    Some(Request {
        method: Some(Cow::Borrowed(method)),
        status: Some(404),
        time: api_404_body::time(line),
        ..Request::new(RequestTarget::Path(Cow::Borrowed(&path[..word_around(path, 0).1])))
    })
}

/// `for 203.0.113.7 at …` or `(203.0.113.7)`, behind a path.
fn client_behind(behind: &[u8]) -> Option<&[u8]> {
    let behind = behind.strip_prefix(b"\"").unwrap_or(behind);
    let behind = behind.strip_prefix(b" for ").or_else(|| behind.strip_prefix(b" ("))?;
    let word = &behind[..behind.iter().position(|&byte| byte == b' ').unwrap_or(behind.len())];
    client_address::within(word).map(|range| client_address::unmapped(&word[range]))
}

/// The time of `for 203.0.113.7 at 2026-11-21 03:59:12 +0000`, behind a path.
fn time_behind(behind: &[u8]) -> Option<Timestamp> {
    const AT: &[u8] = b" at ";
    api_404_body::time(&behind[memmem::find(behind, AT)? + AT.len()..])
}

/// The method in the last few words before a path.
fn method(before: &[u8]) -> Option<&[u8]> {
    const NEAR: usize = 40;
    let near = &before[before.len().saturating_sub(NEAR)..];
    let mut words = near.split(|byte| !byte.is_ascii_alphabetic()).rev().filter(|word| !word.is_empty());
    words.find(|word| METHODS.iter().any(|method| word == method))
}

/// True if a path does not belong to the request itself, but to a referer or to a request that another program was to send.
fn is_mention(line: &[u8], start: usize) -> bool {
    const MARKS: [&[u8]; 5] = [b"referer", b"referrer", b":path", b"upstream", b"origin"];
    const NEAR: usize = 14;
    let near = line[start.saturating_sub(NEAR)..start].to_ascii_lowercase();
    let is_end = |at: usize| near[at..].iter().all(|byte| !matches!(byte, b',' | b';' | b'}' | b')'));
    MARKS.iter().any(|mark| memmem::rfind(&near, mark).is_some_and(is_end))
}

/// A path without the punctuation that a sentence puts after it.
fn path_of(word: &[u8]) -> &[u8] {
    let end = word
        .iter()
        .rposition(|byte| !matches!(byte, b')' | b'}' | b'.' | b':' | b'!'))
        .map_or(0, |at| at + 1);
    &word[..end]
}

/// The word at this position: the text between spaces, quotes and the like.
fn word_around(line: &[u8], at: usize) -> (usize, usize) {
    let is_edge = |byte: &u8| {
        byte.is_ascii_whitespace()
            || byte.is_ascii_control()
            || matches!(
                byte,
                b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\' | b',' | b';' | b'|' | b'[' | b']' | b'('
            )
    };
    let start = line[..at].iter().rposition(is_edge).map_or(0, |edge| edge + 1);
    let end = line[at..].iter().position(is_edge).map_or(line.len(), |edge| at + edge);
    // `url=/path` and `to:https://host/path` begin behind their mark.
    let word = &line[start..end];
    let start = match memmem::find(word, b"://") {
        Some(scheme) => {
            start + word[..scheme].iter().rposition(|byte| !byte.is_ascii_alphabetic()).map_or(0, |at| at + 1)
        }
        None => {
            start
                + memchr::memchr(b'/', word)
                    .filter(|&slash| slash > 0 && word[..slash].ends_with(b"="))
                    .unwrap_or(0)
        }
    };
    (start, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let shown = |request: &Request<'_>| {
            let RequestTarget::Path(path) = &request.asked else { panic!("a path") };
            let method = request.method.as_deref().map_or("-".into(), text);
            let status = request.status.map_or("?".into(), |status| status.to_string());
            format!("{method} {} {status}", text(path))
        };
        paths(line.as_bytes()).iter().map(shown).collect()
    }

    #[test]
    fn a_path_and_its_answer_are_found_in_any_text() {
        for (line, expected) in [
            (
                "2026-11-21 ERROR 404 - GET http://evo:8080/instance/connect/x",
                &["GET http://evo:8080/instance/connect/x 404"][..],
            ),
            ("POST /message/sendText/x -> 404 (12 ms)", &["POST /message/sendText/x 404"]),
            (
                "Request to \"https://wa.example.com/api/chat/findChats/a%20b\" failed with status code 404",
                &["- https://wa.example.com/api/chat/findChats/a%20b 404"],
            ),
            ("{\"url\":\"/Message/SendText/x\",\"code\":404}", &["- /Message/SendText/x 404"]),
            ("GET /instance/connect/x 200 in 404 ms", &["GET /instance/connect/x 200"]),
            (
                "GET /instance/connect/x 404; GET /instance/connect/y 200",
                &["GET /instance/connect/x 404", "GET /instance/connect/y 200"],
            ),
            (
                "[Sat Nov 21 03:59:12 2026] 203.0.113.7:5 [404]: GET /instance/connect/x",
                &["GET /instance/connect/x 404"],
            ),
            (
                "404 Client Error: Not Found for url: https://h/instance/connect/x",
                &["- https://h/instance/connect/x 404"],
            ),
            (
                "Client error: `POST https://h/message/sendText/x` resulted in a `404 Not Found` response",
                &["POST https://h/message/sendText/x 404"],
            ),
            ("GET /instance/connect/x", &["GET /instance/connect/x ?"]),
            ("GET /instance/connect/x took 712 ms", &["GET /instance/connect/x ?"]),
            ("GET /instance/connect/x 404 ms", &["GET /instance/connect/x ?"]),
            ("pid 404 GET x of 500 /instance/connect/x for 5511404", &["GET /instance/connect/x ?"]),
            ("GET /other 404 referer: https://h/instance/connect/x", &[]),
            ("404 /favicon.ico", &[]),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
        let cannot = |line: &'static str| cannot(line.as_bytes()).map(|request| request.asked);
        let path = RequestTarget::Path(Cow::Borrowed(&b"/instance/connectionState"[..]));
        assert_eq!(cannot("{\"message\":[\"Cannot GET /instance/connectionState\"]}"), Some(path));
        assert_eq!(cannot("Cannot GET there"), None);
    }
}
