//! Access logs in the common and combined formats: nginx, Apache, and Traefik's default.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memmem, memrchr};

use super::client_address;
use super::upstream_fields::{answer, from_quote};
use crate::access_log::log_text::{quoted, request_line, unescape, without_port};
use crate::access_log::request::{ExtraFields, PartialRequest, Request, RequestForm, RequestTarget};
use crate::access_log::timestamp::{CLF_LENGTH, TimestampParser};

/// Reads `client - user [time] "GET /path HTTP/1.1" 404 91 "referer" "user agent"` with anything behind it, and a
/// virtual host, the addresses of `X-Forwarded-For`, or the name of a compose service before it.
pub(super) fn parse<'l>(line: &'l [u8], clock: &mut TimestampParser) -> Option<Request<'l>> {
    let (start_of_time, end_of_time) = time(line)?;
    let time = clock.clf(&line[start_of_time + 1..end_of_time])?;
    let (asked, rest) = quoted(&line[end_of_time + 2..])?;
    let (method, path) = request_line(asked);
    let status = status(rest.get(..4)?)?;
    let after_status = &rest[4..];
    // Behind the status come a space, the size and a space; a line may end after any of them.
    let after_size = after_status
        .strip_prefix(b" ")
        .and_then(|size| memchr(b' ', size).map(|space| &size[space + 1..]))
        .unwrap_or_default();
    if !(after_status.is_empty() || after_status.starts_with(b" ")) {
        return None;
    }
    let (client, host) = client(&line[..start_of_time]);
    let fields = from_quote(after_size);
    let (status, is_own_answer) = answer(fields, status);
    Some(Request {
        method: method.map(Cow::Borrowed),
        status,
        is_own_answer,
        time: Some(time),
        client: forwarded_for(after_size).or(client).map(Cow::Borrowed),
        host: host.map(without_port).map(Cow::Borrowed),
        more: ExtraFields::Combined(fields),
        ..Request::new(RequestTarget::Path(unescape(path)))
    })
}

/// The longest address with a port, and some room.
const LONGEST_CLIENT: usize = 48;

/// What each byte before the first space means for a word; 0 if it has no meaning.
const CLIENT_BYTES: [u8; 256] = {
    let mut bytes = [0; 256];
    bytes[b' ' as usize] = SPACE;
    bytes[b':' as usize] = COLON;
    bytes[b'.' as usize] = DOT;
    bytes[b']' as usize] = MARK;
    bytes[b'=' as usize] = MARK;
    bytes
};
const SPACE: u8 = 1;
const COLON: u8 = 2;
const DOT: u8 = 4;
const MARK: u8 = 8;

/// The part of a plain line that decides whether its request is in order: the same as [`parse`] reads, if nothing in
/// the line is unusual.
#[inline]
pub(super) fn parse_partial<'l>(line: &'l [u8], clock: &mut TimestampParser) -> Option<PartialRequest<'l>> {
    const BEFORE_TIME: &[u8] = b" - - [";
    let (client, space) = plain_client(line)?;
    let time = space + BEFORE_TIME.len();
    let start = time + CLF_LENGTH + 3;
    if line.get(space..time)? != BEFORE_TIME || line.get(start - 3..start)? != b"] \"" {
        return None;
    }
    let rest = &line[start..];
    let mark = memchr2(b'"', b'?', rest)?;
    let query = (rest[mark] == b'?').then_some(mark);
    let end = if query.is_some() { mark + memchr(b'"', &rest[mark..])? } else { mark };
    let (answer, tail) = rest[end..].strip_prefix(b"\"")?.split_first_chunk::<4>()?;
    if ends_with_address(tail.strip_prefix(b" ")?) {
        return None;
    }
    Some(PartialRequest {
        request_line: &rest[..end],
        form: RequestForm::WithVersion,
        query,
        status: status(answer)?,
        time: Some(clock.clf(&line[time..start - 3])?),
        client,
    })
}

/// The client's address that a line begins with, and where the space behind it is; `None` where the first word may be
/// anything else, as in `access.log:203.0.113.7`.
#[inline]
fn plain_client(line: &[u8]) -> Option<(&[u8], usize)> {
    let (mut space, mut seen) = (0, 0);
    loop {
        let class = CLIENT_BYTES[usize::from(*line.get(space)?)];
        if class == SPACE {
            break;
        }
        seen |= class;
        space += 1;
        if space == LONGEST_CLIENT {
            return None;
        }
    }
    let mut client = &line[..space];
    if seen & (COLON | DOT) == COLON | DOT {
        client = client_address::unmapped(client);
        if client.len() == space || memchr(b':', client).is_some() {
            return None;
        }
    }
    let is_odd = seen & MARK != 0
        || !(client.first()?.is_ascii_alphanumeric() || client[0] == b':')
        || matches!(client.last()?, b'"' | b',');
    if is_odd { None } else { Some((client, space)) }
}

