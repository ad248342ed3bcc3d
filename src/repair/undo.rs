//! Undo: reverses an applied run, fix by fix in reverse, and holds the schema against what it was.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::diff;
use super::fix::{self, Fix};
use super::ledger::{self, AppliedFix, Run};
use super::locks::{self, LockWatch, Mode};
use super::orphans::{Before, Constraint};
use super::plan::{FixPlan, Identity, base, plan_hash};
use super::quarantine::{self, RowAction, RowDiff, RowSample, table_variables};
use super::rehearsal::Subject;
use super::rows::children_first;
use super::statements::{self, each_finding, refuse, reverse, statements};
use super::turn::can_replicate;
use crate::database::catalog::{self, Catalog, Ddl, DeclaredKey};
use crate::database::quote::Fragment;
use crate::database::run::{execute, rows, script, state_of};
use crate::database::script::{Variables, render};
use crate::examine::check::{Family, checks};
use crate::exit::failure;

/// What undoing a run did. The transaction is still open, the run already closed in it.
#[derive(Debug)]
pub struct Undone {
    /// The run.
    pub run: Run,
    /// What reversing each fix did, in the order it was done.
    pub fixes: Vec<FixPlan>,
    /// The hash of the whole.
    pub plan_hash: String,
}

/// Finds the run, or says why it cannot be undone.
///
/// # Errors
/// When there is no such run, it was undone, is of another schema, or a later run touched the same tables.
pub fn choose(runs: &[Run], wanted: i64, schema: &str) -> Result<Run> {
    let see = "evodoctor history lists the runs";
    let run = runs
        .iter()
        .find(|run| run.run == wanted)
        .ok_or_else(|| failure(format!("there is no run {wanted} in this database's ledger"), see))?;
    if let Some(when) = &run.undone_at {
        return Err(failure(format!("run {wanted} was undone already, at {when}"), see));
    }
    if run.target_schema != schema {
        return Err(failure(
            format!("run {wanted} changed schema {:?}, not {schema:?}", run.target_schema),
            format!("name it: evodoctor undo {wanted} --schema {:?}", run.target_schema),
        ));
    }
    let tables: BTreeSet<&String> = run.fixes.iter().flat_map(|fix| &fix.tables).collect();
    let later = runs.iter().filter(|r| r.run > wanted && r.undone_at.is_none() && r.target_schema == schema);
    let on_top: Vec<String> = later
        .filter(|r| r.fixes.iter().flat_map(|fix| &fix.tables).any(|table| tables.contains(table)))
        .map(|r| r.run.to_string())
        .collect();
    if let Some(newest) = on_top.first() {
        return Err(failure(
            format!("run {} changed the same tables after run {wanted}", on_top.join(" and run ")),
            format!("undo the newest first: evodoctor undo {newest}"),
        ));
    }
    Ok(run.clone())
}

/// Reverses a run.
///
/// # Errors
/// [`locks::LockTimeout`] when a table was busy. When rows no longer allow it, they are named. The caller rolls back.
pub async fn rehearse(
    connection: &mut PgConnection,
    subject: &Subject,
    attempt: usize,
    wanted: i64,
) -> Result<Undone> {
    locks::begin(connection, attempt).await?;
    let runs = ledger::runs(connection).await?;
    let run = choose(&runs, wanted, &subject.schema)?;
    if run.fixes.iter().any(|fix| !fix.steps.ways_back.is_empty()) {
        ledger::expect_own(connection, &subject.server.role).await?;
    }
    let number = Variables::default().text("run", run.run.to_string());
    rows(connection, "sql/ledger/resume_run.sql", &number).await?;

    let mut watch = LockWatch::default();
    let mut fixes = Vec::new();
    for applied in run.fixes.iter().rev() {
        let fix = same_version(applied)?;
        let catalog = Catalog::read(connection, &subject.schema).await?;
        watch.next_turn();
        let plan = Reversal { subject, catalog: &catalog, fix, applied }
            .carry_out(connection, &mut watch)
            .await
            .with_context(|| format!("{} could not be undone; everything was rolled back", applied.code))?;
        fixes.push(plan);
    }
    for (position, plan) in fixes.iter_mut().enumerate() {
        plan.locks = watch.held(position + 1);
    }
    script(connection, "sql/ledger/close_run.sql", &Variables::default()).await?;
    let plan_hash = plan_hash(&Identity::of(&subject.server, &subject.schema), &fixes);
    Ok(Undone { run, fixes, plan_hash })
}

