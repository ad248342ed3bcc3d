//! Collects the findings of all requests, in memory that does not grow with the input.

mod accepted_misuse;
mod request_counts;

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use memchr::memchr;
use sha2::{Digest, Sha256};

pub use self::request_counts::RequestCounts;
use super::classify::{NameVerdict, classify_name};
use super::finding_stats::{CountContext, Endpoint, EntryBudget, FindingStats};
use super::finding_text::{MisuseDetail, SpellingError};
use super::known_requests::PathKind;
use super::name_history::{MOST_NAMES, NameHistory};
use super::request::{Request, RequestTarget};
use super::request_counter::{RequestCounter, SuspectRequest};
use crate::access_log::sanitize::sanitize;
use crate::evolution::instances::{InstanceDirectory, trim_invisible};
use crate::evolution::routes::{self, RouteError, RouteTemplate};
use crate::redact;
use crate::rules::finding::Finding;
use crate::rules::misuse::MisuseKind;
use crate::text::escape;
use crate::text::hex::encode_hex;

/// Like [`MOST_NAMES`], for wrong names whose instance is known. They have their own limit, so that many unknown names
/// cannot push them out.
const MOST_MEANT: usize = 2_000;

/// Maximum number of pairs of names, and of wrong routes, that are counted separately.
const MOST_OTHERS: usize = 1_000;

/// Maximum number of unknown names for which similar names are searched; the most frequent ones are taken.
const MOST_NEAR: usize = 500;

/// Maximum number of bytes of a name that are shown.
const LONGEST_NAME: usize = 200;

/// Collects wrong requests, one by one, and keeps what the findings need.
#[derive(Debug)]
pub(super) struct FindingCollector<'d> {
    directory: Option<&'d InstanceDirectory>,
    /// Names are identified by a hash with a secret seed, so no name, secret or huge, is stored for that.
    hasher: RandomState,
    verdicts: HashMap<u64, NameStatus, RandomState>,
    tallies: Vec<FindingStats<'d>>,
    /// Number of those whose instance is known.
    meant: usize,
    /// Number of those that are not about a refused name.
    others: usize,
    beyond: FindingStats<'d>,
    budget: EntryBudget,
    refused: u64,
    names_that_exist_now: u64,
}

/// The result for a name that was judged before.
#[derive(Debug, Clone, Copy)]
enum NameStatus {
    ExistsNow,
    /// Wrong, counted in the tally with this number.
    Wrong(usize),
}

/// The subject of all tallies of one name.
#[derive(Hash)]
enum StatsKind {
    Name,
    Unguarded,
    Crossed,
    Route,
}

impl<'d> FindingCollector<'d> {
    /// An empty one. Without a directory names are judged by their form.
    pub fn new(directory: Option<&'d InstanceDirectory>, hasher: &RandomState) -> Self {
        Self {
            directory,
            hasher: hasher.clone(),
            verdicts: HashMap::with_hasher(hasher.clone()),
            tallies: Vec::new(),
            meant: 0,
            others: 0,
            beyond: FindingStats::overflow(),
            budget: EntryBudget::default(),
            refused: 0,
            names_that_exist_now: 0,
        }
    }