/// True if the last quoted field may hold addresses.
fn ends_with_address(tail: &[u8]) -> bool {
    let Some(inner) = tail.strip_suffix(b"\"") else { return false };
    inner.iter().rev().find(|byte| !is_of_addresses(byte)) == Some(&b'"')
}

/// True if a list of addresses may hold this byte.
fn is_of_addresses(byte: &u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':' | b',' | b' ')
}

/// Where the brackets around the time are. Bracket and quote belong together: a user's name may hold either alone.
fn time(line: &[u8]) -> Option<(usize, usize)> {
    const BEFORE_REQUEST: &[u8] = b"] \"";
    if let Some(start) = memchr(b'[', line) {
        let end = start + 1 + CLF_LENGTH;
        if line.get(end..end + BEFORE_REQUEST.len()) == Some(BEFORE_REQUEST) {
            return Some((start, end));
        }
    }
    let end = memmem::find(line, BEFORE_REQUEST)?;
    Some((memrchr(b'[', &line[..end])?, end))
}

/// ` 404`
fn status(text: &[u8]) -> Option<u16> {
    let &[b' ', hundreds @ b'1'..=b'5', tens, ones] = text else { return None };
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| [hundreds, tens, ones].into_iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')))
}

/// Address and virtual host from what is before the time: `host? address ident user`, and before that whatever other
/// programs have put in front of the line.
pub(super) fn client(text: &[u8]) -> (Option<&[u8]>, Option<&[u8]>) {
    let mut words = text.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let (mut first, mut second) = (words.next(), words.next());
    // docker compose puts the service's name and a bar before each line.
    if second == Some(b"|") {
        (first, second) = (words.next(), words.next());
    }
    match (first, second) {
        // The most common form of line.
        (Some(client), Some(b"-")) if is_address(client) => (Some(bare(client)), None),
        // lighttpd: `address host user`.
        (Some(client), Some(host))
            if is_address(client) && may_be_host(host) && !is_address(host) && words.next().is_some() =>
        {
            (Some(bare(client)), Some(host))
        }
        (Some(host), Some(address))
            if !is_address(host) && is_address(address) && words.next() == Some(b"-") =>
        {
            (Some(bare(address)), Some(host).filter(|host| *host != b"-" && may_be_host(host)))
        }
        _ => address_in(text).map_or((first.map(bare), None), |(client, host)| (Some(client), host)),
    }
}

/// The address in a text that looks most like a client's, before `- -`, and the host in front of it.
pub(super) fn address_in(text: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let words: Vec<&[u8]> = client_address::words(text).map(|word| &text[word]).collect();
    let found = |at: usize| client_address::within(words[at]).map(|range| &words[at][range]);
    // What begins with an address begins with the client's, or with those that a proxy passed on.
    let begins = |addresses: &[usize]| addresses.first() == Some(&0);
    let is_followed = |at: &usize| words.get(at + 1).is_none_or(|next| next.starts_with(b"-"));
    let addresses: Vec<usize> = (0..words.len()).filter(|&at| found(at).is_some()).collect();
    let followed = || addresses.iter().copied().find(is_followed);
    let mut at =
        if begins(&addresses) { Some(0) } else { followed() }.or_else(|| addresses.first().copied())?;
    // Of a list of addresses the first is the client's own.
    let is_list = |at: usize| {
        let end = words[at].as_ptr_range().end as usize - text.as_ptr() as usize;
        text.get(end) == Some(&b',')
    };
    while at > 0 && addresses.contains(&(at - 1)) && is_list(at - 1) {
        at -= 1;
    }
    let host = at.checked_sub(1).map(|before| words[before]).filter(|host| may_be_host(host));
    Some((client_address::unmapped(found(at)?), host))
}

/// True if a word is a host's name with a domain, with or without a port.
pub(super) fn may_be_host(word: &[u8]) -> bool {
    let port = word.iter().rposition(|&byte| byte == b':').unwrap_or(word.len());
    let is_port =
        word.get(port + 1..).is_none_or(|port| !port.is_empty() && port.iter().all(u8::is_ascii_digit));
    let name = &word[..port];
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let last = name.rsplit(|&byte| byte == b'.').next().unwrap_or_default();
    is_port
        && name.contains(&b'.')
        && name.iter().all(is_name)
        && last.len() > 1
        && last.iter().all(u8::is_ascii_alphabetic)
        && last != b"log"
}

