//! Lines of programs that quote no whole request: Nginx Proxy Manager, Squid, Render, nginx's error log, and fields between marks.

use std::borrow::Cow;

use memchr::{memchr, memmem};

use super::fields::Slot;
use super::{api_404_body, delimited, logfmt};
use crate::access_log::log_text::{METHODS, host_of, quoted, request_line, status, unescape};
use crate::access_log::request::{ExtraFields, Request, RequestTarget};
use crate::access_log::timestamp::{CLF_LENGTH, Timestamp, TimestampParser};

/// Reads a line of any of them.
pub(super) fn parse<'l>(line: &'l [u8], clock: &mut TimestampParser) -> Option<Request<'l>> {
    proxy_manager(line, clock)
        .or_else(|| nginx_error(line))
        .or_else(|| squid(line))
        .or_else(|| render(line))
        .or_else(|| delimited::parse(line, clock))
}

/// `[time] cache upstream-status status - GET https host "/path" [Client 203.0.113.7] [Length 61] … "agent" "referer"`;
/// hosts without a server behind them have the status alone.
pub(super) fn proxy_manager<'l>(line: &'l [u8], clock: &mut TimestampParser) -> Option<Request<'l>> {
    const CLIENT: &[u8] = b" [Client ";
    let bracket = memmem::find(line, CLIENT)?;
    let quote = memmem::find(&line[..bracket], b" \"")?;
    let open = (0..quote).find(|&at| line[at] == b'[' && line.get(at + 1 + CLF_LENGTH) == Some(&b']'))?;
    let time = clock.clf(&line[open + 1..open + 1 + CLF_LENGTH])?;
    let words: Vec<&[u8]> =
        line[open + 2 + CLF_LENGTH..quote].split(|&b| b == b' ').filter(|w| !w.is_empty()).collect();
    let [answers @ .., b"-", method, _scheme, host] = words.as_slice() else { return None };
    let (path, rest) = quoted(&line[quote + 1..])?;
    let client = rest.strip_prefix(CLIENT)?;
    let client = &client[..memchr(b']', client)?];
    let (answer, is_own) = match answers {
        [.., b"-", _] => (None, true),
        [.., upstream, _] => (status(upstream), false),
        [answer] => (status(answer), false),
        [] => (None, false),
    };
    let agent =
        memmem::find(rest, b"] \"").and_then(|at| quoted(&rest[at + 2..])).map(|(agent, _)| unescape(agent));
    Some(Request {
        method: Some(Cow::Borrowed(method)),
        status: answer,
        is_own_answer: is_own,
        time: Some(time),
        client: Some(Cow::Borrowed(client)),
        host: Some(Cow::Borrowed(*host)),
        more: ExtraFields::Known {
            user_agent: agent.filter(|agent| !matches!(&**agent, b"-" | b"")),
            router: None,
        },
        ..Request::new(RequestTarget::Path(unescape(path)))
    })
}

/// `2026/11/21 03:59:12 [error] 1#1: *2 …, client: 203.0.113.7, server: _, request: "GET /path HTTP/1.1", host: "h"`: what
/// nginx itself had to say of a request, not what the API answered.
fn nginx_error(line: &[u8]) -> Option<Request<'_>> {
    let field = |name: &[u8]| {
        let value = &line[memmem::find(line, name)? + name.len()..];
        match quoted(value) {
            Some((inside, _)) => Some(inside),
            None => Some(&value[..memchr(b',', value).unwrap_or(value.len())]),
        }
    };
    let client = field(b", client: ")?;
    let (method, path) = request_line(field(b", request: ")?);
    Some(Request {
        method: method.map(Cow::Borrowed),
        time: api_404_body::time(line),
        client: Some(Cow::Borrowed(client)),
        host: field(b", host: ").map(Cow::Borrowed),
        ..Request::new(RequestTarget::Path(unescape(path)))
    })
}

/// `1795233552.123     12 203.0.113.7 TCP_MISS/404 140 GET https://host/path - HIER_DIRECT/10.0.0.9 type`.
fn squid(line: &[u8]) -> Option<Request<'_>> {
    let mut words = line.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let result = words.by_ref().position(|word| word.starts_with(b"TCP_") || word.starts_with(b"NONE"))?;
    let before: Vec<&[u8]> =
        line.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).take(result + 1).collect();
    let [.., time, _elapsed, client, result] = before[..] else { return None };
    let answer = status(&result[memchr(b'/', result)? + 1..])?;
    let (_size, method, path) = (words.next()?, words.next()?, words.next()?);
    let (_user, way) = (words.next(), words.next().unwrap_or_default());
    let is_own = way.starts_with(b"HIER_NONE") || result.starts_with(b"TCP_DENIED");
    METHODS.contains(&method).then(|| Request {
        method: Some(Cow::Borrowed(method)),
        status: Some(answer).filter(|_| !is_own),
        is_own_answer: is_own,
        time: str::from_utf8(time).ok().and_then(|time| Timestamp::from_unix(time.parse().ok()?)),
        client: Some(Cow::Borrowed(client)),
        host: host_of(path).map(Cow::Borrowed),
        ..Request::new(RequestTarget::Path(Cow::Borrowed(path)))
    })
}

