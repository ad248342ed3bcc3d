//! Access logs in the common and combined formats: nginx, Apache, and Traefik's default.

use std::borrow::Cow;

use memchr::{memchr, memmem, memrchr};

use super::{Asked, Request};
use crate::requests::time::Time;

/// Reads `client - user [time] "GET /path HTTP/1.1" 404 91 "referer" "user agent"` with anything behind it.
pub(super) fn parse(line: &[u8]) -> Option<Request<'_>> {
    // The bracket and quote belong together: a user's name may hold either alone.
    let end_of_time = memmem::find(line, b"] \"")?;
    let start_of_time = memrchr(b'[', &line[..end_of_time])?;
    let time = str::from_utf8(&line[start_of_time + 1..end_of_time]).ok().and_then(Time::from_clf)?;

    let (asked, rest) = quoted(&line[end_of_time + 2..])?;
    let (method, path) = request_line(asked);
    let mut fields = rest.splitn(4, |&byte| byte == b' ').skip(1);
    let status =
        str::from_utf8(fields.next()?).ok()?.parse().ok().filter(|code| (100..600).contains(code))?;
    let after_size = fields.nth(1).unwrap_or_default();
    let user_agent = quoted(after_size).and_then(|(_referer, rest)| quoted(rest.strip_prefix(b" ")?));

    let (client, host) = client(&line[..start_of_time]);
    Some(Request {
        method: method.map(Cow::Borrowed),
        status: Some(status),
        time: Some(time),
        client: client.map(Cow::Borrowed),
        user_agent: user_agent.map(|(agent, _)| unescape(agent)).filter(|agent| **agent != *b"-"),
        host: host.map(Cow::Borrowed),
        ..Request::of(Asked::Path(unescape(path)))
    })
}

/// The inside of a quoted field that the text begins with, and what follows it.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"\"")?;
    let mut from = 0;
    loop {
        let end = from + memchr(b'"', &text[from..])?;
        // Apache writes a quote inside a field as \" and a backslash as \\.
        let backslashes = text[..end].iter().rev().take_while(|&&byte| byte == b'\\').count();
        if backslashes % 2 == 0 {
            return Some((&text[..end], &text[end + 1..]));
        }
        from = end + 1;
    }
}

/// Verb and path of `GET /path HTTP/1.1`. A client that did not encode its spaces has some in the path.
pub(super) fn request_line(line: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let Some(space) = memchr(b' ', line) else { return (None, line) };
    let (method, path) = (&line[..space], &line[space + 1..]);
    let path = match memrchr(b' ', path) {
        Some(last) if path[last + 1..].starts_with(b"HTTP/") => &path[..last],
        _ => path,
    };
    (Some(method), path)
}

/// Address and virtual host from what stands before the time: `host? address ident user`.
fn client(text: &[u8]) -> (Option<&[u8]>, Option<&[u8]>) {
    // docker compose puts the service's name and a bar before each line.
    let text = memmem::rfind(text, b"| ").map_or(text, |bar| &text[bar + 2..]);
    let mut words = text.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let (first, second) = (words.next(), words.next());
    match (first, second) {
        (Some(host), Some(address)) if !is_address(host) && is_address(address) => (second, first),
        _ => (first, None),
    }
}

fn is_address(word: &[u8]) -> bool {
    let word = word.strip_suffix(b",").unwrap_or(word);
    str::from_utf8(word).is_ok_and(|word| word.parse::<std::net::IpAddr>().is_ok())
}

/// Undoes `\xE3` (nginx) and `\"`, `\\` (Apache).
fn unescape(field: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\\', field).is_none() {
        return Cow::Borrowed(field);
    }
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail) {
            (b'\\', [b'x', high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                plain.push(hex(*high) << 4 | hex(*low));
                rest = tail;
            }
            (b'\\', [escaped @ (b'"' | b'\\'), tail @ ..]) => {
                plain.push(*escaped);
                rest = tail;
            }
            _ => plain.push(byte),
        }
    }
    Cow::Owned(plain)
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
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
        let request = parse(line.as_bytes())?;
        let Asked::Path(path) = request.asked else { panic!("a path") };
        Some(Seen {
            method: text(request.method),
            path: text(Some(path)),
            status: request.status.unwrap(),
            client: text(request.client),
            user_agent: text(request.user_agent),
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
            expected("2001:db8::7", "/a b", "say \"hi\"", "wa.example.com:443")
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
