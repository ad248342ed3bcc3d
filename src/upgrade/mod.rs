//! What an upgrade will do to this database: upstream's pending migrations, walked through step by step on what the
//! catalog holds, and the hazards in its rows.
//!
//! [`state`] is what a migration meets, [`walk`] says which of its steps Postgres refuses, [`locks`] what each locks and
//! rewrites, [`hazard`] asks the rows, [`done`] compares what is there already with what it would make, [`fixes`] looks at our
//! own ledger, and [`preflight`] puts it together. [`rehearsal`] runs the files themselves. [`beforehand`] lets `fix` take a
//! hazard away.

use serde::Serialize;

pub mod beforehand;
pub mod done;
pub mod fixes;
pub mod hazard;
pub mod locks;
pub mod preflight;
pub mod rehearsal;
pub mod speed;
pub mod state;
mod target;
pub mod walk;

/// What `preflight` says beside its findings.
#[derive(Debug, Serialize)]
pub struct Preflight {
    /// The release to go to.
    pub to: &'static str,
    /// How many of that release's migrations are applied.
    pub applied: usize,
    /// How many it has.
    pub total: usize,
    /// Whether `prisma migrate deploy` starts at all; what stands in its way is a finding (EVO301, EVO302).
    pub starts: bool,
    /// The migrations still to come, in the order in which Prisma applies them.
    pub pending: Vec<Pending>,
    /// Applied fixes that touch what a pending migration touches; `null` where this role may not read the ledger.
    pub fixes: Option<Vec<fixes::Meeting>>,
    /// What the estimates rest on; `null` where no table has to be read.
    pub speed: Option<speed::Speed>,
    /// What to do before the upgrade, as lines to run, in order.
    pub before: Vec<String>,
    /// What the release wants besides its tables, and what it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What the files themselves did, where they were rehearsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<rehearsal::Rehearsal>,
}

/// One migration still to come.
#[derive(Debug, Serialize)]
pub struct Pending {
    /// Its name.
    pub name: &'static str,
    /// The release that brings it.
    pub release: &'static str,
    /// How it ends.
    pub outcome: Outcome,
    /// The error that it ends with.
    pub sqlstate: Option<String>,
    /// Whether Prisma comes to it: it stops at the first failure.
    pub reached: bool,
    /// Tables that exist now and that it locks.
    pub locks: Vec<locks::Lock>,
    /// Rows that exist now and that it removes or changes.
    pub rows: Vec<Rows>,
    /// About how long it takes, in seconds.
    pub seconds: f64,
    /// The codes of the findings about it.
    pub hazards: Vec<String>,
}

/// How a migration ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is applied, and nothing is lost.
    Passes,
    /// It is applied, and keeps others waiting for long.
    Blocks,
    /// It is applied, and rows or values are gone or overwritten.
    LosesData,
    /// It is recorded as applied, and what it should bring is not there.
    GoesAstray,
    /// It could not be found out.
    Undecided,
    /// Postgres refuses it.
    Fails,
}

/// Rows of one table that a migration treats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rows {
    /// The table.
    pub table: String,
    /// `removes-rows`, `changes-rows`, or `drops-values` where the column goes.
    pub action: String,
    /// How many.
    pub count: i64,
}