/// Undo is only as good as the knowledge of what was done.
fn same_version(applied: &AppliedFix) -> Result<&'static Fix> {
    fix::find(&applied.code)
        .or_else(|| fix::operation(&applied.code))
        .filter(|fix| fix.version == applied.version && fix.checksum == applied.checksum)
        .ok_or_else(|| {
            failure(
                format!(
                    "version {} of the fix for {} is not in this evodoctor",
                    applied.version, applied.code
                ),
                "use the version of evodoctor that applied it (evodoctor history names it)",
            )
        })
}

struct Reversal<'a> {
    subject: &'a Subject,
    catalog: &'a Catalog,
    fix: &'static Fix,
    applied: &'a AppliedFix,
}

impl Reversal<'_> {
    async fn carry_out(&self, connection: &mut PgConnection, watch: &mut LockWatch) -> Result<FixPlan> {
        let schema = &self.subject.schema;
        let there = self.applied.tables.iter().filter(|table| self.catalog.tables.contains_key(*table));
        let tables: Vec<String> = there.cloned().collect();
        let mode = Mode::AccessExclusive;
        locks::lock(connection, schema, &tables, mode).await?;
        watch.look(connection).await?;
        let done = self.on_locked(connection, watch, &tables).await;
        done.map_err(|error| locks::as_timeout(error, &tables, mode))
    }

    async fn on_locked(
        &self,
        connection: &mut PgConnection,
        watch: &mut LockWatch,
        tables: &[String],
    ) -> Result<FixPlan> {
        let schema = &self.subject.schema;
        let before = catalog::ddl(connection, schema).await?;

        let mut notes = Vec::new();
        let (executed, row_diff) = match self.fix.family {
            Family::Once | Family::UniqueIndex => {
                let done = statements(connection, &self.fix.down, &self.variables()?).await?;
                let back = reverse(connection, &self.applied.steps.ways_back).await?;
                notes.extend(done.notes.into_iter().chain(back.notes));
                let mut executed = done.executed;
                executed.extend(back.executed);
                let marked = self.marked(connection).await?;
                self.restore_rows(connection, &marked, &mut executed, &mut notes).await?;
                (executed, marked.into_iter().map(reversed).collect())
            }
            Family::Reference => self.restore(connection, &mut notes).await?,
            Family::Finding => {
                let ways_back = self.applied.steps.ways_back.iter().rev();
                let undo = ways_back.filter_map(|way_back| way_back.sql.as_ref());
                let done = each_finding(connection, &self.fix.down, "undo", undo).await?;
                notes.extend(done.notes);
                (done.executed, Vec::new())
            }
        };
        watch.look(connection).await?;
        let after = catalog::ddl(connection, schema).await?;
        self.compare(&before, &after, &mut notes)?;
        let rule = checks().iter().find(|check| check.rule.code == self.fix.code);
        let plan = FixPlan {
            code: self.fix.code.clone(),
            name: rule.map(|check| check.rule.name.clone()).unwrap_or_default(),
            version: self.fix.version,
            checksum: self.fix.checksum.clone(),
            applicability: self.fix.applicability,
            hazards: vec!["blocks-writes".into()],
            notes,
            statements: executed,
            schema_diff: diff::schema(&before, &after),
            row_diff,
            locks: Vec::new(),
            base: base(&before, tables),
            plan_hash: String::new(),
        };
        Ok(plan.hashed())
    }

    fn variables(&self) -> Result<Variables> {
        Ok(statements::variables(self.subject, &[])?.texts(&self.applied.steps.arguments))
    }

    /// The tables must again be what they were, unless somebody else changed them in between.
    fn compare(&self, before: &Ddl, after: &Ddl, notes: &mut Vec<String>) -> Result<()> {
        for (table, was) in &self.applied.ddl_before {
            let untouched = self.applied.ddl_after.get(table) == before.get(table);
            if !untouched {
                notes.push(format!(
                    "{table} was changed by others since the run; only the fix's own part was reversed"
                ));
            } else if after.get(table) != Some(was) && !self.is_limited(notes) {
                let left = diff::schema(
                    &[(table.clone(), was.clone())].into(),
                    &after.clone().into_iter().filter(|(t, _)| t == table).collect(),
                );
                bail!("{table} would not be what it was:\n{left}");
            }
        }
        Ok(())
    }

    /// Whether it was said that something stays, which only a superuser could put back.
    fn is_limited(&self, notes: &[String]) -> bool {
        notes.iter().any(|note| note.contains("NOT VALID"))
            || self.applied.steps.ways_back.iter().any(|way_back| way_back.stays.is_some())
    }

    /// Brings rows and constraints back: constraints off, rows in (parents first), constraints as they were.
    async fn restore(
        &self,
        connection: &mut PgConnection,
        notes: &mut Vec<String>,
    ) -> Result<(Vec<String>, Vec<RowDiff>)> {
        let [drop] = self.fix.down.as_slice() else { bail!("EVO101's undo holds one statement") };
        let [add, _] = self.fix.up.as_slice() else { bail!("EVO101's fix holds two statements") };
        let marked = self.marked(connection).await?;

        let mut executed = Vec::new();
        let replicate = can_replicate(connection).await?;
        let constraints = &self.applied.steps.constraints;
        for constraint in constraints.iter().filter(|c| self.must_drop(c, replicate)) {
            let sql = render(drop, &constraint.variables(&self.subject.schema))?;
            run_sql(connection, &mut executed, sql).await?;
        }
        let claimed = constraints.iter().any(|c| c.before == Before::ClaimedValid);
        if claimed && replicate {
            // The rows return as they once came, past a constraint that goes on claiming to be valid.
            run_sql(connection, &mut executed, "SET LOCAL session_replication_role = replica".into()).await?;
        }
        self.restore_rows(connection, &marked, &mut executed, notes).await?;
        if claimed && replicate {
            run_sql(connection, &mut executed, "SET LOCAL session_replication_role = origin".into()).await?;
            self.expect_no_new_orphans(connection).await?;
        }
        for constraint in constraints.iter().filter(|c| self.must_drop(c, replicate)) {
            if constraint.before != Before::Absent {
                let sql = render(add, &constraint.variables(&self.subject.schema))?;
                run_sql(connection, &mut executed, sql).await?;
            }
            if constraint.before == Before::ClaimedValid {
                notes.push(format!(
                    "the constraint {:?} claimed to be valid before; it is NOT VALID now, which is the truth (only a \
                     superuser can put the claim back)",
                    constraint.name
                ));
            }
        }
        Ok((executed, marked.into_iter().map(reversed).collect()))
    }

    /// Rows that came back past their constraints must refer to nothing that is gone, except where they did before.
    async fn expect_no_new_orphans(&self, connection: &mut PgConnection) -> Result<()> {
        let of_run = |key: &DeclaredKey| {
            let constraints = &self.applied.steps.constraints;
            constraints.iter().any(|c| c.name == key.name && c.child_table == key.child_table)
        };
        for key in self.catalog.foreign_keys.iter().filter(|key| key.is_enforced && !of_run(key)) {
            let variables = key.variables().text("code", &self.fix.code);
            let found = rows(connection, "sql/quarantine/dangling.sql", &variables).await?;
            if found.first().context("a count is one row")?.try_get::<i64, _>("count")? > 0 {
                return Err(refers_to_gone(&key.child_table));
            }
        }
        Ok(())
    }

    /// What this fix has in the quarantine; nothing of it may stand in the way of coming back.
    async fn marked(&self, connection: &mut PgConnection) -> Result<Vec<RowDiff>> {
        let mine = |(code, _): &(String, RowDiff)| *code == self.fix.code;
        let marked: Vec<RowDiff> =
            quarantine::summary(connection).await?.into_iter().filter(mine).map(|(_, diff)| diff).collect();
        self.expect_no_conflict(connection, &marked).await?;
        Ok(marked)
    }

    fn must_drop(&self, constraint: &Constraint, replicate: bool) -> bool {
        let is_there = self
            .catalog
            .foreign_keys
            .iter()
            .any(|key| key.name == constraint.name && key.child_table == constraint.child_table);
        let stands_in_the_way = match constraint.before {
            Before::Absent | Before::NotValid => true,
            Before::ClaimedValid => !replicate,
            Before::NotEnforced => false,
        };
        is_there && stands_in_the_way
    }

    async fn expect_no_conflict(&self, connection: &mut PgConnection, marked: &[RowDiff]) -> Result<()> {
        let tables: BTreeSet<&String> = marked.iter().map(|diff| &diff.table).collect();
        let mut refusals: Vec<String> = Vec::new();
        for table in tables {
            let Some(table) = self.catalog.tables.get(table) else {
                bail!("the table {table:?} is gone, and its rows cannot come back without it");
            };
            let variables = table_variables(&self.subject.schema, table, &self.fix.code);
            for row in rows(connection, "sql/quarantine/conflicts.sql", &variables).await? {
                refusals.push(row.try_get("refusal")?);
            }
        }
        refuse(&refusals)
    }

    async fn restore_rows(
        &self,
        connection: &mut PgConnection,
        marked: &[RowDiff],
        executed: &mut Vec<String>,
        notes: &mut Vec<String>,
    ) -> Result<()> {
        let removed: BTreeSet<String> =
            marked.iter().filter(|d| d.action == RowAction::Removed).map(|d| d.table.clone()).collect();
        let keys = &self.catalog.foreign_keys;
        let refers = |child: &str, parent: &str| {
            keys.iter().any(|key| key.child_table == child && key.parent_table == parent)
        };
        let mut parents_first = children_first(removed.into_iter().collect(), refers);
        parents_first.reverse();
        for name in parents_first {
            let table = self.catalog.tables.get(&name).context("conflicts were looked for in it")?;
            let variables = table_variables(&self.subject.schema, table, &self.fix.code);
            let kept = rows(connection, "sql/quarantine/columns.sql", &variables).await?;
            let kept: Vec<String> =
                kept.first().context("the quarantine holds rows of it")?.try_get("columns")?;
            let lost: Vec<&String> = kept.iter().filter(|column| !table.columns.contains(column)).collect();
            if !lost.is_empty() {
                bail!("{name} no longer has the columns {lost:?} that the removed rows had");
            }
            let columns: Vec<&String> = table.stored_columns.iter().filter(|c| kept.contains(c)).collect();
            let variables = variables
                .sql("columns", Fragment::columns(None, &columns))
                .sql("restored_columns", quarantine::restored_values(table, &columns));
            let done = quarantine::run(connection, "sql/quarantine/restore_removed.sql", &variables).await;
            executed.push(done.map_err(|error| explain_restore(error, &name))?.0);
        }
        let changed: BTreeSet<(&String, &Vec<String>)> = marked
            .iter()
            .filter(|d| d.action == RowAction::Changed)
            .map(|d| (&d.table, &d.columns))
            .collect();
        for (name, columns) in changed {
            let table = self.catalog.tables.get(name).context("conflicts were looked for in it")?;
            let variables = table_variables(&self.subject.schema, table, &self.fix.code)
                .text("changed_columns", serde_json::to_string(columns)?)
                .sql("assignments", quarantine::restoring_assignments(table, columns));
            let done = quarantine::run(connection, "sql/quarantine/restore_changed.sql", &variables).await;
            let (sql, touched) = done.map_err(|error| explain_restore(error, name))?;
            executed.push(sql);
            let of_these =
                |d: &&RowDiff| d.action == RowAction::Changed && d.table == *name && d.columns == *columns;
            let count: i64 = marked.iter().filter(of_these).map(|diff| diff.count).sum();
            let gone = count - i64::try_from(touched)?;
            if gone > 0 {
                notes.push(format!(
                    "of the {count} changed rows of {name}, {gone} were deleted since and stay so"
                ));
            }
        }
        Ok(())
    }
}

async fn run_sql(connection: &mut PgConnection, executed: &mut Vec<String>, sql: String) -> Result<()> {
    execute(connection, sql.clone()).await.with_context(|| format!("the server refused: {sql}"))?;
    executed.push(sql);
    Ok(())
}

fn explain_restore(error: anyhow::Error, table: &str) -> anyhow::Error {
    let state = error.chain().find_map(|cause| cause.downcast_ref::<sqlx::Error>()).and_then(state_of);
    match state.as_deref() {
        Some("23505") => failure(
            format!("rows written since take the place of removed rows of {table} under a unique index"),
            format!("compare {table} with evodoctor.quarantine, remove what is in the way, then try again"),
        ),
        Some("23503") => refers_to_gone(table),
        _ => error,
    }
}

fn refers_to_gone(table: &str) -> anyhow::Error {
    failure(
        format!("removed rows of {table} refer to rows that are gone by now"),
        format!("compare {table} with evodoctor.quarantine; what they refer to has to come back first"),
    )
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
