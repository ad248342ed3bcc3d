//! Evolution's releases, the migrations each added, and ranges of releases.
//!
//! Source of the facts: upstream's tags and `prisma/postgresql-migrations` of each; the SHA-256 of a migration
//! file is what Prisma stores as `checksum`.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The position of a release in the order they came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release(usize);

/// All that is known of releases and migrations.
#[derive(Debug, Deserialize)]
pub struct Facts {
    releases: Vec<ReleaseFact>,
    /// In the order that Prisma applies them.
    pub migrations: Vec<Migration>,
    /// Migrations of rolling images that no release kept.
    pub withdrawn: Vec<WithdrawnMigration>,
    /// Migrations that were proposed or branched but never came out.
    pub never_released: Vec<UnreleasedMigration>,
}

#[derive(Debug, Deserialize)]
struct ReleaseFact {
    version: String,
    date: String,
    /// Neither a beta nor a release candidate.
    stable: bool,
    /// Its requirements besides tables.
    #[serde(default)]
    requires: Option<Requirement>,
}

/// A release's requirements besides tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Requirement {
    /// The server has to be activated; until then every route of the API answers 503 LICENSE_REQUIRED.
    Licence,
}

/// One of upstream's migrations.
#[derive(Debug, Deserialize)]
pub struct Migration {
    /// The folder's name, which Prisma stores as `migration_name`.
    pub name: String,
    since: String,
    /// Every content that a release shipped under this name.
    pub contents: Vec<MigrationContent>,
    /// Content that only rolling images had.
    #[serde(default)]
    pub unreleased: Vec<UnreleasedContent>,
}

/// A file's content, by its checksum.
#[derive(Debug, Deserialize)]
pub struct MigrationContent {
    /// Hex SHA-256 of the file, as Prisma stores it.
    pub sha256: String,
    /// The releases that shipped it.
    pub releases: String,
}

/// Content that no release shipped.
#[derive(Debug, Deserialize, Serialize)]
pub struct UnreleasedContent {
    /// Hex SHA-256 of the file.
    pub sha256: String,
    /// Where it was seen.
    pub note: String,
}

/// A migration that came with a rolling image and was taken back.
#[derive(Debug, Deserialize, Serialize)]
pub struct WithdrawnMigration {
    /// The folder's name.
    pub name: String,
    /// Its content.
    pub contents: Vec<UnreleasedContent>,
}

/// A migration of a branch or a pull request that no release took.
#[derive(Debug, Deserialize, Serialize)]
pub struct UnreleasedMigration {
    /// The folder's name.
    pub name: String,
    /// Hex SHA-256 of the file, as far as it is known.
    pub sha256: String,
    /// A description, with where it was seen.
    pub note: String,
}

static FACTS: LazyLock<Facts> = LazyLock::new(|| {
    serde_json::from_str(include_str!("facts/releases.json")).expect("facts/releases.json is well formed")
});

/// The embedded facts.
pub fn facts() -> &'static Facts {
    &FACTS
}

impl Release {
    /// Every release, oldest first.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        (0..facts().releases.len()).map(Self)
    }

    /// The newest release that this build knows.
    pub fn newest() -> Self {
        Self(facts().releases.len() - 1)
    }

    /// The newest release that is neither a beta nor a release candidate.
    pub fn newest_stable() -> Self {
        Self::all().rev().find(|release| release.is_stable()).unwrap_or_else(Self::newest)
    }

    /// True if it is neither a beta nor a release candidate.
    pub fn is_stable(self) -> bool {
        facts().releases[self.0].stable
    }

    /// Its requirements besides tables.
    pub fn requirement(self) -> Option<Requirement> {
        facts().releases[self.0].requires
    }

    /// The release with exactly this version.
    pub fn find(version: &str) -> Option<Self> {
        facts().releases.iter().position(|r| r.version == version).map(Self)
    }

    /// The release that a person means: with this version, also behind a `v`; where only a pre-release of it exists
    /// (`2.0.3`), that one.
    pub fn resolve(version: &str) -> Option<Self> {
        let version = version.trim().trim_start_matches('v');
        Self::find(version)
            .or_else(|| Self::all().find(|release| release.version().split('-').next() == Some(version)))
    }

    /// Its version, such as `2.3.7`.
    pub fn version(self) -> &'static str {
        &facts().releases[self.0].version
    }

    /// The day it came out, as `YYYY-MM-DD`.
    pub fn date(self) -> &'static str {
        &facts().releases[self.0].date
    }

    /// The migrations it ships, in order.
    pub fn migrations(self) -> impl Iterator<Item = &'static Migration> {
        facts().migrations.iter().filter(move |migration| migration.since() <= self)
    }

    /// The migration that it added, where it added one only.
    pub fn only_migration(self) -> Option<&'static Migration> {
        let mut added = facts().migrations.iter().filter(|migration| migration.since() == self);
        added.next().filter(|_| added.next().is_none())
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.version())
    }
}

impl Migration {
    /// The release that added it.
    pub fn since(&self) -> Release {
        Release::find(&self.since).expect("facts name known releases")
    }

    /// The checksum of the content that `release` ships.
    pub fn checksum_in(&self, release: Release) -> Option<&str> {
        let shipped = |content: &&MigrationContent| range_of(&content.releases).contains(release);
        self.contents.iter().find(shipped).map(|content| content.sha256.as_str())
    }

    /// The first release that shipped this content, or `None` for content of no release.
    pub fn content_since(&self, checksum: &str) -> Option<Release> {
        self.contents.iter().find(|c| c.sha256 == checksum).map(|c| range_of(&c.releases).from)
    }
}

/// Releases from one to another, both included; without an end it goes on into releases to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseRange {
    /// The first release.
    pub from: Release,
    /// The last release, or `None` for an open end.
    pub to: Option<Release>,
}