/// `[GET]404wa.example.com/path clientIP="203.0.113.7" requestID="…" responseTimeMS=12 userAgent="n8n"`.
fn render(line: &[u8]) -> Option<Request<'_>> {
    let at = memmem::find(line, b" clientIP=\"")?;
    let mark = METHODS.into_iter().find_map(|method| {
        let mark = [b"[", method, b"]"].concat();
        memmem::find(&line[..at], &mark).map(|start| (method, start, start + mark.len()))
    });
    let (method, start, end) = mark?;
    let asked = line[end..at].trim_ascii();
    let answer = status(asked.get(..3)?)?;
    let asked = asked[3..].trim_ascii_start();
    let slash = memchr(b'/', asked)?;
    let mut fields = logfmt::fields(&line[at..])?;
    let text = |text: Cow<'_, [u8]>| Cow::Owned(text.into_owned());
    Some(Request {
        method: Some(Cow::Borrowed(method)),
        status: Some(answer),
        time: api_404_body::time(&line[..start]),
        client: fields.text(Slot::Client).map(text),
        host: Some(&asked[..slash]).filter(|host| !host.is_empty()).map(Cow::Borrowed),
        more: ExtraFields::Known { user_agent: fields.text(Slot::UserAgent).map(text), router: None },
        ..Request::new(RequestTarget::Path(Cow::Borrowed(&asked[slash..])))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<String> {
        let request = parse(line.as_bytes(), &mut TimestampParser::default())?;
        let RequestTarget::Path(path) = &request.asked else { panic!("a path") };
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"-")).into_owned();
        let status = request
            .status
            .map_or_else(|| if request.is_own_answer { "own".into() } else { "?".into() }, |s| s.to_string());
        Some(format!(
            "{} {status} {} {}",
            text(Some(path)),
            text(request.client.as_deref()),
            text(request.host.as_deref())
        ))
    }

    #[test]
    fn each_program_s_lines_are_read() {
        for (line, expected) in [
            (
                "[21/Nov/2026:03:59:12 +0000] - 404 404 - GET https wa.example.com \"/a\" [Client 203.0.113.7] [Length 1] [Gzip -] [Sent-to evo] \"n8n\" \"-\"",
                "/a 404 203.0.113.7 wa.example.com",
            ),
            (
                "proxy | [21/Nov/2026:03:59:12 +0000] - - 404 - GET https wa.example.com \"/a\" [Client 203.0.113.7] [Length 1] [Gzip -] [Sent-to evo] \"n8n\" \"-\"",
                "/a own 203.0.113.7 wa.example.com",
            ),
            (
                "[21/Nov/2026:03:59:12 +0000] 404 - GET https wa.example.com \"/a\" [Client 203.0.113.7] [Length 1] [Gzip -] \"n8n\" \"-\"",
                "/a 404 203.0.113.7 wa.example.com",
            ),
            (
                "1795233552.123     12 203.0.113.7 TCP_MISS/404 140 GET https://h.example.com/a - HIER_DIRECT/10.0.0.9 x",
                "https://h.example.com/a 404 203.0.113.7 h.example.com",
            ),
            (
                "1795233552.123 12 203.0.113.7 TCP_DENIED/403 140 GET http://h/a - HIER_NONE/- x",
                "http://h/a own 203.0.113.7 h",
            ),
            (
                "[GET]404wa.example.com/a clientIP=\"203.0.113.7\" requestID=\"x\" responseTimeMS=12 userAgent=\"n8n\"",
                "/a 404 203.0.113.7 wa.example.com",
            ),
            (
                "[GIN] 2026/11/21 - 03:59:12 | 404 |     1.234ms |     203.0.113.7 | GET      \"/a\"",
                "/a 404 203.0.113.7 -",
            ),
            ("03:59:12 | 404 | 1ms | 203.0.113.7 | GET | /a | -", "/a 404 203.0.113.7 -"),
            (
                "2026/11/21 03:59:12 [error] 1#1: *2 limiting requests, client: 203.0.113.7, server: x, request: \"GET /a HTTP/1.1\", host: \"h\"",
                "/a ? 203.0.113.7 h",
            ),
        ] {
            assert_eq!(read(line).as_deref(), Some(expected), "{line}");
        }
        for line in ["", "a | b | c | d", "TCP_MISS/404", " [Client x]", " clientIP=\"x\""] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
