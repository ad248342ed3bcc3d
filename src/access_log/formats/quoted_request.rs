//! Lines that quote the request, `"GET /path HTTP/1.1"`, with anything before and behind: nginx's and Apache's own
//! formats, CapRover, NPMplus, APISIX, uvicorn, gunicorn, Envoy, Istio and others.

use std::borrow::Cow;

use memchr::{memchr, memmem, memrchr};

use super::api_404_body;
use super::client_address;
use super::combined::{self, address_in, may_be_host};
use super::upstream_fields::{answer, from_quote};
use crate::access_log::log_text::{self, METHODS, host_of, is_version, quoted, request_line, unescape};
use crate::access_log::request::{ExtraFields, Request, RequestTarget};
use crate::access_log::timestamp::{CLF_LENGTH, Timestamp, TimestampParser};

/// Reads a line that quotes a request.
pub(super) fn parse<'l>(line: &'l [u8], clock: &mut TimestampParser) -> Option<Request<'l>> {
    let (at, asked, rest) = request(line)?;
    let (method, path) = request_line(asked);
    let before = &line[..at];
    let (time, pieces) = time_and_rest(before, clock);
    let request = Request {
        method: method.map(Cow::Borrowed),
        time: time.or_else(|| api_404_body::time(before)).or_else(|| bare_time(before, clock)),
        host: host_of(path).map(Cow::Borrowed),
        ..Request::new(RequestTarget::Path(unescape(path)))
    };
    if let Some(found) = envoy(rest) {
        return Some(found.answered(request));
    }
    let (client, host) = client_and_host(pieces);
    let is_tls_log = memmem::find(before, b" TLSv").is_some() || memmem::find(before, b" SSLv").is_some();
    let (status, tail) = match status_behind(rest, is_tls_log) {
        Some((status, tail)) => (Some(status), tail),
        None => (status_before(pieces[1]).or_else(|| status_before(pieces[0])), rest),
    };
    let tail = from_quote(tail);
    let from = || rest.strip_prefix(b" from ").and_then(address_in).map(|(client, _)| client);
    let client = client.or_else(from);
    let (status, is_own_answer) = status.map_or((None, false), |status| answer(tail, status));
    let more = unquoted_agent(tail, pieces[1]).unwrap_or(ExtraFields::Combined(tail));
    Some(Request {
        status,
        is_own_answer,
        client: combined::forwarded_for(tail).or(client).map(Cow::Borrowed),
        host: host.map(Cow::Borrowed).or(request.host),
        more,
        ..request
    })
}

/// Where the first quoted request is, its inside, and what follows it.
fn request(line: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let mut from = 0;
    loop {
        let at = from + memchr(b'"', line.get(from..)?)?;
        let inside = &line[at + 1..];
        let is_request = METHODS.iter().any(|method| {
            inside.strip_prefix(*method).and_then(|rest| rest.strip_prefix(b" ")).is_some_and(|path| {
                path.starts_with(b"/") || path.starts_with(b"http") || path.starts_with(b"*")
            })
        });
        // Inside an escaped text it is not a field of this line.
        if is_request && !line[..at].ends_with(b"\\") {
            let (asked, rest) = quoted(&line[at..])?;
            // What has more words and no version is a line in quotes, not a request.
            if memmem::find(asked, b" HTTP/").is_some()
                || asked.rsplit(|&byte| byte == b' ').next().is_some_and(is_version)
                || asked.iter().filter(|&&byte| byte == b' ').count() == 1
            {
                return Some((at, asked, rest));
            }
        }
        from = at + 1;
    }
}

