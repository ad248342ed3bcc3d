//! One wrong name or route: which clients used it, where, when and how often.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use serde_json::{Value, json};

use super::finding_text::MisuseDetail;
use super::known_requests::ServedName;
use super::name_history::{MOST_NAMES, NameHistory};
use super::request::Request;
use super::timeline::Timeline;
use super::timestamp::Timestamp;
use crate::access_log::sanitize::sanitize;
use crate::evolution::instances::InstanceDirectory;
use crate::evolution::routes::{self, RouteTemplate};
use crate::rules::finding::Finding;
use crate::rules::misuse::MisuseKind;
use crate::rules::rule::Severity;

/// Maximum number of clients, hosts or routes that one tally counts separately.
const MOST_OF_A_KIND: usize = 100;

/// Maximum number of bytes of an address, a user agent or a host that are shown.
const LONGEST_TEXT: usize = 160;

/// Maximum number of examples in a finding.
const MOST_SAMPLES: usize = 5;

/// A method, where it is known, on a route.
pub(super) type Endpoint = (Option<&'static str>, &'static RouteTemplate);

/// The number of further clients, hosts and routes that all tallies together may count separately. The first of each
/// kind is kept for every tally and does not count, so that noise cannot push out what matters.
#[derive(Debug)]
pub(super) struct EntryBudget(usize);

impl Default for EntryBudget {
    fn default() -> Self {
        Self(MOST_NAMES)
    }
}

impl EntryBudget {
    fn has_room_beside(&mut self, kept: usize) -> bool {
        if kept == 0 {
            return true;
        }
        let has_room = kept < MOST_OF_A_KIND && self.0 > 0;
        self.0 -= usize::from(has_room);
        has_room
    }
}

/// The statistics of one wrong name or route.
#[derive(Debug)]
pub(super) struct FindingStats<'d> {
    /// The subject.
    pub what: MisuseDetail<'d>,
    /// The text in the request, safe to print.
    pub written: String,
    /// Stable across runs, and no secret.
    pub key: String,
    /// The hash of the name.
    pub name: u64,
    /// Requests that had this and were answered as such requests are.
    pub count: u64,
    /// Requests with the same name that were refused because of a wrong key, before the name was looked at.
    pub unauthorized: u64,
    statuses: BTreeMap<u16, u64>,
    endpoints: HashMap<(Option<&'static str>, &'static str), CallCounts, RandomState>,
    clients: HashMap<u64, ClientStats, RandomState>,
    /// Requests of clients that were not counted separately, because the limit was reached.
    other_clients: u64,
    hosts: HashMap<u64, (String, u64), RandomState>,
    routers: HashMap<u64, (String, u64), RandomState>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    timeline: Timeline,
}

#[derive(Debug)]
struct ClientStats {
    address: Option<String>,
    /// The key under which its traffic is counted.
    hash: Option<u64>,
    user_agent: Option<String>,
    calls: CallCounts,
}

/// The number of calls, and their times.
#[derive(Debug, Default)]
struct CallCounts {
    count: u64,
    timeline: Timeline,
}

impl CallCounts {
    fn add(&mut self, time: Option<Timestamp>) {
        self.count += 1;
        if let Some(time) = time {
            self.timeline.add(time);
        }
    }
}

/// The context for counting a request.
pub(super) struct CountContext<'c, 'd> {
    /// The instances, for their tokens.
    pub directory: Option<&'d InstanceDirectory>,
    /// Identifies clients and hosts.
    pub hasher: &'c RandomState,
    /// The number of more of them that can be counted separately.
    pub budget: &'c mut EntryBudget,
}

impl<'d> FindingStats<'d> {
    /// An empty one.
    pub fn new(what: MisuseDetail<'d>, written: String, key: String, name: u64) -> Self {
        Self {
            what,
            written,
            key,
            name,
            count: 0,
            unauthorized: 0,
            statuses: BTreeMap::new(),
            endpoints: HashMap::default(),
            clients: HashMap::default(),
            other_clients: 0,
            hosts: HashMap::default(),
            routers: HashMap::default(),
            first: None,
            last: None,
            timeline: Timeline::default(),
        }
    }

    /// For all names beyond the limit.
    pub fn overflow() -> Self {
        Self::new(MisuseDetail::Rest, "other names".into(), "other-names".into(), 0)
    }

    /// Searches for names that are similar to an unknown one.
    pub fn look_near(&mut self, directory: &'d InstanceDirectory) {
        if let MisuseDetail::Name(wrong, _) | MisuseDetail::Unguarded(wrong) = &mut self.what
            && wrong.confusion == MisuseKind::Unknown
        {
            wrong.meant = directory.closest_names(&self.written);
        }
    }

