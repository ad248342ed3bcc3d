//! What a check asks first, where the answer is mostly that there is nothing to find (`first:` in its header). What its
//! query compares may be large, such as the facts of every release, and then is not even made.

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};
use tokio::task::spawn_blocking;

use super::check_error::{CheckResult, if_decided};
use super::context::CheckContext;
use super::query_variables::{history_fragment, release_bounds};
use super::savepoint::simple_query_in_savepoint;
use super::task::Task;
use super::task_group::TaskGroup;
use crate::database::expected_objects::{CatalogObject, ExpectedObjects};
use crate::database::sql_file::{Variables, render, render_file};
use crate::evolution::release::Release;

/// What is asked first.
#[derive(Debug)]
pub enum Precondition {
    /// A condition, without which the query returns no row.
    Condition(String),
    /// `objects`: whether the schema differs from the release's at all.
    Objects,
}

impl Precondition {
    /// What a header says.
    pub fn parse(text: &str) -> Self {
        match text {
            "objects" => Self::Objects,
            condition => Self::Condition(condition.to_owned()),
        }
    }

    /// True if there may be something to find.
    ///
    /// # Errors
    /// Undecided when that is unknown, such as without a release to compare with.
    pub async fn holds(&self, group: &TaskGroup<'_, '_>) -> CheckResult<bool> {
        let context = group.context();
        let task = Task::new("", 0);
        match self {
            Self::Condition(condition) => {
                let variables = Variables::for_schema(&context.catalog.schema)
                    .sql("history", history_fragment(context.catalog));
                let sql = render(&format!("SELECT {condition} AS holds"), &variables)?;
                let rows = group.query(task, sql).await?;
                Ok(rows.first().context("a condition is one row")?.try_get("holds")?)
            }
            Self::Objects => match context.differs {
                Some(differs) => Ok(differs),
                None => {
                    let (release, sql) = objects_query(context)?;
                    let rows = group.query(task, sql).await?;
                    Ok(differs(&ExpectedObjects::new(release), &rows)?)
                }
            },
        }
    }
}

/// True if the schema differs from the release's at all; `None` if that is unknown, and the checks say why. Read once before all
/// checks, for those that begin with it.
///
/// # Errors
/// When the connection is lost.
pub async fn schema_differs(
    connection: &mut PgConnection,
    context: &CheckContext<'_>,
) -> Result<Option<bool>> {
    let Some((release, sql)) = if_decided(objects_query(context))? else { return Ok(None) };
    // Both take as long: the release's objects are made while the server looks for its own.
    let expected = spawn_blocking(move || ExpectedObjects::new(release));
    match simple_query_in_savepoint(connection, None, sql).await? {
        Ok(rows) => differs(&expected.await?, &rows).map(Some),
        Err(_) => Ok(None),
    }
}

/// The query for all objects of the schema, and the release to compare them with.
fn objects_query(context: &CheckContext<'_>) -> CheckResult<(Release, String)> {
    let (_, release) = release_bounds(context.range)?;
    let variables = Variables::for_schema(&context.catalog.schema);
    Ok((release, render_file("sql/catalog/objects.sql", &variables)?))
}

fn differs(expected: &ExpectedObjects, rows: &[PgRow]) -> Result<bool> {
    let found: Vec<CatalogObject> = rows.iter().map(catalog_object).collect::<Result<_>>()?;
    Ok(!expected.match_exactly(&found))
}

fn catalog_object(row: &PgRow) -> Result<CatalogObject> {
    Ok(CatalogObject {
        kind: row.try_get("kind")?,
        table: row.try_get("table")?,
        form: row.try_get("form")?,
        definition: row.try_get("definition")?,
    })
}
