//! The work of one thread on the requests it reads: it counts those that are in order, and passes on the others.
//!
//! Most requests are in order; the counts per client are kept in a small table in the core's cache, and are added up
//! only when a place in it is needed for another client.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use memchr::memchr2;

use super::known_requests::{Answers, KnownRequests, PathKind, ServedName};
use super::request::{PartialRequest, Request, RequestTarget};
use super::timestamp::Timestamp;
use crate::evolution::instances::InstanceDirectory;
use crate::evolution::routes;

/// Maximum number of clients whose requests are counted separately.
const MOST_CLIENTS: usize = 50_000;

/// Clients at hand, a power of two.
const CLIENTS: usize = 8192;

/// A request that is reported.
#[derive(Debug)]
pub(super) struct SuspectRequest<'b> {
    pub request: Request<'b>,
    pub place: PathKind,
}

/// The result of the quick check of a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Glance {
    /// It is counted, and not reported.
    InOrder,
    /// It is counted, and reported: what it asks for.
    Suspect(PathKind),
    /// It is not counted: the line has to be read in full.
    Odd,
}

/// The counts of a thread for requests that are not reported.
#[derive(Debug)]
pub(super) struct RequestCounter<'d> {
    hasher: RandomState,
    known: KnownRequests<'d>,
    clients: Vec<(u64, u64)>,
    traffic: HashMap<u64, u64, RandomState>,
    /// Hosts by hash, and whether they served a route of the API.
    hosts: HashMap<u64, bool, RandomState>,
    /// Requests that name an instance.
    pub matched: u64,
    /// Of these, those without a status that is understood: it is unknown whether they are in order.
    pub without_status: u64,
}

impl<'d> RequestCounter<'d> {
    /// Hashes with this seed, so that what several threads saw can be put together. Names are compared with those of the
    /// directory.
    pub fn new(hasher: &RandomState, directory: Option<&'d InstanceDirectory>) -> Self {
        Self {
            hasher: hasher.clone(),
            known: KnownRequests::new(hasher, directory),
            clients: vec![(0, 0); CLIENTS],
            traffic: HashMap::with_hasher(hasher.clone()),
            hosts: HashMap::with_hasher(hasher.clone()),
            matched: 0,
            without_status: 0,
        }
    }

    /// Takes a request of which the line was read in part.
    #[inline]
    pub fn count(&mut self, request: &PartialRequest<'_>) -> Glance {
        let hash = self.hasher.hash_one(request.without_query());
        let at = self.known.find(hash, || {
            let (method, path) = request.verb_and_path()?;
            Some((Some(method), &path[..path_length(path)]))
        });
        let query = match request.query {
            None => &[][..],
            Some(_) => match request.verb_and_path() {
                Some((_, path)) => &path[path_length(path)..],
                None => return Glance::Odd,
            },
        };
        if self.known.entry(at).is_odd {
            return Glance::Odd;
        }
        self.count_client(self.hasher.hash_one(request.client));
        match self.count_known(at, query, Some(request.status), request.time) {
            true => Glance::Suspect(self.known.kind(at)),
            false => Glance::InOrder,
        }
    }

    /// Takes a request that was read in full; what it asks for, where it is reported.
    fn count_whole(&mut self, request: &Request<'_>) -> Option<PathKind> {
        let path = match &request.asked {
            RequestTarget::Path(path) => &**path,
            RequestTarget::Name(name) => {
                self.matched += 1;
                return Some(PathKind::Quoted(self.hasher.hash_one(&**name)));
            }
        };
        if let Some(client) = request.client.as_deref() {
            self.count_client(self.hasher.hash_one(client));
        }
        let (path, query) = path.split_at(path_length(path));
        let method = request.method.as_deref();
        let mut hasher = self.hasher.build_hasher();
        hasher.write(method.unwrap_or_default());
        hasher.write(path);
        let at = self.known.find(hasher.finish(), || Some((method, path)));
        let is_named = self.known.entry(at).is_named;
        self.without_status += u64::from(is_named && request.status.is_none() && !request.is_own_answer);
        self.count_known(at, query, request.status, request.time).then(|| self.known.kind(at))
    }

