//! Pruning: kept rows of old runs are dropped permanently. The runs stay in the ledger, as closed.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::change_target::ChangeTarget;
use super::ledger::{self, AppliedRun};
use super::locks::{self, LockAttempt};
use super::quarantine::drop_entries;
use crate::database::catalog::Catalog;
use crate::database::query::{execute_file, query_file};
use crate::database::sql_file::Variables;
use crate::error::user_error;

/// Consent to drop rows that nothing brings back.
const DELETES_ROWS: &str = "deletes-rows";

/// Consent to drop what a run would need to be undone.
const LIMITS_UNDO: &str = "limits-undo";

/// Which runs are to be pruned.
#[derive(Debug, Clone, Copy)]
pub enum PruneTarget {
    /// This run, and all batches of the series that it is the first of.
    Run(i64),
    /// All runs that were applied at least so long ago.
    OlderThan(Duration),
}

/// The rows and bytes that the schema "evodoctor" holds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct LedgerStorage {
    /// Bytes of all its tables and indexes.
    pub bytes: i64,
    /// Rows in the quarantine.
    pub rows: i64,
    /// Age of the oldest run that keeps rows.
    pub oldest_seconds: Option<i64>,
}

/// The rows that pruning drops.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PrunePlan {
    /// The runs.
    pub runs: Vec<i64>,
    /// The number of rows they keep.
    pub rows: i64,
    /// The number of bytes these rows take.
    pub bytes: i64,
    /// The hazards.
    pub hazards: Vec<String>,
    /// Runs that are asked for and stay as they are.
    pub left: Vec<PruneRefusal>,
    /// True if it was committed.
    pub applied: bool,
    /// The command that commits it.
    #[serde(skip)]
    pub again: Option<String>,
}

/// A run that stays as it is.
#[derive(Debug, Clone, Serialize)]
pub struct PruneRefusal {
    /// The run.
    pub run: i64,
    /// The end of a sentence that begins with the run.
    pub reason: String,
}

impl PrunePlan {
    /// Chooses the runs. Those of an age that can still be undone stay, unless that is allowed.
    pub fn new(runs: &[AppliedRun], target: PruneTarget, allowed: &[String]) -> Result<Self> {
        let is_meant = |run: &&AppliedRun| match target {
            PruneTarget::Run(number) => run.run == number || run.series == Some(number),
            PruneTarget::OlderThan(age) => {
                u64::try_from(run.age_seconds).is_ok_and(|seconds| seconds >= age.as_secs())
            }
        };
        let meant: Vec<&AppliedRun> = runs.iter().filter(is_meant).collect();
        if let (PruneTarget::Run(number), []) = (target, meant.as_slice()) {
            return Err(user_error(
                format!("there is no run {number} in this database's ledger"),
                "evodoctor history lists the runs",
            ));
        }
        let mut plan = Self::default();
        let is_named = matches!(target, PruneTarget::Run(_));
        let may_limit = is_named || allowed.iter().any(|hazard| hazard == LIMITS_UNDO);
        for run in meant {
            let reason = match run.quarantined {
                0 if is_named => Some("keeps no rows"),
                0 => continue,
                _ if !run.unfinished.is_empty() => {
                    Some("is not finished; evodoctor fix --online --apply continues it")
                }
                _ if run.can_be_undone() && !may_limit => {
                    Some("can still be undone; --allow limits-undo drops its rows anyway")
                }
                _ => None,
            };
            match reason {
                Some(reason) => plan.left.push(PruneRefusal { run: run.run, reason: reason.to_owned() }),
                None => plan.add(run),
            }
        }
        Ok(plan)
    }

    fn add(&mut self, run: &AppliedRun) {
        self.runs.push(run.run);
        self.rows += run.quarantined;
        self.bytes += run.kept_bytes;
        let needed = [Some(DELETES_ROWS), run.can_be_undone().then_some(LIMITS_UNDO)];
        for hazard in needed.into_iter().flatten() {
            if !self.hazards.iter().any(|known| known == hazard) {
                self.hazards.push(hazard.to_owned());
            }
        }
    }

    /// Hazards without consent.
    pub fn missing_consent(&self, allowed: &[String]) -> Vec<String> {
        self.hazards.iter().filter(|hazard| !allowed.contains(hazard)).cloned().collect()
    }
}

/// Reads every run, with what it keeps, and how much the whole is.
///
/// # Errors
/// When the ledger is not to be trusted, or the connection is lost.
pub async fn read_storage(
    connection: &mut PgConnection,
    catalog: &Catalog,
) -> Result<(Vec<AppliedRun>, LedgerStorage)> {
    let mut runs = ledger::read_runs_of(connection, &catalog.ledger_facts).await?;
    ledger::mark_superseded(connection, catalog, &mut runs).await?;
    let mut storage = LedgerStorage::default();
    if !ledger::expect_sound(&catalog.ledger_facts)? {
        return Ok((runs, storage));
    }
    let nothing = Variables::default();
    let total = query_file(connection, "sql/ledger/storage.sql", &nothing).await?;
    storage.bytes = total.first().context("a sum is one row")?.try_get("bytes")?;
    let forms = query_file(connection, "sql/ledger/quarantine_forms.sql", &nothing).await?;
    let forms = forms.first().context("the server did not answer")?;
    for (form, path) in [
        ("has_entries", "sql/ledger/quarantine_bytes.sql"),
        ("has_legacy", "sql/ledger/quarantine_bytes_legacy.sql"),
    ] {
        if !forms.try_get::<bool, _>(form)? {
            continue;
        }
        for row in query_file(connection, path, &nothing).await? {
            let number: i64 = row.try_get("run")?;
            let bytes: i64 = row.try_get("bytes")?;
            runs.iter_mut().filter(|run| run.run == number).for_each(|run| run.kept_bytes += bytes);
        }
    }
    storage.rows = runs.iter().map(|run| run.quarantined).sum();
    let keeping = runs.iter().filter(|run| run.quarantined > 0);
    storage.oldest_seconds = keeping.map(|run| run.age_seconds).max();
    Ok((runs, storage))
}

/// Drops what the runs keep. The transaction stays open.
///
/// # Errors
/// When other runs are meant by now than were shown, this role does not own the ledger, or the connection is lost.
pub async fn prune(
    connection: &mut PgConnection,
    subject: &ChangeTarget,
    attempt: &LockAttempt,
    target: PruneTarget,
    allowed: &[String],
) -> Result<PrunePlan> {
    locks::begin_change(connection, attempt.moment).await?;
    let catalog = Catalog::read(connection, &subject.schema).await?;
    let (runs, _) = read_storage(connection, &catalog).await.map_err(ledger::as_timeout)?;
    let mut plan = PrunePlan::new(&runs, target, allowed)?;
    if plan.runs.is_empty() || !plan.missing_consent(allowed).is_empty() {
        return Ok(plan);
    }
    ledger::expect_own(connection, &subject.schema, &subject.server.role).await?;
    ledger::bring_up_to_date(connection, &catalog.ledger_facts, &subject.schema)
        .await
        .map_err(ledger::as_timeout)?;
    drop_entries(connection, &plan.runs).await.map_err(ledger::as_timeout)?;
    let variables = Variables::default().text("runs", serde_json::to_string(&plan.runs)?);
    execute_file(connection, "sql/ledger/prune.sql", &variables).await?;
    plan.applied = true;
    Ok(plan)
}
