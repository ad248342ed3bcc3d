//! The statements of a fix's files, and of its undo.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::change_target::ChangeTarget;
use super::deferred_ddl::{self, DeferredStatement, SplitDdl};
use crate::database::catalog::Catalog;
use crate::database::ident::SqlFragment;
use crate::database::query::{execute, query_statement, sqlstate};
use crate::database::sql_file::{SqlFile, Variables, embedded_file, render};
use crate::error::user_error;
use crate::evolution::release::{Migration, facts};
use crate::redact;
use crate::rules::finding::Finding;

/// The result of running a fix's statements.
#[derive(Debug, Default)]
pub struct FixSqlResult {
    /// The statements that changed something.
    pub executed: Vec<String>,
    /// The notes of the file's queries.
    pub notes: Vec<String>,
    /// The statements that reverse those that queries wrote, in the order in which they were run.
    pub ways_back: Vec<UndoStatement>,
    /// The deferred statements.
    pub later: Vec<DeferredStatement>,
}

/// The reverse of one statement that a query wrote.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UndoStatement {
    /// The statement that does it; `None` where nothing can.
    pub sql: Option<String>,
    /// What remains then, reported by undo.
    pub stays: Option<String>,
}

impl UndoStatement {
    /// A way back that leaves nothing.
    pub fn new(sql: impl Into<String>) -> Self {
        Self { sql: Some(sql.into()), stays: None }
    }
}

/// The variables of a fix's files: the schema, the names of the upstream migrations that the release has, the keys of the
/// findings to repair, no batch (see [`super::adaptive_batch`]), and the pending migrations that these are about (`:'records'`: name and checksum of each).
pub fn fix_variables(subject: &ChangeTarget, found: &[Finding]) -> Result<Variables> {
    let applied: Vec<&str> = match subject.range {
        Some(range) => range.from.migrations().map(|migration: &Migration| migration.name.as_str()).collect(),
        None => Vec::new(),
    };
    let keys: Vec<&str> = found.iter().map(|finding| finding.key.as_str()).collect();
    Ok(Variables::for_schema(&subject.schema)
        .text("release_migrations", serde_json::to_string(&applied)?)
        .text("batch", "")
        .text("found", serde_json::to_string(&keys)?)
        .text("records", serde_json::to_string(&pending_records(found))?))
}

/// A pending migration and the checksum under which it is to be recorded.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct MigrationRecord {
    /// The migration's name.
    pub name: &'static str,
    /// Of the content that the release to go to ships; hex.
    pub checksum: String,
}

/// The pending migrations that findings of hazards are about, each once, in order.
pub fn pending_records(found: &[Finding]) -> Vec<MigrationRecord> {
    let record = |finding: &Finding| {
        let text = |field: &str| finding.extra.get(field)?.as_str();
        let migration = facts().migrations.iter().find(|one| Some(one.number()) == text("migration"))?;
        Some(MigrationRecord { name: &migration.name, checksum: text("checksum")?.to_owned() })
    };
    let records: BTreeSet<MigrationRecord> = found.iter().filter_map(record).collect();
    records.into_iter().collect()
}

/// Records the migrations of `:'records'` as applied, as Prisma does it. Its lock is held since the run began.
pub async fn record_migrations(connection: &mut PgConnection, variables: &Variables) -> Result<FixSqlResult> {
    run_statements(
        connection,
        &SqlFile::parse(embedded_file("sql/upgrade/record.sql")).statements,
        variables,
        None,
    )
    .await
}

/// Runs the statements of a fix file. A query in it returns instructions: a column `note` goes into the plan, a column
/// `refusal` stops everything, a column `statement` is run, and is reversed by the column `undo` beside it or, if that
/// is null, stays as the column `stays` says. Blocking statements are deferred if the earlier state of the tables is
/// given (see [`deferred_ddl`]).
///
/// # Errors
/// A refusal with everything that stands in the way; or what the server says.
pub async fn run_statements(
    connection: &mut PgConnection,
    templates: &[String],
    variables: &Variables,
    online: Option<&Catalog>,
) -> Result<FixSqlResult> {
    let rendered: Result<Vec<String>> =
        templates.iter().map(|template| render(template, variables)).collect();
    run_each(connection, rendered?, online).await
}

