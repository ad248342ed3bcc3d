//! Orphans and duplicates in batches: each batch is a transaction and a run of its own, sized by how long the previous
//! one took, and delayed while the server is busy. Between two batches no lock and no transaction is held.

mod batch_source;

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use self::batch_source::BatchSource;
use super::change_target::ChangeTarget;
use super::fix::Fix;
use super::ledger::{self, AppliedFix};
use super::locks::{self, LockAttempt, LockMode, LockWatch};
use super::plan::{FixPlan, FixTiming, base_ddl, to_millis};
use super::privileges::{self, RequiredPrivileges};
use super::quarantine::{Quarantine, RowAction};
use super::row_changes::TreatedRows;
use crate::database::catalog::{Catalog, Ddl};
use crate::database::query::{self, execute, query_file};
use crate::database::sql_file::Variables;
use crate::text::humanize;

/// The codes whose rows can be so many that batches are worth it. Without a code the first is meant.
pub const CODES: [&str; 5] = ["EVO101", "EVO102", "EVO103", "EVO107", "EVO108"];

/// Target duration of a batch: others wait that long for the rows' tables.
const TARGET: Duration = Duration::from_millis(500);

/// Batches wait for a standby that is further behind than this.
const LAG: Duration = Duration::from_secs(5);

/// Batches also wait for one that lacks more bytes than these, which may not replay at all.
const LAG_BYTES: i64 = 64 << 20;

/// The number of keys that are looked for at once; each look reads until it has as many.
pub const LOOK: usize = 100_000;

/// The number of rows the next batch takes.
#[derive(Debug, Clone, Copy)]
pub struct BatchSizer {
    size: usize,
    /// Minimum batch size: smaller batches would only repeat the fixed cost of a batch.
    floor: usize,
    /// The size of the batch before the last, and how long it took.
    before: Option<(usize, Duration)>,
}

impl BatchSizer {
    /// Starts with so many rows.
    pub fn new(first: usize) -> Self {
        let size = first.clamp(1, LOOK);
        Self { size, floor: size.min(10), before: None }
    }

    /// The size of the next batch.
    pub fn size(self) -> usize {
        self.size
    }

    /// Learns from a batch of the present size: at most twice as many next, at least a quarter, and never below ten.
    pub fn record_duration(&mut self, elapsed: Duration) {
        if let Some((size, took)) = self.before.filter(|(size, _)| *size >= 2 * self.size) {
            // Half the rows or fewer in hardly less time: the time is spent on reading whole tables.
            if (0.7..1.5).contains(&(elapsed.as_secs_f64() / took.as_secs_f64().max(0.001))) {
                self.floor = size;
            }
        }
        self.before = Some((self.size, elapsed));
        let factor = TARGET.as_secs_f64() / elapsed.as_secs_f64().max(0.001);
        let next = (self.size as f64 * factor.clamp(0.25, 2.0)) as usize;
        self.size = next.clamp(self.floor, LOOK);
    }
}

/// The load of the server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServerLoad {
    /// By how long the slowest standby is behind; `None` without one, or where this role may not see it.
    pub lag: Option<Duration>,
    /// By how many bytes of WAL; `None` as before.
    pub lag_bytes: Option<i64>,
    /// The number of sessions of the database that wait for a lock.
    pub waiting: i64,
    /// True if this role would see a standby's lag.
    pub sees_lag: bool,
}

impl ServerLoad {
    /// Asks the server, in a transaction of its own.
    pub async fn read(connection: &mut PgConnection) -> Result<Self> {
        query::begin_transaction(connection, "BEGIN READ ONLY").await?;
        let found = query_file(connection, "sql/catalog/server_load.sql", &Variables::default()).await?;
        execute(connection, "ROLLBACK".into()).await?;
        let row = found.first().context("the server did not answer")?;
        let lag: Option<f64> = row.try_get("lag_seconds")?;
        Ok(Self {
            lag: lag.map(|seconds| Duration::from_secs_f64(seconds.max(0.0))),
            lag_bytes: row.try_get("lag_bytes")?,
            waiting: row.try_get("waiting")?,
            sees_lag: row.try_get("sees_lag")?,
        })
    }

