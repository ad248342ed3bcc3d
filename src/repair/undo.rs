//! Undo: reverses an applied run, fix by fix in reverse, and holds the schema against what it was.

mod restore;

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use sqlx::postgres::PgConnection;

use super::change_target::ChangeTarget;
use super::fix::{self, Fix};
use super::fix_sql::{self, run_for_each_finding, run_statements, run_undo_statements};
use super::ledger::{self, AppliedFix, AppliedRun};
use super::locks::{self, LockAttempt, LockMode, LockWatch};
use super::orphan_constraints::ConstraintState;
use super::plan::{DatabaseIdentity, FixPlan, FixTiming, base_ddl, plan_hash, to_millis};
use super::privileges::{self, RequiredPrivileges};
use super::quarantine::{self, QuarantineEntry, RowAction, RowDiff, RowSample};
use super::schema_diff;
use super::work_tables::can_replicate;
use crate::checks::check::CheckScope;
use crate::database::catalog::{self, Catalog, Ddl};
use crate::database::query::execute_file;
use crate::database::sql_file::Variables;
use crate::error::user_error;
use crate::progress::{ProgressTask, Unit};

/// What undoing a run did. The transaction is still open, the run already closed in it.
#[derive(Debug)]
pub struct UndoResult {
    /// The run.
    pub run: AppliedRun,
    /// What reversing each fix did, in the order it was done.
    pub fixes: Vec<FixPlan>,
    /// The hash of the whole.
    pub plan_hash: String,
}

/// Finds the run, or says why it cannot be undone.
///
/// # Errors
/// When there is no such run, it was undone or closed, is of another schema, upstream has changed the same objects since,
/// or a later run touched the same tables.
pub fn select_run(runs: &[AppliedRun], wanted: i64, schema: &str) -> Result<AppliedRun> {
    let see = "evodoctor history lists the runs";
    let run = choose_run(runs, wanted)?;
    if let Some(when) = &run.undone_at {
        return Err(user_error(format!("run {wanted} was undone already, at {when}"), see));
    }
    if let Some(when) = &run.pruned_at {
        return Err(user_error(
            format!("run {wanted} was pruned at {when}: the rows that it kept are gone"),
            see,
        ));
    }
    if let Some(when) = &run.closed_at {
        return Err(user_error(
            format!("run {wanted} was closed at {when}: an upgrade has changed what it had repaired"),
            format!("what it keeps is in \"evodoctor\".\"quarantine\" (\"run\" = {wanted}); {see}"),
        ));
    }
    if run.target_schema != schema {
        return Err(user_error(
            format!("run {wanted} changed schema {:?}, not {schema:?}", run.target_schema),
            format!("name it: evodoctor undo {wanted} --schema {:?}", run.target_schema),
        ));
    }
    if !run.superseded_by.is_empty() {
        return Err(user_error(
            format!(
                "run {wanted} has been superseded: {} changed the same objects since, and undoing it would take away what the \
                 newer release rests on",
                run.superseded_by.join(", ")
            ),
            "close it: evodoctor fix EVO307 --apply; what it keeps stays in the quarantine",
        ));
    }
    let tables: BTreeSet<&String> = run.fixes.iter().flat_map(|fix| &fix.tables).collect();
    let later = runs.iter().filter(|r| r.run > wanted && r.undone_at.is_none() && r.target_schema == schema);
    let on_top: Vec<String> = later
        .filter(|r| r.fixes.iter().flat_map(|fix| &fix.tables).any(|table| tables.contains(table)))
        .map(|r| r.run.to_string())
        .collect();
    if let Some(newest) = on_top.first() {
        return Err(user_error(
            format!("run {} changed the same tables after run {wanted}", on_top.join(" and run ")),
            format!("undo the newest first: evodoctor undo {newest}"),
        ));
    }
    Ok(run.clone())
}

fn choose_run(runs: &[AppliedRun], wanted: i64) -> Result<&AppliedRun> {
    runs.iter().find(|run| run.run == wanted).ok_or_else(|| {
        user_error(
            format!("there is no run {wanted} in this database's ledger"),
            "evodoctor history lists the runs",
        )
    })
}

