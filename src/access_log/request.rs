//! One request, as far as a line of a log describes it.

use std::borrow::Cow;

use memchr::{memchr, memchr3};

use super::log_text;
use super::timestamp::Timestamp;

/// The target of a request.
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
    /// The method.
    pub method: Option<Cow<'l, [u8]>>,
    /// The API's status; `None` if it is unknown or the proxy answered by itself.
    pub status: Option<u16>,
    /// True if the proxy answered by itself: then there is no status, and nothing is missing.
    pub is_own_answer: bool,
    /// True if a plus in the path may stand for a space, as IIS writes both.
    pub has_plus_for_space: bool,
    /// When.
    pub time: Option<Timestamp>,
    /// The client's address.
    pub client: Option<Cow<'l, [u8]>>,
    /// The host that was called.
    pub host: Option<Cow<'l, [u8]>>,
    /// Fields that only a reported request needs.
    pub more: ExtraFields<'l>,
}

/// The form in which a line writes method and path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestForm {
    /// `GET /path HTTP/1.1`
    WithVersion,
    /// `GET      "/path"`
    QuotedPath,
}

/// As much of a line as tells whether its request is in order.
#[derive(Debug, Clone, Copy)]
pub struct PartialRequest<'l> {
    /// Verb and path, not checked yet.
    pub request_line: &'l [u8],
    /// The form in which they are written.
    pub form: RequestForm,
    /// Where its query begins, with the question mark.
    pub query: Option<usize>,
    /// The API's status.
    pub status: u16,
    /// When.
    pub time: Option<Timestamp>,
    /// The client's address.
    pub client: &'l [u8],
}

impl<'l> PartialRequest<'l> {
    /// The line of the request up to its query: the same for all requests that ask for the same.
    pub fn without_query(&self) -> &'l [u8] {
        &self.request_line[..self.query.unwrap_or(self.request_line.len())]
    }

    /// Verb, and path with query; `None` if anything in them is unusual and the whole line has to be read.
    pub fn verb_and_path(&self) -> Option<(&'l [u8], &'l [u8])> {
        let space = memchr(b' ', self.request_line)?;
        let (method, rest) = self.request_line.split_at(space);
        let path = match self.form {
            RequestForm::WithVersion => without_version(&rest[1..])?,
            RequestForm::QuotedPath => rest.trim_ascii_start().strip_prefix(b"\"")?.strip_suffix(b"\"")?,
        };
        let is_plain = method.len() < 8
            && method.iter().all(u8::is_ascii_graphic)
            && !method.contains(&b'\\')
            && memchr3(b' ', b'\\', b'"', path).is_none();
        is_plain.then_some((method, path))
    }
}

/// `/path` of `/path HTTP/1.1`
fn without_version(text: &[u8]) -> Option<&[u8]> {
    let (path, version) = text.split_last_chunk::<9>()?;
    let &[b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor] = version else { return None };
    (major.is_ascii_digit() && minor.is_ascii_digit()).then_some(path)
}

/// Fields that cost time to find in a line, and are asked of few.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtraFields<'l> {
    /// Found already.
    Known {
        /// The client's `User-Agent`.
        user_agent: Option<Cow<'l, [u8]>>,
        /// The proxy's name for the route of the request: Traefik's router, HAProxy's frontend and backend.
        router: Option<Cow<'l, [u8]>>,
    },
    /// The fields after the size in a combined line: `"referer" "user agent"`, and what a program adds.
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

    /// The proxy's name for the route of the request.
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
