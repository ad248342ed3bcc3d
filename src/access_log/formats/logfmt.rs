//! Fields as `name=value`, with or without quotes: logfmt, Heroku's router, Render.

use std::borrow::Cow;

use super::fields::{FieldValue, Fields, Place, meaning_of};
use crate::access_log::log_text::{quoted, unescape};
use crate::access_log::request::Request;
use crate::access_log::timestamp::TimestampParser;

/// Reads `at=info method=GET path="/x" host=wa.example.com fwd="203.0.113.7" status=404`, whatever is before it.
pub(super) fn parse<'l>(line: &'l [u8], clock: &mut TimestampParser) -> Option<Request<'l>> {
    marked(line, b'=', clock)
}

/// Reads the same with colons: `method: GET, url: /x, status: 404`.
pub(super) fn with_colons<'l>(line: &'l [u8], clock: &mut TimestampParser) -> Option<Request<'l>> {
    marked(line, b':', clock)
}

fn marked<'l>(line: &'l [u8], mark: u8, clock: &mut TimestampParser) -> Option<Request<'l>> {
    memchr::memchr(mark, line)?;
    let mut fields = named(pairs(line, mark), FEWEST)?;
    let time = fields.time(clock);
    fields.request(time).filter(|request| request.status.is_some() || request.is_own_answer)
}

/// Fewer names than these may be anything.
const FEWEST: usize = 3;

/// The named fields of a text, however few.
pub(super) fn fields(line: &[u8]) -> Option<Fields<'_>> {
    named(pairs(line, b'='), 1)
}

fn named<'l>(pairs: impl Iterator<Item = (&'l [u8], Cow<'l, [u8]>)>, fewest: usize) -> Option<Fields<'l>> {
    let (mut fields, mut count) = (Fields::default(), 0);
    for (key, value) in pairs {
        count += 1;
        if let Some(wanted) = meaning_of(Place::Top, key) {
            fields.insert(wanted, FieldValue::Text(value));
        }
    }
    (count >= fewest).then_some(fields)
}

/// Keys and values in their order, with this mark between them; a space may follow a colon.
fn pairs(line: &[u8], mark: u8) -> impl Iterator<Item = (&[u8], Cow<'_, [u8]>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let equals = at + memchr::memchr(mark, line.get(at..)?)?;
            let is_name =
                |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'@');
            let start =
                line[at..equals].iter().rposition(|byte| !is_name(byte)).map_or(at, |edge| at + edge + 1);
            let key = &line[start..equals];
            let value = &line[equals + 1..];
            let gap = usize::from(mark == b':' && value.starts_with(b" "));
            let value = &value[gap..];
            // Hours and minutes, ports and parts of an address are not names.
            if key.is_empty() || mark == b':' && !key[0].is_ascii_alphabetic() {
                at = equals + 1;
                continue;
            }
            if value.starts_with(b"\"")
                && let Some((inner, rest)) = quoted(value)
            {
                at = line.len() - rest.len();
                return Some((key, unescape(inner)));
            }
            // A time in brackets holds a space.
            let close = memchr::memchr(b']', value).filter(|_| mark == b':' && value.starts_with(b"["));
            let is_end =
                |byte: &u8| byte.is_ascii_whitespace() || mark == b':' && matches!(byte, b',' | b';' | b'|');
            let end =
                close.map(|close| close + 1).or_else(|| value.iter().position(is_end)).unwrap_or(value.len());
            at = equals + 1 + gap + end;
            return Some((key, Cow::Borrowed(&value[..end])));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::request::RequestTarget;

    #[test]
    fn named_fields_make_a_request() {
        let heroku = r#"2026-11-21T03:59:12.123456+00:00 heroku[router]: at=info method=GET path="/instance/connect/x?a=b" host=wa.example.com request_id=8 fwd="203.0.113.7,10.0.0.1" dyno=web.1 connect=0ms service=12ms status=404 bytes=140 protocol=https"#;
        let request = parse(heroku.as_bytes(), &mut TimestampParser::default()).unwrap();
        assert_eq!(request.asked, RequestTarget::Path(Cow::Borrowed(b"/instance/connect/x?a=b")));
        assert_eq!((request.status, request.client.as_deref()), (Some(404), Some(&b"203.0.113.7"[..])));
        assert_eq!(request.host.as_deref(), Some(&b"wa.example.com"[..]));
        let logfmt = r#"time="2026-11-21T03:59:12Z" level=info msg=handled http.request.method=GET http.request.uri=/instance/connect/x http.response.status_code=404 user_agent="n8n \"x\"""#;
        let request = parse(logfmt.as_bytes(), &mut TimestampParser::default()).unwrap();
        assert_eq!((request.status, request.method.as_deref()), (Some(404), Some(&b"GET"[..])));
        assert_eq!(request.user_agent().as_deref(), Some(&b"n8n \"x\""[..]));
        assert_eq!(request.time.unwrap().to_string(), "2026-11-21T03:59:12Z");
        let colons = "remote_addr:203.0.113.7 time:[21/Nov/2026:03:59:12 +0000] Method: GET, URL: /instance/connect/x, status:404";
        let request = with_colons(colons.as_bytes(), &mut TimestampParser::default()).unwrap();
        assert_eq!((request.status, request.client.as_deref()), (Some(404), Some(&b"203.0.113.7"[..])));
        assert_eq!(request.time.unwrap().to_string(), "2026-11-21T03:59:12Z");
        for line in ["", "a=b", "a=b c=d e=f", "path=/x?a=b&c=d"] {
            assert_eq!(parse(line.as_bytes(), &mut TimestampParser::default()), None, "{line}");
        }
    }
}