    /// True if all its requests went to hosts for which this holds.
    pub fn hosts_are(&self, holds: impl Fn(u64) -> bool) -> bool {
        let counted: u64 = self.hosts.values().map(|(_, count)| count).sum();
        counted == self.count && !self.hosts.is_empty() && self.hosts.keys().all(|&host| holds(host))
    }

    /// Without a list of instances: compares an unknown name with those that work in the log.
    pub fn look_like(&mut self, likes: &HashMap<String, String, RandomState>, listed: bool) {
        if let MisuseDetail::Name(wrong, _) = &self.what
            && wrong.confusion == MisuseKind::Unknown
            && !listed
            && let Some(like) = likes.get(&self.written.to_lowercase()).filter(|like| **like != self.written)
        {
            self.what = MisuseDetail::Like(like.clone());
        }
    }

    /// Counts a request that was refused for another reason, which says nothing about the name.
    pub fn add_unauthorized(&mut self, status: u16) {
        self.unauthorized += 1;
        *self.statuses.entry(status).or_default() += 1;
    }

    /// Counts a request. True if it is the first of its client.
    pub fn add(
        &mut self,
        endpoint: Option<Endpoint>,
        request: &Request<'_>,
        context: CountContext<'_, 'd>,
    ) -> bool {
        let CountContext { directory, hasher, budget } = context;
        self.count += 1;
        if let Some(status) = request.status {
            *self.statuses.entry(status).or_default() += 1;
        }
        if let Some(endpoint) = endpoint.map(|(verb, template)| (verb, template.path))
            && let Some(calls) = counted(&mut self.endpoints, endpoint, budget, CallCounts::default)
        {
            calls.add(request.time);
        }
        if let Some(time) = request.time {
            self.first = Some(self.first.map_or(time, |first| first.min(time)));
            self.last = Some(self.last.map_or(time, |last| last.max(time)));
            self.timeline.add(time);
        }
        let text = |bytes: &[u8]| sanitize(bytes, LONGEST_TEXT, directory);
        if let Some(host) = &request.host {
            count(&mut self.hosts, hasher.hash_one(host), budget, || text(host));
        }
        if let Some(router) = &request.router() {
            count(&mut self.routers, hasher.hash_one(router), budget, || text(router));
        }
        let user_agent = request.user_agent();
        if request.client.is_none() && user_agent.is_none() {
            return self.count == 1;
        }
        let known = self.clients.len();
        let client = || ClientStats {
            address: request.client.as_deref().map(text),
            hash: request.client.as_deref().map(|client| hasher.hash_one(client)),
            user_agent: user_agent.as_deref().map(text),
            calls: CallCounts::default(),
        };
        let hash = hasher.hash_one((&request.client, &user_agent));
        match counted(&mut self.clients, hash, budget, client) {
            Some(client) => client.calls.add(request.time),
            None => self.other_clients += 1,
        }
        self.clients.len() > known
    }

    /// What the rest of the log shows about the name: it was deleted or renamed if it was served, but only before it
    /// was first refused.
    pub fn name_history(&self, served: Option<&ServedName>) -> NameHistory {
        let (Some(served), Some(first)) = (served, self.first) else { return NameHistory::default() };
        let deleted = served.deleted.filter(|&deleted| served.last == Some(deleted) && deleted <= first);
        let is_gone = deleted.is_some() || served.last.is_some_and(|last| last < first);
        NameHistory { is_gone, worked_until: served.last, deleted }
    }