/// The client's own address, where the last quoted field lists those of `X-Forwarded-For`, as nginx's `main` does.
pub(super) fn forwarded_for(tail: &[u8]) -> Option<&[u8]> {
    let inner = tail.strip_suffix(b"\"")?;
    let field = &inner[memrchr(b'"', inner)? + 1..];
    let first = field.split(|&byte| byte == b' ').next()?;
    (field.iter().all(is_of_addresses) && is_address(first)).then(|| bare(first))
}

/// The word without the comma and the quotes that lists of addresses have.
pub(super) fn bare(word: &[u8]) -> &[u8] {
    let word = word.strip_prefix(b"\"").unwrap_or(word);
    let word = word.strip_suffix(b"\"").unwrap_or(word);
    client_address::unmapped(word.strip_suffix(b",").unwrap_or(word))
}

fn is_address(word: &[u8]) -> bool {
    let word = bare(word);
    client_address::within(word).is_some_and(|range| range.len() == word.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Seen {
        method: String,
        path: String,
        status: u16,
        client: String,
        user_agent: String,
        host: String,
    }

    fn seen(line: &str) -> Option<Seen> {
        let text = |bytes: Option<Cow<[u8]>>| {
            bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
        };
        let mut clock = TimestampParser::default();
        let request = parse(line.as_bytes(), &mut clock)?;
        let RequestTarget::Path(path) = request.asked.clone() else { panic!("a path") };
        let user_agent = request.user_agent().map(Cow::into_owned).map(Cow::Owned);
        Some(Seen {
            method: text(request.method),
            path: text(Some(path)),
            status: request.status.unwrap(),
            client: text(request.client),
            user_agent: text(user_agent),
            host: text(request.host),
        })
    }

    fn expected(client: &str, path: &str, user_agent: &str, host: &str) -> Option<Seen> {
        let [method, client, path, user_agent, host] =
            ["GET", client, path, user_agent, host].map(str::to_owned);
        Some(Seen { method, path, status: 404, client, user_agent, host })
    }

    #[test]
    fn common_and_combined_lines_are_read() {
        let time = "[21/Nov/2026:03:59:12 +0000]";
        assert_eq!(
            seen(&format!("203.0.113.7 - - {time} \"GET /a HTTP/1.1\" 404 91")),
            expected("203.0.113.7", "/a", "", "")
        );
        assert_eq!(
            seen(&format!("203.0.113.7 - j [x] doe {time} \"GET /a%20b HTTP/2.0\" 404 91 \"-\" \"n8n\"")),
            expected("203.0.113.7", "/a%20b", "n8n", "")
        );
        assert_eq!(
            seen(&format!(
                "wa.example.com:443 2001:db8::7 - - {time} \"GET /a b HTTP/1.1\" 404 - \"x\" \"say \\\"hi\\\"\" 0.01"
            )),
            expected("2001:db8::7", "/a b", "say \"hi\"", "wa.example.com")
        );
        assert_eq!(
            seen(&format!(
                "proxy-1  | 10.0.0.9 - - {time} \"GET /jo\\xC3\\xA3o HTTP/1.1\" 404 0 \"-\" \"-\""
            )),
            expected("10.0.0.9", "/joão", "", "")
        );
        assert_eq!(
            seen(&format!(
                "10.0.0.9 - - {time} \"GET /a HTTP/1.1\" 404 19 \"-\" \"curl/8\" 7 \"evo@docker\" \"http://10.0.0.2\" 3ms"
            )),
            expected("10.0.0.9", "/a", "curl/8", "")
        );
    }

    #[test]
    fn a_broken_line_is_none() {
        for line in [
            "203.0.113.7 - - [21/Nov/2026:03:59:12 +0000] \"GET /a HTTP/1.1",
            "203.0.113.7 - - [21/Nov/2026:03:59:12 +0000] \"GET /a HTTP/1.1\"",
            "203.0.113.7 - - [21/Nov/2026:03:59:12 +0000] \"GET /a HTTP/1.1\" OK 91",
            "203.0.113.7 - - [yesterday] \"GET /a HTTP/1.1\" 404 91",
            "] \"\" 404",
        ] {
            assert_eq!(seen(line), None, "{line}");
        }
    }
}
