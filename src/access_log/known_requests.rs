//! A cache of requests: the meaning of each, and which answers to it are reported. Most requests are the same as one a
//! moment ago.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::classify::{NameVerdict, classify_name};
use super::timestamp::Timestamp;
use crate::evolution::instances::InstanceDirectory;
use crate::evolution::routes::{self, NearRoute, RouteTemplate};

/// Maximum number of names that were served and are remembered.
const MOST_SERVED: usize = 20_000;

/// Different names whose text is kept, to know them again in other letters.
const MOST_NAMES: usize = 4_000;

/// Names longer than this, in bytes, are not remembered.
const LONGEST_NAME: usize = 120;

/// Number of requests in the cache, a power of two: several times as many as the clients of a busy server make, so that
/// they do not push each other out. The most frequent ones fit into a core's cache.
const SLOTS: usize = 32_768;

/// The meaning of a path.
#[derive(Debug, Clone, Copy)]
pub(super) enum PathKind {
    /// Nothing of the API's.
    Elsewhere,
    /// A route without an instance.
    Nameless(&'static RouteTemplate),
    /// A route with an instance, whose name has this hash.
    Named(&'static RouteTemplate, u64),
    /// No route, but nearly one.
    Missed(NearRoute),
    /// No path: a name that the server refused in words.
    Quoted(u64),
}

/// A name at work.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ServedName {
    /// When it was last served.
    pub last: Option<Timestamp>,
    /// When it was deleted.
    pub deleted: Option<Timestamp>,
}

/// A set of kinds of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answers(u8);

impl Answers {
    const NONE: Self = Self(0);
    /// 200 to 299.
    pub const SUCCESS: Self = Self(1);
    const BAD_REQUEST: Self = Self(2);
    /// 401 and 403.
    const UNAUTHORIZED: Self = Self(4);
    const NOT_FOUND: Self = Self(8);
    const SERVER_ERROR: Self = Self(16);
    const OTHER: Self = Self(32);
    const UNKNOWN: Self = Self(64);

    /// The kind of an answer with this status.
    pub fn of(status: Option<u16>) -> Self {
        match status {
            Some(200..300) => Self::SUCCESS,
            Some(400) => Self::BAD_REQUEST,
            Some(401 | 403) => Self::UNAUTHORIZED,
            Some(404) => Self::NOT_FOUND,
            Some(500) => Self::SERVER_ERROR,
            Some(_) => Self::OTHER,
            None => Self::UNKNOWN,
        }
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn and_if(self, is: bool, other: Self) -> Self {
        if is { self.and(other) } else { self }
    }

    /// True if the kind is one of these.
    pub fn contains(self, kind: Self) -> bool {
        self.0 & kind.0 != 0
    }
}

/// A request in the cache, with all that is needed for further ones like it: half a cache line.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownRequest {
    hash: u64,
    /// Whether and when it was last served, as far as that was not counted yet.
    served: Option<Option<Timestamp>>,
    /// The answers that are reported.
    pub reported: Answers,
    /// True if it names an instance, and the route has its method.
    pub is_named: bool,
    /// True if success shows that the instance exists.
    pub proves_instance: bool,
    /// True if a query may name an instance too.
    pub takes_query: bool,
    /// True if nothing is known about it, and each line has to be read completely.
    pub is_odd: bool,
}

impl KnownRequest {
    /// A request of which nothing is to be reported.
    const OTHER: Self = Self {
        hash: 0,
        served: None,
        reported: Answers::NONE,
        is_named: false,
        proves_instance: false,
        takes_query: false,
        is_odd: false,
    };

    /// Notes that its instance was served.
    pub fn note_success(&mut self, time: Option<Timestamp>) {
        self.served = Some(self.served.flatten().max(time));
    }
}

/// The cached requests, and all names that were seen.
#[derive(Debug)]
pub(super) struct KnownRequests<'d> {
    directory: Option<&'d InstanceDirectory>,
    hasher: RandomState,
    entries: Vec<KnownRequest>,
    /// The meaning of the entry with the same number.
    kinds: Vec<PathKind>,
    served: HashMap<u64, ServedName, RandomState>,
    /// Names that were asked for, by hash, as they are written.
    pub names: HashMap<u64, Box<str>, RandomState>,
}

impl<'d> KnownRequests<'d> {
    /// Hashes with this seed, so that what several threads saw can be put together. Names are compared with those of the
    /// directory.
    pub fn new(hasher: &RandomState, directory: Option<&'d InstanceDirectory>) -> Self {
        Self {
            directory,
            hasher: hasher.clone(),
            entries: vec![KnownRequest::OTHER; SLOTS],
            kinds: vec![PathKind::Elsewhere; SLOTS],
            served: HashMap::with_hasher(hasher.clone()),
            names: HashMap::with_hasher(hasher.clone()),
        }
    }

