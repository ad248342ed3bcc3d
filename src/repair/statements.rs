//! Runs the statements of fix files.

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::locks::{self, LockTimeout};
use crate::database::quote::Fragment;
use crate::database::run::{execute, state_of, statement_rows};
use crate::database::script::{Variables, render};
use crate::exit::failure;

/// What running a fix's statements gave.
#[derive(Debug, Default)]
pub struct Executed {
    /// The statements that changed something.
    pub executed: Vec<String>,
    /// What the file's queries had to say.
    pub notes: Vec<String>,
}

/// Runs the statements of a fix file. A query in it speaks: a column `note` goes into the plan, a column `refusal`
/// stops everything.
///
/// # Errors
/// A refusal with everything that stands in the way; [`LockTimeout`]; or what the server says.
pub async fn statements(
    connection: &mut PgConnection,
    templates: &[String],
    schema: &str,
) -> Result<Executed> {
    let variables = Variables::for_schema(schema);
    let rendered = templates.iter().map(|template| render(template, &variables));
    run_each(connection, rendered.collect::<Result<Vec<_>>>()?).await
}

/// Runs statements that belong to single findings through the fix's own file, which splices each in as `:name`.
///
/// # Errors
/// As [`statements`].
pub async fn each_finding(
    connection: &mut PgConnection,
    templates: &[String],
    name: &'static str,
    given: impl Iterator<Item = &String>,
) -> Result<Executed> {
    let mut rendered = Vec::new();
    for statement in given {
        let variables = Variables::default().sql(name, Fragment::keyword(statement.clone()));
        for template in templates {
            rendered.push(render(template, &variables)?);
        }
    }
    run_each(connection, rendered).await
}

async fn run_each(connection: &mut PgConnection, rendered: Vec<String>) -> Result<Executed> {
    let mut done = Executed::default();
    for sql in rendered {
        if !sql.starts_with("SELECT") {
            run_statement(connection, &sql).await?;
            done.executed.push(sql);
            continue;
        }
        let mut refusals: Vec<String> = Vec::new();
        for row in statement_rows(connection, sql).await? {
            match row.try_get::<String, _>("refusal") {
                Ok(refusal) => refusals.push(refusal),
                Err(_) => done.notes.push(row.try_get("note")?),
            }
        }
        refuse(&refusals)?;
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
        format!("rows stand in the way, so nothing was changed:\n    {}", refusals.join("\n    ")),
        "change or remove those rows, then try again",
    ))
}

async fn run_statement(connection: &mut PgConnection, sql: &str) -> Result<()> {
    match execute(connection, sql.to_owned()).await {
        Ok(_) => Ok(()),
        Err(error) if locks::is_lock_trouble(&error) => Err(LockTimeout { tables: Vec::new() }.into()),
        Err(error) if state_of(&error).as_deref() == Some("23503") => Err(failure(
            "rows that refer to nothing keep the key from being built",
            "let EVO101 treat them in the same run: name both codes, EVO101 first",
        )),
        Err(error) => Err(error).with_context(|| format!("the server refused: {sql}")),
    }
}
