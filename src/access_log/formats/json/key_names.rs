//! Two ways to tell what a key means: by exact names, for the programs whose logs are the largest, and by any usual name.

use std::fmt;

use memchr::memmem;

use crate::access_log::formats::fields::{self, Slot};

/// Tells what keys mean.
pub(super) trait KeyNames: fmt::Debug {
    /// A place in nested objects.
    type Place: Copy + PartialEq + fmt::Debug;
    /// The object that a line is.
    const TOP: Self::Place;

    /// The meaning of a key, and its priority against other keys for the same field.
    fn meaning(place: Self::Place, key: &[u8]) -> Option<(Slot, u8)>;

    /// The place that a key leads to, where there is anything in it.
    fn within(place: Self::Place, key: &[u8], is_list: bool) -> Option<Self::Place>;

    /// True if objects in a list there are pairs of a name and a value.
    fn holds_pairs(place: Self::Place) -> bool;
}

/// The names of Traefik, Caddy and Cloudflare, and of nginx where it writes `request_uri`.
#[derive(Debug)]
pub(super) struct ExactNames;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exactly {
    Top,
    /// `request`
    Request,
    /// `request.headers`, where each value is a list
    Headers,
}

impl ExactNames {
    /// True if a line may have a path under one of these names: without one they are not enough.
    pub fn may_hold_path(line: &[u8]) -> bool {
        [&b"RequestPath\""[..], b"uri\"", b"URI\""].iter().any(|key| memmem::find(line, key).is_some())
    }
}

impl KeyNames for ExactNames {
    type Place = Exactly;
    const TOP: Exactly = Exactly::Top;

    #[rustfmt::skip]
    fn meaning(place: Exactly, key: &[u8]) -> Option<(Slot, u8)> {
        use Exactly::{Headers, Request, Top};
        Some(match (place, key) {
            (Top, b"RequestMethod" | b"ClientRequestMethod" | b"request_method") | (Request, b"method") => (Slot::Method, 0),
            (Top, b"RequestPath" | b"ClientRequestURI" | b"request_uri") | (Request, b"uri") => (Slot::Path, 0),
            (Top, b"OriginStatus" | b"OriginResponseStatus" | b"upstream_status") => (Slot::OriginStatus, 0),
            (Top, b"upstream_addr") => (Slot::Upstream, 0),
            (Top, b"DownstreamStatus") => (Slot::Status, 0),
            (Top, b"EdgeResponseStatus") => (Slot::Status, 1),
            (Top, b"status") => (Slot::Status, 2),
            (Top, b"StartUTC" | b"EdgeStartTimestamp") => (Slot::Time, 0),
            (Top, b"time_iso8601") => (Slot::Time, 1),
            (Top, b"time" | b"ts") => (Slot::Time, 2),
            (Top, b"@timestamp" | b"timestamp") => (Slot::Time, 3),
            (Top, b"time_local" | b"msec") => (Slot::Time, 4),
            (Top, b"ClientHost" | b"ClientIP") | (Request, b"client_ip") => (Slot::Client, 0),
            (Top, b"http_x_forwarded_for") => (Slot::Client, 2),
            (Request, b"remote_ip") => (Slot::Client, 3),
            (Headers, b"X-Forwarded-For") => (Slot::Client, 8),
            (Top, b"remote_addr" | b"ClientAddr") => (Slot::Client, 4),
            (Top, b"request_User-Agent" | b"ClientRequestUserAgent" | b"http_user_agent") | (Headers, b"User-Agent")
                => (Slot::UserAgent, 0),
            (Top, b"RequestHost" | b"ClientRequestHost" | b"http_host") | (Request, b"host") => (Slot::Host, 0),
            (Top, b"host") => (Slot::Host, 2),
            (Top, b"RouterName") => (Slot::Router, 0),
            _ => return None,
        })
    }

    fn within(place: Exactly, key: &[u8], _is_list: bool) -> Option<Exactly> {
        match (place, key) {
            (Exactly::Top, b"request") => Some(Exactly::Request),
            (Exactly::Request, b"headers") => Some(Exactly::Headers),
            _ => None,
        }
    }

    fn holds_pairs(_: Exactly) -> bool {
        false
    }
}

/// Any usual name, in any usual place.
#[derive(Debug)]
pub(super) struct UsualNames;

impl KeyNames for UsualNames {
    type Place = fields::Place;
    const TOP: fields::Place = fields::Place::Top;

    fn meaning(place: fields::Place, key: &[u8]) -> Option<(Slot, u8)> {
        fields::meaning_of(place, key)
    }

    fn within(place: fields::Place, key: &[u8], is_list: bool) -> Option<fields::Place> {
        // Elasticsearch's document, not where a request came from.
        if key == b"_source" {
            return Some(fields::Place::Nested);
        }
        let (place, key) = fields::last_part(place, key)?;
        let leads = if is_list { fields::within_list } else { fields::within };
        Some(leads(place, &key)).filter(|place| *place != fields::Place::Ignored)
    }

    fn holds_pairs(place: fields::Place) -> bool {
        matches!(place, fields::Place::Headers | fields::Place::Pairs)
    }
}
