//! Bringing rows and constraints back, exactly as they were.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::{Reversal, reversed};
use crate::database::catalog::DeclaredKey;
use crate::database::quote::Fragment;
use crate::database::run::{execute, rows, state_of};
use crate::database::script::render;
use crate::exit::failure;
use crate::repair::orphans::{Before, Constraint};
use crate::repair::quarantine::{self, RowAction, RowDiff, table_variables};
use crate::repair::rows::children_first;
use crate::repair::statements::refuse;
use crate::repair::turn::can_replicate;

impl Reversal<'_> {
    /// Brings rows and constraints back: constraints off, rows in (parents first), constraints as they were.
    pub(super) async fn restore(
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
    pub(super) async fn marked(&self, connection: &mut PgConnection) -> Result<Vec<RowDiff>> {
        let marked = quarantine::summary(connection, &self.fix.code).await?;
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

    pub(super) async fn restore_rows(
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
