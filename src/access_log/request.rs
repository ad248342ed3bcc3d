//! What one line of a log says of one request.

use std::borrow::Cow;

use super::log_text;
use super::timestamp::Timestamp;

/// What a line says was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestTarget<'l> {
    /// A request's path, percent-encoded, with its query.
    Path(Cow<'l, [u8]>),
    /// The name that the server's 404 body quotes, decoded; such a line says nothing of the path.
    Name(Cow<'l, [u8]>),
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'l> {
    /// The path, or the name that was refused.
    pub asked: RequestTarget<'l>,
    /// The verb.
    pub method: Option<Cow<'l, [u8]>>,
    /// What the API answered; `None` where it is unknown or the proxy answered by itself.
    pub status: Option<u16>,
    /// Whether the proxy answered by itself: then there is no status, and nothing is missing.
    pub is_own_answer: bool,
    /// Whether a plus in the path may stand for a space, as IIS writes both.
    pub has_plus_for_space: bool,
    /// When.
    pub time: Option<Timestamp>,
    /// The client's address.
    pub client: Option<Cow<'l, [u8]>>,
    /// The host that was called.
    pub host: Option<Cow<'l, [u8]>>,
    /// What only a request that is reported needs.
    pub more: ExtraFields<'l>,
}

/// As much of a request as tells whether it is in order.
#[derive(Debug, Clone, Copy)]
pub struct PartialRequest<'l> {
    /// The path, percent-encoded, with its query.
    pub path: &'l [u8],
    /// The verb.
    pub method: Option<&'l [u8]>,
    /// What the API answered.
    pub status: Option<u16>,
    /// Whether the proxy answered by itself.
    pub is_own_answer: bool,
    /// When.
    pub time: Option<Timestamp>,
    /// The client's address.
    pub client: Option<&'l [u8]>,
}

/// Fields that cost time to find in a line, and are asked of few.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtraFields<'l> {
    /// Found already.
    Known {
        /// The client's `User-Agent`.
        user_agent: Option<Cow<'l, [u8]>>,
        /// What the proxy calls the way that the request took: Traefik's router, HAProxy's frontend and backend.
        router: Option<Cow<'l, [u8]>>,
    },
    /// What stands behind the size in a combined line: `"referer" "user agent"`, and what a program adds.
    Combined(&'l [u8]),
}

impl ExtraFields<'_> {
    /// Nothing more is known.
    pub const NONE: Self = Self::Known { user_agent: None, router: None };
}

impl<'l> Request<'l> {
    /// A request of which nothing is known but what it asked for.
    pub fn new(asked: RequestTarget<'l>) -> Self {
        Self {
            asked,
            method: None,
            status: None,
            is_own_answer: false,
            has_plus_for_space: false,
            time: None,
            client: None,
            host: None,
            more: ExtraFields::NONE,
        }
    }

    /// The client's `User-Agent`.
    pub fn user_agent(&self) -> Option<Cow<'_, [u8]>> {
        match &self.more {
            ExtraFields::Known { user_agent, .. } => user_agent.as_deref().map(Cow::Borrowed),
            ExtraFields::Combined(tail) => log_text::user_agent(tail),
        }
    }

    /// What the proxy calls the way that the request took.
    pub fn router(&self) -> Option<Cow<'_, [u8]>> {
        match &self.more {
            ExtraFields::Known { router, .. } => router.as_deref().map(Cow::Borrowed),
            ExtraFields::Combined(tail) => log_text::router(tail).map(Cow::Borrowed),
        }
    }

    /// The same, holding its own bytes.
    pub fn into_owned(self) -> Request<'static> {
        let own = |field: Option<Cow<'_, [u8]>>| field.map(|bytes| Cow::Owned(bytes.into_owned()));
        let more = ExtraFields::Known { user_agent: own(self.user_agent()), router: own(self.router()) };
        Request {
            asked: match self.asked {
                RequestTarget::Path(path) => RequestTarget::Path(Cow::Owned(path.into_owned())),
                RequestTarget::Name(name) => RequestTarget::Name(Cow::Owned(name.into_owned())),
            },
            method: own(self.method),
            status: self.status,
            is_own_answer: self.is_own_answer,
            has_plus_for_space: self.has_plus_for_space,
            time: self.time,
            client: own(self.client),
            host: own(self.host),
            more,
        }
    }
}