/// The time in brackets, and what is before and behind it.
fn time_and_rest<'l>(before: &'l [u8], clock: &mut TimestampParser) -> (Option<Timestamp>, [&'l [u8]; 2]) {
    let mut from = 0;
    while let Some(open) = memchr(b'[', &before[from..]).map(|at| from + at) {
        let Some(close) = memchr(b']', &before[open..]).map(|at| open + at) else { break };
        let inside = &before[open + 1..close];
        let epoch =
            || Timestamp::from_unix(str::from_utf8(inside).ok()?.parse().ok().filter(|&n: &f64| n > 1e8)?);
        if let Some(time) = clock.clf(inside).or_else(|| clock.iso(inside)).or_else(epoch) {
            return (Some(time), [&before[..open], &before[close + 1..]]);
        }
        from = open + 1;
    }
    (None, [before, b""])
}

/// `21/Nov/2026:03:59:12 +0000` without brackets around it.
fn bare_time(before: &[u8], clock: &mut TimestampParser) -> Option<Timestamp> {
    let colon = memchr(b':', before).filter(|&colon| colon >= 11 && before[colon - 5] == b'/');
    let at = colon.or_else(|| memmem::find(before, b"/20").map(|slash| slash + 5))?;
    let start = at.checked_sub(11)?;
    clock.clf(before.get(start..start + CLF_LENGTH)?)
}

/// The client, before the time or else behind it, and the host that was called.
fn client_and_host([before, behind]: [&[u8]; 2]) -> (Option<&[u8]>, Option<&[u8]>) {
    let found = address_in(before).or_else(|| address_in(behind));
    let is_edge = |byte: &u8| matches!(byte, b' ' | b'[' | b']' | b'"' | b'(' | b')' | b',' | b'\t');
    let host = behind.split(is_edge).find(|word| may_be_host(word) && client_address::within(word).is_none());
    match found {
        Some((client, before)) => (Some(client), host.or(before)),
        None => (combined::client(before).0.filter(|word| may_be_host(word)), host),
    }
}

/// The status behind a request, and what follows the size behind it. Quoted fields may come first: a body, a host.
fn status_behind(rest: &[u8], is_tls_log: bool) -> Option<(u16, &[u8])> {
    const MOST_SKIPPED: usize = 3;
    let mut text = rest.trim_ascii_start();
    if let Some(from) = text.strip_prefix(b"from ") {
        text = &from[memmem::find(from, b" - ")? + 3..];
    }
    for _ in 0..MOST_SKIPPED {
        match quoted(text) {
            Some((_, rest)) => text = rest.trim_ascii_start(),
            None => break,
        }
    }
    let text = text.strip_prefix(b"[").unwrap_or(text);
    let digits = text.get(..3)?;
    let after = &text[3..];
    let ends =
        after.first().is_none_or(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'.' | b'_' | b'%'));
    let status = log_text::status(digits).filter(|_| ends)?;
    let size = after.strip_prefix(b" ").unwrap_or_default();
    // Apache's ssl_request_log has a size there, and nothing behind it.
    if is_tls_log && size.is_empty() {
        return None;
    }
    let tail = memchr(b' ', size).map_or(&b""[..], |space| &size[space + 1..]);
    Some((status, tail))
}

/// A status that is right before the request, alone: `[404]`, `404`, `status=404`.
fn status_before(text: &[u8]) -> Option<u16> {
    let text = text.trim_ascii_end();
    if let Some(inner) = text.strip_prefix(b"[").and_then(|text| text.get(..4)).filter(|text| text[3] == b']')
    {
        return log_text::status(&inner[..3]);
    }
    let word = text.rsplit(|byte| matches!(byte, b' ' | b'=' | b'[' | b'|')).next()?;
    log_text::status(word.strip_suffix(b"]").unwrap_or(word)).filter(|_| text.len() >= 3)
}

/// NPMplus writes the agent without quotes, behind sizes and the referer.
fn unquoted_agent<'l>(tail: &'l [u8], behind_time: &[u8]) -> Option<ExtraFields<'l>> {
    if memchr(b'"', tail).is_some() || behind_time.first().is_none_or(|byte| *byte != b' ') {
        return None;
    }
    let mut words = tail.splitn(3, |&byte| byte == b' ');
    let (size, _referer, agent) = (words.next()?, words.next()?, words.next()?);
    let is_number = size.iter().all(u8::is_ascii_digit) && !size.is_empty();
    (is_number && !matches!(agent, b"-" | b""))
        .then(|| ExtraFields::Known { user_agent: Some(unescape(agent)), router: None })
}

/// The fields that Envoy puts after the request.
struct Envoy<'l> {
    status: Option<u16>,
    is_own_answer: bool,
    client: Option<Cow<'l, [u8]>>,
    host: Option<Cow<'l, [u8]>>,
    user_agent: Option<Cow<'l, [u8]>>,
}

