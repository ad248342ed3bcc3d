//! One wrong name: who wrote it, where and how often, and what to write instead.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};
use std::hash::BuildHasher;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::classify::Wrong;
use super::formats::Request;
use super::rules::Confusion;
use super::shown::{self, tidy};
use super::summary::{Endpoint, MOST_NAMES};
use super::time::Time;
use crate::evolution::instances::{Directory, Instance, trim};
use crate::evolution::routes;
use crate::examine::finding::Finding;
use crate::examine::mask;

/// Clients, hosts or routes that are told apart for one name.
const MOST_OF_A_KIND: usize = 100;

/// How much of a name is shown, in bytes.
const LONGEST_NAME: usize = 200;

/// How much of an address, a user agent or a host is shown, in bytes.
const LONGEST_TEXT: usize = 160;

/// Examples in a finding.
const MOST_SAMPLES: usize = 5;

/// How many clients, hosts and routes may still be told apart over all names together. The first of each kind
/// is kept for every name and costs nothing here, so that noise cannot push out what matters.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(MOST_NAMES)
    }
}

impl Budget {
    fn has_room_beside(&mut self, kept: usize) -> bool {
        if kept == 0 {
            return true;
        }
        let has_room = kept < MOST_OF_A_KIND && self.0 > 0;
        self.0 -= usize::from(has_room);
        has_room
    }
}

/// Everything known of one wrong name.
#[derive(Debug)]
pub(super) struct Tally<'d> {
    /// The name, told apart from others.
    pub hash: u64,
    /// Requests that wrote it and were refused.
    pub count: u64,
    wrong: Wrong<'d>,
    /// What was written, safe to print.
    written: String,
    reason: Reason,
    key: String,
    statuses: BTreeMap<u16, u64>,
    endpoints: HashMap<(Option<&'static str>, &'static str), u64>,
    clients: HashMap<u64, Client>,
    /// Requests of clients for whom there was no room.
    other_clients: u64,
    hosts: HashMap<u64, (String, u64)>,
    first: Option<Time>,
    last: Option<Time>,
}

#[derive(Debug)]
struct Client {
    address: Option<String>,
    user_agent: Option<String>,
    count: u64,
}

/// In what way a spelling is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Plus,
    EncodedTwice,
    StraySpace,
    /// There was no room to tell these names apart.
    Rest,
}

impl<'d> Tally<'d> {
    /// An empty one for a name, as the server saw it.
    pub fn new(name: &str, hash: u64, wrong: Wrong<'d>, directory: Option<&Directory>) -> Self {
        let written = written(name, wrong.confusion, directory);
        // A name that was masked or cut is told apart by a hash, which gives nothing of it away.
        let key = match wrong.confusion {
            Confusion::Token => format!("token:{}", short_hash(name)),
            _ if written != name => format!("{written}:{}", short_hash(name)),
            _ => written.clone(),
        };
        let reason = if *routes::decode_segment(name.as_bytes()) != *name.as_bytes() {
            Reason::EncodedTwice
        } else if name.contains('+') && !wrong.meant.iter().any(|instance| instance.name.contains('+')) {
            Reason::Plus
        } else {
            Reason::StraySpace
        };
        Self { hash, wrong, written, reason, key, ..Self::of_the_rest() }
    }

    /// For all names for which there is no room.
    pub fn of_the_rest() -> Self {
        Self {
            hash: 0,
            count: 0,
            wrong: Wrong { confusion: Confusion::Unknown, meant: Vec::new(), probable: true },
            written: "other names".into(),
            reason: Reason::Rest,
            key: "other-names".into(),
            statuses: BTreeMap::new(),
            endpoints: HashMap::new(),
            clients: HashMap::new(),
            other_clients: 0,
            hosts: HashMap::new(),
            first: None,
            last: None,
        }
    }

    /// Looks for the names that an unknown one may have been meant to be.
    pub fn look_near(&mut self, directory: &'d Directory) {
        if self.wrong.confusion == Confusion::Unknown && self.reason != Reason::Rest {
            self.wrong.meant = directory.nearest(&self.written);
        }
    }

