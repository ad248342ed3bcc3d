//! The pieces that lines of every kind share: a request's line, its method, a status, a quoted field, a host.

use std::borrow::Cow;

use memchr::{memchr, memrchr};

/// The user agent of what is behind the size.
pub fn user_agent(tail: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (_referer, rest) = quoted(tail)?;
    let (agent, _) = quoted(rest.strip_prefix(b" ")?)?;
    Some(unescape(agent)).filter(|agent| !matches!(&**agent, b"-" | b""))
}

/// Traefik's router, of `"referer" "user agent" 7 "router@provider" "http://backend" 3ms`.
pub fn router(tail: &[u8]) -> Option<&[u8]> {
    let (_referer, rest) = quoted(tail)?;
    let (_agent, rest) = quoted(rest.strip_prefix(b" ")?)?;
    let rest = rest.strip_prefix(b" ")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (router, rest) = quoted(rest[digits..].strip_prefix(b" ").filter(|_| digits > 0)?)?;
    (rest.starts_with(b" \"") && !matches!(router, b"-" | b"")).then_some(router)
}

/// The inside of a quoted field that the text begins with, and what follows it.
pub fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
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
pub fn request_line(line: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let Some(space) = memchr(b' ', line) else { return (None, line) };
    let (method, path) = (&line[..space], &line[space + 1..]);
    let path = match memrchr(b' ', path) {
        Some(last) if is_version(&path[last + 1..]) => &path[..last],
        _ => path,
    };
    (Some(method), path)
}

/// `HTTP/1.1`; hypercorn and others write `1.1` alone.
pub fn is_version(word: &[u8]) -> bool {
    word.starts_with(b"HTTP/") || matches!(word, b"1.0" | b"1.1" | b"2.0")
}

/// Undoes `\xE3` (nginx) and `\"`, `\\` (Apache).
pub fn unescape(field: &[u8]) -> Cow<'_, [u8]> {
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

/// The methods of HTTP that a log may hold.
pub const METHODS: [&[u8]; 9] =
    [b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"HEAD", b"OPTIONS", b"TRACE", b"CONNECT"];

/// `404`, `404.0`, `404 Not Found`.
pub fn status(text: &[u8]) -> Option<u16> {
    let &[hundreds @ b'1'..=b'5', tens, ones, ref rest @ ..] = text else { return None };
    let ends = matches!(rest, [] | [b' ', ..] | [b'.', b'0', ..]);
    (ends && tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| [hundreds, tens, ones].into_iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')))
}

/// Host of an address in absolute form.
pub fn host_of(path: &[u8]) -> Option<&[u8]> {
    let rest = path.strip_prefix(b"https://").or_else(|| path.strip_prefix(b"http://"))?;
    let host = &rest[..rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len())];
    Some(without_port(host)).filter(|host| !host.is_empty())
}

/// A host without the port that is meant where none is named.
pub fn without_port(host: &[u8]) -> &[u8] {
    host.strip_suffix(b":443").or_else(|| host.strip_suffix(b":80")).unwrap_or(host)
}
