//! Finds out whether the server of an older release runs on these tables. Prisma cannot revert migrations, and does not
//! need to: `migrate deploy` of an older image ignores the newer migrations in the history. What matters is whether the
//! tables still have what the older server reads and writes.
//!
//! [`compare`] holds the objects of two releases, or of a release and a database, against each other. [`WayBack::new`] draws the
//! conclusion, and [`examine`] asks the database for its objects and its rows.

pub mod compare;
pub mod examine;
pub mod findings;

use serde::Serialize;

use self::compare::{Difference, Effect, differences};
use crate::database::expected_objects::{CatalogObject, ExpectedObjects};
use crate::evolution::release::{Release, Requirement};
use crate::evolution::servers::{TriedResult, server_facts, tried};

/// The answer to whether an older server runs on these tables.
#[derive(Debug, Clone, Serialize)]
pub struct WayBack {
    /// The release of the server.
    pub server: &'static str,
    /// The release whose tables these are; of several with the same tables the first.
    pub tables: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// Where that is known from.
    pub proof: Proof,
    /// The differences, the worst first.
    pub differences: Vec<Difference>,
    /// Newer migrations in the history, which the older image ignores.
    pub ignored: Vec<String>,
    /// Notes.
    pub notes: Vec<String>,
}

/// The verdict on a server with tables that are not its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As on its own.
    Runs,
    /// Everything is there, and something has changed which only a test shows to matter or not.
    Uncertain,
    /// Something is missing that it reads or writes.
    Fails,
}

/// Where a verdict is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Proof {
    /// The real server was run on such tables.
    Seen,
    /// From what the two catalogs have.
    Derived,
}

impl WayBack {
    /// The answer for a server and the tables of a release: as the facts have these, or as a database has them.
    pub fn new(server: Release, tables: Release, found: Option<&[CatalogObject]>) -> Self {
        let wanted = ExpectedObjects::new(server).as_catalog();
        let by_facts = differences(&wanted, &ExpectedObjects::new(tables).as_catalog());
        let was_seen = tried(server, tables) == Some(TriedResult::Answers);
        let mut all = match found {
            Some(found) => differences(&wanted, found),
            None => by_facts.clone(),
        };
        for one in &mut all {
            one.is_drift = !by_facts.iter().any(|known| known.is_same(one));
            // Whatever else the tables of that release changed, the server was seen to run with it.
            if was_seen && !one.is_drift && one.effect == Effect::MayFail {
                one.effect = Effect::Harmless;
            }
        }
        all.extend(
            server_facts()
                .writes
                .iter()
                .filter(|write| write.is_met_by(server, tables))
                .map(|write| Difference::new(Effect::WrittenDifferently, &write.object, &write.detail)),
        );
        let mut answer = Self {
            server: server.version(),
            tables: tables.version(),
            verdict: Verdict::Runs,
            proof: if was_seen { Proof::Seen } else { Proof::Derived },
            differences: all,
            ignored: Vec::new(),
            notes: notes(server, tables),
        };
        answer.conclude();
        answer
    }

    /// Updates the verdict after rows have been counted for a difference.
    pub fn conclude(&mut self) {
        self.differences.sort_by(|a, b| b.effect.cmp(&a.effect).then_with(|| a.object.cmp(&b.object)));
        let worst = self.differences.iter().map(|one| one.effect).max();
        self.verdict = match worst {
            Some(Effect::Fails) => Verdict::Fails,
            Some(Effect::MayFail) => Verdict::Uncertain,
            _ => Verdict::Runs,
        };
        if self.verdict != Verdict::Runs {
            // It was tried on the tables of the release, and these are others.
            self.proof = Proof::Derived;
        }
    }

    /// The differences with one effect.
    pub fn with_effect(&self, effect: Effect) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(move |one| one.effect == effect)
    }
}

fn notes(server: Release, tables: Release) -> Vec<String> {
    let mut notes = Vec::new();
    if tables.requirement() == Some(Requirement::Licence) && server.requirement().is_none() {
        notes.push(format!(
            "{server} asks for no licence; what RuntimeConfig holds stays and is not read until the next upgrade"
        ));
    }
    notes.push(format!(
        "the newer migrations stay recorded: a later upgrade to {tables} runs none of them again, and finds \
         what {server} has written until then"
    ));
    notes
}

#[cfg(test)]
mod tests;
