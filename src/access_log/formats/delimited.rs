//! Fields between bars, tabs or commas: Gin, Fiber, LTSV, and what people write as a `log_format` of their own.

use std::borrow::Cow;

use memchr::memchr;

use super::combined::may_be_host;
use super::fields::{FieldValue, Fields, Key, Place, Slot, meaning};
use super::{api_404_body, client_address};
use crate::access_log::log_text::{
    METHODS, host_of, is_version, request_line, status, unescape, without_port,
};
use crate::access_log::request::{ExtraFields, PartialRequest, Request, RequestForm, RequestTarget};
use crate::access_log::timestamp::{Timestamp, TimestampParser};

/// The fewest fields that make a request.
const FEWEST: usize = 4;

/// Reads a line of such fields, in any order.
pub(super) fn parse<'l>(line: &'l [u8], clock: &mut TimestampParser) -> Option<Request<'l>> {
    let count = |mark: u8| line.iter().filter(|&&byte| byte == mark).count() + 1;
    if count(b'\t') >= FEWEST {
        labelled(line, clock).or_else(|| request(line.split(|&byte| byte == b'\t'), line, clock, true))
    } else if count(b'|') >= FEWEST {
        let fields = || line.split(|&byte| byte == b'|');
        request(fields(), line, clock, false).or_else(|| with_address(fields(), clock))
    } else {
        let inside = line.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        request(cells(inside), line, clock, true)
    }
}

/// `[GIN] 2026/11/21 - 03:59:12 | 404 |  1.234ms |  203.0.113.7 | GET      "/path"`.
pub(super) fn gin<'l>(line: &'l [u8], clock: &mut TimestampParser) -> Option<Request<'l>> {
    line.strip_prefix(b"[GIN] ")?;
    request(line.split(|&byte| byte == b'|'), line, clock, false)
}

/// As much of Gin's line as tells whether its request is in order: what [`gin`] reads, if nothing in the line is
/// unusual.
#[inline]
pub(super) fn gin_partial<'l>(line: &'l [u8], clock: &mut TimestampParser) -> Option<PartialRequest<'l>> {
    let (moment, rest) = line.strip_prefix(b"[GIN] ")?.split_first_chunk::<21>()?;
    let (answer, rest) = rest.strip_prefix(b" | ")?.split_first_chunk::<3>()?;
    let rest = rest.strip_prefix(b" |")?;
    let rest = &rest[memchr(b'|', rest)? + 1..];
    let bar = memchr(b'|', rest)?;
    let client = rest[..bar].trim_ascii();
    let request_line = rest[bar + 1..].trim_ascii();
    if memchr(b'|', request_line).is_some() || !client_address::is_plain(client) {
        return None;
    }
    Some(PartialRequest {
        request_line,
        form: RequestForm::QuotedPath,
        query: memchr(b'?', request_line),
        status: status(answer)?,
        time: Some(gin_time(moment, clock)?),
        client,
    })
}

/// The time that ends a field as Gin writes it.
fn gin_time(field: &[u8], clock: &mut TimestampParser) -> Option<Timestamp> {
    let text = field.last_chunk::<21>().filter(|text| &text[10..13] == b" - ")?;
    let mut plain = *b"0000-00-00 00:00:00";
    plain[..10].copy_from_slice(&text[..10]);
    plain[11..].copy_from_slice(&text[13..]);
    clock.iso(&plain)
}

/// The cells between `","`.
fn cells(inside: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(inside);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = memchr::memmem::find(text, b"\",\"");
        rest = end.map(|end| &text[end + 3..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

/// `time:… <tab> host:203.0.113.7 <tab> req:GET /path HTTP/1.1 <tab> status:404`, where `host` is the client.
fn labelled<'l>(line: &'l [u8], clock: &mut TimestampParser) -> Option<Request<'l>> {
    let mut fields = Fields::default();
    for field in line.split(|&byte| byte == b'\t') {
        let colon = memchr(b':', field)?;
        let (label, value) = (&field[..colon], &field[colon + 1..]);
        if !label.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
            return None;
        }
        let value_text = value.strip_prefix(b"[").and_then(|value| value.strip_suffix(b"]")).unwrap_or(value);
        let wanted = match label {
            b"host" if client_address::first(value).is_some() => Some((Slot::Client, 3)),
            _ => Key::of(label).and_then(|key| meaning(Place::Top, &key)),
        };
        if let Some(wanted) = wanted {
            fields.insert(wanted, FieldValue::Text(unescape(value_text)));
        }
    }
    let time = fields.time(clock);
    fields.request(time)
}