    /// Takes an answer to a request that is known, with its query; whether it is reported.
    #[inline]
    fn count_known(&mut self, at: usize, query: &[u8], status: Option<u16>, time: Option<Timestamp>) -> bool {
        let entry = self.known.entry(at);
        let answer = Answers::of(status);
        if entry.proves_instance && answer == Answers::SUCCESS {
            entry.note_success(time);
        }
        self.matched += u64::from(entry.is_named);
        let is_reported = entry.reported.contains(answer);
        is_reported
            || entry.takes_query && query.len() > 1 && self.is_reported_by_query(at, &query[1..], status)
    }

    /// True if a request is reported because its query may name an instance too.
    fn is_reported_by_query(&self, at: usize, query: &[u8], status: Option<u16>) -> bool {
        match self.known.kind(at) {
            PathKind::Nameless(_) => status == Some(404),
            _ => status.is_some() && routes::instance_in_query(query).is_some(),
        }
    }

    /// Hosts that never served a route of the API, where another host did.
    pub fn hosts_without_api(&self) -> HashSet<u64> {
        let has_api = self.hosts.values().any(|&serves| serves);
        self.hosts.iter().filter(|&(_, &serves)| has_api && !serves).map(|(&host, _)| host).collect()
    }

    /// Names at work, by what they are in lower case.
    pub fn spellings(&mut self) -> HashMap<String, String, RandomState> {
        let at_work: Vec<u64> = self.known.served().keys().copied().collect();
        let names = at_work
            .iter()
            .filter_map(|name| self.known.names.get(name))
            .map(|name| (name.to_lowercase(), name.to_string()));
        names.collect()
    }

    /// The names that were asked for, by hash, as they are written; they are forgotten here.
    pub fn take_names(&mut self) -> HashMap<u64, Box<str>, RandomState> {
        std::mem::take(&mut self.known.names)
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

    /// Takes a request that was read in full, and gives it back where it is reported.
    pub fn event<'b>(&mut self, request: Request<'b>) -> Option<SuspectRequest<'b>> {
        let place = self.count_whole(&request);
        self.note_host(&request, place);
        place.map(|place| SuspectRequest { request, place })
    }

    /// Names that were served, by hash, and the requests of each client, by the hash of its address.
    pub fn totals(&mut self) -> (&HashMap<u64, ServedName, RandomState>, &HashMap<u64, u64, RandomState>) {
        self.count_clients();
        (self.known.served(), &self.traffic)
    }

    /// Adds what another thread saw.
    pub fn merge(&mut self, mut other: Self) {
        self.matched += other.matched;
        self.without_status += other.without_status;
        for (&host, &serves) in &other.hosts {
            *self.hosts.entry(host).or_default() |= serves;
        }
        other.count_clients();
        for (&client, &count) in &other.traffic {
            self.add_client(client, count);
        }
        self.known.merge(other.known);
    }

    fn count_clients(&mut self) {
        for at in 0..CLIENTS {
            let (client, count) = std::mem::take(&mut self.clients[at]);
            self.add_client(client, count);
        }
    }

    #[inline]
    fn count_client(&mut self, client: u64) {
        // Two places beside each other, as for requests.
        let at = (client as usize % CLIENTS) & !1;
        if self.clients[at].0 == client {
            self.clients[at].1 += 1;
            return;
        }
        if self.clients[at + 1].0 != client {
            let (former, count) = self.clients[at];
            (self.clients[at], self.clients[at + 1]) = (self.clients[at + 1], (client, 0));
            self.add_client(former, count);
        }
        self.clients[at + 1].1 += 1;
    }

    fn add_client(&mut self, client: u64, count: u64) {
        if count > 0 && (self.traffic.len() < MOST_CLIENTS || self.traffic.contains_key(&client)) {
            *self.traffic.entry(client).or_default() += count;
        }
    }
}

/// The length of a path without its query, in bytes.
fn path_length(path: &[u8]) -> usize {
    memchr2(b'?', b'#', path).unwrap_or(path.len())
}