    /// Why the next batch has to wait, if it has to.
    pub fn busy_reason(&self) -> Option<String> {
        if let Some(lag) = self.lag.filter(|lag| *lag > LAG) {
            return Some(format!("a standby is {:.0} s behind", lag.as_secs_f64()));
        }
        if let Some(bytes) = self.lag_bytes.filter(|bytes| *bytes > LAG_BYTES) {
            return Some(format!("a standby is {} behind", humanize::format_bytes(bytes)));
        }
        (self.waiting > 0).then(|| format!("{} sessions wait for a lock", self.waiting))
    }
}

/// The result of a batch. Its transaction is still open, with the ledger already written in it.
#[derive(Debug)]
pub struct BatchResult {
    /// Its number in the ledger.
    pub run: i64,
    /// Its changes.
    pub plan: FixPlan,
    /// The number of treated rows that were wrong themselves; rows that depend on them are not counted.
    pub rows: usize,
    /// Where the next batch continues, once this one is committed.
    pub series: BatchSeries,
}

/// The state that the batches of one series share.
#[derive(Debug, Clone, Default)]
pub struct BatchSeries {
    /// The run of the first; `None` before it.
    pub first: Option<i64>,
    quarantine: Option<Quarantine>,
}

impl BatchSeries {
    fn quarantine_of(&self, run: i64, is_dry_run: bool) -> Quarantine {
        match &self.quarantine {
            Some(quarantine) => quarantine.for_run(run),
            None => Quarantine::new(run, is_dry_run),
        }
    }
}

