//! What a check asks first, where the answer is mostly that there is nothing to find (`first:` in its header). What its
//! query compares may be large, such as the facts of every release, and then is not even made.

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};
use tokio::task::spawn_blocking;

use super::context::CheckContext;
use super::query_variables;
use super::savepoint::run_step_in_savepoint;
use super::step::{Next, Question, Step, StepAnswer};
use crate::database::expected_objects::{CatalogObject, ExpectedObjects};
use crate::database::sql_file::{SqlFile, Variables, embedded_file, render};
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

    /// The question that begins with this, and goes on with another where there may be something to find.
    ///
    /// # Errors
    /// When a file of this program is broken.
    pub fn question<'a>(
        &self,
        scope: &'a CheckContext<'a>,
        begin: impl FnOnce() -> Result<Question<'a>> + 'a,
    ) -> Result<Question<'a>> {
        let variables = Variables::for_schema(&scope.catalog.schema);
        match self {
            Self::Condition(condition) => {
                let variables = variables.sql("history", query_variables::history_fragment(scope.catalog));
                let sql = render(&format!("SELECT {condition} AS is_so"), &variables)?;
                Ok(asked(sql, |rows| Ok(rows.first().context("one row")?.try_get("is_so")?), begin))
            }
            Self::Objects if scope.differs == Some(false) => Ok(Question::nothing()),
            Self::Objects if scope.differs == Some(true) => begin(),
            Self::Objects => {
                let (release, sql) = match objects_of(scope)? {
                    Ok(asked) => asked,
                    Err(obstacle) => return Ok(Question::query("", 0, Err(obstacle))),
                };
                Ok(asked(sql, move |rows| differ(&ExpectedObjects::new(release), &rows), begin))
            }
        }
    }
}

/// Whether the schema differs from the release's at all; `None` where nobody can tell, and the checks say why. Asked
/// before all checks, it is asked once for those that begin with it.
///
/// # Errors
/// When the connection is lost.
pub async fn schema_differs(connection: &mut PgConnection, scope: &CheckContext<'_>) -> Result<Option<bool>> {
    let Ok((release, sql)) = objects_of(scope)? else { return Ok(None) };
    // Both take as long: the release's objects are made while the server looks for its own.
    let expected = spawn_blocking(move || ExpectedObjects::new(release));
    match run_step_in_savepoint(connection, None, Step::query("", 0, sql)).await? {
        Ok(answer) => differ(&expected.await?, &answer.rows()?).map(Some),
        Err(_) => Ok(None),
    }
}

/// The query for all objects of the schema, and the release to compare them with; or why there is none.
fn objects_of(scope: &CheckContext<'_>) -> Result<Result<(Release, String), String>> {
    let release = match query_variables::release_bounds(scope.range) {
        Ok((_, release)) => release,
        Err(obstacle) => return Ok(Err(obstacle)),
    };
    let variables = Variables::for_schema(&scope.catalog.schema);
    Ok(Ok((
        release,
        render(SqlFile::parse(embedded_file("sql/catalog/objects.sql")).only_statement()?, &variables)?,
    )))
}

fn differ(expected: &ExpectedObjects, rows: &[PgRow]) -> Result<bool> {
    let found: Vec<CatalogObject> = rows.iter().map(read).collect::<Result<_>>()?;
    Ok(!expected.match_exactly(&found))
}

/// Asks a query whether there may be something to find, and begins the question only then.
fn asked<'a>(
    sql: String,
    may_find: impl FnOnce(Vec<PgRow>) -> Result<bool> + 'a,
    begin: impl FnOnce() -> Result<Question<'a>> + 'a,
) -> Question<'a> {
    let then = move |answers: Vec<StepAnswer>| {
        let first = answers.into_iter().next().context("one step was asked")?;
        if !may_find(first.rows()?)? {
            return Ok(Next::Rows(Vec::new()));
        }
        let Question { steps, then, .. } = begin()?;
        Ok(match steps {
            Ok(steps) => Next::Steps(steps, then),
            Err(obstacle) => Next::Undecided(obstacle),
        })
    };
    Question { about: String::new(), steps: Ok(vec![Step::query("", 0, sql)]), then: Box::new(then) }
}

fn read(row: &PgRow) -> Result<CatalogObject> {
    Ok(CatalogObject {
        kind: row.try_get("kind")?,
        table: row.try_get("table")?,
        form: row.try_get("form")?,
        definition: row.try_get("definition")?,
    })
}
