//! Predicts what an upgrade will do to this database: upstream's pending migrations, simulated step by step on the
//! catalog, and the hazards in its rows.
//!
//! [`catalog_state`] is the state that a migration meets, [`simulate`] finds the steps that Postgres refuses, [`locks`]
//! what each locks and rewrites, [`hazard`] queries the rows, [`already_applied`] compares existing objects with those
//! that a migration would create, [`fix_conflicts`] reads our own ledger, and [`preflight`] combines all of it.
//! [`rehearsal`] runs the files themselves. [`hazard_detector`] lets `fix` repair a hazard. [`keep`] copies what is
//! lost into the quarantine first, [`window`] compares the locks with a log's traffic, and [`outcome`] reports
//! afterwards how the upgrade went. [`way_back`] is about the other direction: an older server on these tables.

use serde::Serialize;

pub mod already_applied;
pub mod catalog_state;
pub mod fix_conflicts;
pub mod hazard;
pub mod hazard_detector;
pub mod keep;
pub mod locks;
pub mod outcome;
pub mod preflight;
pub mod read_speed;
pub mod rehearsal;
pub mod release_notes;
pub mod simulate;
pub mod way_back;
pub mod window;

/// The report of `preflight` besides its findings.
#[derive(Debug, Serialize)]
pub struct Preflight {
    /// The release to go to.
    pub to: &'static str,
    /// The number of that release's migrations that are applied.
    pub applied: usize,
    /// The number of characters that it has.
    pub total: usize,
    /// True if `prisma migrate deploy` starts at all; what stands in its way is a finding (EVO301, EVO302).
    pub starts: bool,
    /// The migrations still to come, in the order in which Prisma applies them.
    pub pending: Vec<PendingMigration>,
    /// Applied fixes that touch what a pending migration touches; `null` where this role may not read the ledger.
    pub fixes: Option<Vec<fix_conflicts::FixConflict>>,
    /// The basis of the estimates; `null` if no table has to be read.
    pub speed: Option<read_speed::ReadSpeed>,
    /// The steps before the upgrade, as lines to run, in order.
    pub before: Vec<String>,
    /// Notes on the release.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The losses of the upgrade that can be kept, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<Box<keep::KeepReport>>,
    /// The hours of the week with the requests that would wait, where a log was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Box<window::UpgradeWindow>>,
    /// The answer to whether the server of an older release runs on these tables, where one is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way_back: Option<Box<way_back::WayBack>>,
    /// The results of the files, if they were rehearsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<rehearsal::MigrationRehearsal>,
}

/// One migration still to come.
#[derive(Debug, Serialize)]
pub struct PendingMigration {
    /// Its name.
    pub name: &'static str,
    /// The release that brings it.
    pub release: &'static str,
    /// The predicted outcome.
    pub outcome: MigrationOutcome,
    /// The error that it ends with.
    pub sqlstate: Option<String>,
    /// True if Prisma comes to it: it stops at the first failure.
    pub reached: bool,
    /// Tables that exist now and that it locks.
    pub locks: Vec<locks::MigrationLock>,
    /// Rows that exist now and that it removes or changes.
    pub rows: Vec<TreatedTable>,
    /// About how long it takes, in seconds.
    pub seconds: f64,
    /// The codes of the findings about it.
    pub hazards: Vec<String>,
}

/// The outcome of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MigrationOutcome {
    /// It is applied, and nothing is lost.
    Passes,
    /// It is applied, and keeps others waiting for long.
    Blocks,
    /// It is applied, and rows or values are gone or overwritten.
    LosesData,
    /// It is recorded as applied, but its objects do not exist.
    GoesAstray,
    /// It could not be found out.
    Undecided,
    /// Postgres refuses it.
    Fails,
}

/// Rows of one table that a migration treats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TreatedTable {
    /// The table.
    pub table: String,
    /// `removes-rows`, `changes-rows`, or `drops-values` where the column goes.
    pub action: String,
    /// The number of rows.
    pub count: i64,
}