impl<'l> Envoy<'l> {
    fn answered(self, request: Request<'l>) -> Request<'l> {
        Request {
            status: self.status,
            is_own_answer: self.is_own_answer,
            client: self.client,
            host: self.host.or(request.host),
            more: ExtraFields::Known { user_agent: self.user_agent, router: None },
            ..request
        }
    }
}

/// `404 NR … 0 140 12 11 "203.0.113.7" "n8n" "request-id" "wa.example.com" "10.0.0.9:8080" …`: five quoted fields in a row,
/// with numbers before them.
fn envoy(rest: &[u8]) -> Option<Envoy<'_>> {
    let mut words = rest.strip_prefix(b" ")?.splitn(3, |&byte| byte == b' ');
    let (status, flags, mut text) = (words.next()?, words.next()?, words.next()?);
    let is_flags = flags == b"-" || flags.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b',');
    if !is_flags {
        return None;
    }
    // Istio has a quoted reason before the numbers.
    let mut numbers = 0;
    while numbers < 3 || !text.starts_with(b"\"") {
        let end = match quoted(text) {
            Some((_, rest)) => text.len() - rest.len(),
            None => memchr(b' ', text)?,
        };
        let word = &text[..end];
        numbers = if word == b"-" || word.iter().all(u8::is_ascii_digit) { numbers + 1 } else { 0 };
        text = text[end..].trim_ascii_start();
    }
    // An agent may hold quotes, and Istio leaves them as they are: the fields are distinguished from both ends.
    let close = memrchr(b'"', text).filter(|&close| close > 0)?;
    let mut fields = text[1..close].split(|&byte| byte == b'"').collect::<Vec<_>>();
    let mut last = || {
        let field = fields.pop()?;
        fields.pop_if(|gap| *gap == b" ").map(|_| field)
    };
    let (upstream, host, id) = (last()?, last()?, last()?);
    let forwarded = *fields.first().filter(|_| fields.len() > 2)?;
    let agent_start = text.iter().skip(1).position(|&byte| byte == b'"')? + 4;
    let agent_end = upstream.len() + host.len() + id.len() + 3 * 3 + 1;
    let agent = text.get(agent_start..(close + 1).checked_sub(agent_end)?)?;
    let said = |field: &'_ &[u8]| !matches!(*field, b"-" | b"");
    let tail = &text[close + 1..];
    let is_own_answer = flags != b"-" || !said(&upstream);
    // Istio ends with the addresses of both sides: `cluster local:port local:port remote:port sni route`.
    let remote = || {
        let words: Vec<&[u8]> = tail.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).collect();
        words.get(3).and_then(|word| client_address::within(word).map(|range| &word[range]))
    };
    let client = client_address::first(forwarded).map(|range| &forwarded[range]).or_else(remote);
    Some(Envoy {
        status: log_text::status(status).filter(|_| !is_own_answer),
        is_own_answer,
        client: client.map(Cow::Borrowed),
        host: Some(host).filter(said).map(Cow::Borrowed),
        user_agent: Some(agent).filter(said).map(unescape),
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
        let time = request.time.map_or_else(|| "-".into(), |time| time.to_string());
        let (client, host) = (text(request.client.as_deref()), text(request.host.as_deref()));
        Some(format!(
            "{} {status} {client} {host} {} {time}",
            text(Some(path)),
            text(request.user_agent().as_deref())
        ))
    }

    #[test]
    fn a_quoted_request_is_read_wherever_its_fields_stand() {
        for (line, expected) in [
            ("INFO:     203.0.113.7:51234 - \"GET /a HTTP/1.1\" 404 Not Found", "/a 404 203.0.113.7 - - -"),
            (
                "203.0.113.7 - - [21/Nov/2026:03:59:12 +0000] wa.example.com \"GET /a HTTP/1.1\" 404 140 0.01 \"-\" \"n8n\"",
                "/a 404 203.0.113.7 wa.example.com n8n 2026-11-21T03:59:12Z",
            ),
            (
                "[21/Nov/2026:03:59:12 +0000] wa.example.com 203.0.113.7 0.012 \"GET /a HTTP/1.1\" 404 140 440 - n8n 2",
                "/a 404 203.0.113.7 wa.example.com n8n 2 2026-11-21T03:59:12Z",
            ),
            (
                "[21/Nov/2026:03:59:12 +0000] 203.0.113.7 TLSv1.3 TLS_AES_256_GCM_SHA384 \"GET /a HTTP/1.1\" 404",
                "/a ? 203.0.113.7 - - 2026-11-21T03:59:12Z",
            ),
            (
                "[2026-11-21T03:59:12.123Z] \"GET /a HTTP/1.1\" 404 - 0 91 12 11 \"-\" \"n8n\" \"id\" \"wa.example.com\" \"10.0.0.9:8080\"",
                "/a 404 - wa.example.com n8n 2026-11-21T03:59:12Z",
            ),
            (
                "[2026-11-21T03:59:12.123Z] \"GET /a HTTP/1.1\" 404 NR route_not_found - \"-\" 0 0 0 - \"203.0.113.7\" \"n8n\" \"id\" \"wa.example.com\" \"-\" - - 10.0.0.1:8443 203.0.113.7:1 - -",
                "/a own 203.0.113.7 wa.example.com n8n 2026-11-21T03:59:12Z",
            ),
            (
                "2026/11/21 03:59:12 [web/abc-1] \"GET http://wa.example.com/a HTTP/1.1\" from 203.0.113.7:5 - 404 140B in 12ms",
                "http://wa.example.com/a 404 203.0.113.7 wa.example.com - 2026-11-21T03:59:12",
            ),
        ] {
            assert_eq!(read(line).as_deref(), Some(expected), "{line}");
        }
        for line in ["", "\"GET\"", "{\\\"GET /a HTTP/1.1\\\" 404}", "\"hello\" 404"] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
