//! The fields of a request, wherever a line holds them by name, and the request that they make.

mod key_table;

use std::borrow::Cow;

use percent_encoding::percent_decode;

use self::key_table::ENCODED_AGENT;
pub(super) use self::key_table::{Key, Place, Slot, last_part, meaning, meaning_of, within, within_list};
use super::client_address;
use crate::access_log::log_text::{METHODS, host_of, request_line, status};
use crate::access_log::request::{ExtraFields, Request, RequestTarget};
use crate::access_log::timestamp::{Timestamp, TimestampParser};

const SLOTS: usize = Slot::Id as usize + 1;

/// A field's value, as far as it can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FieldValue<'l> {
    Text(Cow<'l, [u8]>),
    Number(Cow<'l, [u8]>),
    /// `null`: there is a field, and nothing in it.
    Nothing,
}

impl<'l> FieldValue<'l> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) | Self::Number(text) => text,
            Self::Nothing => b"",
        }
    }

    fn into_bytes(self) -> Cow<'l, [u8]> {
        match self {
            Self::Text(text) | Self::Number(text) => text,
            Self::Nothing => Cow::Borrowed(b""),
        }
    }

    fn is_said(&self) -> bool {
        !matches!(self.bytes(), b"" | b"-")
    }
}

/// The rank of an address that is in a request's headers.
const PASSED_ON: u8 = 16;

/// From this rank on a key means a path without host and query.
const PATH_ALONE: u8 = 5;

/// The values found in one line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fields<'l>([Option<(u8, FieldValue<'l>)>; SLOTS]);

impl<'l> Fields<'l> {
    /// Stores a value, unless a better key had one already, or the value does not fit its key.
    pub fn insert(&mut self, (slot, rank): (Slot, u8), value: FieldValue<'l>) {
        let value = if slot == Slot::Path { with_slash(value, rank) } else { value };
        // Some write the path alone where others write the line of the request.
        let is_path_alone = slot == Slot::RequestLine && is_path(value.bytes());
        let (slot, rank) = if is_path_alone { (Slot::Path, rank + 6) } else { (slot, rank) };
        let is_day = slot == Slot::Time && is_day(value.bytes());
        let slot = if is_day { Slot::Date } else { slot };
        let may_be = match slot {
            Slot::OriginStatus | Slot::Upstream => true,
            _ if !value.is_said() => false,
            Slot::Path => is_path(value.bytes()),
            Slot::RequestLine => is_request_line(value.bytes()),
            Slot::Method => {
                let method = value.bytes();
                METHODS.contains(&method) || METHODS.iter().any(|known| method.eq_ignore_ascii_case(known))
            }
            Slot::Status => status(value.bytes()).is_some(),
            Slot::Time => may_be_time(&value),
            Slot::Client => rank < 2 || client_address::first(value.bytes()).is_some(),
            Slot::Host => is_host(value.bytes(), rank),
            Slot::Line => value.bytes().len() > 12,
            _ => true,
        };
        // Behind a proxy the client's own address is what the proxy passed on.
        let is_proxy = slot == Slot::Client && rank < PASSED_ON && client_address::is_inner(value.bytes());
        let rank = if is_proxy { rank + PASSED_ON } else { rank };
        // Of two paths, the one with its query.
        let has_query = slot == Slot::Path && memchr::memchr(b'?', value.bytes()).is_some();
        let rank = if has_query { rank.saturating_sub(4) } else { rank };
        let place = &mut self.0[slot as usize];
        if may_be && place.as_ref().is_none_or(|(best, _)| rank <= *best) {
            *place = Some((rank, value));
        }
    }

