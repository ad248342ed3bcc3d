//! `evodoctor preflight --keep`: counts what the upgrade destroys, and with `--apply` copies it first.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result};
use sqlx::postgres::PgConnection;

use super::shared::apply::{self, dry_run_with_retry};
use super::shared::connect::{DatabaseContext, expect_live};
use crate::cli::{self, GlobalOptions};
use crate::database::catalog::Catalog;
use crate::evolution::release::{MigrationHistory, Release};
use crate::progress::{ProgressTask, Unit};
use crate::repair::ledger::AppliedRun;
use crate::repair::locks::LockRetry;
use crate::report::expect_writable;
use crate::rules::finding::Finding;
use crate::rules::rule::Severity;
use crate::upgrade::Preflight;
use crate::upgrade::catalog_state::{CatalogState, TableSize};
use crate::upgrade::keep::copy::{self, CopyState};
use crate::upgrade::keep::derive::what_goes;
use crate::upgrade::keep::measure::measure;
use crate::upgrade::keep::{KeepReport, KeptRun, LostPart};
use crate::upgrade::outcome::count_rows;
use crate::upgrade::preflight::pending_migrations;
use crate::upgrade::read_speed::ReadSpeed;
use crate::upgrade::read_speed::TableWork;

/// The parts that are lost, and what a run would record.
pub struct KeepPlan {
    report: KeepReport,
    kept: KeptRun,
}

/// Refuses early what cannot be applied.
///
/// # Errors
/// When a dump is to be changed for good, or the report could not be written afterwards.
pub fn expect_applicable(args: &cli::PreflightArgs, common: &GlobalOptions) -> Result<()> {
    if !args.apply {
        return Ok(());
    }
    expect_live(common, "--apply needs a database: what a dump is restored into is removed afterwards")?;
    expect_writable(common.output.as_deref())
}

/// Finds out what is lost, in the open snapshot.
///
/// # Errors
/// When a table cannot be read, or the connection is lost.
pub async fn plan(
    connection: &mut PgConnection,
    catalog: &Catalog,
    history: Option<&MigrationHistory>,
    target: Release,
    preflight: &Preflight,
    counts: bool,
) -> Result<KeepPlan> {
    let pending = pending_migrations(history, target);
    let state = CatalogState::read(connection, &catalog.schema).await?;
    let parts = what_goes(&state, &catalog.schema, &pending, target);
    let parts = measure(connection, catalog, &parts).await?;
    let speed = preflight.speed.clone().unwrap_or_else(ReadSpeed::default_estimate);
    let seconds = parts.iter().map(|one| {
        let size = state.sizes.get(&one.part.table).copied().unwrap_or_default();
        let copied = TableSize { bytes: one.bytes, heap_bytes: one.bytes, ..TableSize::default() };
        speed.seconds(TableWork::Scan, size) + speed.seconds(TableWork::Rewrite, copied)
    });
    let mut counted = BTreeMap::new();
    for (name, table) in catalog.tables.iter().filter(|_| counts) {
        if table.is_readable && state.is_table(name) && !name.starts_with('_') {
            counted.insert(name.clone(), count_rows(connection, &catalog.schema, name).await?);
        }
    }
    let mut removed = BTreeMap::new();
    for rows in
        preflight.pending.iter().flat_map(|one| &one.rows).filter(|rows| rows.action == "removes-rows")
    {
        *removed.entry(rows.table.clone()).or_default() += rows.count;
    }
    let mut notes = Vec::new();
    if history.is_none() {
        notes.push(
            "there is no migration history, so it is unknown what is pending, and nothing is kept".to_owned(),
        );
    }
    let report = KeepReport {
        run: None,
        rows: parts.iter().map(|one| one.rows).sum(),
        bytes: parts.iter().map(|one| one.bytes).sum(),
        seconds: seconds.sum(),
        parts,
        notes,
    };
    let kept =
        KeptRun { to: target.version().to_owned(), finished: false, parts: Vec::new(), counted, removed };
    Ok(KeepPlan { report, kept })
}

/// Copies what is lost, with `--apply`. The snapshot has to be ended before.
///
/// # Errors
/// When a table stays busy, on Ctrl-C, or when the ledger may not be written. What was copied until then is let go by the next run.
pub async fn apply(
    opened: &mut DatabaseContext,
    plan: KeepPlan,
    args: &cli::PreflightArgs,
    has_pending: bool,
) -> Result<KeepReport> {
    let KeepPlan { mut report, kept } = plan;
    if !args.apply || !has_pending {
        return Ok(report);
    }
    opened.expect_primary()?;
    let begun = Instant::now();
    let subject = opened.change_target();
    let parts: Vec<(LostPart, i64)> = report.parts.iter().map(|one| (one.part.clone(), one.rows)).collect();
    let batch = i64::from(args.batch.get());
    let progress = ProgressTask::start("keeping");
    progress.start_phase("", None, Unit::Steps);
    let lock_retry = || LockRetry::new(args.waiting.wait);
    let mut state = dry_run_with_retry(opened, &subject, lock_retry(), async |connection, attempt| {
        copy::begin(connection, &subject, attempt, &parts, kept.clone(), batch).await
    })
    .await?;
    commit(opened, &state).await?;
    while !state.is_done() {
        progress.advance(1);
        state = dry_run_with_retry(opened, &subject, lock_retry(), async |connection, attempt| {
            copy::next_batch(connection, &subject, attempt, state.clone(), batch).await
        })
        .await
        .with_context(|| {
            format!(
                "run {} is not finished; the next preflight --keep --apply discards it and starts again",
                state.run
            )
        })?;
        commit(opened, &state).await?;
    }
    report.run = Some(state.run);
    report.seconds = begun.elapsed().as_secs_f64();
    report.notes.push(
        "rows that are written after this are not kept: stop the server, run this, then upgrade".to_owned(),
    );
    Ok(report)
}

/// What is lost and kept no longer counts as a loss.
pub fn say_kept(report: &KeepReport, findings: &mut [Finding]) {
    let Some(run) = report.run else { return };
    let is_kept = |finding: &&mut Finding| {
        let effect = finding.extra.get("effect").and_then(|effect| effect.as_str());
        matches!(effect, Some("removes-rows" | "changes-rows" | "drops-values"))
            && report.parts.iter().any(|one| one.part.table == finding.subject)
    };
    for finding in findings.iter_mut().filter(is_kept) {
        finding.severity = Severity::Advice;
        finding.detail.push_str(&format!("; run {run} keeps a copy of what is lost"));
    }
}

async fn commit(opened: &mut DatabaseContext, state: &CopyState) -> Result<()> {
    let (number, hash, is_finished) = (state.run, state.plan_hash.clone(), state.kept.finished);
    let is_it = move |run: &AppliedRun| {
        run.run == number
            && run.plan_hash == hash
            && (!is_finished || copy::kept_by(run).is_some_and(|kept| kept.finished))
    };
    apply::commit_transaction(opened, number, is_it).await
}
