//! Fields as `name=value`, with or without quotes: logfmt, Heroku's router, Render.

use std::borrow::Cow;

use super::fields::{FieldValue, Fields, Key, Place, meaning, within};
use crate::access_log::log_text::{quoted, unescape};
use crate::access_log::request::Request;
use crate::access_log::timestamp::TimestampParser;

/// Reads `at=info method=GET path="/x" host=wa.example.com fwd="203.0.113.7" status=404`, whatever stands before it.
pub(super) fn parse<'l>(line: &'l [u8], clock: &mut TimestampParser) -> Option<Request<'l>> {
    memchr::memchr(b'=', line)?;
    let mut fields = fields(line)?;
    let time = fields.time(clock);
    fields.request(time).filter(|request| request.status.is_some() || request.is_own_answer)
}

/// The named fields of a text, or `None` where there are hardly any.
pub(super) fn fields(line: &[u8]) -> Option<Fields<'_>> {
    const FEWEST: usize = 3;
    let (mut fields, mut count) = (Fields::default(), 0);
    for (key, value) in pairs(line) {
        count += 1;
        let mut place = Place::Top;
        let mut parts = key.split(|&byte| byte == b'.').peekable();
        while let Some(part) = parts.next() {
            let Some(part) = Key::of(part) else { break };
            if parts.peek().is_none() {
                if let Some(wanted) = meaning(place, &part) {
                    fields.insert(wanted, FieldValue::Text(value));
                }
                break;
            }
            place = within(place, &part);
        }
    }
    (count >= FEWEST).then_some(fields)
}

/// Keys and values in their order.
fn pairs(line: &[u8]) -> impl Iterator<Item = (&[u8], Cow<'_, [u8]>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let equals = at + memchr::memchr(b'=', line.get(at..)?)?;
            let is_name =
                |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'@');
            let start =
                line[at..equals].iter().rposition(|byte| !is_name(byte)).map_or(at, |edge| at + edge + 1);
            let key = &line[start..equals];
            let value = &line[equals + 1..];
            if key.is_empty() {
                at = equals + 1;
                continue;
            }
            if value.starts_with(b"\"")
                && let Some((inner, rest)) = quoted(value)
            {
                at = line.len() - rest.len();
                return Some((key, unescape(inner)));
            }
            let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
            at = equals + 1 + end;
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
        for line in ["", "a=b", "a=b c=d e=f", "path=/x?a=b&c=d"] {
            assert_eq!(parse(line.as_bytes(), &mut TimestampParser::default()), None, "{line}");
        }
    }
}
