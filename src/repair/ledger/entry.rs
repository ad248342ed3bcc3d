//! The ledger's record of a run and of each of its fixes.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::checks::references::Reference;
use crate::database::catalog::Ddl;
use crate::repair::deferred_ddl::{DeferredState, DeferredStatement};
use crate::repair::fix_sql::UndoStatement;
use crate::repair::orphan_constraints::SavedConstraint;

/// A run that was applied.
#[derive(Debug, Clone, Serialize)]
pub struct AppliedRun {
    /// Its number, from 1.
    pub run: i64,
    /// The schema it changed.
    pub target_schema: String,
    /// When, in UTC, as ISO 8601.
    pub applied_at: String,
    /// By which role.
    pub applied_by: String,
    /// With which version of this program.
    pub tool_version: String,
    /// The release found then.
    pub release_from: Option<String>,
    /// The release found then; `null` for an open end.
    pub release_to: Option<String>,
    /// The hash of its plan.
    pub plan_hash: String,
    /// When it was undone, in UTC.
    pub undone_at: Option<String>,
    /// By which role.
    pub undone_by: Option<String>,
    /// When it was closed as superseded (EVO307), in UTC.
    pub closed_at: Option<String>,
    /// By which role.
    pub closed_by: Option<String>,
    /// Upstream's migrations that have changed the same objects since; filled in by [`mark_superseded`].
    pub superseded_by: Vec<String>,
    /// The first run of the series of batches that it is of; `null` for a run that stands alone.
    pub series: Option<i64>,
    /// The statements that are still to be run for it to be whole; none of a run that was undone or closed.
    pub unfinished: Vec<String>,
    /// The number of rows it holds in the quarantine.
    pub quarantined: i64,
    /// The number of bytes these rows take; filled in by [`super::prune::read_storage`].
    pub kept_bytes: i64,
    /// The time since it was applied, in seconds.
    pub age_seconds: i64,
    /// When its rows were dropped (`history --prune`), in UTC.
    pub pruned_at: Option<String>,
    /// Its fixes, in the order they were applied.
    pub fixes: Vec<AppliedFix>,
}

/// A fix of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AppliedFix {
    /// The code.
    pub code: String,
    /// The fix's version.
    pub version: u32,
    /// The checksum of its statements.
    pub checksum: String,
    /// The tables it locked.
    pub tables: Vec<String>,
    /// Canonical DDL of the tables that changed, before.
    #[serde(skip_serializing)]
    pub ddl_before: Ddl,
    /// The same, after.
    #[serde(skip_serializing)]
    pub ddl_after: Ddl,
    /// The data that undo needs besides the files.
    #[serde(skip_serializing)]
    pub steps: UndoSteps,
}

/// The data that undo needs besides the files of the fix.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct UndoSteps {
    /// Constraints that the fix dealt with.
    #[serde(default)]
    pub constraints: Vec<SavedConstraint>,
    /// The arguments of an operation.
    #[serde(default)]
    pub arguments: BTreeMap<String, String>,
    /// The statements that reverse those that queries wrote.
    #[serde(default)]
    pub ways_back: Vec<UndoStatement>,
    /// Upstream's migrations whose work the fix did, and which it recorded as applied.
    #[serde(default)]
    pub records: Vec<String>,
    /// The deferred statements, with their state.
    #[serde(default)]
    pub later: Vec<DeferredStatement>,
    /// The number of the removed rows that referred to nothing by a key that was there, by the key's name: so many may
    /// come back so. Not known of runs before ledger format 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphans: Option<BTreeMap<String, i64>>,
    /// The rows kept before an upgrade, if the run did only that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Value>,
}

impl UndoSteps {
    /// Whether the fix did nothing but to treat rows, as far as the way back tells.
    pub fn are_of_rows(&self) -> bool {
        self.constraints.is_empty()
            && self.ways_back.is_empty()
            && self.records.is_empty()
            && self.later.is_empty()
    }

    /// Remembers which keys removed rows did not keep, and what these keys are: the rows have to come back past them.
    pub fn remember_orphans(&mut self, orphans: Vec<(String, i64)>, all: &[Reference]) {
        for (name, _) in &orphans {
            let is_it =
                |reference: &&Reference| reference.declared.as_ref().is_some_and(|key| key.name == *name);
            for constraint in all.iter().filter(is_it).map(SavedConstraint::from_reference) {
                let is_known = |known: &SavedConstraint| {
                    known.name == constraint.name && known.child_table == constraint.child_table
                };
                if !self.constraints.iter().any(is_known) {
                    self.constraints.push(constraint);
                }
            }
        }
        self.orphans = Some(orphans.into_iter().collect());
    }
}

impl AppliedRun {
    /// True if it is neither undone, nor closed, nor superseded by an upgrade.
    pub fn can_be_undone(&self) -> bool {
        self.undone_at.is_none() && self.closed_at.is_none() && self.superseded_by.is_empty()
    }

    /// True if it was undone, and rows that could not come back are still kept.
    pub fn keeps_left_rows(&self) -> bool {
        self.undone_at.is_some() && self.pruned_at.is_none() && self.quarantined > 0
    }

    /// The deferred statements that are not done; none for a run that was undone or closed.
    pub fn pending_statements(&self) -> Vec<&DeferredStatement> {
        let is_over = self.undone_at.is_some() || self.closed_at.is_some();
        let fixes = self.fixes.iter().filter(|_| !is_over);
        fixes.flat_map(|fix| &fix.steps.later).filter(|later| later.state == DeferredState::Open).collect()
    }
}

/// A run as `sql/ledger/runs.sql` reads it.
pub(super) fn read_run(row: &PgRow) -> Result<AppliedRun> {
    let fixes: Value = row.try_get("fixes")?;
    let mut run = AppliedRun {
        run: row.try_get("run")?,
        target_schema: row.try_get("target_schema")?,
        applied_at: row.try_get("applied_at")?,
        applied_by: row.try_get("applied_by")?,
        tool_version: row.try_get("tool_version")?,
        release_from: row.try_get("release_from")?,
        release_to: row.try_get("release_to")?,
        plan_hash: row.try_get("plan_hash")?,
        undone_at: row.try_get("undone_at")?,
        undone_by: row.try_get("undone_by")?,
        closed_at: row.try_get("closed_at")?,
        closed_by: row.try_get("closed_by")?,
        superseded_by: Vec::new(),
        series: row.try_get("series")?,
        quarantined: 0,
        kept_bytes: 0,
        age_seconds: row.try_get("age_seconds")?,
        pruned_at: row.try_get("pruned_at")?,
        unfinished: Vec::new(),
        fixes: serde_json::from_value(fixes).context("the ledger holds a fix that cannot be read")?,
    };
    for later in run
        .fixes
        .iter_mut()
        .flat_map(|fix| &mut fix.steps.later)
        .filter(|later| later.state == DeferredState::Open)
    {
        let number = run.run;
        *later = later
            .clone()
            .rendered(&run.target_schema)
            .with_context(|| format!("run {number} of the ledger cannot be continued"))?;
    }
    run.unfinished = run.pending_statements().into_iter().map(|later| later.sql.clone()).collect();
    Ok(run)
}
