//! HAProxy's HTTP log (`option httplog`), with or without what syslog puts before it.
//!
//! Source of the fields: HAProxy's configuration manual, "HTTP log format".

use std::borrow::Cow;

use memchr::{memchr, memmem};

use super::client_address;
use super::combined::may_be_host;
use crate::access_log::log_text::{quoted, request_line};
use crate::access_log::request::{ExtraFields, Request, RequestTarget};
use crate::access_log::timestamp::TimestampParser;

/// Reads `203.0.113.7:51234 [21/Nov/2026:03:59:12.123] front~ back/server 0/0/1/12/13 404 140 - - ---- 1/1/0/0/0 0/0
/// "GET /path HTTP/1.1"`.
pub(super) fn parse<'l>(line: &'l [u8], clock: &mut TimestampParser) -> Option<Request<'l>> {
    let open = memchr(b'[', line)?;
    // The process's number is in brackets too: `haproxy[1234]: 203.0.113.7:51234 [`.
    let open =
        if line[..open].ends_with(b" ") { open } else { open + 1 + memmem::find(&line[open..], b" [")? };
    let close = open + memchr(b']', &line[open..])?;
    let time = clock.clf(&line[open + 1..close])?;
    let mut words = line[close + 1..].split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let (frontend, backend) = (words.next()?, words.next()?);
    let timers = words.next()?;
    if timers.iter().filter(|&&byte| byte == b'/').count() < 3 {
        return None;
    }
    // -1 where the client went away before there was an answer.
    let status: i32 = str::from_utf8(words.next()?).ok()?.parse().ok()?;
    // A captured agent may hold quotes; the request is the last field that has them.
    let quote = close + memmem::rfind(&line[close..], b" \"")? + 1;
    // Syslog cuts a long line, in the middle of its path.
    let (asked, _) = quoted(&line[quote..]).unwrap_or((&line[quote + 1..], b""));
    let (method, path) = request_line(asked);
    let address = line[..open].trim_ascii_end().rsplit(|&byte| byte == b' ').next()?;
    let port = address.iter().rposition(|&byte| byte == b':');
    // Where no server was asked, the answer is HAProxy's own and says nothing of a name.
    let was_asked = !backend.ends_with(b"<NOSRV>");
    let status = u16::try_from(status).ok().filter(|status| was_asked && (100..600).contains(status));
    let frontend = frontend.strip_suffix(b"~").unwrap_or(frontend);
    let router = [frontend, b" ", backend].concat();
    let (host, user_agent) = captures(&line[close..quote]);
    Some(Request {
        method: method.map(Cow::Borrowed),
        status,
        is_own_answer: !was_asked,
        time: Some(time),
        client: Some(Cow::Borrowed(&address[..port.unwrap_or(address.len())])),
        host: host.map(Cow::Borrowed),
        more: ExtraFields::Known {
            user_agent: user_agent.map(Cow::Borrowed),
            router: Some(Cow::Owned(router)),
        },
        ..Request::new(RequestTarget::Path(Cow::Borrowed(path)))
    })
}

/// Host and agent, where the headers of the request are captured: `{wa.example.com|n8n}`.
fn captures(text: &[u8]) -> (Option<&[u8]>, Option<&[u8]>) {
    let Some(open) = memchr(b'{', text) else { return (None, None) };
    let inside = &text[open + 1..];
    let fields = || inside[..memchr(b'}', inside).unwrap_or(inside.len())].split(|&byte| byte == b'|');
    let host = fields().find(|field| may_be_host(field));
    let is_agent =
        |field: &&[u8]| Some(*field) != host && !field.is_empty() && client_address::within(field).is_none();
    (host, fields().find(is_agent))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "203.0.113.7:51234 [21/Nov/2026:03:59:12.123] http-in~ evo/srv1 0/0/1/12/13 404 140 - - ---- \
                        1/1/0/0/0 0/0 {wa.example.com|n8n} \"GET /instance/connect/x HTTP/1.1\"";

    #[test]
    fn a_line_is_read_with_and_without_syslog() {
        for prefix in ["", "<134>Nov 21 03:59:12 lb haproxy[1234]: ", "haproxy-1  | "] {
            let line = format!("{prefix}{LINE}");
            let request =
                parse(line.as_bytes(), &mut TimestampParser::default()).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(request.asked, RequestTarget::Path(Cow::Borrowed(b"/instance/connect/x")));
            assert_eq!(request.client.as_deref(), Some(&b"203.0.113.7"[..]));
            assert_eq!(request.status, Some(404));
            assert_eq!(request.router().as_deref(), Some(&b"http-in evo/srv1"[..]));
            assert_eq!(request.time.unwrap().to_string(), "2026-11-21T03:59:12");
        }
    }

    #[test]
    fn an_answer_of_the_proxy_itself_says_nothing() {
        let status = |line: &str| parse(line.as_bytes(), &mut TimestampParser::default()).unwrap().status;
        assert_eq!(status(&LINE.replace("evo/srv1", "evo/<NOSRV>")), None);
        assert_eq!(status(&LINE.replace(" 404 ", " -1 ")), None);
    }

    #[test]
    fn other_lines_are_none() {
        for line in ["", "[", "a [21/Nov/2026:03:59:12.123] b", &LINE.replace("0/0/1/12/13", "0")] {
            assert_eq!(parse(line.as_bytes(), &mut TimestampParser::default()), None, "{line}");
        }
    }
}
