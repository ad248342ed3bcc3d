//! Which fields of a JSON log hold what, whoever wrote it.
//!
//! Source of the names: the programs' own documentation of their access logs.

use std::borrow::Cow;

use serde_json::Value as Json;

/// What is wanted of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Method,
    Path,
    /// nginx's `$request`: verb, path and version in one.
    RequestLine,
    Status,
    /// What the server behind the proxy answered; 0 where none was asked.
    OriginStatus,
    Time,
    Client,
    UserAgent,
    Host,
    Router,
    /// Another log's line inside an object, as Docker's `json-file` driver writes it.
    Line,
}

const SLOTS: usize = Slot::Line as usize + 1;

/// The objects that are looked into: the line's own, and what Caddy puts below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Top,
    /// `request`
    Request,
    /// `request.headers`, where each value is a list
    Headers,
}

impl Place {
    /// The place that a key leads to.
    pub fn within(self, key: &[u8]) -> Option<Self> {
        match (self, key) {
            (Self::Top, b"request") => Some(Self::Request),
            (Self::Request, b"headers") => Some(Self::Headers),
            _ => None,
        }
    }
}

/// What a key holds, and how far it stands behind other keys for the same: Traefik, Caddy, nginx by the names of its
/// variables, Cloudflare, and what people commonly choose.
#[rustfmt::skip]
pub(super) fn slot(place: Place, key: &[u8]) -> Option<(Slot, u8)> {
    use Place::{Headers, Request, Top};
    Some(match (place, key) {
        (Top, b"RequestMethod") => (Slot::Method, 0),
        (Request, b"method") => (Slot::Method, 1),
        (Top, b"request_method") => (Slot::Method, 2),
        (Top, b"ClientRequestMethod") => (Slot::Method, 3),
        (Top, b"method") => (Slot::Method, 4),

        (Top, b"RequestPath") => (Slot::Path, 0),
        (Request, b"uri") => (Slot::Path, 1),
        (Top, b"request_uri") => (Slot::Path, 2),
        (Top, b"ClientRequestURI") => (Slot::Path, 3),
        (Top, b"ClientRequestPath") => (Slot::Path, 4),
        (Top, b"uri") => (Slot::Path, 5),
        (Top, b"path") => (Slot::Path, 6),
        (Top, b"request") => (Slot::RequestLine, 0),

        (Top, b"OriginStatus") => (Slot::OriginStatus, 0),
        (Top, b"OriginResponseStatus") => (Slot::OriginStatus, 1),
        (Top, b"DownstreamStatus") => (Slot::Status, 0),
        (Top, b"status") => (Slot::Status, 1),
        (Top, b"EdgeResponseStatus") => (Slot::Status, 2),
        (Top, b"status_code") => (Slot::Status, 3),

        (Top, b"StartUTC") => (Slot::Time, 0),
        (Top, b"time") => (Slot::Time, 1),
        (Top, b"ts") => (Slot::Time, 2),
        (Top, b"time_iso8601") => (Slot::Time, 3),
        (Top, b"@timestamp") => (Slot::Time, 4),
        (Top, b"timestamp") => (Slot::Time, 5),
        (Top, b"time_local") => (Slot::Time, 6),
        (Top, b"EdgeStartTimestamp") => (Slot::Time, 7),
        (Top, b"msec") => (Slot::Time, 8),

        (Top, b"ClientHost") => (Slot::Client, 0),
        (Request, b"client_ip") => (Slot::Client, 1),
        (Request, b"remote_ip") => (Slot::Client, 2),
        (Top, b"ClientIP") => (Slot::Client, 3),
        (Top, b"remote_addr") => (Slot::Client, 4),
        (Top, b"client_ip") => (Slot::Client, 5),
        (Top, b"ClientAddr") => (Slot::Client, 6),

        (Top, b"request_User-Agent") => (Slot::UserAgent, 0),
        (Headers, b"User-Agent") => (Slot::UserAgent, 1),
        (Top, b"http_user_agent") => (Slot::UserAgent, 2),
        (Top, b"ClientRequestUserAgent") => (Slot::UserAgent, 3),
        (Top, b"user_agent") => (Slot::UserAgent, 4),

        (Top, b"RequestHost") => (Slot::Host, 0),
        (Request, b"host") => (Slot::Host, 1),
        (Top, b"http_host") => (Slot::Host, 2),
        (Top, b"ClientRequestHost") => (Slot::Host, 3),
        (Top, b"host") => (Slot::Host, 4),

        (Top, b"RouterName") => (Slot::Router, 0),
        (Top, b"log") => (Slot::Line, 0),
        _ => return None,
    })
}

/// A field's value, as far as it can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'l> {
    Text(Cow<'l, [u8]>),
    Number(Cow<'l, [u8]>),
}

/// The values found in one line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fields<'l>([Option<(u8, Value<'l>)>; SLOTS]);

impl<'l> Fields<'l> {
    /// Takes a value, unless a better key had one already.
    pub fn put(&mut self, (slot, rank): (Slot, u8), value: Value<'l>) {
        let is_said = match &value {
            Value::Text(text) => !matches!(&**text, b"" | b"-"),
            Value::Number(_) => true,
        };
        let place = &mut self.0[slot as usize];
        if is_said && place.as_ref().is_none_or(|(best, _)| rank <= *best) {
            *place = Some((rank, value));
        }
    }

    /// Takes out what was found.
    pub fn take(&mut self, slot: Slot) -> Option<Value<'l>> {
        self.0[slot as usize].take().map(|(_, value)| value)
    }

    /// Takes out what was found, if it is text.
    pub fn text(&mut self, slot: Slot) -> Option<Cow<'l, [u8]>> {
        match self.take(slot)? {
            Value::Text(text) => Some(text),
            Value::Number(_) => None,
        }
    }

    /// The fields of a line that a real parser has read.
    pub fn of(json: &Json) -> Fields<'static> {
        let mut fields = Fields::default();
        fields.add(Place::Top, json);
        fields
    }

    fn add(&mut self, place: Place, json: &Json) {
        for (key, value) in json.as_object().into_iter().flatten() {
            if let Some(slot) = slot(place, key.as_bytes())
                && let Some(value) = usable(value)
            {
                self.put(slot, value);
            }
            if let Some(place) = place.within(key.as_bytes()) {
                self.add(place, value);
            }
        }
    }
}

/// A text or a number; of a list the first text, as Caddy lists every value that a header had.
fn usable(value: &Json) -> Option<Value<'static>> {
    match value {
        Json::String(text) => Some(Value::Text(Cow::Owned(text.clone().into_bytes()))),
        Json::Number(number) => Some(Value::Number(Cow::Owned(number.to_string().into_bytes()))),
        Json::Array(values) => match values.first()? {
            Json::String(text) => Some(Value::Text(Cow::Owned(text.clone().into_bytes()))),
            _ => None,
        },
        _ => None,
    }
}
