//! Servers of one release on the tables of another: what was tried, and what an older server writes differently.
//!
//! Source of the facts: real servers with 82 to 92 calls over all features each, and the writes that WhatsApp's side makes.

use std::sync::LazyLock;

use serde::Deserialize;

use super::release::Release;

/// Results of servers on tables of other releases.
#[derive(Debug, Deserialize)]
pub struct ServerFacts {
    /// The pairs that were tried.
    pub tried: Vec<TriedPair>,
    /// Values that a server writes and a newer one reads differently, although the tables are the same.
    pub writes: Vec<OlderWrite>,
}

/// A server that was run on the tables of another release.
#[derive(Debug, Deserialize)]
pub struct TriedPair {
    server: String,
    tables: String,
    /// The result of the trial.
    pub result: TriedResult,
}

/// The result of a server's trial on the tables of another release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TriedResult {
    /// It answered as on its own tables.
    Answers,
    /// Most routes failed.
    Fails,
}

/// Values that servers before a release write differently from those since.
#[derive(Debug, Deserialize)]
pub struct OlderWrite {
    /// The column.
    pub object: String,
    since: String,
    /// The value that the newer server reads.
    pub detail: String,
}

impl TriedPair {
    /// The release of the server.
    pub fn server(&self) -> Release {
        Release::find(&self.server).expect("facts name known releases")
    }

    /// The release of the tables.
    pub fn tables(&self) -> Release {
        Release::find(&self.tables).expect("facts name known releases")
    }
}

impl OlderWrite {
    /// True if a server writes in the old way what the release of the tables has in the new one.
    pub fn is_met_by(&self, server: Release, tables: Release) -> bool {
        let since = Release::find(&self.since).expect("facts name known releases");
        server < since && since <= tables
    }
}

static FACTS: LazyLock<ServerFacts> = LazyLock::new(|| {
    serde_json::from_str(include_str!("facts/servers.json")).expect("facts/servers.json is well formed")
});

/// The embedded facts.
pub fn server_facts() -> &'static ServerFacts {
    &FACTS
}

/// The result of running a server of this release on these tables. Releases with the same migrations have the same
/// tables; for the server only the exact release counts.
pub fn tried(server: Release, tables: Release) -> Option<TriedResult> {
    let same = |one: Release, other: Release| one.migrations().count() == other.migrations().count();
    let found = FACTS.tried.iter().find(|pair| pair.server() == server && same(pair.tables(), tables));
    found.map(|pair| pair.result)
}
