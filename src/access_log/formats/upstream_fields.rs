//! What stands behind the size in a line of the combined format, where it tells of the server behind the proxy.

use memchr::{memchr, memmem};

use crate::access_log::log_text::{self, quoted};

/// The text from its first quote, where nothing but numbers stands before: times, that some put behind the size.
pub(super) fn from_quote(tail: &[u8]) -> &[u8] {
    let is_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b' ');
    match memchr(b'"', tail) {
        Some(quote) if quote > 0 && tail[..quote].iter().all(is_number) => &tail[quote..],
        _ => tail,
    }
}

/// What the API answered, where what follows the agent tells of the server behind the proxy, and whether the proxy
/// answered by itself.
pub(super) fn answer(tail: &[u8], status: u16) -> (Option<u16>, bool) {
    if !matches!(status, 401 | 403 | 404 | 500) {
        return (Some(status), false);
    }
    let agent = quoted(tail).and_then(|(_, rest)| quoted(rest.strip_prefix(b" ")?));
    let Some((_, rest)) = agent.filter(|(_, rest)| rest.starts_with(b" ")) else {
        return (Some(status), false);
    };
    let of_server = if let Some(rest) = bracketed(rest) {
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

/// ` 7 "-" "-" 3ms`: Traefik found no router.
fn has_no_router(rest: &[u8]) -> bool {
    let number = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    number > 0 && rest[1 + number..].starts_with(b" \"-\" \"-\" ") && rest.ends_with(b"ms")
}

/// What follows the two brackets of ingress-nginx, that hold the service and the alternative one.
fn bracketed(rest: &[u8]) -> Option<&[u8]> {
    let open = memmem::find(rest, b" [")?;
    let plain = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b' ' | b'.');
    let middle = open + memmem::find(&rest[open..], b"] [")?;
    let close = middle + 3 + memchr(b']', &rest[middle + 3..])?;
    rest[..open].iter().all(plain).then(|| &rest[close + 1..])
}
