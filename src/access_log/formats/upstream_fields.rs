//! The fields after the size in a line of the combined format, if they are about the server behind the proxy.

use memchr::{memchr, memmem};

use super::fields::Slot;
use super::{client_address, logfmt};
use crate::access_log::log_text::{self, quoted};

/// The text from its first quote, where nothing but numbers is before: times, that some put behind the size.
pub(super) fn from_quote(tail: &[u8]) -> &[u8] {
    let is_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b' ');
    match memchr(b'"', tail) {
        Some(quote) if quote > 0 && tail[..quote].iter().all(is_number) => &tail[quote..],
        _ => tail,
    }
}

/// The API's status, if the fields after the agent are about the server behind the proxy, and whether the proxy
/// answered by itself.
pub(super) fn answer(tail: &[u8], status: u16) -> (Option<u16>, bool) {
    if !matches!(status, 401 | 403 | 404 | 500) {
        return (Some(status), false);
    }
    let agent = quoted(tail).and_then(|(_, rest)| quoted(rest.strip_prefix(b" ")?));
    let Some((_, rest)) = agent.filter(|(_, rest)| rest.starts_with(b" ")) else {
        return (Some(status), false);
    };
    // `upstream_status=404`, `urt="-"`
    let mut named = logfmt::fields(rest);
    if let Some(named) =
        named.as_mut().filter(|named| named.has(Slot::OriginStatus) || named.has(Slot::Upstream))
    {
        let (of_server, is_own) = named.answer();
        return (of_server.or((!is_own).then_some(status)), is_own);
    }
    let of_server = if let Some(of_server) = in_quotes(rest) {
        Some(of_server)
    } else if let Some(rest) = bracketed(rest) {
        // ingress-nginx: `489 0.013 [service] [] 10.0.0.9:8080 140 0.013 404 request-id`.
        let words: Vec<&[u8]> = rest.trim_ascii().split(|&byte| byte == b' ').collect();
        let address = words.first().copied();
        let last = words.iter().rev().skip(1).find(|word| **word != b",").copied();
        address.map(|address| if address == b"-" { &b"-"[..] } else { last.unwrap_or(b"") })
    } else if memmem::find(rest, b"\"<NOSRV>\"").is_some() || has_no_router(rest) {
        // HAProxy's `option httplog clf`, and Traefik without a router.
        Some(&b"-"[..])
    } else {
        // APISIX: `10.0.0.9:8080 404 0.013 "http://…"`.
        let mut words = rest[1..].splitn(4, |&byte| byte == b' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some(address), Some(status), Some(_), Some(rest)) if rest.starts_with(b"\"http") => {
                (address == b"-" || address.contains(&b':')).then_some(status)
            }
            _ => None,
        }
    };
    match of_server {
        Some(b"-") => (None, true),
        Some(text) => (log_text::status(text).or(Some(status)), false),
        None => (Some(status), false),
    }
}

/// ` "203.0.113.7" "10.0.0.9:8080" "404" "0.012" "0.012"`: the server's address and status in quotes, a dash where none was
/// asked, and then the times of the request and of the server.
fn in_quotes(rest: &[u8]) -> Option<&[u8]> {
    const MOST: usize = 12;
    let (mut fields, mut rest) = (Vec::new(), rest);
    while let Some((field, behind)) = rest.strip_prefix(b" ").and_then(quoted) {
        fields.push(field);
        rest = behind;
        if fields.len() == MOST {
            break;
        }
    }
    let is_address = |field: &[u8]| field.contains(&b':') && client_address::within(field).is_some();
    let asked =
        fields.windows(2).find(|pair| is_address(pair[0]) && log_text::status(last(pair[1])).is_some());
    let is_time = |field: &[u8]| {
        field.contains(&b'.') && field.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
    };
    let is_own = |fields: &[&[u8]]| matches!(fields, [b"-", b"-", time, b"-"] if is_time(time));
    asked.map(|pair| last(pair[1])).or_else(|| fields.windows(4).any(is_own).then_some(&b"-"[..]))
}

/// The last of the answers that nginx lists.
fn last(answers: &[u8]) -> &[u8] {
    answers.rsplit(|byte| matches!(byte, b',' | b':' | b' ')).next().unwrap_or_default()
}

/// ` 7 "-" "-" 3ms`: Traefik found no router.
fn has_no_router(rest: &[u8]) -> bool {
    let number = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    number > 0 && rest[1 + number..].starts_with(b" \"-\" \"-\" ") && rest.ends_with(b"ms")
}

/// The text after the two brackets of ingress-nginx, which hold the service and the alternative one.
fn bracketed(rest: &[u8]) -> Option<&[u8]> {
    let open = memmem::find(rest, b" [")?;
    let plain = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b' ' | b'.');
    let middle = open + memmem::find(&rest[open..], b"] [")?;
    let close = middle + 3 + memchr(b']', &rest[middle + 3..])?;
    rest[..open].iter().all(plain).then(|| &rest[close + 1..])
}
