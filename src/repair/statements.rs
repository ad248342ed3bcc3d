//! The statements of a fix's files, and of its way back.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::online::{self, Later, Parts};
use super::rehearsal::Subject;
use crate::database::catalog::Catalog;
use crate::database::quote::Fragment;
use crate::database::run::{execute, state_of, statement_rows};
use crate::database::script::{Script, Variables, file, render};
use crate::evolution::release::{Migration, facts};
use crate::examine::finding::Finding;
use crate::examine::mask;
use crate::exit::failure;

/// What running a fix's statements gave.
#[derive(Debug, Default)]
pub struct Executed {
    /// The statements that changed something.
    pub executed: Vec<String>,
    /// What the file's queries had to say.
    pub notes: Vec<String>,
    /// How to reverse the statements that queries wrote, in the order they were run.
    pub ways_back: Vec<WayBack>,
    /// What is left for after the transaction.
    pub later: Vec<Later>,
}

/// How to reverse one statement that a query wrote.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WayBack {
    /// The statement that does it; `None` where nothing can.
    pub sql: Option<String>,
    /// What stays then, said by undo.
    pub stays: Option<String>,
}

impl WayBack {
    /// A way back that leaves nothing.
    pub fn by(sql: impl Into<String>) -> Self {
        Self { sql: Some(sql.into()), stays: None }
    }
}

/// The variables of a fix's files: the schema, the names of the upstream migrations that the release has, the keys of the
/// findings to repair, no batch (see [`super::batch`]), and the pending migrations that these are about (`:'records'`: name and checksum of each).
pub fn variables(subject: &Subject, found: &[Finding]) -> Result<Variables> {
    let applied: Vec<&str> = match subject.range {
        Some(range) => range.from.migrations().map(|migration: &Migration| migration.name.as_str()).collect(),
        None => Vec::new(),
    };
    let keys: Vec<&str> = found.iter().map(|finding| finding.key.as_str()).collect();
    Ok(Variables::for_schema(&subject.schema)
        .text("release_migrations", serde_json::to_string(&applied)?)
        .text("batch", "")
        .text("found", serde_json::to_string(&keys)?)
        .text("records", serde_json::to_string(&pending(found))?))
}

/// A pending migration and the checksum under which it is to be recorded.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Record {
    /// The migration's name.
    pub name: &'static str,
    /// Of the content that the release to go to ships; hex.
    pub checksum: String,
}

/// The pending migrations that findings of hazards are about, each once, in order.
pub fn pending(found: &[Finding]) -> Vec<Record> {
    let record = |finding: &Finding| {
        let text = |field: &str| finding.extra.get(field)?.as_str();
        let migration = facts().migrations.iter().find(|one| Some(one.number()) == text("migration"))?;
        Some(Record { name: &migration.name, checksum: text("checksum")?.to_owned() })
    };
    let records: BTreeSet<Record> = found.iter().filter_map(record).collect();
    records.into_iter().collect()
}

/// Records the migrations of `:'records'` as applied, as Prisma does it. Its lock is held since the run began.
///
/// # Errors
/// As [`statements`].
pub async fn record(connection: &mut PgConnection, variables: &Variables) -> Result<Executed> {
    statements(connection, &Script::parse(file("sql/upgrade/record.sql")).statements, variables, None).await
}

/// Runs the statements of a fix file. A query in it speaks: a column `note` goes into the plan, a column `refusal`
/// stops everything, a column `statement` is run, and is reversed by the column `undo` beside it or, where that is
/// null, stays as the column `stays` says. What others would have to wait for is left for later where the tables as they
/// were are given (see [`online`]).
///
/// # Errors
/// A refusal with everything that stands in the way; or what the server says.
pub async fn statements(
    connection: &mut PgConnection,
    templates: &[String],
    variables: &Variables,
    online: Option<&Catalog>,
) -> Result<Executed> {
    let rendered: Result<Vec<String>> =
        templates.iter().map(|template| render(template, variables)).collect();
    run_each(connection, rendered?, online).await
}

