//! Removes what log shippers put around a line: colours, quotation marks, objects, cells of a table.
//!
//! Text *before* a line — a time, a container, a file's name — needs no removal: every format finds its own beginning.
//! This is only for what changes the line itself, and for objects that begin in its middle.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memmem};

use super::json::unescaped;
use crate::access_log::log_text::METHODS;

/// The longest name of a service, with the spaces that bring it in line with the others.
const LONGEST_SERVICE: usize = 64;

/// The line inside, where there is something around it.
pub(super) fn unwrap(line: &[u8]) -> Option<Cow<'_, [u8]>> {
    string(line).or_else(|| field(line)).or_else(|| cell(line)).or_else(|| entities(line))
}

/// The length of `proxy-1  | `, the name of a service that `docker compose logs` puts before each line; 0 where there is none.
#[inline]
pub(super) fn service_prefix(line: &[u8]) -> usize {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !line.first().is_some_and(u8::is_ascii_alphabetic) {
        return 0;
    }
    let Some(name) = line.iter().take(LONGEST_SERVICE).position(|byte| !is_name(byte)) else { return 0 };
    let Some(bar) = line[name..].iter().take(LONGEST_SERVICE).position(|&byte| byte != b' ') else {
        return 0;
    };
    if bar > 0 && line[name + bar..].starts_with(b"| ") { name + bar + 2 } else { 0 }
}

/// The line without a terminal's colours, if it has any. Other control sequences are not colours, and stay.
pub(super) fn colours(line: &[u8]) -> Option<Cow<'_, [u8]>> {
    const BEGIN: &[u8] = b"\x1B[";
    let mut plain = Vec::new();
    let (mut rest, mut found) = (line, false);
    while let Some(at) = memmem::find(rest, BEGIN) {
        let codes = &rest[at + BEGIN.len()..];
        let length =
            codes.iter().position(|byte| !(byte.is_ascii_digit() || *byte == b';')).unwrap_or(codes.len());
        let end = match codes.get(length) {
            Some(b'm' | b'K') => {
                found = true;
                plain.extend_from_slice(&rest[..at]);
                at + BEGIN.len() + length + 1
            }
            _ => {
                plain.extend_from_slice(&rest[..at + BEGIN.len()]);
                at + BEGIN.len()
            }
        };
        rest = &rest[end..];
    }
    plain.extend_from_slice(rest);
    found.then_some(Cow::Owned(plain))
}

/// The text of a line that is a string of JSON, as in a list of lines.
fn string(line: &[u8]) -> Option<Cow<'_, [u8]>> {
    let text = line.trim_ascii();
    let text = text.strip_suffix(b",").unwrap_or(text);
    let is_string = text.len() > 2 && text.starts_with(b"\"") && text.ends_with(b"\"");
    is_string.then(|| unescaped(text)).flatten()
}

/// The text of `"message" => "…",`, as Logstash prints an event, each field in a line of its own.
fn field(line: &[u8]) -> Option<Cow<'_, [u8]>> {
    const ARROW: &[u8] = b"\" => \"";
    let text = line.trim_ascii();
    let text = text.strip_suffix(b",").unwrap_or(text);
    let arrow = if text.starts_with(b"\"") && text.ends_with(b"\"") {
        memmem::find(text, ARROW)?
    } else {
        return None;
    };
    unescaped(&text[arrow + ARROW.len() - 1..])
}

/// A line copied out of the source of a page, its marks written as entities.
fn entities(line: &[u8]) -> Option<Cow<'_, [u8]>> {
    const QUOTE: [&[u8]; 2] = [b"&quot;", b"&#34;"];
    memchr(b'&', line)?;
    QUOTE.iter().find(|quote| memmem::find(line, quote).is_some())?;
    let mut plain = String::from_utf8_lossy(line).into_owned();
    for (entity, mark) in
        [("&quot;", "\""), ("&#34;", "\""), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")]
    {
        plain = plain.replace(entity, mark);
    }
    Some(Cow::Owned(plain.into_bytes()))
}