    /// The instances that names are compared with.
    pub fn directory(&self) -> Option<&'d InstanceDirectory> {
        self.directory
    }

    /// Takes a request. Returns its finding if the request is the first of its client.
    pub fn take(&mut self, event: &SuspectRequest<'_>) -> Option<&FindingStats<'d>> {
        let request = &event.request;
        let verb = |template: &RouteTemplate| request.method.as_deref().map(|method| template.verb(method));
        match (event.place, &request.asked) {
            (PathKind::Elsewhere, _) => None,
            (PathKind::Missed(missed), RequestTarget::Path(path)) => {
                let method = request.method.as_deref().and_then(|method| missed.meant.verb(method));
                self.route(missed.redacted_path(path), missed.meant, method, Some(missed.fault), request)
            }
            (PathKind::Nameless(template), RequestTarget::Path(path)) if template.lists_instances() => {
                self.listing(template, verb(template).flatten(), path, request)
            }
            // With another method the server looks at no name at all.
            (PathKind::Named(template, _) | PathKind::Nameless(template), RequestTarget::Path(_))
                if verb(template) == Some(None) =>
            {
                self.route(template.path.to_owned(), template, None, None, request)
            }
            (PathKind::Named(template, hash), RequestTarget::Path(path))
                if matches!(request.status, Some(200..300 | 400)) && {
                    let query = memchr(b'?', path).map_or(&[][..], |at| &path[at + 1..]);
                    routes::instance_in_query(query).is_none()
                } =>
            {
                let endpoint = (verb(template).flatten(), template);
                let segment = routes::match_path(path).and_then(|target| target.instance)?;
                self.unrefused(hash, segment, endpoint, request)
            }
            (PathKind::Named(template, hash), RequestTarget::Path(path)) => {
                let endpoint = (verb(template).flatten(), template);
                let name = || {
                    routes::match_path(path).and_then(|target| target.instance).map(routes::decode_segment)
                };
                let query = memchr(b'?', path).map_or(&[][..], |at| &path[at + 1..]);
                let other = routes::instance_in_query(query);
                match other.and_then(|other| Some((other, name()?))) {
                    Some((other, name)) if other != name => self.crossed(&name, &other, endpoint, request),
                    _ => {
                        let directory = self.directory;
                        let name = || name().map(|name| accepted_misuse::spaced(name, request, directory));
                        self.named(hash, name, Some(endpoint), request)
                    }
                }
            }
            (PathKind::Quoted(hash), RequestTarget::Name(name)) => {
                self.named(hash, || Some(Cow::Borrowed(&**name)), None, request)
            }
            _ => None,
        }
    }

    /// Counts a request whose name, as the server sees it, may be wrong.
    fn named<'n>(
        &mut self,
        hash: u64,
        name: impl FnOnce() -> Option<Cow<'n, [u8]>>,
        endpoint: Option<Endpoint>,
        request: &Request<'_>,
    ) -> Option<&FindingStats<'d>> {
        let kind = match request.status {
            Some(404) => StatsKind::Name,
            Some(500) => StatsKind::Unguarded,
            Some(401 | 403) => StatsKind::Name,
            _ => return None,
        };
        let is_refused = request.status == Some(404);
        self.refused += u64::from(is_refused);
        let key = self.hasher.hash_one((&kind, hash));
        let known = match self.verdicts.get(&key) {
            Some(&known) => Some(known),
            None => self.judge(key, hash, &name()?, &kind),
        };
        let at = match known {
            Some(NameStatus::ExistsNow) => {
                self.names_that_exist_now += u64::from(is_refused);
                return None;
            }
            Some(NameStatus::Wrong(at)) => at,
            None if is_refused => return self.count_beyond(endpoint, request),
            None => return None,
        };
        match request.status {
            Some(status @ (401 | 403)) => {
                self.tallies[at].add_unauthorized(status);
                None
            }
            _ => self.count(at, endpoint, request),
        }
    }

    /// Judges a name seen for the first time; `None` if it is wrong and the limit of names is reached.
    fn judge(&mut self, key: u64, hash: u64, name: &[u8], kind: &StatsKind) -> Option<NameStatus> {
        let name = String::from_utf8_lossy(name);
        let known = match classify_name(&name, self.directory) {
            NameVerdict::ExistsNow => NameStatus::ExistsNow,
            // Nothing says that the name is wrong.
            NameVerdict::Wrong(wrong)
                if matches!(kind, StatsKind::Unguarded)
                    && self.directory.is_none()
                    && wrong.confusion == MisuseKind::Unknown =>
            {
                NameStatus::ExistsNow
            }
            NameVerdict::Wrong(wrong) => {
                let is_meant = !wrong.meant.is_empty();
                let has_room = if is_meant {
                    self.meant < MOST_MEANT
                } else {
                    self.tallies.len() - self.meant - self.others < MOST_NAMES
                };
                if !has_room {
                    return None;
                }
                self.meant += usize::from(is_meant);
                let (written, key) = self.shown(&name, wrong.confusion);
                let what = match kind {
                    StatsKind::Unguarded => MisuseDetail::Unguarded(wrong),
                    _ => {
                        let reason = SpellingError::of(&name, &wrong);
                        MisuseDetail::Name(wrong, reason)
                    }
                };
                self.tallies.push(FindingStats::new(what, written, key, hash));
                NameStatus::Wrong(self.tallies.len() - 1)
            }
        };
        self.verdicts.insert(key, known);
        Some(known)
    }

    /// Counts a request that names two instances.
    fn crossed(
        &mut self,
        name: &[u8],
        other: &[u8],
        endpoint: Endpoint,
        request: &Request<'_>,
    ) -> Option<&FindingStats<'d>> {
        let key = self.hasher.hash_one((StatsKind::Crossed, name, other));
        let at = self.other(key, |collector| {
            let [name, other] = [name, other].map(|name| {
                let name = String::from_utf8_lossy(name);
                let is_token = matches!(classify_name(&name, collector.directory),
                    NameVerdict::Wrong(wrong) if wrong.confusion == MisuseKind::Token);
                collector.shown(&name, if is_token { MisuseKind::Token } else { MisuseKind::Unknown })
            });
            let written = format!("{}?instanceName={}", name.0, other.0);
            FindingStats::new(MisuseDetail::Crossed, written, format!("{}?{}", name.1, other.1), 0)
        })?;
        self.count(at, Some(endpoint), request)
    }

    /// Counts a request of a method or path that the server does not have. `method` is the method, where it is right.
    fn route(
        &mut self,
        written: String,
        meant: &'static RouteTemplate,
        method: Option<&'static str>,
        fault: Option<RouteError>,
        request: &Request<'_>,
    ) -> Option<&FindingStats<'d>> {
        // Seen in full, the answer may have been the proxy's own.
        if request.status != Some(404) {
            return None;
        }
        let key = self.hasher.hash_one((StatsKind::Route, &written, &request.method));
        let at = self.other(key, |collector| {
            let verb = request.method.as_deref().map(|method| sanitize(method, 20, collector.directory));
            let path = sanitize(written.as_bytes(), LONGEST_NAME, collector.directory);
            let written = verb.map_or(path.clone(), |verb| format!("{verb} {path}"));
            let meant = format!("{} {}", method.unwrap_or_else(|| meant.verbs()[0]), meant.path);
            FindingStats::new(MisuseDetail::Route { meant, fault }, written.clone(), written, 0)
        })?;
        self.count(at, None, request)
    }

    /// The tally with this key, or a new one if the limit is not reached.
    fn other(&mut self, key: u64, new: impl FnOnce(&Self) -> FindingStats<'d>) -> Option<usize> {
        if let Some(NameStatus::Wrong(at)) = self.verdicts.get(&key) {
            return Some(*at);
        }
        if self.others >= MOST_OTHERS {
            return None;
        }
        let tally = new(self);
        self.others += 1;
        self.tallies.push(tally);
        self.verdicts.insert(key, NameStatus::Wrong(self.tallies.len() - 1));
        Some(self.tallies.len() - 1)
    }

    fn count(
        &mut self,
        at: usize,
        endpoint: Option<Endpoint>,
        request: &Request<'_>,
    ) -> Option<&FindingStats<'d>> {
        let context =
            CountContext { directory: self.directory, hasher: &self.hasher, budget: &mut self.budget };
        let is_new = self.tallies[at].add(endpoint, request, context);
        is_new.then_some(&self.tallies[at])
    }

    fn count_beyond(
        &mut self,
        endpoint: Option<Endpoint>,
        request: &Request<'_>,
    ) -> Option<&FindingStats<'d>> {
        let context =
            CountContext { directory: self.directory, hasher: &self.hasher, budget: &mut self.budget };
        self.beyond.add(endpoint, request, context);
        None
    }

    /// A name as it may be printed, and a key for it: a secret masked, a wrong encoding as the path had it.
    fn shown(&self, name: &str, confusion: MisuseKind) -> (String, String) {
        let written = match confusion {
            MisuseKind::Token => escape::escape_control(&redact::redact_secret(trim_invisible(name))),
            MisuseKind::Encoding => escape::truncate(&routes::encode_segment(name), LONGEST_NAME),
            _ => sanitize(name.as_bytes(), LONGEST_NAME, self.directory),
        };
        // A name that was masked or cut is identified by a hash, which does not reveal it.
        let key = match confusion {
            MisuseKind::Token => format!("token:{}", short_hash(name)),
            _ if written != name => format!("{written}:{}", short_hash(name)),
            _ => written.clone(),
        };
        (written, key)
    }

    /// The counts, and the findings with what hurts most first.
    pub fn finish(mut self, mut watch: RequestCounter<'_>) -> (RequestCounts, Vec<Finding>) {
        let mut counts = RequestCounts {
            matched: watch.matched,
            refused: self.refused,
            names_that_exist_now: self.names_that_exist_now,
            without_status: watch.without_status,
            ..RequestCounts::default()
        };
        // Hosts that never served a route of the API, beside some that did, are other programs behind the same proxy.
        let elsewhere = watch.hosts_without_api();
        let likes = watch.spellings();
        let names = watch.take_names();
        let (served_names, traffic) = watch.totals();
        let at_work = served_names.keys().filter_map(|name| names.get(name));
        counts.not_listed = at_work.filter(|name| self.is_new(name)).count() as u64;
        if let Some(directory) = self.directory {
            self.tallies.sort_by_key(|tally| Reverse(tally.count));
            self.tallies.iter_mut().take(MOST_NEAR).for_each(|tally| tally.look_near(directory));
        }
        let listed = self.directory.is_some();
        let mut findings = Vec::new();
        for mut tally in self.tallies {
            if tally.count == 0 {
                counts.unauthorized += tally.unauthorized;
                continue;
            }
            if tally.hosts_are(|host| elsewhere.contains(&host)) {
                counts.elsewhere += tally.count;
                continue;
            }
            let served = served_names
                .get(&tally.name)
                .filter(|_| matches!(tally.what, MisuseDetail::Name(..) | MisuseDetail::Unguarded(_)));
            let past = tally.name_history(served);
            // The server knows the name: something else went wrong inside it.
            if served.is_some() && !past.is_gone && matches!(tally.what, MisuseDetail::Unguarded(_)) {
                continue;
            }
            // Where the same log shows the name still at work, something else was not found.
            tally.look_like(&likes, listed);
            if served.is_some() && !past.is_gone && !listed && tally.what.kind() == MisuseKind::Unknown {
                counts.names_that_exist_now += tally.count;
            } else {
                findings.push(tally.finding(listed, &past, traffic));
            }
        }
        if self.beyond.count > 0 {
            findings.push(self.beyond.finding(listed, &NameHistory::default(), traffic));
        }
        findings.sort_by(|a, b| {
            (b.severity, b.count, &a.code, &a.key).cmp(&(a.severity, a.count, &b.code, &b.key))
        });
        (counts, findings)
    }
}

/// Twelve hexadecimal digits that identify a text without revealing it.
fn short_hash(text: &str) -> String {
    encode_hex(&Sha256::digest(text.as_bytes())[..6])
}