    /// What stands in the name's place.
    pub fn confusion(&self) -> Confusion {
        self.wrong.confusion
    }

    /// Counts a request.
    pub fn add(
        &mut self,
        endpoint: Option<Endpoint>,
        request: &Request<'_>,
        directory: Option<&Directory>,
        budget: &mut Budget,
        hasher: &impl BuildHasher,
    ) {
        self.count += 1;
        if let Some(status) = request.status {
            *self.statuses.entry(status).or_default() += 1;
        }
        if let Some((verb, template)) = endpoint {
            let kept = self.endpoints.len();
            match self.endpoints.entry((verb, template.path)) {
                Entry::Occupied(mut entry) => *entry.get_mut() += 1,
                Entry::Vacant(entry) if budget.has_room_beside(kept) => _ = entry.insert(1),
                Entry::Vacant(_) => {}
            }
        }
        if let Some(time) = request.time {
            self.first = Some(self.first.map_or(time, |first| first.min(time)));
            self.last = Some(self.last.map_or(time, |last| last.max(time)));
        }
        let text = |bytes: &Option<_>| bytes.as_deref().map(|bytes| tidy(bytes, LONGEST_TEXT, directory));
        if request.client.is_some() || request.user_agent.is_some() {
            let kept = self.clients.len();
            match self.clients.entry(hasher.hash_one((&request.client, &request.user_agent))) {
                Entry::Occupied(mut entry) => entry.get_mut().count += 1,
                Entry::Vacant(entry) if budget.has_room_beside(kept) => {
                    let (address, user_agent) = (text(&request.client), text(&request.user_agent));
                    entry.insert(Client { address, user_agent, count: 1 });
                }
                Entry::Vacant(_) => self.other_clients += 1,
            }
        }
        if let Some(host) = &request.host {
            let kept = self.hosts.len();
            match self.hosts.entry(hasher.hash_one(host)) {
                Entry::Occupied(mut entry) => entry.get_mut().1 += 1,
                Entry::Vacant(entry) if budget.has_room_beside(kept) => {
                    entry.insert((text(&request.host).unwrap_or_default(), 1));
                }
                Entry::Vacant(_) => {}
            }
        }
    }

    /// What it comes to. `listed` says whether there was a list of instances to compare with.
    pub fn finding(self, listed: bool) -> Finding {
        let detail = self.detail(listed);
        let instead = self.instead();
        let clients = by_count(self.clients.into_values().map(|c| (c.count, (c.address, c.user_agent))));
        let endpoints = by_count(self.endpoints.into_iter().map(|(endpoint, count)| (count, endpoint)));
        let hosts = by_count(self.hosts.into_values().map(|(host, count)| (count, host)));
        let meant: Vec<&str> = self.wrong.meant.iter().map(|instance| instance.name.as_str()).collect();
        let time = |time: Option<Time>| time.map(|time| time.to_string());
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);