/// The cell of a table in CSV that holds a line: its quotes are doubled.
fn cell(line: &[u8]) -> Option<Cow<'_, [u8]>> {
    let is_inner = |at: usize| {
        let rest = &line[at + 2..];
        rest.starts_with(b"/")
            || METHODS.iter().any(|method| rest.starts_with(method))
            || line[..at].ends_with(b"{")
    };
    memmem::find_iter(line, b"\"\"").find(|&at| is_inner(at))?;
    let mut rest = line;
    loop {
        let quote = memchr(b'"', rest)?;
        let (mut cell, mut at, mut is_doubled) = (Vec::new(), quote + 1, false);
        loop {
            let end = at + memchr(b'"', &rest[at..])?;
            cell.extend_from_slice(&rest[at..end]);
            if rest.get(end + 1) == Some(&b'"') {
                cell.push(b'"');
                (at, is_doubled) = (end + 2, true);
            } else {
                rest = &rest[end + 1..];
                break;
            }
        }
        if is_doubled {
            return Some(Cow::Owned(cell));
        }
    }
}

/// Where an object begins in a line that has something before it; the end is for the reader of JSON to find.
pub(super) fn objects(line: &[u8]) -> impl Iterator<Item = usize> {
    const MOST: usize = 4;
    let begins = |at: &usize| {
        let rest = line[at + 1..].trim_ascii_start();
        *at > 0 && rest.starts_with(b"\"")
    };
    memchr_iter(b'{', line).filter(begins).take(MOST)
}

/// An object as Ruby shows it, `{"log"=>"…"}`, made JSON: fluent-bit's stdout writes so.
pub(super) fn from_ruby(object: &[u8]) -> Option<Vec<u8>> {
    const ARROW: &[u8] = b"\"=>";
    memmem::find(object, ARROW)?;
    let mut json = Vec::with_capacity(object.len());
    let mut rest = object;
    while let Some(at) = memmem::find(rest, ARROW) {
        json.extend_from_slice(&rest[..=at]);
        json.push(b':');
        rest = &rest[at + ARROW.len()..];
    }
    json.extend_from_slice(rest);
    Some(json)
}

/// The object that a text begins with, up to its last brace.
pub(super) fn to_last_brace(text: &[u8]) -> &[u8] {
    &text[..memchr::memrchr(b'}', text).map_or(text.len(), |end| end + 1)]
}

/// The line without the marks of a quoted mail.
pub(super) fn mail(line: &[u8]) -> Option<&[u8]> {
    let quoted = line.strip_prefix(b">")?;
    let start = quoted.iter().position(|byte| !matches!(byte, b'>' | b' ')).unwrap_or(quoted.len());
    Some(&quoted[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_around_a_line_are_removed() {
        let inside =
            |line: &str| unwrap(line.as_bytes()).map(|line| String::from_utf8_lossy(&line).into_owned());
        for (line, expected) in [
            ("  \"a \\\"b\\\"\",", Some("a \"b\"")),
            ("1,\"x \"\"GET /a HTTP/1.1\"\" 404\",z", Some("x \"GET /a HTTP/1.1\" 404")),
            ("1,\"{\"\"a\"\":1}\"", Some("{\"a\":1}")),
            ("  \"message\" => \"a \\\"b\\\"\",", Some("a \"b\"")),
            ("&quot;GET /a?b&amp;c&quot;", Some("\"GET /a?b&c\"")),
            ("a \"\" b", None),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(inside(line).as_deref(), expected, "{line}");
        }
        assert_eq!(service_prefix(b"proxy-1  | 203.0.113.7 - -"), "proxy-1  | ".len());
        assert_eq!(service_prefix(b"203.0.113.7 - - [x] \"GET /a | b"), 0);
        assert_eq!(service_prefix(b"proxy: | a"), 0);
        assert_eq!(colours(b"\x1B[1;36ma\x1B[0m b").as_deref(), Some(&b"a b"[..]));
        assert_eq!(colours(b"a\x1B]0;b\x1B[2J"), None);
        assert_eq!(mail(b"> > a"), Some(&b"a"[..]));
        assert_eq!(from_ruby(br#"{"log"=>"x", "s"=>"y"}"#).unwrap(), br#"{"log":"x", "s":"y"}"#);
        assert_eq!(objects(br#"a {b} {"c":{"d":1}}"#).collect::<Vec<_>>(), [6, 11]);
    }
}