    /// Takes out what was found.
    pub fn take(&mut self, slot: Slot) -> Option<FieldValue<'l>> {
        self.0[slot as usize].take().map(|(_, value)| value)
    }

    /// Takes out what was found, if anything is said.
    pub fn text(&mut self, slot: Slot) -> Option<Cow<'l, [u8]>> {
        self.take(slot).map(FieldValue::into_bytes).filter(|text| !matches!(&**text, b"" | b"-"))
    }

    /// True if there is a path, a status and a client, so that nothing more has to be looked for.
    pub fn are_enough(&self) -> bool {
        let has_answer = self.has(Slot::Status) || self.has(Slot::OriginStatus);
        self.has(Slot::Path) && self.has(Slot::Client) && has_answer
    }

    /// True if there is such a field.
    pub fn has(&self, slot: Slot) -> bool {
        self.0[slot as usize].is_some()
    }

    fn rank(&self, slot: Slot) -> Option<u8> {
        self.0[slot as usize].as_ref().map(|(rank, _)| *rank)
    }

    /// When, by the field for it.
    pub fn time(&mut self, clock: &mut TimestampParser) -> Option<Timestamp> {
        let value = self.take(Slot::Time)?;
        // CloudFront and others write the date in a field of its own.
        match self.take(Slot::Date) {
            Some(date) if value.bytes().get(2) == Some(&b':') => {
                let moment = [date.bytes(), b"T", value.bytes()].concat();
                time(&FieldValue::Text(moment.into()), clock)
            }
            _ => time(&value, clock),
        }
    }

    /// The request that the fields make.
    pub fn request(&mut self, time: Option<Timestamp>) -> Option<Request<'l>> {
        let takes_line = match (self.rank(Slot::Path), self.rank(Slot::RequestLine)) {
            (Some(path), Some(line)) => line < path,
            (path, line) => line.is_some() && path.is_none(),
        };
        let (method, path) = if takes_line {
            split(self.text(Slot::RequestLine)?)
        } else {
            let path = self.text(Slot::Path)?;
            let method = self.text(Slot::Method);
            let of_line = || self.0[Slot::RequestLine as usize].as_ref().map(|(_, line)| line.bytes());
            let own = |line: &[u8]| request_line(line).0.map(|method| Cow::Owned(method.to_vec()));
            (method.or_else(|| of_line().and_then(own)), path)
        };
        let path = match self.text(Slot::Query) {
            Some(query) if !path.contains(&b'?') => {
                let query = query.strip_prefix(b"?").unwrap_or(&query);
                Cow::Owned([&path, &b"?"[..], query].concat())
            }
            _ => path,
        };
        let (status, is_own) = self.answer();
        // Without a method and without an answer it is some other event that mentions a path.
        if method.is_none() && status.is_none() {
            return None;
        }
        let client = self.text(Slot::Client).map(bare_address);
        let host = self.text(Slot::Host).or_else(|| host_of(&path).map(|host| Cow::Owned(host.to_vec())));
        Some(Request {
            method,
            status,
            is_own_answer: is_own,
            time,
            client,
            host,
            more: ExtraFields::Known { user_agent: self.agent(), router: self.text(Slot::Router) },
            ..Request::new(RequestTarget::Path(path))
        })
    }

    /// The agent, as the client sent it.
    fn agent(&mut self) -> Option<Cow<'l, [u8]>> {
        let is_encoded = self.rank(Slot::UserAgent).is_some_and(|rank| rank / 2 == ENCODED_AGENT);
        let agent = self.text(Slot::UserAgent);
        if is_encoded { agent.map(decoded) } else { agent }
    }

    /// The status by its own field.
    pub fn status(&self) -> Option<u16> {
        self.0[Slot::Status as usize].as_ref().and_then(|(_, value)| status(value.bytes()))
    }

    /// The status that the API answered, and whether the proxy answered instead, which says nothing about a name.
    pub fn answer(&mut self) -> (Option<u16>, bool) {
        let origin = self.take(Slot::OriginStatus);
        let upstream = self.take(Slot::Upstream);
        let details = self.text(Slot::StatusDetails);
        let own_status = self.take(Slot::Status).and_then(|value| status(value.bytes()));
        if let Some(origin) = origin {
            // nginx lists the answers of all servers that it asked; the last one counts.
            let last =
                origin.bytes().rsplit(|byte| matches!(byte, b',' | b':' | b' ')).next().unwrap_or_default();
            return match status(last) {
                Some(status) => (Some(status), false),
                None => (None, true),
            };
        }
        let is_backend = |details: &[u8]| {
            details.starts_with(b"response_sent_by_backend") || details.starts_with(b"response_from_cache")
        };
        if upstream.is_some_and(|upstream| !upstream.is_said())
            || details.is_some_and(|details| !is_backend(&details))
        {
            return (None, true);
        }
        (own_status, false)
    }
}

