//! Lines as the user describes them, by the string of nginx's `log_format`.

use anyhow::Result;
use memchr::memmem;

use super::fields::{FieldValue, Fields, Key, Place, Slot, meaning};
use crate::access_log::log_text::unescape;
use crate::access_log::request::Request;
use crate::access_log::timestamp::TimestampParser;
use crate::error::user_error;

/// The meaning of a variable, and its priority against others for the same field.
type VariableMeaning = (Slot, u8);

/// A line as nginx's `log_format` describes it: texts, and variables between them.
#[derive(Debug, PartialEq, Eq)]
pub struct LogTemplate {
    start: Vec<u8>,
    /// The meaning of a variable, and the text after it.
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
    use std::borrow::Cow;

    use super::*;
    use crate::access_log::request::RequestTarget;

    #[test]
    fn an_nginx_log_format_is_parsed() {
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
