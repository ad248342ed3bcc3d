//! Any other text that shows a request: n8n's and other clients' own logs, transcripts of `curl -v`, the server's
//! `Cannot GET /…`.

use std::borrow::Cow;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use memchr::memmem;

use super::refusal;
use crate::evolution::routes::routes;
use crate::requests::request::{Asked, More, Request};

const METHODS: [&[u8]; 6] = [b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"HEAD"];

/// Numbers that are an answer's status wherever they stand alone; others may as well be milliseconds.
const STATUSES: [u16; 12] = [200, 201, 204, 301, 302, 400, 401, 403, 404, 500, 502, 503];

/// What the first segments of all routes look like inside a path.
static RESOURCES: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let mut resources: Vec<String> = routes()
        .iter()
        .filter_map(|route| Some(format!("/{}/", route.path[1..].split('/').next()?)))
        .collect();
    resources.sort_unstable();
    resources.dedup();
    AhoCorasick::builder().ascii_case_insensitive(true).build(resources).expect("a few short words")
});

/// A request of which the line shows path and answer.
pub(super) fn parse(line: &[u8]) -> Option<Request<'_>> {
    if let Some(request) = cannot(line) {
        return Some(request);
    }
    let at = RESOURCES.find(line)?.start();
    let (start, end) = word_around(line, at);
    let status = status(&line[end..]).or_else(|| status(&line[..start]))?;
    let method = line[..start].split(|byte| !byte.is_ascii_alphabetic()).rev().find(|word| !word.is_empty());
    Some(Request {
        method: method.filter(|method| METHODS.contains(method)).map(Cow::Borrowed),
        status: Some(status),
        time: refusal::time(line),
        ..Request::of(Asked::Path(Cow::Borrowed(&line[start..end])))
    })
}

/// `Cannot GET /instance/connectionState`, the server's answer to a verb or route that it does not have.
fn cannot(line: &[u8]) -> Option<Request<'_>> {
    let rest = &line[memmem::find(line, b"Cannot ")? + b"Cannot ".len()..];
    let method = METHODS.into_iter().find(|method| rest.starts_with(method))?;
    let path = rest[method.len()..].strip_prefix(b" ").filter(|path| path.starts_with(b"/"))?;
    Some(Request {
        method: Some(Cow::Borrowed(method)),
        status: Some(404),
        time: refusal::time(line),
        ..Request::of(Asked::Path(Cow::Borrowed(&path[..word_around(path, 0).1])))
    })
}

/// The word that holds this place: what stands between spaces, quotes and the like.
fn word_around(line: &[u8], at: usize) -> (usize, usize) {
    let is_edge = |byte: &u8| {
        byte.is_ascii_whitespace()
            || byte.is_ascii_control()
            || matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\' | b',' | b';' | b'|' | b'[' | b']')
    };
    let start = line[..at].iter().rposition(is_edge).map_or(0, |edge| edge + 1);
    let end = line[at..].iter().position(is_edge).map_or(line.len(), |edge| at + edge);
    (start, end)
}

/// The first number that is a status and stands alone.
fn status(text: &[u8]) -> Option<u16> {
    let is_word =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/' | b'%');
    text.split(|byte| !is_word(byte))
        .filter_map(|word| word.strip_suffix(b".").unwrap_or(word).try_into().ok())
        .filter_map(|word: &[u8; 3]| str::from_utf8(word).ok()?.parse().ok())
        .find(|status| STATUSES.contains(status))
}

/// What `curl -v` shows of one request, line by line: `> GET /path HTTP/1.1`, `> user-agent: …`, `< HTTP/1.1 404`.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    request: Option<Request<'static>>,
    /// Lines for which a body may still be that of the answer just read.
    body: u8,
}

