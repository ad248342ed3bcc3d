//! What one thread makes of the lines it reads: it counts what is in order, and passes on what is not.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use memchr::memchr2;

use super::request::{Asked, Request};
use super::time::Time;
use crate::evolution::routes::{self, Missed, Template};

/// Different clients whose requests are counted; of others it is not said how many they sent.
const MOST_CLIENTS: usize = 50_000;

/// Different names that were served, told apart.
const MOST_SERVED: usize = 20_000;

/// Paths that are remembered: a power of two.
const REMEMBERED: usize = 8192;

/// A request that somebody has to look at.
#[derive(Debug)]
pub(super) struct Event<'b> {
    pub request: Request<'b>,
    pub place: Place,
}

/// What a path asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// Nothing of the API's.
    Elsewhere,
    /// A route without an instance.
    Nameless(&'static Template),
    /// A route with an instance, whose name has this hash.
    Named(&'static Template, u64),
    /// No route, but nearly one.
    Missed(Missed),
    /// No path: a name that the server refused in words.
    Quoted(u64),
}

/// A name at work.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Served {
    /// When it was last served.
    pub last: Option<Time>,
    /// When it was deleted.
    pub deleted: Option<Time>,
}

/// What a thread has seen of the requests that need no report.
#[derive(Debug)]
pub(super) struct Watch {
    hasher: RandomState,
    paths: Vec<(u64, Place)>,
    /// Names that were served, by hash.
    pub served: HashMap<u64, Served, RandomState>,
    /// Requests per client, by the hash of its address.
    pub traffic: HashMap<u64, u64, RandomState>,
    /// Requests that name an instance.
    pub matched: u64,
}

impl Watch {
    /// Hashes with this seed, so that what several threads saw can be put together.
    pub fn new(hasher: &RandomState) -> Self {
        Self {
            hasher: hasher.clone(),
            paths: vec![(0, Place::Elsewhere); REMEMBERED],
            served: HashMap::with_hasher(hasher.clone()),
            traffic: HashMap::with_hasher(hasher.clone()),
            matched: 0,
        }
    }

    /// Takes a request; gives it back where somebody has to look at it.
    pub fn take<'b>(&mut self, request: Request<'b>) -> Option<Event<'b>> {
        if let Some(client) = &request.client {
            let hash = self.hasher.hash_one(&**client);
            if let Some(count) = self.traffic.get_mut(&hash) {
                *count += 1;
            } else if self.traffic.len() < MOST_CLIENTS {
                self.traffic.insert(hash, 1);
            }
        }
        let (place, has_instance_in_query) = match &request.asked {
            Asked::Name(name) => (Place::Quoted(self.hasher.hash_one(&**name)), false),
            Asked::Path(path) => {
                let (path, query) = split(path);
                (self.place(path), routes::instance_in_query(query).is_some())
            }
        };
        let method = request.method.as_deref();
        let is_reported = match place {
            Place::Elsewhere => false,
            Place::Quoted(_) => {
                self.matched += 1;
                true
            }
            Place::Missed(_) => request.status == Some(404),
            // With another verb the server answers `Cannot POST /…` and looks at no name at all.
            Place::Nameless(template) | Place::Named(template, _)
                if method.is_some_and(|method| template.verb(method).is_none()) =>
            {
                request.status == Some(404)
            }
            Place::Nameless(_) => false,
            Place::Named(template, name) => {
                self.matched += 1;
                let was_served = request.status.is_some_and(|status| (200..300).contains(&status));
                if was_served {
                    self.served(name, request.time, template.deletes_instance());
                }
                has_instance_in_query || matches!(request.status, Some(401 | 403 | 404 | 500))
            }
        };
        is_reported.then_some(Event { request, place })
    }

    /// Adds what another thread saw.
    pub fn merge(&mut self, other: Self) {
        self.matched += other.matched;
        for (client, count) in other.traffic {
            *self.traffic.entry(client).or_default() += count;
        }
        for (name, served) in other.served {
            let own = self.served.entry(name).or_default();
            (own.last, own.deleted) = (own.last.max(served.last), own.deleted.max(served.deleted));
        }
    }

    /// What a path without its query asks for; most were asked for before.
    fn place(&mut self, path: &[u8]) -> Place {
        let hash = self.hasher.hash_one(path);
        let slot = &mut self.paths[hash as usize % REMEMBERED];
        if slot.0 != hash {
            *slot = (hash, place(path, &self.hasher));
        }
        slot.1
    }

    fn served(&mut self, name: u64, time: Option<Time>, is_deletion: bool) {
        if self.served.len() >= MOST_SERVED && !self.served.contains_key(&name) {
            return;
        }
        let served = self.served.entry(name).or_default();
        served.last = served.last.max(time);
        if is_deletion {
            served.deleted = served.deleted.max(time);
        }
    }
}

fn place(path: &[u8], hasher: &RandomState) -> Place {
    match routes::find(path) {
        Some(target) => match target.instance {
            Some(segment) => {
                let name: Cow<[u8]> = routes::decode_segment(segment);
                Place::Named(target.template, hasher.hash_one(&*name))
            }
            None => Place::Nameless(target.template),
        },
        None => routes::nearly(path).map_or(Place::Elsewhere, Place::Missed),
    }
}

/// A path and its query.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match memchr2(b'?', b'#', path) {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (path, b""),
    }
}