impl ReleaseRange {
    /// Reads `2.1.0..2.3.7` or `2.1.0..`. Where only a pre-release of a version exists (`2.0.3`), it is meant.
    ///
    /// # Errors
    /// When a bound is not a known release, or the range is empty.
    pub fn parse(text: &str) -> Result<Self> {
        let (from, to) = text.trim().split_once("..").context("a range is written FROM.. or FROM..TO")?;
        let known = |version: &str| {
            Release::resolve(version).with_context(|| format!("{version} is not a known release"))
        };
        let range = Self { from: known(from)?, to: (!to.is_empty()).then(|| known(to)).transpose()? };
        anyhow::ensure!(range.to.is_none_or(|to| range.from <= to), "the range {text} is empty");
        Ok(range)
    }

    /// True if the release lies in it.
    pub fn contains(&self, release: Release) -> bool {
        self.from <= release && self.to.is_none_or(|to| release <= to)
    }

    /// True if the two have a release in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.to.is_none_or(|to| other.from <= to) && other.to.is_none_or(|to| self.from <= to)
    }
}

impl fmt::Display for ReleaseRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to {
            Some(to) if to == self.from => write!(f, "{to}"),
            Some(to) => write!(f, "{} to {to}", self.from),
            None => write!(f, "{} or later", self.from),
        }
    }
}

fn range_of(text: &str) -> ReleaseRange {
    ReleaseRange::parse(text).expect("facts hold well-formed ranges")
}

/// A row of `_prisma_migrations`, as far as the release depends on it.
#[derive(Debug, Clone)]
pub struct HistoryRow {
    /// `migration_name`.
    pub name: String,
    /// `checksum`, hex SHA-256.
    pub checksum: String,
    /// True if `finished_at` is set.
    pub finished: bool,
    /// True if `rolled_back_at` is set.
    pub rolled_back: bool,
}

/// The migration history of a database.
#[derive(Debug, Clone)]
pub struct MigrationHistory {
    /// The releases whose migrations these are; `None` when not even the first release is complete.
    pub range: Option<ReleaseRange>,
    /// Names applied, known or not, in order of the name.
    pub applied: BTreeSet<String>,
    /// Names still to come up to the newest known release, in order.
    pub pending: Vec<&'static str>,
    /// Names started and neither finished nor rolled back: Prisma's P3009.
    pub failed: Vec<String>,
    /// Applied names that no known release has.
    pub unknown: Vec<String>,
    /// Applied in a content that was issued again since, with where that content came from. No fault of the database.
    pub reissued: Vec<String>,
}

impl MigrationHistory {
    /// Reads the rows against the facts.
    ///
    /// The release is the last one whose migrations are all applied. Checksums narrow the lower end: content that first
    /// came with 2.3.5 cannot have been applied by an older server.
    pub fn from_rows(rows: &[HistoryRow]) -> Self {
        let is_applied = |row: &&HistoryRow| row.finished && !row.rolled_back;
        let applied: BTreeSet<String> = rows.iter().filter(is_applied).map(|r| r.name.clone()).collect();
        let failed = rows
            .iter()
            .filter(|r| !r.finished && !r.rolled_back)
            .map(|r| r.name.clone())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let known = &facts().migrations;
        let unknown: Vec<String> =
            applied.iter().filter(|name| !known.iter().any(|m| &m.name == *name)).cloned().collect();
        let pending = known.iter().map(|m| m.name.as_str()).filter(|n| !applied.contains(*n)).collect();

        let complete = |release: &Release| release.migrations().all(|m| applied.contains(&m.name));
        let last = Release::all().rev().find(complete);
        let range = last.map(|last| {
            let count = last.migrations().count();
            let first = Release::all().find(|r| r.migrations().count() == count).unwrap_or(last);
            // A migration that was recorded ahead of its release says nothing about the server that wrote the rest.
            let shipped = |row: &&HistoryRow| last.migrations().find(|m| m.name == row.name);
            let content = |row: &HistoryRow| shipped(&row).and_then(|m| m.content_since(&row.checksum));
            let seen = rows.iter().filter(is_applied).filter_map(content);
            let from = seen.chain([first]).max().unwrap_or(first).min(last);
            let newest = known.last().map(|m| m.name.as_str()).unwrap_or_default();
            // A branch's migration, however late its number, makes no newer release.
            let is_to_come = |name: &&String| name.as_str() > newest && !is_never_released(name);
            let goes_on = last == Release::newest() && unknown.iter().any(|name| is_to_come(&name));
            ReleaseRange { from, to: (!goes_on).then_some(last) }
        });
        let reissued = rows.iter().filter(is_applied).filter_map(reissue).collect();
        Self { range, applied, pending, failed, unknown, reissued }
    }
}

/// True if a migration is known to be in no release.
fn is_never_released(name: &str) -> bool {
    let facts = facts();
    facts.never_released.iter().any(|one| one.name == name)
        || facts.withdrawn.iter().any(|one| one.name == name)
}

/// Where the content of an applied migration came from, if there is a newer one under the same name.
fn reissue(row: &HistoryRow) -> Option<String> {
    let migration = facts().migrations.iter().find(|migration| migration.name == row.name)?;
    if let Some(content) = migration.unreleased.iter().find(|content| content.sha256 == row.checksum) {
        return Some(format!("{}: {}", row.name, content.note));
    }
    let (newest, older) = migration.contents.split_last()?;
    let content =
        older.iter().find(|content| content.sha256 == row.checksum && content.sha256 != newest.sha256)?;
    Some(format!("{}: as {} had it", row.name, range_of(&content.releases)))
}

#[cfg(test)]
mod tests;
