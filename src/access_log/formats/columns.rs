//! Lines whose columns are named elsewhere: by `#Fields:` in the file (IIS, CloudFront), or by the user as nginx's
//! `log_format` has them.

use std::borrow::Cow;

use anyhow::Result;
use memchr::memmem;
use percent_encoding::percent_decode;

use super::fields::{FieldValue, Fields, Key, Place, Slot, meaning};
use crate::access_log::log_text::unescape;
use crate::access_log::request::Request;
use crate::access_log::timestamp::{Timestamp, TimestampParser};
use crate::error::user_error;

/// What begins a line that names the columns.
pub const FIELDS: &[u8] = b"#Fields:";

/// The columns of an extended log file, by their order.
#[derive(Debug, PartialEq, Eq)]
pub struct ColumnHeader {
    columns: Vec<ColumnMeaning>,
    /// CloudFront puts a tab between columns, IIS a space.
    has_tabs: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ColumnMeaning {
    Date,
    Clock,
    Known(Slot, u8),
    Other,
}

impl ColumnHeader {
    /// The columns that a line names.
    pub fn parse_header(line: &[u8]) -> Option<Self> {
        let names = line.strip_prefix(FIELDS)?;
        let column = |name: &[u8]| match name {
            b"date" => ColumnMeaning::Date,
            b"time" => ColumnMeaning::Clock,
            name => {
                let known = Key::of(name).and_then(|key| meaning(Place::Top, &key));
                known.map_or(ColumnMeaning::Other, |(slot, rank)| ColumnMeaning::Known(slot, rank))
            }
        };
        let columns =
            names.split(u8::is_ascii_whitespace).filter(|name| !name.is_empty()).map(column).collect();
        let is_cloudfront = memmem::find(names, b"x-edge-").is_some();
        Some(Self { columns, has_tabs: is_cloudfront || names.contains(&b'\t') })
    }

    /// The request of a line with these columns.
    pub(super) fn parse<'l>(&self, line: &'l [u8]) -> Option<Request<'l>> {
        let has_tabs = self.has_tabs && line.contains(&b'\t');
        let separator = if has_tabs { b'\t' } else { b' ' };
        let values: Vec<&[u8]> = line.split(|&byte| byte == separator).collect();
        if values.len() != self.columns.len() {
            return None;
        }
        let mut fields = Fields::default();
        let (mut date, mut clock): (&[u8], &[u8]) = (b"", b"");
        for (column, value) in self.columns.iter().zip(values) {
            match *column {
                ColumnMeaning::Date => date = value,
                ColumnMeaning::Clock => clock = value,
                // IIS writes a space as a plus, CloudFront as %20, or %2520.
                ColumnMeaning::Known(slot @ Slot::UserAgent, rank) if self.has_tabs => {
                    let once: Cow<[u8]> = percent_decode(value).into();
                    let twice: Cow<[u8]> = percent_decode(&once).into();
                    fields.insert((slot, rank), FieldValue::Text(Cow::Owned(twice.into_owned())));
                }
                ColumnMeaning::Known(slot @ Slot::UserAgent, rank) => {
                    let spaced = value.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
                    fields.insert((slot, rank), FieldValue::Text(Cow::Owned(spaced)));
                }
                // IIS has decoded the path: what still looks encoded was so twice.
                ColumnMeaning::Known(slot @ Slot::Path, rank) if !self.has_tabs && value.contains(&b'%') => {
                    let encoded = value.split(|&byte| byte == b'%').collect::<Vec<_>>().join(&b"%25"[..]);
                    fields.insert((slot, rank), FieldValue::Text(Cow::Owned(encoded)));
                }
                ColumnMeaning::Known(slot, rank) => {
                    fields.insert((slot, rank), FieldValue::Text(Cow::Borrowed(value)))
                }
                ColumnMeaning::Other => {}
            }
        }
        // Both write UTC.
        let moment = [date, b"T", clock, b"Z"].concat();
        let time = str::from_utf8(&moment).ok().and_then(Timestamp::from_iso);
        let request = fields.request(time)?;
        Some(Request { has_plus_for_space: !self.has_tabs, ..request })
    }
}

/// What a variable holds, and how far it stands behind others for the same.
type VariableMeaning = (Slot, u8);

/// A line as nginx's `log_format` describes it: texts, and variables between them.
#[derive(Debug, PartialEq, Eq)]
pub struct LogTemplate {
    start: Vec<u8>,
    /// What a variable means, and the text behind it.
    variables: Vec<(Option<VariableMeaning>, Vec<u8>)>,
}