/// The request that the fields make. What is `strict` has to have the whole line of the request, and the status behind
/// it: any number may be before.
fn request<'l>(
    fields: impl Iterator<Item = &'l [u8]>,
    line: &'l [u8],
    clock: &mut TimestampParser,
    strict: bool,
) -> Option<Request<'l>> {
    let (mut answer, mut client, mut host, mut method, mut path, mut agent) =
        (None, None, None, None, None, None);
    let mut time: Option<Timestamp> = None;
    let mut is_whole = false;
    for field in fields.map(<[u8]>::trim_ascii) {
        let word = &field[..memchr(b' ', field).unwrap_or(field.len())];
        if METHODS.contains(&word) {
            method = Some(word);
            let rest = field[word.len()..].trim_ascii_start();
            if field.rsplit(|&byte| byte == b' ').next().is_some_and(is_version) {
                (is_whole, answer) = (true, None);
                path = Some(request_line(field).1);
            } else {
                path = path.or(unquoted(rest));
            }
        } else if answer.is_none() && field.len() == 3 && status(field).is_some() {
            answer = status(field);
        } else if client.is_none() && client_address::within(field).is_some_and(|range| range.start == 0) {
            client = client_address::within(field).map(|range| client_address::unmapped(&field[range]));
        } else if time.is_none()
            && let Some(found) =
                gin_time(field, clock).or_else(|| clock.clf(field)).or_else(|| clock.iso(field))
        {
            time = Some(found);
        } else if host.is_none() && may_be_host(field) {
            host = Some(without_port(field));
        } else if let Some(found) = unquoted(field) {
            path = path.or(Some(found));
        } else if answer.is_some() && is_whole && field.first().is_some_and(u8::is_ascii_alphabetic) {
            agent = Some(field);
        }
    }
    if strict && !is_whole {
        return None;
    }
    Some(Request {
        method: Some(Cow::Borrowed(method?)),
        status: Some(answer?),
        time: time.or_else(|| api_404_body::time(line)),
        client: client.map(Cow::Borrowed),
        host: host.map(Cow::Borrowed),
        more: ExtraFields::Known { user_agent: agent.map(unescape), router: None },
        ..Request::new(RequestTarget::Path(Cow::Borrowed(path?)))
    })
}

/// `MISS|404|1795233552421|412|390|203.0.113.7|-|https://wa.example.com/path|DE|agent|id|DE`, as BunnyCDN writes: the
/// whole URL, and no method. A URL before that one is the referer.
fn with_address<'l>(
    fields: impl Iterator<Item = &'l [u8]>,
    clock: &mut TimestampParser,
) -> Option<Request<'l>> {
    const MILLIS: usize = 13;
    let (mut answer, mut client, mut time, mut asked, mut agent) = (None, None, None, None, None);
    for field in fields.map(<[u8]>::trim_ascii) {
        if host_of(field).is_some() {
            asked = Some(field);
        } else if asked.is_none() && answer.is_none() && field.len() == 3 && status(field).is_some() {
            answer = status(field);
        } else if client.is_none() && client_address::within(field) == Some(0..field.len()) {
            client = Some(client_address::unmapped(field));
        } else if time.is_none() && field.len() == MILLIS && field.iter().all(u8::is_ascii_digit) {
            time = str::from_utf8(field).ok().and_then(|text| Timestamp::from_unix(text.parse().ok()?));
        } else if time.is_none() {
            time = clock.clf(field).or_else(|| clock.iso(field));
        } else if asked.is_some() && agent.is_none() && field.len() > 2 && field != b"-" {
            agent = Some(field);
        }
    }
    let asked = asked?;
    Some(Request {
        status: Some(answer?),
        time: Some(time?),
        client: Some(Cow::Borrowed(client?)),
        host: host_of(asked).map(Cow::Borrowed),
        more: ExtraFields::Known { user_agent: agent.map(unescape), router: None },
        ..Request::new(RequestTarget::Path(Cow::Borrowed(asked)))
    })
}