    /// The number of the request with this hash. A request that is not in the cache is added by its method and its path
    /// without query, or, if there are none, as an unusual one.
    #[inline]
    pub fn find<'p>(
        &mut self,
        hash: u64,
        asked: impl FnOnce() -> Option<(Option<&'p [u8]>, &'p [u8])>,
    ) -> usize {
        // Two places beside each other, so that two requests in use do not push each other out.
        let at = (hash as usize % SLOTS) & !1;
        if self.entries[at].hash == hash {
            return at;
        }
        if self.entries[at + 1].hash != hash {
            self.learn(at, hash, asked());
        }
        at + 1
    }

    /// The request with this number.
    #[inline]
    pub fn entry(&mut self, at: usize) -> &mut KnownRequest {
        &mut self.entries[at]
    }

    /// Its meaning.
    pub fn kind(&self, at: usize) -> PathKind {
        self.kinds[at]
    }

    /// Names that were served, by hash.
    pub fn served(&mut self) -> &HashMap<u64, ServedName, RandomState> {
        for at in 0..SLOTS {
            self.count_served(at);
            self.entries[at].served = None;
        }
        &self.served
    }

    /// Adds what another thread saw.
    pub fn merge(&mut self, mut other: Self) {
        for (hash, name) in std::mem::take(&mut other.names) {
            if self.names.len() < MOST_NAMES {
                self.names.insert(hash, name);
            }
        }
        for (&name, served) in other.served() {
            self.add_served(name, served);
        }
    }

    /// Puts a request in the second place, and what was there in the first.
    #[cold]
    fn learn(&mut self, at: usize, hash: u64, asked: Option<(Option<&[u8]>, &[u8])>) {
        self.count_served(at);
        self.entries[at] = self.entries[at + 1];
        self.kinds[at] = self.kinds[at + 1];
        let (entry, kind) = match asked {
            Some((method, path)) => self.judge(method, path),
            None => (KnownRequest { is_odd: true, ..KnownRequest::OTHER }, PathKind::Elsewhere),
        };
        self.entries[at + 1] = KnownRequest { hash, ..entry };
        self.kinds[at + 1] = kind;
    }

    /// The meaning of a request, and which answers to it are reported.
    fn judge(&mut self, method: Option<&[u8]>, path: &[u8]) -> (KnownRequest, PathKind) {
        let other = KnownRequest::OTHER;
        let refused = KnownRequest { reported: Answers::NOT_FOUND, ..other };
        let Some(target) = routes::match_path(path) else {
            return match routes::suggest_route(path) {
                Some(near) => (refused, PathKind::Missed(near)),
                None => (other, PathKind::Elsewhere),
            };
        };
        let template = target.template;
        // With another method the server answers `Cannot POST /…` and does not look at the name.
        let has_verb = method.is_none_or(|method| template.verb(method).is_some());
        let Some(segment) = target.instance else {
            // Only the list of instances can be asked for one by name or id.
            let takes_query = template.lists_instances();
            let entry = if has_verb { KnownRequest { takes_query, ..other } } else { refused };
            return (entry, PathKind::Nameless(template));
        };
        let name: Cow<[u8]> = routes::decode_segment(segment);
        let hash = self.hasher.hash_one(&*name);
        if self.names.len() < MOST_NAMES && segment.len() < LONGEST_NAME {
            self.names.entry(hash).or_insert_with(|| String::from_utf8_lossy(&name).into());
        }
        let kind = PathKind::Named(template, hash);
        if !has_verb {
            return (refused, kind);
        }
        // Chatwoot is answered 200 whatever it names [run].
        let answers_any = template.answers_any_name();
        let reported = Answers::UNAUTHORIZED
            .and(Answers::NOT_FOUND)
            .and(Answers::SERVER_ERROR)
            .and_if(answers_any && self.is_of_another(&name), Answers::SUCCESS)
            .and_if(routes::is_undecodable(path), Answers::BAD_REQUEST);
        let entry = KnownRequest {
            reported,
            is_named: true,
            proves_instance: !answers_any,
            takes_query: true,
            ..other
        };
        (entry, kind)
    }

    /// True if a name is certainly wrong, whatever the server says to it.
    fn is_of_another(&self, name: &[u8]) -> bool {
        let Ok(name) = str::from_utf8(name) else { return true };
        matches!(classify_name(name, self.directory), NameVerdict::Wrong(wrong) if !wrong.meant.is_empty())
    }

    fn count_served(&mut self, at: usize) {
        let (PathKind::Named(template, name), Some(last)) = (self.kinds[at], self.entries[at].served) else {
            return;
        };
        let deleted = last.filter(|_| template.deletes_instance());
        self.add_served(name, &ServedName { last, deleted });
    }

    fn add_served(&mut self, name: u64, more: &ServedName) {
        if self.served.len() < MOST_SERVED || self.served.contains_key(&name) {
            let served = self.served.entry(name).or_default();
            (served.last, served.deleted) = (served.last.max(more.last), served.deleted.max(more.deleted));
        }
    }
}