impl LogTemplate {
    /// Reads the string of a `log_format`.
    ///
    /// # Errors
    /// When it names no status, or neither `$request` nor a path.
    pub fn parse_format(format: &str) -> Result<Self> {
        let mut template = Self { start: Vec::new(), variables: Vec::new() };
        let mut slots = Vec::new();
        let mut pieces = format.split('$');
        template.start = pieces.next().unwrap_or_default().as_bytes().to_vec();
        for piece in pieces {
            let (name, text) = match piece.strip_prefix('{').and_then(|piece| piece.split_once('}')) {
                Some(parts) => parts,
                None => {
                    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    piece.split_at(piece.find(|c| !is_name(c)).unwrap_or(piece.len()))
                }
            };
            let known = Key::of(name.as_bytes()).and_then(|key| meaning(Place::Top, &key));
            slots.extend(known.map(|(slot, _)| slot));
            template.variables.push((known, text.as_bytes().to_vec()));
        }
        let has_path = slots.iter().any(|slot| matches!(slot, Slot::Path | Slot::RequestLine));
        let has_status = slots.iter().any(|slot| matches!(slot, Slot::Status | Slot::OriginStatus));
        if !(has_path && has_status) {
            return Err(user_error(
                "--log-format has no $status, or neither $request nor $request_uri",
                "give the string of nginx's log_format in single quotes, such as \
                 '$remote_addr [$time_local] \"$request\" $status \"$http_user_agent\"'",
            ));
        }
        Ok(template)
    }

    /// The request of a line that this describes.
    pub(super) fn parse<'l>(&self, line: &'l [u8], clock: &mut TimestampParser) -> Option<Request<'l>> {
        let mut rest = line.strip_prefix(&*self.start)?;
        let mut fields = Fields::default();
        for (known, text) in &self.variables {
            let end = if text.is_empty() { rest.len() } else { memmem::find(rest, text)? };
            if let Some(known) = known {
                fields.insert(*known, FieldValue::Text(unescape(&rest[..end])));
            }
            rest = &rest[(end + text.len()).min(rest.len())..];
        }
        let time = fields.time(clock);
        fields.request(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::request::RequestTarget;

    #[test]
    fn columns_are_read_by_their_names() {
        let iis = ColumnHeader::parse_header(b"#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port c-ip cs(User-Agent) sc-status sc-substatus").unwrap();
        let request = iis
            .parse(b"2026-11-21 03:59:12 10.0.0.3 GET /instance/connect/x a=b 443 203.0.113.7 n8n+2 404 0")
            .unwrap();
        assert_eq!(request.asked, RequestTarget::Path(Cow::Borrowed(b"/instance/connect/x?a=b")));
        assert_eq!((request.status, request.client.as_deref()), (Some(404), Some(&b"203.0.113.7"[..])));
        assert_eq!(request.user_agent().as_deref(), Some(&b"n8n 2"[..]));
        assert_eq!(request.time.unwrap().to_string(), "2026-11-21T03:59:12Z");
        let cloudfront = ColumnHeader::parse_header(b"#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(User-Agent) cs-uri-query x-host-header").unwrap();
        let line = b"2026-11-21\t03:59:12\tGRU1\t140\t203.0.113.7\tGET\td1.cloudfront.net\t/instance/connect/x\t404\tn8n%202\t-\twa.example.com";
        let request = cloudfront.parse(line).unwrap();
        assert_eq!(request.host.as_deref(), Some(&b"wa.example.com"[..]));
        assert_eq!(request.user_agent().as_deref(), Some(&b"n8n 2"[..]));
        assert_eq!(cloudfront.parse(b"a b"), None);
    }

    #[test]
    fn a_log_format_of_nginx_is_obeyed() {
        let template = LogTemplate::parse_format(
            r#"<$status> $remote_addr ($time_iso8601) '$request' ${http_user_agent}|$upstream_status"#,
        )
        .unwrap();
        let read = |line: &'static str| template.parse(line.as_bytes(), &mut TimestampParser::default());
        let request = read(
            "<404> 203.0.113.7 (2026-11-21T03:59:12+00:00) 'GET /instance/connect/x HTTP/1.1' n8n 2|404",
        )
        .unwrap();
        assert_eq!(request.asked, RequestTarget::Path(Cow::Borrowed(b"/instance/connect/x")));
        assert_eq!((request.status, request.user_agent().as_deref()), (Some(404), Some(&b"n8n 2"[..])));
        let own =
            read("<404> 203.0.113.7 (2026-11-21T03:59:12+00:00) 'GET /instance/connect/x HTTP/1.1' n8n|-")
                .unwrap();
        assert!(own.is_own_answer && own.status.is_none());
        assert_eq!(read("other"), None);
        assert!(
            LogTemplate::parse_format("$remote_addr $status").is_err()
                && LogTemplate::parse_format("plain").is_err()
        );
    }
}
