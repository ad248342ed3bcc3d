//! What one thread makes of the requests it reads: it counts what is in order, and points out what is not.
//!
//! Most requests are in order, and most ask for a path that was asked for a moment ago; so what a path asks for, and
//! who asks how often, is kept in small tables that a core has at hand, and counted together only when a place in them
//! is needed for another.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use memchr::memchr2;

use super::request::{PartialRequest, Request, RequestTarget};
use super::timestamp::Timestamp;
use crate::evolution::routes::{self, NearRoute, RouteTemplate};

/// Different clients whose requests are counted; of others it is not said how many they sent.
const MOST_CLIENTS: usize = 50_000;

/// Different names that were served, told apart.
const MOST_SERVED: usize = 20_000;

/// Different names whose text is kept, to know them again in other letters.
const MOST_NAMES: usize = 4_000;

/// Names longer than this, in bytes, are not remembered.
const LONGEST_NAME: usize = 120;

/// Paths and clients at hand: powers of two.
const PATHS: usize = 8192;
const CLIENTS: usize = 4096;

/// A request that somebody has to look at.
#[derive(Debug)]
pub(super) struct SuspectRequest<'b> {
    pub request: Request<'b>,
    pub place: PathKind,
}

/// What a path asks for.
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

/// What a thread has seen of the requests that need no report.
#[derive(Debug)]
pub(super) struct RequestCounter {
    hasher: RandomState,
    paths: Vec<KnownPath>,
    clients: Vec<(u64, u64)>,
    served: HashMap<u64, ServedName, RandomState>,
    traffic: HashMap<u64, u64, RandomState>,
    /// Names that were asked for, by hash, as they are written.
    pub names: HashMap<u64, Box<str>, RandomState>,
    /// Hosts by hash, and whether they served a route of the API.
    hosts: HashMap<u64, bool, RandomState>,
    /// Requests that name an instance.
    pub matched: u64,
    /// Of these, those that are in order or not, nobody knows: the log holds no status that is understood.
    pub without_status: u64,
}

/// A path that was asked for.
#[derive(Debug, Clone, Copy)]
struct KnownPath {
    hash: u64,
    place: PathKind,
    /// Whether and when it was last served, as far as that was not counted yet.
    served: Option<Option<Timestamp>>,
}

impl RequestCounter {
    /// Hashes with this seed, so that what several threads saw can be put together.
    pub fn new(hasher: &RandomState) -> Self {
        let path = KnownPath { hash: 0, place: PathKind::Elsewhere, served: None };
        Self {
            hasher: hasher.clone(),
            paths: vec![path; PATHS],
            clients: vec![(0, 0); CLIENTS],
            served: HashMap::with_hasher(hasher.clone()),
            traffic: HashMap::with_hasher(hasher.clone()),
            names: HashMap::with_hasher(hasher.clone()),
            hosts: HashMap::with_hasher(hasher.clone()),
            matched: 0,
            without_status: 0,
        }
    }

    /// Takes a request; what it asks for, where somebody has to look at it.
    #[inline]
    pub fn count(&mut self, request: &PartialRequest<'_>) -> Option<PathKind> {
        if let Some(client) = request.client {
            self.count_client(self.hasher.hash_one(client));
        }
        // What follows the path may name another instance.
        let (path, query) = match memchr2(b'?', b'#', request.path) {
            Some(at) => (&request.path[..at], &request.path[at + 1..]),
            None => (request.path, &[][..]),
        };
        let known = self.known(path);
        let (PathKind::Named(template, _) | PathKind::Nameless(template)) = known.place else {
            let is_reported = matches!(known.place, PathKind::Missed(_)) && request.status == Some(404);
            return is_reported.then_some(known.place);
        };
        // With another verb the server answers `Cannot POST /…` and looks at no name at all.
        if request.method.is_some_and(|method| !template.answers(method)) {
            return (request.status == Some(404)).then_some(known.place);
        }
        if matches!(known.place, PathKind::Nameless(_)) {
            // Only the list of instances can be asked for one by name or id.
            let is_asked = request.status == Some(404) && !query.is_empty() && template.lists_instances();
            return is_asked.then_some(known.place);
        }
        // Chatwoot is answered 200 whatever it names [run].
        let is_webhook = template.answers_any_name() && matches!(request.status, Some(200..300));
        let is_undecodable = request.status == Some(400) && routes::is_undecodable(path);
        let is_reported = match request.status {
            Some(200..300) if !is_webhook => {
                known.served = Some(known.served.flatten().max(request.time));
                false
            }
            status => matches!(status, Some(401 | 403 | 404 | 500)) || is_webhook || is_undecodable,
        };
        let place = known.place;
        self.without_status += u64::from(request.status.is_none() && !request.is_own_answer);
        self.matched += 1;
        let crosses = !query.is_empty() && routes::instance_in_query(query).is_some();
        (is_reported || crosses && request.status.is_some()).then_some(place)
    }

    /// Takes a request that was read in full.
    pub fn count_whole(&mut self, request: &Request<'_>) -> Option<PathKind> {
        match &request.asked {
            RequestTarget::Path(path) => self.count(&PartialRequest {
                path,
                method: request.method.as_deref(),
                status: request.status,
                is_own_answer: request.is_own_answer,
                time: request.time,
                client: request.client.as_deref(),
            }),
            RequestTarget::Name(name) => {
                self.matched += 1;
                Some(PathKind::Quoted(self.hasher.hash_one(&**name)))
            }
        }
    }

    /// Hosts that never served a route of the API, where another host did.
    pub fn hosts_without_api(&self) -> HashSet<u64> {
        let has_api = self.hosts.values().any(|&serves| serves);
        self.hosts.iter().filter(|&(_, &serves)| has_api && !serves).map(|(&host, _)| host).collect()
    }

