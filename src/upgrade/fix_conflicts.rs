//! Applied fixes of evodoctor that touch the same objects as a pending migration.

use anyhow::Result;
use serde::Serialize;
use sqlx::postgres::PgConnection;

use super::simulate::RejectedStep;
use crate::database::query::execute;
use crate::evolution::release::{Migration, facts};
use crate::repair::{fix, ledger};

/// An applied fix and a pending migration that are about the same objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FixConflict {
    /// The fix's code.
    pub code: String,
    /// The run that applied it.
    pub run: i64,
    /// The migration's name.
    pub migration: &'static str,
    /// True if the migration is applied all the same.
    pub compatible: bool,
    /// True if the fix did the migration's work beforehand and recorded it as applied.
    pub recorded: bool,
}

/// Reads the ledger. `None` when this role may not.
///
/// # Errors
/// When the connection is lost, or the ledger holds what cannot be read.
pub async fn applied_runs(
    connection: &mut PgConnection,
    schema: &str,
) -> Result<Option<Vec<ledger::AppliedRun>>> {
    if !ledger::is_usable(connection, schema).await? {
        return Ok(None);
    }
    // Who may look into a schema may still be kept from its tables.
    execute(connection, "SAVEPOINT evodoctor".into()).await?;
    let runs = match ledger::read_runs(connection, schema).await {
        Ok(runs) => Some(runs),
        Err(error) if is_forbidden(&error) => {
            execute(connection, "ROLLBACK TO SAVEPOINT evodoctor".into()).await?;
            None
        }
        Err(error) => return Err(error),
    };
    execute(connection, "RELEASE SAVEPOINT evodoctor".into()).await?;
    let counts = |run: &ledger::AppliedRun| {
        run.target_schema == schema && run.undone_at.is_none() && run.closed_at.is_none()
    };
    Ok(runs.map(|runs| runs.into_iter().filter(counts).collect()))
}

fn is_forbidden(error: &anyhow::Error) -> bool {
    let state = error.chain().find_map(|cause| cause.downcast_ref::<sqlx::Error>());
    state.and_then(crate::database::query::sqlstate).as_deref() == Some("42501")
}

/// Which fixes of these runs are about what a pending migration touches (their header says so: `upstream:`), which of them
/// made the very thing that the migration wants to make, and which did a migration's work beforehand.
pub fn find_conflicts(
    runs: &[ledger::AppliedRun],
    pending: &[&'static Migration],
    obstacles: &[RejectedStep],
) -> Vec<FixConflict> {
    let mut found = Vec::new();
    for run in runs {
        for applied in &run.fixes {
            let upstream =
                fix::find_fix(&applied.code).map(|fix| fix.upstream.as_slice()).unwrap_or_default();
            for migration in pending {
                let is_in_the_way = obstacles.iter().any(|one| {
                    one.migration == migration.name && one.is_taken() && made(applied, &one.object)
                });
                if is_in_the_way || upstream.iter().any(|number| number == migration.number()) {
                    found.push(FixConflict {
                        code: applied.code.clone(),
                        run: run.run,
                        migration: &migration.name,
                        compatible: !is_in_the_way,
                        recorded: false,
                    });
                }
            }
            let is_pending = |name: &str| pending.iter().any(|migration| migration.name == name);
            let recorded = facts().migrations.iter().filter(|one| applied.steps.records.contains(&one.name));
            found.extend(recorded.filter(|one| !is_pending(&one.name)).map(|migration| FixConflict {
                code: applied.code.clone(),
                run: run.run,
                migration: &migration.name,
                compatible: true,
                recorded: true,
            }));
        }
    }
    found
}

/// True if the object, a column as `Table.column`, is in the tables' DDL since the fix.
fn made(applied: &ledger::AppliedFix, object: &str) -> bool {
    let (_, name) = object.split_once('.').unwrap_or(("", object));
    let stands_in = |ddl: &str| {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        ddl.split(|c: char| !is_part(c)).any(|word| word == name)
    };
    applied.ddl_after.iter().any(|(table, after)| {
        let before = applied.ddl_before.get(table).map(String::as_str).unwrap_or_default();
        stands_in(after) && !stands_in(before)
    })
}