impl Transcript {
    /// What a line adds. The outer `None` is a line that is none of a transcript's.
    pub fn line(&mut self, line: &[u8]) -> Option<Option<Request<'static>>> {
        const BODY: u8 = 20;
        self.body = self.body.saturating_sub(1);
        if let Some(sent) = line.strip_prefix(b"> ") {
            if let Some(version) = memmem::rfind(sent, b" HTTP/") {
                let (method, path) = super::combined::request_line(&sent[..version]);
                let method = method.map(|method| Cow::Owned(method.to_vec()));
                let asked = Asked::Path(Cow::Owned(path.to_vec()));
                self.request = Some(Request { method, ..Request::of(asked) });
            } else if let (Some(agent), Some(request)) = (header(sent, b"user-agent"), &mut self.request) {
                request.more = More::Known { user_agent: Some(Cow::Owned(agent.to_vec())), router: None };
            } else if let (Some(host), Some(request)) = (header(sent, b"host"), &mut self.request) {
                request.host = Some(Cow::Owned(host.to_vec()));
            }
            return Some(None);
        }
        let answer = line.strip_prefix(b"< HTTP/")?;
        let status = status(answer.splitn(2, |&byte| byte == b' ').nth(1)?)?;
        let request = self.request.take()?;
        self.body = BODY;
        Some(Some(Request { status: Some(status), ..request }))
    }

    /// Whether a refusal is the body of an answer that was counted already; the next one is not.
    pub fn takes_body(&mut self) -> bool {
        std::mem::take(&mut self.body) > 0
    }
}

fn header<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let (head, value) = line.split_at_checked(name.len())?;
    head.eq_ignore_ascii_case(name).then(|| value.strip_prefix(b":").map(<[u8]>::trim_ascii))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<String> {
        let request = parse(line.as_bytes())?;
        let Asked::Path(path) = &request.asked else { panic!("a path") };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let method = request.method.as_deref().map_or("-".into(), text);
        Some(format!("{method} {} {}", text(path), request.status.unwrap()))
    }

    #[test]
    fn a_path_and_its_answer_are_found_in_any_text() {
        for (line, expected) in [
            (
                "2026-11-21 ERROR 404 - GET http://evo:8080/instance/connect/x",
                "GET http://evo:8080/instance/connect/x 404",
            ),
            ("POST /message/sendText/x -> 404 (12 ms)", "POST /message/sendText/x 404"),
            (
                "Request to \"https://wa.example.com/api/chat/findChats/a%20b\" failed with status code 404",
                "- https://wa.example.com/api/chat/findChats/a%20b 404",
            ),
            ("{\"url\":\"/Message/SendText/x\",\"code\":404}", "- /Message/SendText/x 404"),
            ("{\"message\":[\"Cannot GET /instance/connectionState\"]}", "GET /instance/connectionState 404"),
            ("GET /instance/connect/x 200 in 404 ms", "GET /instance/connect/x 200"),
        ] {
            assert_eq!(read(line).as_deref(), Some(expected), "{line}");
        }
        for line in [
            "GET /instance/connect/x",
            "GET /instance/connect/x took 712 ms",
            "404 /favicon.ico",
            "Cannot GET there",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn a_transcript_is_one_request() {
        let mut transcript = Transcript::default();
        let lines = [
            "* Connected to wa.example.com",
            "> GET /instance/connect/x HTTP/2",
            "> Host: wa.example.com",
            "> User-Agent: curl/8.5.0",
            "< HTTP/2 404 ",
        ];
        let read: Vec<_> = lines.iter().map(|line| transcript.line(line.as_bytes())).collect();
        assert_eq!(read[0], None);
        assert_eq!(read[3], Some(None));
        let request = read[4].clone().unwrap().unwrap();
        assert_eq!(request.asked, Asked::Path(Cow::Borrowed(b"/instance/connect/x")));
        assert_eq!((request.status, request.host.as_deref()), (Some(404), Some(&b"wa.example.com"[..])));
        assert_eq!(request.user_agent().as_deref(), Some(&b"curl/8.5.0"[..]));
        assert!(transcript.takes_body() && !transcript.takes_body());
        assert_eq!(transcript.line(b"< HTTP/2 404 "), None, "nothing was asked");
    }
}