/// Runs statements that belong to single findings through the fix's own file, which splices each in as `:name`.
///
/// # Errors
/// As [`statements`].
pub async fn each_finding(
    connection: &mut PgConnection,
    templates: &[String],
    name: &str,
    given: impl Iterator<Item = &String>,
    online: Option<&Catalog>,
) -> Result<Executed> {
    let mut rendered = Vec::new();
    for statement in given {
        let variables = Variables::default().sql(name, Fragment::keyword(statement.clone()));
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
) -> Result<Executed> {
    let mut done = Executed::default();
    for sql in rendered {
        if !is_query(&sql) {
            change(connection, sql, online, &mut done).await?;
            continue;
        }
        let mut refusals: Vec<String> = Vec::new();
        for row in statement_rows(connection, sql).await? {
            if let Ok(refusal) = row.try_get::<String, _>("refusal") {
                refusals.push(mask::text(&refusal));
            } else if row.try_get::<String, _>("statement").is_ok() {
                written(connection, &row, online, &mut done).await?;
            } else {
                done.notes.push(mask::text(row.try_get("note")?));
            }
        }
        refuse(&refusals)?;
    }
    Ok(done)
}

/// Whether a statement of a fix file only asks.
pub fn is_query(sql: &str) -> bool {
    sql.starts_with("SELECT") || sql.starts_with("WITH")
}

/// Runs a statement, or as much of it as is done in the transaction.
async fn change(
    connection: &mut PgConnection,
    sql: String,
    online: Option<&Catalog>,
    done: &mut Executed,
) -> Result<()> {
    let Parts { now, later } = match online {
        Some(before) if !online::is_taken(connection, &sql, before).await? => online::parts(&sql, before)?,
        _ => Parts { now: Some(sql), later: None },
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
    done: &mut Executed,
) -> Result<()> {
    change(connection, row.try_get("statement")?, online, done).await?;
    let stays = match row.try_get("stays") {
        Err(sqlx::Error::ColumnNotFound(_)) => None,
        other => other?,
    };
    let undo: Option<String> = row.try_get("undo")?;
    let undo = undo.map(|sql| if online.is_some() { online::way_back(&sql) } else { sql });
    done.ways_back.push(WayBack { sql: undo, stays });
    Ok(())
}

/// Reverses statements that queries wrote, the last one first.
///
/// # Errors
/// As [`statements`].
pub async fn reverse(connection: &mut PgConnection, ways_back: &[WayBack]) -> Result<Executed> {
    let mut done = Executed::default();
    for way_back in ways_back.iter().rev() {
        if let Some(sql) = &way_back.sql {
            run_statement(connection, sql).await?;
            done.executed.push(sql.clone());
        }
        done.notes.extend(way_back.stays.clone());
    }
    Ok(done)
}

/// Stops when anything stands in the way.
///
/// # Errors
/// Names it all.
pub fn refuse(refusals: &[String]) -> Result<()> {
    if refusals.is_empty() {
        return Ok(());
    }
    Err(failure(
        format!("something stands in the way, so nothing was changed:\n    {}", refusals.join("\n    ")),
        "mend what is named above, then try again",
    ))
}

async fn run_statement(connection: &mut PgConnection, sql: &str) -> Result<()> {
    let Err(error) = execute(connection, sql.to_owned()).await else { return Ok(()) };
    match state_of(&error).as_deref() {
        Some("23503") => Err(failure(
            "rows that refer to nothing keep the key from being built",
            "evodoctor fix EVO101 treats them; what it leaves to you has to be treated first",
        )),
        Some("23505") => Err(failure(
            format!("duplicate rows keep a unique index from being built ({sql})"),
            "EVO103 names them: let it merge them in the same run, or merge by hand what it leaves to you",
        )),
        _ => Err(error).with_context(|| format!("the server refused: {sql}")),
    }
}
