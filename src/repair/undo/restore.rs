//! Bringing rows and constraints back, exactly as they were.

use anyhow::{Context, Result, bail};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::reversal::{RestoredRows, Reversal};
use crate::database::catalog::DeclaredKey;
use crate::database::ident::SqlFragment;
use crate::database::query::{execute, query_file};
use crate::database::sql_file::render;
use crate::error::UserError;
use crate::repair::fix;
use crate::repair::fix_sql::refuse_if_any;
use crate::repair::orphan_constraints::{ConstraintState, SavedConstraint};
use crate::repair::quarantine::{DanglingAllowance, RowRestore, refers_to_gone};
use crate::repair::work_tables::{self, can_replicate};

impl Reversal<'_> {
    /// Restores rows and constraints. If rows cannot come back because the rows they refer to no longer exist, the
    /// others do, and these stay in the quarantine.
    pub(super) async fn restore(
        &self,
        connection: &mut PgConnection,
        notes: &mut Vec<String>,
    ) -> Result<RestoredRows> {
        let runs = [self.run];
        let mut rows = RowRestore { catalog: self.catalog, runs: &runs, entries: self.entries.to_vec() };
        execute(connection, "SAVEPOINT evodoctor_rows".into()).await?;
        let mut left = Vec::new();
        let (executed, said) = match self.try_restore(connection, &rows).await {
            // For rows the error names what conflicts with them; other errors are passed on.
            Err(error) if error.chain().any(|cause| cause.is::<UserError>()) => {
                execute(connection, "ROLLBACK TO SAVEPOINT evodoctor_rows".into()).await?;
                left = rows.leave(connection, |key| self.allowance(key)).await?;
                if left.is_empty() {
                    return Err(error);
                }
                self.try_restore(connection, &rows).await?
            }
            done => done?,
        };
        notes.extend(said);
        Ok(RestoredRows { executed, entries: rows.entries, left })
    }

    /// Drops constraints by which restored rows are orphans, restores the rows (parents first), and restores the
    /// constraints as they were. Returns the statements, and notes for the reader.
    async fn try_restore(
        &self,
        connection: &mut PgConnection,
        restoring: &RowRestore<'_>,
    ) -> Result<(Vec<String>, Vec<String>)> {
        let mut notes = Vec::new();
        work_tables::set_planner(connection, true).await?;
        restoring.analyze(connection).await?;
        refuse_if_any(&restoring.conflicts(connection).await?)?;

        let mut executed = Vec::new();
        let replicate = can_replicate(connection).await?;
        let constraints = &self.applied.steps.constraints;
        let dropped: Vec<&SavedConstraint> =
            constraints.iter().filter(|constraint| self.must_drop(constraint, replicate)).collect();
        let mut put_back = Vec::new();
        for constraint in &dropped {
            put_back.push(self.drop(connection, constraint, &mut executed).await?);
        }
        let claimed = constraints.iter().any(|constraint| constraint.before == ConstraintState::ClaimedValid);
        if claimed && replicate {
            // The rows return past a constraint that stays marked as valid, as it was before.
            run_sql(connection, &mut executed, "SET LOCAL session_replication_role = replica".into()).await?;
        }
        let done = restoring.restore(connection).await?;
        executed.extend(done.statements);
        notes.extend(done.notes);
        if claimed && replicate {
            run_sql(connection, &mut executed, "SET LOCAL session_replication_role = origin".into()).await?;
        }
        restoring.verify(connection).await?;
        self.expect_no_new_orphans(connection, restoring).await?;
        work_tables::set_planner(connection, false).await?;
        for (constraint, add) in dropped.into_iter().zip(put_back) {
            if constraint.before != ConstraintState::Absent {
                run_sql(connection, &mut executed, add).await?;
            }
            if constraint.before == ConstraintState::ClaimedValid {
                notes.push(format!(
                    "the constraint {:?} claimed to be valid before; it is NOT VALID now, as its rows are \
                     (only a superuser can mark it valid)",
                    constraint.name
                ));
            }
        }
        restoring.forget(connection).await?;
        Ok((executed, notes))
    }

    /// Drops a constraint. Returns the statement that puts it back, NOT VALID, in the server's own words.
    async fn drop(
        &self,
        connection: &mut PgConnection,
        constraint: &SavedConstraint,
        executed: &mut Vec<String>,
    ) -> Result<String> {
        let fix = fix::find_fix("EVO101").context("orphans have a fix")?;
        let ([drop], [add, _]) = (fix.down.as_slice(), fix.up.as_slice()) else {
            bail!("EVO101's fix holds two statements, and its undo one")
        };
        let variables =
            constraint.variables(&self.subject.schema).text("table_name", &constraint.child_table);
        let variables = variables.text("schema", &self.subject.schema);
        let found = query_file(connection, "sql/catalog/key_definition.sql", &variables).await?;
        let definition: String =
            found.first().context("the key was in the catalog")?.try_get("definition")?;
        let definition = definition.strip_suffix(" NOT VALID").unwrap_or(&definition).to_owned();
        let put_back =
            render(add, &variables.clone().sql("definition", SqlFragment::assert_safe(definition)))?;
        run_sql(connection, executed, render(drop, &variables)?).await?;
        Ok(put_back)
    }

    /// Restored rows must not be orphans, except where they were before.
    async fn expect_no_new_orphans(
        &self,
        connection: &mut PgConnection,
        restoring: &RowRestore<'_>,
    ) -> Result<()> {
        if self.applied.steps.constraints.is_empty() {
            return Ok(());
        }
        for key in self.catalog.foreign_keys.iter().filter(|key| key.is_enforced) {
            let DanglingAllowance::AtMost { rows, .. } = self.allowance(key) else { continue };
            if restoring.dangling(connection, key).await? > rows {
                return Err(refers_to_gone(&key.child_table));
            }
        }
        Ok(())
    }

    /// The number of the rows that may refer to nothing by a key: as many as did before.
    fn allowance(&self, key: &DeclaredKey) -> DanglingAllowance {
        let mut of_run = self.applied.steps.constraints.iter();
        let of_run = of_run.find(|c| c.name == key.name && c.child_table == key.child_table);
        let is_of_run = of_run.is_some();
        match &self.applied.steps.orphans {
            // The rows of a key that was not there before referred to whatever they did.
            _ if of_run.is_some_and(|constraint| constraint.before == ConstraintState::Absent) => {
                DanglingAllowance::Any
            }
            Some(orphans) => DanglingAllowance::AtMost {
                rows: orphans.get(&key.name).copied().unwrap_or_default(),
                is_of_run,
            },
            None if is_of_run => DanglingAllowance::Any,
            None => DanglingAllowance::AtMost { rows: 0, is_of_run },
        }
    }

    fn must_drop(&self, constraint: &SavedConstraint, replicate: bool) -> bool {
        let is_there = self
            .catalog
            .foreign_keys
            .iter()
            .any(|key| key.name == constraint.name && key.child_table == constraint.child_table);
        let stands_in_the_way = match constraint.before {
            ConstraintState::Absent | ConstraintState::NotValid => true,
            ConstraintState::ClaimedValid => !replicate,
            ConstraintState::NotEnforced => false,
        };
        is_there && stands_in_the_way
    }
}

async fn run_sql(connection: &mut PgConnection, executed: &mut Vec<String>, sql: String) -> Result<()> {
    execute(connection, sql.clone()).await.with_context(|| format!("the server refused: {sql}"))?;
    executed.push(sql);
    Ok(())
}