/// An agent as the client sent it: CloudFront writes a space in it as `%20`, or `%2520`.
fn decoded(agent: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let is_encoded = memchr::memchr(b' ', &agent).is_none() && memchr::memchr(b'%', &agent).is_some();
    if !is_encoded {
        return agent;
    }
    let once: Vec<u8> = percent_decode(&agent).collect();
    let is_twice = memchr::memchr(b' ', &once).is_none() && memchr::memchr(b'%', &once).is_some();
    Cow::Owned(if is_twice { percent_decode(&once).collect() } else { once })
}

/// The value of a field for the path alone: Akamai leaves its first slash out.
fn with_slash(value: FieldValue<'_>, rank: u8) -> FieldValue<'_> {
    match value {
        FieldValue::Text(text) if rank >= PATH_ALONE && is_path_without_slash(&text) => {
            FieldValue::Text(Cow::Owned([b"/", &*text].concat()))
        }
        value => value,
    }
}

/// `message/sendText/alpha`: words with slashes between them.
fn is_path_without_slash(text: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b':' | b'"');
    text.first().is_some_and(u8::is_ascii_alphanumeric) && text.contains(&b'/') && text.iter().all(is_part)
}

/// True if a text may be a path or an address with one.
fn is_path(text: &[u8]) -> bool {
    text.starts_with(b"/") || text.starts_with(b"http://") || text.starts_with(b"https://")
}

fn is_request_line(text: &[u8]) -> bool {
    let (method, path) = request_line(text);
    method.is_some_and(|method| METHODS.contains(&method)) && is_path(path)
}

/// `2026-11-21`
fn is_day(text: &[u8]) -> bool {
    text.len() == 10 && text[4] == b'-' && text[7] == b'-'
}

/// A duration in seconds or milliseconds is not a moment.
fn may_be_time(value: &FieldValue<'_>) -> bool {
    let digits = value.bytes().iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits >= 9 || matches!(value, FieldValue::Text(text) if memchr::memchr(b':', text).is_some())
}

fn is_host(host: &[u8], rank: u8) -> bool {
    let is_possible =
        |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'"' | b'{' | b'}' | b'=');
    // A machine's name or address is not a host that was called.
    let is_called = || host.contains(&b'.') && client_address::first(host).is_none();
    !host.is_empty() && host.iter().all(is_possible) && (rank < 8 || is_called())
}

fn bare_address(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') {
        return text;
    }
    let found = client_address::first(&text)
        .map(|range| range.end - client_address::unmapped(&text[range.clone()]).len()..range.end);
    match found {
        Some(range) if range.len() < text.len() => match text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[range]),
            Cow::Owned(text) => Cow::Owned(text[range].to_vec()),
        },
        _ => text,
    }
}

fn split(line: Cow<'_, [u8]>) -> (Option<Cow<'_, [u8]>>, Cow<'_, [u8]>) {
    match line {
        Cow::Borrowed(line) => {
            let (method, path) = request_line(line);
            (method.map(Cow::Borrowed), Cow::Borrowed(path))
        }
        Cow::Owned(line) => {
            let (method, path) = request_line(&line);
            (method.map(|method| Cow::Owned(method.to_vec())), Cow::Owned(path.to_vec()))
        }
    }
}

/// A moment in any of the forms that logs have.
pub(super) fn time(value: &FieldValue<'_>, clock: &mut TimestampParser) -> Option<Timestamp> {
    let seconds = |text: &[u8]| Timestamp::from_unix(str::from_utf8(text).ok()?.parse().ok()?);
    match value {
        FieldValue::Text(text) => {
            let text = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")).unwrap_or(text);
            clock.iso(text).or_else(|| clock.clf(text)).or_else(|| seconds(text))
        }
        FieldValue::Number(number) => seconds(number),
        FieldValue::Nothing => None,
    }
}
