//! Details of a request in the lines around it, each in a line of its own: `"remoteAddress": "203.0.113.7",`, as
//! programs print an object with indents.

use std::borrow::Cow;

use super::client_address;
use super::combined::may_be_host;
use super::fields::{Place, Slot, meaning_of};
use super::json::unescaped;
use crate::access_log::log_text::METHODS;
use crate::access_log::request::{ExtraFields, Request};

/// Number of lines before its path in which a request may begin.
const REACH_BACK: u64 = 12;

/// Maximum length of a line with one field, in bytes.
const LONGEST: usize = 400;

/// The fields seen since the last request.
#[derive(Debug, Default)]
pub(super) struct RequestDetails {
    method: Option<(u64, &'static [u8])>,
    client: Option<(u64, Vec<u8>)>,
    host: Option<(u64, Vec<u8>)>,
    agent: Option<(u64, Vec<u8>)>,
}

impl RequestDetails {
    /// Takes a line that may hold one field, and says whether it does.
    pub fn note(&mut self, at: u64, line: &[u8]) -> bool {
        let Some((key, value)) = field(line) else { return false };
        let header = meaning_of(Place::Headers, key);
        let Some((slot, _)) = header.or_else(|| meaning_of(Place::Request, key)) else { return false };
        match slot {
            Slot::Method => {
                let method = METHODS.into_iter().find(|method| method.eq_ignore_ascii_case(value));
                self.method = method.map(|method| (at, method)).or(self.method);
                method.is_some()
            }
            Slot::Client => {
                let client =
                    client_address::within(value).map(|range| client_address::unmapped(&value[range]));
                // The address that a proxy passed on is the client's own.
                let Some(client) = client else { return false };
                if self.client.is_none() || header.is_some() {
                    self.client = Some((at, client.to_vec()));
                }
                true
            }
            Slot::Host if may_be_host(value) => {
                self.host = Some((at, value.to_vec()));
                true
            }
            Slot::UserAgent => {
                let escaped = [b"\"", value, b"\""].concat();
                let plain = unescaped(&escaped).map_or_else(|| value.to_vec(), Cow::into_owned);
                self.agent = Some((at, plain));
                true
            }
            _ => false,
        }
    }

    /// Forgets what stands too far before a path.
    pub fn forget_before(&mut self, at: u64) {
        let is_far = |seen: u64| at - seen > REACH_BACK;
        self.method.take_if(|(seen, _)| is_far(*seen));
        self.client.take_if(|(seen, _)| is_far(*seen));
        self.host.take_if(|(seen, _)| is_far(*seen));
        self.agent.take_if(|(seen, _)| is_far(*seen));
    }

    /// The method, if one was seen.
    pub fn method(&self) -> Option<&'static [u8]> {
        self.method.map(|(_, method)| method)
    }

    /// The request with what was seen of it, which is then forgotten.
    pub fn complete<'l>(&mut self, request: Request<'l>) -> Request<'l> {
        let seen = std::mem::take(self);
        let own = |seen: Option<(u64, Vec<u8>)>| seen.map(|(_, text)| Cow::Owned(text));
        let more = match request.more {
            ExtraFields::Known { user_agent: None, router } => {
                ExtraFields::Known { user_agent: own(seen.agent), router }
            }
            more => more,
        };
        Request {
            method: request.method.or(seen.method.map(|(_, method)| Cow::Borrowed(method))),
            client: request.client.or(own(seen.client)),
            host: request.host.or(own(seen.host)),
            more,
            ..request
        }
    }
}

/// Key and value of `"key": "value",` or `key: 'value'`.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = line.trim_ascii();
    let text = text.strip_suffix(b",").unwrap_or(text);
    if text.len() > LONGEST {
        return None;
    }
    let colon = memchr::memmem::find(text, b": ")?;
    let bare = |text: &'_ [u8]| -> Option<(usize, usize)> {
        let is_quote = |byte: &u8| matches!(byte, b'"' | b'\'');
        let quoted = text.len() > 1 && is_quote(&text[0]) && text[text.len() - 1] == text[0];
        Some(if quoted { (1, text.len() - 1) } else { (0, text.len()) })
    };
    let key = &text[..colon];
    let value = text[colon + 2..].trim_ascii();
    let ((from, to), (start, end)) = (bare(key)?, bare(value)?);
    let (key, value) = (&key[from..to], &value[start..end]);
    let is_key = key.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    (is_key && !key.is_empty() && !value.is_empty()).then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::request::RequestTarget;

    #[test]
    fn fields_in_lines_of_their_own_complete_a_request() {
        let mut details = RequestDetails::default();
        for (at, line) in [
            "      \"method\": \"post\",",
            "        'User-Agent': 'n8n: 2',",
            "  host: wa.example.com",
            "  \"remoteAddress\": \"::ffff:203.0.113.7\",",
            "  agent",
        ]
        .iter()
        .enumerate()
        {
            assert_eq!(details.note(at as u64, line.as_bytes()), at < 4, "{line}");
        }
        let request = details.complete(Request::new(RequestTarget::Path(Cow::Borrowed(b"/a"))));
        assert_eq!(request.method.as_deref(), Some(&b"POST"[..]));
        assert_eq!(request.client.as_deref(), Some(&b"203.0.113.7"[..]));
        assert_eq!(request.host.as_deref(), Some(&b"wa.example.com"[..]));
        assert_eq!(request.user_agent().as_deref(), Some(&b"n8n: 2"[..]));
        // It belongs to one request only, and not to one that is far.
        assert_eq!(details.method(), None);
        details.note(1, b"method: GET");
        details.forget_before(2 + REACH_BACK);
        assert_eq!(details.method(), None);
    }
}
