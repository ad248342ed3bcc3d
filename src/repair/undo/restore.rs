//! Bringing rows and constraints back, exactly as they were.

use anyhow::{Context, Result, bail};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::Reversal;
use crate::database::ident::SqlFragment;
use crate::database::query::{execute, query_file};
use crate::database::sql_file::render;
use crate::repair::fix;
use crate::repair::fix_sql::refuse_if_any;
use crate::repair::orphan_constraints::{ConstraintState, SavedConstraint};
use crate::repair::quarantine::{RowRestore, refers_to_gone};
use crate::repair::work_tables::can_replicate;

impl Reversal<'_> {
    /// Brings rows and constraints back: constraints off where rows that referred to nothing come back, rows in (parents
    /// first), constraints as they were. Returns the statements.
    pub(super) async fn restore(
        &self,
        connection: &mut PgConnection,
        notes: &mut Vec<String>,
    ) -> Result<Vec<String>> {
        let restoring = RowRestore { catalog: self.catalog, runs: self.runs, entries: self.entries.to_vec() };
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
            // The rows return as they once came, past a constraint that goes on claiming to be valid.
            run_sql(connection, &mut executed, "SET LOCAL session_replication_role = replica".into()).await?;
        }
        let done = restoring.restore(connection).await?;
        executed.extend(done.statements);
        notes.extend(done.notes);
        if claimed && replicate {
            run_sql(connection, &mut executed, "SET LOCAL session_replication_role = origin".into()).await?;
        }
        restoring.verify(connection).await?;
        self.expect_no_new_orphans(connection, &restoring).await?;
        for (constraint, add) in dropped.into_iter().zip(put_back) {
            if constraint.before != ConstraintState::Absent {
                run_sql(connection, &mut executed, add).await?;
            }
            if constraint.before == ConstraintState::ClaimedValid {
                notes.push(format!(
                    "the constraint {:?} claimed to be valid before; it is NOT VALID now, which is the truth (only a \
                     superuser can put the claim back)",
                    constraint.name
                ));
            }
        }
        restoring.forget(connection).await?;
        Ok(executed)
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

    /// Rows that come back past their constraints must refer to nothing that is gone, except where they did before.
    async fn expect_no_new_orphans(
        &self,
        connection: &mut PgConnection,
        restoring: &RowRestore<'_>,
    ) -> Result<()> {
        let constraints = &self.applied.steps.constraints;
        if constraints.is_empty() {
            return Ok(());
        }
        for key in self.catalog.foreign_keys.iter().filter(|key| key.is_enforced) {
            let of_run = constraints.iter().any(|c| c.name == key.name && c.child_table == key.child_table);
            let allowed = match &self.applied.steps.orphans {
                Some(orphans) => orphans.get(&key.name).copied().unwrap_or_default(),
                None if of_run => continue,
                None => 0,
            };
            // The rows of a key that was not there before referred to whatever they did.
            if of_run && constraints.iter().any(|c| c.name == key.name && c.before == ConstraintState::Absent)
            {
                continue;
            }
            if restoring.dangling(connection, key).await? > allowed {
                return Err(refers_to_gone(&key.child_table));
            }
        }
        Ok(())
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