/// Reverses a run, and the whole series of batches that it is the first of.
///
/// # Errors
/// [`locks::LockTimeout`] when a table was busy. When rows no longer allow it, they are named. The caller rolls back.
pub async fn dry_run_undo(
    connection: &mut PgConnection,
    subject: &ChangeTarget,
    attempt: &LockAttempt,
    wanted: i64,
) -> Result<UndoResult> {
    locks::begin_change(connection, attempt.moment).await?;
    let mut runs = ledger::read_runs(connection, &subject.schema).await.map_err(ledger::as_timeout)?;
    let catalog = Catalog::read(connection, &subject.schema).await?;
    subject.expect_release(connection, &catalog).await?;
    ledger::mark_superseded(connection, &catalog, &mut runs).await?;
    // The first run of a series of batches stands for all of them.
    let standing =
        |run: &&AppliedRun| run.series == Some(wanted) && run.undone_at.is_none() && run.run != wanted;
    let batches: Vec<i64> = runs.iter().filter(standing).map(|run| run.run).collect();
    let mut all =
        UndoResult { run: choose_run(&runs, wanted)?.clone(), fixes: Vec::new(), plan_hash: String::new() };
    let numbers: Vec<i64> = batches.into_iter().chain([wanted]).collect();
    let of_these = runs.iter().filter(|run| numbers.contains(&run.run));
    let needs: Vec<RequiredPrivileges> = of_these.flat_map(|run| &run.fixes).map(need).collect();
    let server = &subject.server;
    if !needs.is_empty() {
        privileges::expect_privileges(connection, &catalog, &server.role, &server.database, &needs).await?;
    }
    ledger::bring_up_to_date(connection, &subject.schema).await.map_err(ledger::as_timeout)?;
    let mut chosen = Vec::new();
    for number in &numbers {
        chosen.push(select_run(&runs, *number, &subject.schema)?);
        if let Some(undone) = runs.iter_mut().find(|run| run.run == *number) {
            undone.undone_at = Some("now".to_owned());
        }
    }
    quarantine::unpack(connection, &catalog, &numbers).await?;
    all.fixes = reverse_runs(connection, subject, attempt, chosen).await?;
    all.plan_hash =
        plan_hash(&DatabaseIdentity::from_server(&subject.server, &subject.schema), &all.fixes, &[]);
    Ok(all)
}

/// What reversing a fix needs.
fn need(applied: &AppliedFix) -> RequiredPrivileges {
    let down =
        fix::find_fix(&applied.code).or_else(|| fix::find_operation(&applied.code)).map(|fix| &fix.down);
    let ways_back = applied.steps.ways_back.iter().filter_map(|way_back| way_back.sql.as_ref());
    RequiredPrivileges::new(
        &applied.code,
        applied.tables.clone(),
        down.into_iter().flatten().chain(ways_back),
    )
}

/// Reverses runs, the newest first, and closes them. The batches of a series are reversed as one: their rows are in the same
/// tables of the quarantine.
async fn reverse_runs(
    connection: &mut PgConnection,
    subject: &ChangeTarget,
    attempt: &LockAttempt,
    runs: Vec<AppliedRun>,
) -> Result<Vec<FixPlan>> {
    if runs.iter().flat_map(|run| &run.fixes).any(|fix| !fix.steps.ways_back.is_empty()) {
        ledger::expect_own(connection, &subject.schema, &subject.server.role).await?;
    }
    let numbers: Vec<i64> = runs.iter().map(|run| run.run).collect();
    let applied = united(runs);
    let mut watch = LockWatch::limited(attempt.max_lock);
    let mut fixes = Vec::new();
    let work = ProgressTask::start("undoing");
    work.start_phase("", Some(applied.len() as u64), Unit::Steps);
    for applied in applied.iter().rev() {
        work.set_message(&applied.code);
        let fix = same_version(applied)?;
        let catalog = Catalog::read(connection, &subject.schema).await?;
        let entries = quarantine::read_entries(connection, &numbers).await?;
        let entries: Vec<QuarantineEntry> =
            entries.into_iter().filter(|entry| entry.code == applied.code).collect();
        watch.next_fix();
        let plan = Reversal { subject, catalog: &catalog, fix, applied, entries: &entries, runs: &numbers }
            .carry_out(connection, attempt, &mut watch)
            .await
            .map_err(|error| watch.explain(error))
            .with_context(|| format!("{} could not be undone; everything was rolled back", applied.code))?;
        fixes.push(plan);
        work.advance(1);
    }
    for (position, plan) in fixes.iter_mut().enumerate() {
        plan.locks = watch.held(position + 1);
    }
    for number in &numbers {
        let of_run = Variables::default().text("run", number.to_string());
        let closed = execute_file(connection, "sql/ledger/close_run.sql", &of_run).await;
        closed.map_err(ledger::as_timeout)?;
    }
    Ok(fixes)
}