    /// The finding. `listed` is true if there was a list of instances to compare with; `traffic` is the number of
    /// requests that each client sent in all.
    pub fn finding(
        self,
        listed: bool,
        past: &NameHistory,
        traffic: &HashMap<u64, u64, RandomState>,
    ) -> Finding {
        let confusion = self.what.kind();
        let mut finding =
            Finding::new(confusion.rule(), &*self.written, self.what.detail(&self.written, listed, past));
        if confusion == MisuseKind::Crossed && !self.statuses.keys().any(|status| (200..300).contains(status))
        {
            finding.severity = Severity::Warning;
        }
        finding.key = self.key;
        finding.count = i64::try_from(self.count).unwrap_or(i64::MAX);
        let instead = self.what.instead();
        let candidates: Vec<&str> = match instead {
            Some(_) => Vec::new(),
            None => self.what.meant().iter().map(|instance| instance.name.as_str()).collect(),
        };
        let is_served = self.statuses.keys().any(|status| (200..300).contains(status));
        if confusion == MisuseKind::Crossed && !is_served {
            finding.detail = self.what.not_served(&self.written);
        }
        let is_name = !matches!(self.what, MisuseDetail::Route { .. });
        let endpoints =
            by_count(self.endpoints.into_iter().map(|(endpoint, calls)| (calls, endpoint)), |calls| {
                calls.count
            });
        let sample = |(_, (verb, path)): &(CallCounts, (Option<&str>, &str))| {
            let path = path.replace(":instanceName", &self.written);
            Value::from(verb.map_or(path.clone(), |verb| format!("{verb} {path}")))
        };
        finding.sample = match is_name {
            true => endpoints.iter().take(MOST_SAMPLES).map(sample).collect(),
            false => vec![Value::from(self.written.as_str())],
        };
        // If one client made all of the calls, it made them at the times of the finding. A log with a million names has
        // as many of these.
        let part = |calls: &CallCounts| match calls.count == self.count {
            true => Value::Null,
            false => intervals(&calls.timeline),
        };
        let in_all = |client: &ClientStats| client.hash.and_then(|hash| traffic.get(&hash)).copied();
        let clients = self.clients.into_values().map(|c| {
            let all = in_all(&c);
            (c.calls, (c.address, c.user_agent, all))
        });
        let clients = by_count(clients, |calls| calls.count).into_iter().map(|(calls, (address, user_agent, all))| {
            json!({"address": address, "user_agent": user_agent, "count": calls.count, "requests_in_all": all,
                   "timeline": part(&calls)})
        });
        let endpoint = |(calls, (verb, path)): (CallCounts, _)| json!({"method": verb, "path": path, "count": calls.count, "timeline": part(&calls)});
        let time = |time: Option<Timestamp>| json!(time.map(|time| time.to_string()));
        finding.extra = BTreeMap::from([
            ("probable", Value::from(self.what.is_probable())),
            ("write_instead", json!(instead)),
            ("write_instead_encoded", json!(instead.filter(|_| is_name).map(routes::encode_segment))),
            ("candidates", json!(candidates)),
            ("clients", clients.collect()),
            ("other_clients", Value::from(self.other_clients)),
            ("endpoints", endpoints.into_iter().map(endpoint).collect()),
            ("hosts", named(self.hosts, "host")),
            ("routers", named(self.routers, "router")),
            ("statuses", json!(self.statuses)),
            ("first", time(self.first)),
            ("last", time(self.last)),
            ("zone_minutes", json!(self.first.and_then(Timestamp::zone))),
            ("worked_until", time(past.worked_until.filter(|_| past.is_gone))),
            ("deleted_at", time(past.deleted)),
            ("timeline", intervals(&self.timeline)),
        ]);
        finding
    }
}

/// Counts over time, as a report has them; `null` where no moment is known.
fn intervals(timeline: &Timeline) -> Value {
    let intervals = timeline.intervals();
    json!(intervals.map(
        |(from, seconds, counts)| json!({"from": from.to_string(), "seconds": seconds, "counts": counts})
    ))
}

/// Counts a key separately, if the limit is not reached.
fn counted<'c, K: Eq + std::hash::Hash, V>(
    counted: &'c mut HashMap<K, V, RandomState>,
    key: K,
    budget: &mut EntryBudget,
    new: impl FnOnce() -> V,
) -> Option<&'c mut V> {
    let kept = counted.len();
    match counted.entry(key) {
        Entry::Occupied(entry) => Some(entry.into_mut()),
        Entry::Vacant(entry) if budget.has_room_beside(kept) => Some(entry.insert(new())),
        Entry::Vacant(_) => None,
    }
}

/// Counts a text separately, if the limit is not reached.
fn count(
    texts: &mut HashMap<u64, (String, u64), RandomState>,
    hash: u64,
    budget: &mut EntryBudget,
    text: impl FnOnce() -> String,
) {
    if let Some((_, count)) = counted(texts, hash, budget, || (text(), 0)) {
        *count += 1;
    }
}

fn named(counted: HashMap<u64, (String, u64), RandomState>, name: &str) -> Value {
    let counted = by_count(counted.into_values().map(|(text, count)| (count, text)), |&count| count);
    counted.into_iter().map(|(count, text)| json!({name: text, "count": count})).collect()
}

/// The most frequent first.
fn by_count<C, T: Ord>(counted: impl Iterator<Item = (C, T)>, count: impl Fn(&C) -> u64) -> Vec<(C, T)> {
    let mut counted: Vec<_> = counted.collect();
    counted.sort_by(|a, b| count(&b.0).cmp(&count(&a.0)).then_with(|| a.1.cmp(&b.1)));
    counted
}