/// Runs statements that belong to single findings through the fix's own file, which splices each in as `:name`.
pub async fn run_for_each_finding(
    connection: &mut PgConnection,
    templates: &[String],
    name: &str,
    given: impl Iterator<Item = &String>,
    online: Option<&Catalog>,
) -> Result<FixSqlResult> {
    let mut rendered = Vec::new();
    for statement in given {
        let variables = Variables::default().sql(name, SqlFragment::assert_safe(statement.clone()));
        for template in templates {
            rendered.push(render(template, &variables)?);
        }
    }
    run_each(connection, rendered, online).await
}

async fn run_each(
    connection: &mut PgConnection,
    rendered: Vec<String>,
    online: Option<&Catalog>,
) -> Result<FixSqlResult> {
    let mut done = FixSqlResult::default();
    for sql in rendered {
        if !is_query(&sql) {
            change(connection, sql, online, &mut done).await?;
            continue;
        }
        let mut refusals: Vec<String> = Vec::new();
        for row in query_statement(connection, sql).await? {
            if let Ok(refusal) = row.try_get::<String, _>("refusal") {
                refusals.push(redact::redact_text(&refusal));
            } else if row.try_get::<String, _>("statement").is_ok() {
                written(connection, &row, online, &mut done).await?;
            } else {
                done.notes.push(redact::redact_text(row.try_get("note")?));
            }
        }
        refuse_if_any(&refusals)?;
    }
    Ok(done)
}

/// True if a statement of a fix file only asks.
pub fn is_query(sql: &str) -> bool {
    sql.starts_with("SELECT") || sql.starts_with("WITH")
}

/// Runs a statement, or as much of it as is done in the transaction.
async fn change(
    connection: &mut PgConnection,
    sql: String,
    online: Option<&Catalog>,
    done: &mut FixSqlResult,
) -> Result<()> {
    let SplitDdl { now, later } = match online {
        Some(before) if !deferred_ddl::is_taken(connection, &sql, before).await? => {
            deferred_ddl::split_ddl(&sql, before)?
        }
        _ => SplitDdl { now: Some(sql), later: None },
    };
    if let Some(sql) = now {
        run_statement(connection, &sql).await?;
        done.executed.push(sql);
    }
    done.later.extend(later);
    Ok(())
}

/// Runs a statement that a query wrote.
async fn written(
    connection: &mut PgConnection,
    row: &PgRow,
    online: Option<&Catalog>,
    done: &mut FixSqlResult,
) -> Result<()> {
    change(connection, row.try_get("statement")?, online, done).await?;
    let stays = match row.try_get("stays") {
        Err(sqlx::Error::ColumnNotFound(_)) => None,
        other => other?,
    };
    let undo: Option<String> = row.try_get("undo")?;
    let undo = undo.map(|sql| if online.is_some() { deferred_ddl::undo_statement(&sql) } else { sql });
    done.ways_back.push(UndoStatement { sql: undo, stays });
    Ok(())
}

/// Reverses statements that queries wrote, the last one first.
pub async fn run_undo_statements(
    connection: &mut PgConnection,
    ways_back: &[UndoStatement],
) -> Result<FixSqlResult> {
    let mut done = FixSqlResult::default();
    for way_back in ways_back.iter().rev() {
        if let Some(sql) = &way_back.sql {
            run_statement(connection, sql).await?;
            done.executed.push(sql.clone());
        }
        done.notes.extend(way_back.stays.clone());
    }
    Ok(done)
}

/// Returns an error if anything blocks the fix.
pub fn refuse_if_any(refusals: &[String]) -> Result<()> {
    if refusals.is_empty() {
        return Ok(());
    }
    Err(user_error(
        format!("the fix is blocked, so nothing was changed:\n    {}", refusals.join("\n    ")),
        "correct what is named above, then try again",
    ))
}

async fn run_statement(connection: &mut PgConnection, sql: &str) -> Result<()> {
    let Err(error) = execute(connection, sql.to_owned()).await else { return Ok(()) };
    match sqlstate(&error).as_deref() {
        Some("23503") => Err(user_error(
            "orphaned rows block the foreign key",
            "run evodoctor fix EVO101 first; repair by hand what it leaves to you",
        )),
        Some("23505") => Err(user_error(
            format!("duplicate rows block a unique index ({sql})"),
            "name EVO103 in the same run, which merges them, or merge by hand what EVO103 leaves to you",
        )),
        _ => Err(error).with_context(|| format!("the server refused: {sql}")),
    }
}