    /// Names at work, by what they are in lower case.
    pub fn spellings(&mut self) -> HashMap<String, String, RandomState> {
        let (served, _) = self.totals();
        let at_work: Vec<u64> = served.keys().copied().collect();
        let names = at_work
            .iter()
            .filter_map(|name| self.names.get(name))
            .map(|name| (name.to_lowercase(), name.to_string()));
        names.collect()
    }

    /// Notes the host of a request that asks for a route of the API, and whether it was served.
    fn note_host(&mut self, request: &Request<'_>, place: Option<PathKind>) {
        let Some(host) = &request.host else { return };
        let hash = self.hasher.hash_one(host);
        if self.hosts.get(&hash) == Some(&true) {
            return;
        }
        let is_route = |path: &[u8]| routes::match_path(path).is_some();
        let serves = matches!(request.status, Some(200..300 | 401))
            && place.is_none_or(|place| !matches!(place, PathKind::Missed(_)))
            && matches!(&request.asked, RequestTarget::Path(path) if is_route(path));
        if self.hosts.len() < MOST_CLIENTS || self.hosts.contains_key(&hash) {
            *self.hosts.entry(hash).or_default() |= serves;
        }
    }

    /// Takes a request that was read in full, and gives it back where somebody has to look at it.
    pub fn event<'b>(&mut self, request: Request<'b>) -> Option<SuspectRequest<'b>> {
        let place = self.count_whole(&request);
        self.note_host(&request, place);
        place.map(|place| SuspectRequest { request, place })
    }

    /// Names that were served, by hash, and the requests of each client, by the hash of its address.
    pub fn totals(&mut self) -> (&HashMap<u64, ServedName, RandomState>, &HashMap<u64, u64, RandomState>) {
        for at in 0..PATHS {
            let path = self.paths[at];
            self.note_served(&path);
            self.paths[at].served = None;
        }
        for at in 0..CLIENTS {
            let (client, count) = std::mem::take(&mut self.clients[at]);
            self.add_client(client, count);
        }
        (&self.served, &self.traffic)
    }

    /// Adds what another thread saw.
    pub fn merge(&mut self, mut other: Self) {
        self.matched += other.matched;
        self.without_status += other.without_status;
        for (&host, &serves) in &other.hosts {
            *self.hosts.entry(host).or_default() |= serves;
        }
        for (hash, name) in std::mem::take(&mut other.names) {
            if self.names.len() < MOST_NAMES {
                self.names.insert(hash, name);
            }
        }
        let (served, traffic) = other.totals();
        for (&client, &count) in traffic {
            self.add_client(client, count);
        }
        for (&name, served) in served {
            self.add_served(name, served);
        }
    }

    /// What a path without its query asks for.
    #[inline]
    fn known(&mut self, path: &[u8]) -> &mut KnownPath {
        let hash = self.hasher.hash_one(path);
        // Two places beside each other, so that two paths in use do not push each other out.
        let at = (hash as usize % PATHS) & !1;
        if self.paths[at].hash == hash {
            return &mut self.paths[at];
        }
        if self.paths[at + 1].hash != hash {
            self.learn(at, path, hash);
        }
        &mut self.paths[at + 1]
    }

    /// Puts a path in the second place, and what was there in the first.
    #[cold]
    fn learn(&mut self, at: usize, path: &[u8], hash: u64) {
        let former = self.paths[at];
        self.note_served(&former);
        self.paths[at] = self.paths[at + 1];
        let place = place(path, &self.hasher);
        if let PathKind::Named(_, name) = place
            && self.names.len() < MOST_NAMES
            && let Some(segment) = routes::match_path(path).and_then(|target| target.instance)
            && segment.len() < LONGEST_NAME
        {
            let text = || String::from_utf8_lossy(&routes::decode_segment(segment)).into();
            self.names.entry(name).or_insert_with(text);
        }
        self.paths[at + 1] = KnownPath { hash, place, served: None };
    }

    fn note_served(&mut self, path: &KnownPath) {
        let (PathKind::Named(template, name), Some(last)) = (path.place, path.served) else { return };
        let deleted = last.filter(|_| template.deletes_instance());
        self.add_served(name, &ServedName { last, deleted });
    }

    fn add_served(&mut self, name: u64, more: &ServedName) {
        if self.served.len() < MOST_SERVED || self.served.contains_key(&name) {
            let served = self.served.entry(name).or_default();
            (served.last, served.deleted) = (served.last.max(more.last), served.deleted.max(more.deleted));
        }
    }

    fn count_client(&mut self, client: u64) {
        let slot = &mut self.clients[client as usize % CLIENTS];
        if slot.0 == client {
            slot.1 += 1;
            return;
        }
        let (former, count) = std::mem::replace(slot, (client, 1));
        self.add_client(former, count);
    }

    fn add_client(&mut self, client: u64, count: u64) {
        if count > 0 && (self.traffic.len() < MOST_CLIENTS || self.traffic.contains_key(&client)) {
            *self.traffic.entry(client).or_default() += count;
        }
    }
}

fn place(path: &[u8], hasher: &RandomState) -> PathKind {
    match routes::match_path(path) {
        Some(target) => match target.instance {
            Some(segment) => {
                let name: Cow<[u8]> = routes::decode_segment(segment);
                PathKind::Named(target.template, hasher.hash_one(&*name))
            }
            None => PathKind::Nameless(target.template),
        },
        None => routes::suggest_route(path).map_or(PathKind::Elsewhere, PathKind::Missed),
    }
}