/// The fixes of these runs in the order they were applied; those of the batches of one fix as one.
fn united(mut runs: Vec<AppliedRun>) -> Vec<AppliedFix> {
    runs.sort_by_key(|run| run.run);
    let is_series = runs.iter().any(|run| run.series.is_some()) && runs.len() > 1;
    let mut all: Vec<AppliedFix> = Vec::new();
    for applied in runs.into_iter().flat_map(|run| run.fixes) {
        match all.iter_mut().find(|known| is_series && known.code == applied.code) {
            Some(known) => known.unite(applied),
            None => all.push(applied),
        }
    }
    all
}

/// Undo is only as good as the knowledge of what was done. Where all of that is in the ledger, the version does not matter.
fn same_version(applied: &AppliedFix) -> Result<&'static Fix> {
    let needs_files = |fix: &Fix| !fix.down.is_empty() || fix.family == CheckScope::Reference;
    fix::find_fix(&applied.code)
        .or_else(|| fix::find_operation(&applied.code))
        .filter(|fix| !needs_files(fix) || fix.version == applied.version && fix.checksum == applied.checksum)
        .ok_or_else(|| {
            user_error(
                format!(
                    "version {} of the fix for {} is not in this evodoctor",
                    applied.version, applied.code
                ),
                "use the version of evodoctor that applied it (evodoctor history names it)",
            )
        })
}

struct Reversal<'a> {
    subject: &'a ChangeTarget,
    catalog: &'a Catalog,
    fix: &'static Fix,
    applied: &'a AppliedFix,
    /// What it has in the quarantine.
    entries: &'a [QuarantineEntry],
    /// The runs that are undone.
    runs: &'a [i64],
}