/// The rows that a fix has to repair for the finding with this key, searched in a read-only transaction that is ended
/// again: keys of orphans, or for each thing the places of its duplicate rows.
///
/// # Errors
/// When what it is about is gone, or the connection is lost.
pub async fn find_rows(
    connection: &mut PgConnection,
    subject: &ChangeTarget,
    fix: &Fix,
    key: &str,
    limit: usize,
) -> Result<Vec<Value>> {
    query::begin_transaction(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
    let catalog = Catalog::read(connection, &subject.schema).await?;
    let found =
        BatchSource::for_finding(fix, key, &catalog, subject.range)?.find_rows(connection, limit).await?;
    execute(connection, "ROLLBACK".into()).await?;
    Ok(found)
}

/// Repairs those of `some`, from [`find_rows`], that are still wrong, and writes the ledger, as a run of `series` or as
/// the first of one.
///
/// # Errors
/// [`locks::LockTimeout`] when a table was busy. The caller rolls back.
pub async fn run_batch(
    connection: &mut PgConnection,
    subject: &ChangeTarget,
    attempt: &LockAttempt,
    fix: &Fix,
    key: &str,
    some: &[Value],
    series: &BatchSeries,
) -> Result<BatchResult> {
    locks::begin_change(connection, attempt.moment).await?;
    let catalog = Catalog::read(connection, &subject.schema).await?;
    subject.expect_release(connection, &catalog).await?;
    let run = ledger::create_or_upgrade(
        connection,
        &catalog.ledger_facts,
        &subject.schema,
        &subject.server.role,
        &subject.server.database,
    )
    .await
    .map_err(ledger::as_timeout)?;
    let source = BatchSource::for_finding(fix, key, &catalog, subject.range)?;
    let tables = source.tables();
    let need = RequiredPrivileges::new(&fix.code, tables.clone(), [].iter());
    privileges::expect_table_privileges(&catalog, &subject.server, need)?;
    let mode = LockMode::ShareRowExclusive;
    let mut watch = LockWatch::default();
    watch.next_fix();
    locks::lock(connection, attempt, &subject.schema, &tables, mode).await?;
    watch.record_locks(connection).await?;

    let mut quarantine = series.quarantine_of(run, attempt.is_dry_run);
    let treated = source.treat(connection, some, &mut quarantine, &mut watch).await;
    let TreatedRows { statements, row_diff, orphans, marking } =
        treated.map_err(|error| locks::as_timeout(error, &subject.schema, &tables, mode))?;
    let mut steps = source.steps();
    steps.remember_orphans(orphans, source.references());
    let treated_rows = row_diff.iter().map(|diff| diff.count).sum();
    let has = |action| row_diff.iter().any(|diff| diff.action == action);
    let is_real = |hazard: &&String| match hazard.as_str() {
        "deletes-rows" => has(RowAction::Removed),
        "changes-rows" => has(RowAction::Changed),
        hazard => hazard == "blocks-writes",
    };
    let plan = FixPlan {
        code: fix.code.clone(),
        name: fix.name.clone(),
        version: fix.version,
        checksum: fix.checksum.clone(),
        applicability: fix.applicability,
        hazards: fix.hazards.iter().filter(is_real).cloned().collect(),
        notes: fix.notes(subject.range),
        statements,
        after_commit: Vec::new(),
        schema_diff: String::new(),
        row_diff,
        left_rows: Vec::new(),
        locks: watch.held(1),
        timing: FixTiming {
            finding_ms: to_millis(marking),
            locked_ms: to_millis(watch.locked_for()),
            rows: treated_rows,
        },
        base: base_ddl(&Ddl::new(), &tables),
        plan_hash: String::new(),
    }
    .with_hash();
    let applied = AppliedFix {
        code: fix.code.clone(),
        version: fix.version,
        checksum: fix.checksum.clone(),
        tables,
        ddl_before: Ddl::new(),
        ddl_after: Ddl::new(),
        steps,
    };
    let first = series.first.unwrap_or(run);
    ledger::record_run(connection, &subject.schema, subject.range, &plan.plan_hash, &[applied], Some(first))
        .await
        .map_err(ledger::as_timeout)?;
    let series = BatchSeries { first: Some(first), quarantine: Some(quarantine) };
    Ok(BatchResult { run, rows: source.rows(some, &plan.row_diff), plan, series })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_and_shrink_towards_the_target() {
        let mut pace = BatchSizer::new(1000);
        pace.record_duration(Duration::from_millis(10));
        assert_eq!(pace.size(), 2000, "at most twice as many");
        pace.record_duration(Duration::from_millis(1000));
        assert_eq!(pace.size(), 1000);
        pace.record_duration(Duration::from_secs(60));
        assert_eq!(pace.size(), 250, "at least a quarter");
        for _ in 0..20 {
            pace.record_duration(Duration::from_millis(600 * pace.size() as u64 / 10));
        }
        assert_eq!(pace.size(), 10);
        for _ in 0..40 {
            pace.record_duration(Duration::ZERO);
        }
        assert_eq!(pace.size(), LOOK);
        let mut small = BatchSizer::new(1);
        small.record_duration(Duration::from_secs(60));
        assert_eq!(small.size(), 1, "smaller than ten only where that was asked for");
        let mut fixed = BatchSizer::new(1000);
        fixed.record_duration(Duration::from_secs(3));
        assert_eq!(fixed.size(), 250);
        fixed.record_duration(Duration::from_secs(3));
        assert_eq!(fixed.size(), 1000, "fewer rows took as long: it is not the rows");
    }

    #[test]
    fn batches_wait_for_a_busy_server() {
        let calm = ServerLoad { lag: None, lag_bytes: None, waiting: 0, sees_lag: true };
        assert_eq!(calm.busy_reason(), None);
        let near = ServerLoad { lag: Some(Duration::from_secs(4)), ..calm };
        assert_eq!(near.busy_reason(), None);
        let far = ServerLoad { lag: Some(Duration::from_secs(90)), ..calm };
        assert_eq!(far.busy_reason().as_deref(), Some("a standby is 90 s behind"));
        let paused = ServerLoad { lag_bytes: Some(LAG_BYTES + 1), ..near };
        assert!(paused.busy_reason().is_some_and(|said| said.starts_with("a standby is ")), "{paused:?}");
        assert_eq!(
            ServerLoad { waiting: 3, ..calm }.busy_reason().as_deref(),
            Some("3 sessions wait for a lock")
        );
    }
}