        let mut finding = Finding::new(self.wrong.confusion.rule(), self.written.as_str(), detail);
        finding.key = self.key;
        finding.count = count(self.count);
        finding.sample = endpoints
            .iter()
            .take(MOST_SAMPLES)
            .map(|(_, (verb, path))| {
                let path = path.replace(":instanceName", &self.written);
                Value::from(verb.map_or(path.clone(), |verb| format!("{verb} {path}")))
            })
            .collect();
        finding.extra = BTreeMap::from([
            ("probable", Value::from(self.wrong.probable)),
            ("write_instead", json!(instead)),
            ("write_instead_encoded", json!(instead.map(routes::encode_segment))),
            ("candidates", json!(if instead.is_some() { Vec::new() } else { meant })),
            (
                "clients",
                clients
                    .into_iter()
                    .map(|(count, (address, user_agent))| json!({"address": address, "user_agent": user_agent, "count": count}))
                    .collect(),
            ),
            ("other_clients", Value::from(self.other_clients)),
            (
                "endpoints",
                endpoints
                    .into_iter()
                    .map(|(count, (verb, path))| json!({"method": verb, "path": path, "count": count}))
                    .collect(),
            ),
            ("hosts", hosts.into_iter().map(|(count, host)| json!({"host": host, "count": count})).collect()),
            ("statuses", json!(self.statuses)),
            ("first", json!(time(self.first))),
            ("last", json!(time(self.last))),
        ]);
        finding
    }

    /// The right name, where there is one and a URL can reach it.
    fn instead(&self) -> Option<&'d str> {
        match self.wrong.meant.as_slice() {
            // A near name is a guess, and nobody should paste a guess.
            _ if self.wrong.confusion == Confusion::Unknown => None,
            [instance] if instance.is_callable() => Some(&instance.name),
            _ => None,
        }
    }

    /// One sentence or two.
    fn detail(&self, listed: bool) -> String {
        let written = &self.written;
        let meant: &[&Instance] = &self.wrong.meant;
        let names = either(meant);
        let what = match (self.wrong.confusion, meant.is_empty()) {
            _ if self.reason == Reason::Rest => {
                return format!("More than {MOST_NAMES} different wrong names: these are not told apart.");
            }
            (Confusion::Id, false) => format!("{written} is the id of the instance {names}, not its name."),
            (Confusion::Id, true) if listed => {
                format!("{written} has the form of an id, but no instance listed has it: it may be deleted.")
            }
            (Confusion::Id, true) => format!("{written} has the form of an instance's id, not of a name."),
            (Confusion::LetterCase, _) => {
                format!("\"{written}\" differs from {names} in letter case, which matters in names.")
            }
            (Confusion::Encoding, no_name) => {
                let reason = match self.reason {
                    Reason::Plus | Reason::Rest => "a space in a path is %20; a + stands for itself",
                    Reason::EncodedTwice => "it was encoded once too often",
                    Reason::StraySpace => "there is a stray space or invisible character around it",
                };
                let names = if no_name { "an instance's name" } else { &names };
                format!("\"{written}\" is not how a path spells {names}: {reason}.")
            }
            (Confusion::Token, false) => {
                format!("{written} is the token of the instance {names}: a secret, and this log holds it.")
            }
            (Confusion::Token, true) => {
                format!(
                    "{written} has the form of a token or key: a secret, if it is one, and this log holds it."
                )
            }
            (Confusion::Phone, false) => {
                format!("{written} is the phone number of the instance {names}, not its name.")
            }
            (Confusion::Phone, true) => format!("{written} has the form of a phone number or WhatsApp id."),
            (Confusion::Unknown, false) => format!("No instance is named \"{written}\"; near is {names}."),
            (Confusion::Unknown, true) if listed => {
                format!("No instance is named \"{written}\", and no name is near.")
            }
            (Confusion::Unknown, true) => format!("The server has no instance named \"{written}\"."),
        };
        match (self.wrong.confusion, meant) {
            (Confusion::Unknown, _) | (_, []) => what,
            (_, [instance]) if !instance.is_callable() => {
                format!("{what} No URL reaches that name either: the instance has to be renamed.")
            }
            (_, [_]) => what,
            _ => format!("{what} Which of them is meant, the client's owner has to say."),
        }
    }
}

/// What was written, as it may be printed: a secret masked, a wrong encoding as the path had it.
fn written(name: &str, confusion: Confusion, directory: Option<&Directory>) -> String {
    match confusion {
        Confusion::Token => shown::visible(&mask::secret(trim(name))),
        Confusion::Encoding => shown::cut(&routes::encode_segment(name), LONGEST_NAME),
        _ => tidy(name.as_bytes(), LONGEST_NAME, directory),
    }
}

/// Names in quotes, joined by "or".
fn either(instances: &[&Instance]) -> String {
    let names: Vec<String> =
        instances.iter().map(|instance| format!("\"{}\"", shown::visible(&instance.name))).collect();
    names.join(" or ")
}

fn by_count<T: Ord>(counted: impl Iterator<Item = (u64, T)>) -> Vec<(u64, T)> {
    let mut counted: Vec<_> = counted.collect();
    counted.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    counted
}

/// Twelve hexadecimal digits that stand for a text and do not give it away.
fn short_hash(text: &str) -> String {
    Sha256::digest(text.as_bytes())[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}