/// A path, with or without quotes around it.
fn unquoted(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_prefix(b"\"").unwrap_or(text);
    text.starts_with(b"/").then(|| text.strip_suffix(b"\"").unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_recognised_by_their_form() {
        for line in [
            "203.0.113.7|21/Nov/2026:03:59:12 +0000|wa.example.com|GET /a?b=c HTTP/1.1|404|140|-|n8n|0.404",
            "2026-11-21T03:59:12+00:00\t203.0.113.7\twa.example.com\t500\tGET /a?b=c HTTP/1.1\t404\t140\tn8n",
            "\"2026-11-21T03:59:12+00:00\",\"203.0.113.7\",\"wa.example.com\",\"GET /a?b=c HTTP/1.1\",\"404\",\"140\",\"n8n\"",
            "time:[21/Nov/2026:03:59:12 +0000]\thost:203.0.113.7\tvhost:wa.example.com\treq:GET /a?b=c HTTP/1.1\tstatus:404\tua:n8n",
        ] {
            let request =
                parse(line.as_bytes(), &mut TimestampParser::default()).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(request.asked, RequestTarget::Path(Cow::Borrowed(b"/a?b=c")), "{line}");
            assert_eq!((request.status, request.method.as_deref()), (Some(404), Some(&b"GET"[..])), "{line}");
            assert_eq!(request.client.as_deref(), Some(&b"203.0.113.7"[..]), "{line}");
            assert_eq!(request.host.as_deref(), Some(&b"wa.example.com"[..]), "{line}");
            assert_eq!(request.user_agent().as_deref(), Some(&b"n8n"[..]), "{line}");
            assert_eq!(request.time.unwrap().to_string(), "2026-11-21T03:59:12Z", "{line}");
        }
        let bunny = "MISS|404|1795233552421|412|390|203.0.113.7|https://n8n.example.com/|https://wa.example.com/a?b=c|DE|n8n|32|DE";
        let request = parse(bunny.as_bytes(), &mut TimestampParser::default()).unwrap();
        assert_eq!(request.asked, RequestTarget::Path(Cow::Borrowed(b"https://wa.example.com/a?b=c")));
        assert_eq!((request.status, request.client.as_deref()), (Some(404), Some(&b"203.0.113.7"[..])));
        assert_eq!(request.host.as_deref(), Some(&b"wa.example.com"[..]));
        assert_eq!(request.user_agent().as_deref(), Some(&b"n8n"[..]));
        assert_eq!(request.time.unwrap().to_string(), "2026-11-21T03:59:12Z");
        let line = b"[GIN] 2026/11/21 - 03:59:12 | 404 |     1.234ms |     203.0.113.7 | GET      \"/a?b=c\"";
        let partial = gin_partial(line, &mut TimestampParser::default()).unwrap();
        let whole = gin(line, &mut TimestampParser::default()).unwrap();
        assert_eq!(partial.verb_and_path(), Some((&b"GET"[..], &b"/a?b=c"[..])));
        assert_eq!(partial.without_query(), b"GET      \"/a");
        assert_eq!((Some(partial.status), partial.time), (whole.status, whole.time));
        assert_eq!(Some(partial.client), whole.client.as_deref());
        assert_eq!(whole.asked, RequestTarget::Path(Cow::Borrowed(b"/a?b=c")));
        // Without a request line before it, a number may have any meaning.
        assert_eq!(parse(b"2026\t404\tGET\t/a\t200", &mut TimestampParser::default()), None);
    }
}
