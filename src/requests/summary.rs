//! What all requests together say, in memory that does not grow with the input.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use serde::Serialize;

use super::classify::{Verdict, classify};
use super::formats::{Asked, Request};
use super::rules::Confusion;
use super::tally::{Budget, Tally};
use crate::evolution::instances::Directory;
use crate::evolution::routes::{self, Template};
use crate::examine::finding::Finding;

/// Different wrong names that are told apart; requests with any other are counted together.
pub const MOST_NAMES: usize = 10_000;

/// As [`MOST_NAMES`], for wrong names of which it is known whose they are. They have room of their own, so that
/// a flood of unknown names cannot hide them.
const MOST_MEANT: usize = 2_000;

/// Unknown names for which near ones are looked for, those requested most often.
const MOST_NEAR: usize = 1_000;

/// Counts over all lines of all files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RequestCounts {
    /// Lines with anything in them.
    pub lines: u64,
    /// Lines that tell of a request.
    pub parsed: u64,
    /// Lines that do not.
    pub unparsed: u64,
    /// Requests that name an instance.
    pub matched: u64,
    /// Of these, those that the server refused with 404, for want of the instance or another thing.
    pub refused: u64,
    /// Of these, those that name an instance exactly as it is named now: it may have been created since.
    pub names_that_exist_now: u64,
}

/// Takes requests one by one and keeps what the findings need.
#[derive(Debug)]
pub struct Collector<'d> {
    directory: Option<&'d Directory>,
    counts: RequestCounts,
    /// Names are told apart by a hash with a secret seed, so no name, secret or huge, is kept for it.
    hasher: RandomState,
    verdicts: HashMap<u64, Known>,
    tallies: Vec<Tally<'d>>,
    /// How many of these are of names of which it is known whose they are.
    meant: usize,
    beyond: Tally<'d>,
    budget: Budget,
    /// Names that were served, for when there is no directory to say which exist.
    served: HashSet<u64>,
}

/// What is known of a name that was refused before.
#[derive(Debug, Clone, Copy)]
enum Known {
    ExistsNow,
    /// Wrong, counted in the tally with this number.
    Wrong(usize),
}

impl<'d> Collector<'d> {
    /// An empty one. Without a directory names are judged by their form.
    pub fn new(directory: Option<&'d Directory>) -> Self {
        Self {
            directory,
            counts: RequestCounts::default(),
            hasher: RandomState::new(),
            verdicts: HashMap::new(),
            tallies: Vec::new(),
            meant: 0,
            beyond: Tally::of_the_rest(),
            budget: Budget::default(),
            served: HashSet::new(),
        }
    }

    /// Takes a line that has anything in it, and the request that it tells of.
    pub fn line(&mut self, request: Option<&Request<'_>>) {
        self.counts.lines += 1;
        match request {
            Some(request) => {
                self.counts.parsed += 1;
                self.request(request);
            }
            None => self.counts.unparsed += 1,
        }
    }

    fn request(&mut self, request: &Request<'_>) {
        match &request.asked {
            Asked::Name(name) => self.named(name, None, request),
            Asked::Path(path) => {
                let Some(target) = routes::find(path) else { return };
                let Some(segment) = target.instance else { return };
                let verb = request.method.as_deref().map(|method| target.template.verb(method));
                // `Cannot POST /…`: the server never came to look at the name.
                if verb == Some(None) {
                    return;
                }
                let endpoint = (verb.flatten(), target.template);
                self.named(&routes::decode_segment(segment), Some(endpoint), request);
            }
        }
    }

    /// Counts a request that names an instance; the name as the server sees it, decoded once.
    fn named(&mut self, name: &[u8], endpoint: Option<Endpoint>, request: &Request<'_>) {
        self.counts.matched += 1;
        if request.status != Some(404) {
            let was_served = request.status.is_some_and(|status| (200..300).contains(&status));
            if self.directory.is_none() && was_served && self.served.len() < MOST_NAMES {
                self.served.insert(self.hasher.hash_one(name));
            }
            return;
        }
        self.counts.refused += 1;
        let hash = self.hasher.hash_one(name);
        let known = match self.verdicts.get(&hash) {
            Some(&known) => Some(known),
            None => self.judge(hash, name),
        };
        let tally = match known {
            Some(Known::ExistsNow) => {
                self.counts.names_that_exist_now += 1;
                return;
            }
            Some(Known::Wrong(at)) => &mut self.tallies[at],
            None => &mut self.beyond,
        };
        tally.add(endpoint, request, self.directory, &mut self.budget, &self.hasher);
    }

    /// Judges a name seen for the first time; `None` where it is wrong and there is no room to tell it apart.
    fn judge(&mut self, hash: u64, name: &[u8]) -> Option<Known> {
        let name = String::from_utf8_lossy(name);
        let known = match classify(&name, self.directory) {
            Verdict::ExistsNow => Known::ExistsNow,
            Verdict::Wrong(wrong) => {
                let is_meant = !wrong.meant.is_empty();
                let has_room = if is_meant {
                    self.meant < MOST_MEANT
                } else {
                    self.tallies.len() - self.meant < MOST_NAMES
                };
                if !has_room {
                    return None;
                }
                self.meant += usize::from(is_meant);
                self.tallies.push(Tally::new(&name, hash, wrong, self.directory));
                Known::Wrong(self.tallies.len() - 1)
            }
        };
        self.verdicts.insert(hash, known);
        Some(known)
    }

    /// The counts, and the findings with what hurts most first.
    pub fn finish(mut self) -> (RequestCounts, Vec<Finding>) {
        if let Some(directory) = self.directory {
            self.tallies.sort_by_key(|tally| Reverse(tally.count));
            let unknown = self.tallies.iter_mut().filter(|tally| tally.confusion() == Confusion::Unknown);
            unknown.take(MOST_NEAR).for_each(|tally| tally.look_near(directory));
        }
        let mut findings = Vec::new();
        for tally in self.tallies {
            // Where the same log shows the name at work, something else was not found.
            if tally.confusion() == Confusion::Unknown && self.served.contains(&tally.hash) {
                self.counts.names_that_exist_now += tally.count;
            } else {
                findings.push(tally.finding(self.directory.is_some()));
            }
        }
        if self.beyond.count > 0 {
            findings.push(self.beyond.finding(self.directory.is_some()));
        }
        findings.sort_by(|a, b| {
            (b.severity, b.count, &a.code, &a.key).cmp(&(a.severity, a.count, &b.code, &b.key))
        });
        (self.counts, findings)
    }
}

/// A verb, where it is known, on a route.
pub(super) type Endpoint = (Option<&'static str>, &'static Template);