impl Reversal<'_> {
    async fn carry_out(
        &self,
        connection: &mut PgConnection,
        attempt: &LockAttempt,
        watch: &mut LockWatch,
    ) -> Result<FixPlan> {
        let schema = &self.subject.schema;
        let there = self.applied.tables.iter().filter(|table| self.catalog.tables.contains_key(*table));
        let tables: Vec<String> = there.cloned().collect();
        let mode = LockMode::AccessExclusive;
        locks::lock(connection, attempt, schema, &tables, mode).await?;
        watch.record_locks(connection).await?;
        let done = self.on_locked(connection, watch, &tables).await;
        done.map_err(|error| locks::as_timeout(error, schema, &tables, mode))
    }

    async fn on_locked(
        &self,
        connection: &mut PgConnection,
        watch: &mut LockWatch,
        tables: &[String],
    ) -> Result<FixPlan> {
        let schema = &self.subject.schema;
        let begun = Instant::now();
        let before = catalog::ddl(connection, schema).await?;

        let mut notes = Vec::new();
        let (executed, row_diff) = match self.fix.family {
            CheckScope::Once | CheckScope::UniqueIndex => {
                let done = run_statements(connection, &self.fix.down, &self.variables()?, None).await?;
                let back = run_undo_statements(connection, &self.applied.steps.ways_back).await?;
                notes.extend(done.notes.into_iter().chain(back.notes));
                let mut executed = done.executed;
                executed.extend(back.executed);
                executed.extend(self.restore(connection, &mut notes).await?);
                (executed, self.row_diff())
            }
            CheckScope::Reference => {
                let executed = self.restore(connection, &mut notes).await?;
                (executed, self.row_diff())
            }
            CheckScope::Finding => {
                let ways_back = self.applied.steps.ways_back.iter().rev();
                let undo = ways_back.filter_map(|way_back| way_back.sql.as_ref());
                let done = run_for_each_finding(connection, &self.fix.down, "undo", undo, None).await?;
                notes.extend(done.notes);
                (done.executed, Vec::new())
            }
        };
        watch.record_locks(connection).await?;
        let after = catalog::ddl(connection, schema).await?;
        let is_exact = self.is_exact(connection).await?;
        self.compare(&before, &after, is_exact, &mut notes)?;
        let plan = FixPlan {
            code: self.fix.code.clone(),
            name: self.fix.name.clone(),
            version: self.fix.version,
            checksum: self.fix.checksum.clone(),
            applicability: self.fix.applicability,
            hazards: vec!["blocks-writes".into()],
            notes,
            statements: executed,
            after_commit: Vec::new(),
            schema_diff: schema_diff::unified_diff(&before, &after),
            row_diff,
            locks: Vec::new(),
            timing: FixTiming {
                finding_ms: 0,
                locked_ms: to_millis(begun.elapsed()),
                rows: self.entries.iter().map(|entry| entry.diff.count).sum(),
            },
            base: base_ddl(&before, tables),
            plan_hash: String::new(),
        };
        Ok(plan.with_hash())
    }

    /// What comes back, per table and reason.
    fn row_diff(&self) -> Vec<RowDiff> {
        let mut diffs: Vec<RowDiff> = Vec::new();
        for diff in self.entries.iter().map(|entry| reversed(entry.diff.clone())) {
            let same = |known: &&mut RowDiff| {
                (&known.table, known.action, &known.columns, &known.reason)
                    == (&diff.table, diff.action, &diff.columns, &diff.reason)
            };
            match diffs.iter_mut().find(same) {
                Some(known) => known.count += diff.count,
                None => diffs.push(diff),
            }
        }
        diffs
    }

    fn variables(&self) -> Result<Variables> {
        Ok(fix_sql::fix_variables(self.subject, &[])?.texts(&self.applied.steps.arguments))
    }

    /// The tables must again be what they were, unless somebody else changed them in between.
    fn compare(&self, before: &Ddl, after: &Ddl, is_exact: bool, notes: &mut Vec<String>) -> Result<()> {
        for (table, was) in &self.applied.ddl_before {
            let untouched = self.applied.ddl_after.get(table) == before.get(table);
            if !untouched {
                notes.push(format!(
                    "{table} was changed by others since the run; only the fix's own part was reversed"
                ));
            } else if is_exact && after.get(table) != Some(was) {
                let left = schema_diff::unified_diff(
                    &[(table.clone(), was.clone())].into(),
                    &after.clone().into_iter().filter(|(t, _)| t == table).collect(),
                );
                bail!("{table} would not be what it was:\n{left}");
            }
        }
        Ok(())
    }

    /// Whether everything comes back as it was; the claim of a constraint to be valid, and some flags of the catalog,
    /// only a superuser can put back.
    async fn is_exact(&self, connection: &mut PgConnection) -> Result<bool> {
        let steps = &self.applied.steps;
        let claimed =
            steps.constraints.iter().any(|constraint| constraint.before == ConstraintState::ClaimedValid);
        let something_stays = steps.ways_back.iter().any(|way_back| way_back.stays.is_some());
        Ok(!something_stays && (!claimed || can_replicate(connection).await?))
    }
}

/// A row diff as undo shows it: what was removed comes back, what was emptied is filled.
fn reversed(diff: RowDiff) -> RowDiff {
    let sample = diff.sample.into_iter().map(|s| RowSample { before: s.after, after: s.before }).collect();
    let action = match diff.action {
        RowAction::Removed => RowAction::Restored,
        other => other,
    };
    RowDiff { action, sample, ..diff }
}
