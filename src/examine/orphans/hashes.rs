//! Many values, of which one side is read from its table: hashes of both sides, compared here.

use std::rc::Rc;

use anyhow::{Context, Result, bail};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::choice::Source;
use super::front::Front;
use super::ranges::{bounds, bounds_in, ends, range};
use super::{BY_INDEX, Key, pass};
use crate::database::quote::Fragment;
use crate::database::run::rows_under;
use crate::database::script::filled;
use crate::examine::known::{Known, hash_of};
use crate::examine::reading::{Missing, Part, Want, read_hashes};
use crate::examine::step::{Answer, Next, Step};

/// Asks for the bounds of what is read in ranges, then compares.
pub fn begin(key: Key<'_>, source: Source) -> Result<Next<'_>> {
    let (table, column) = parent(&key)?;
    match source {
        Source::Table => {
            let about = format!("hashes of {table}");
            let (hash, _) = key.hash(table, column);
            let (known, steps) = key.scope.readings.known(key.scope.catalog, table, &about, hash);
            compare(key, known, steps)
        }
        Source::Index { ranges: 1 } => gather(key, &[]),
        Source::Index { ranges } => {
            let step = bounds(&key, table, column, ranges)?;
            let then = move |answers: Vec<Answer>| {
                let answer = answers.into_iter().next().context("one step has one answer")?;
                gather(key, &bounds_in(answer)?)
            };
            Ok(Next::Steps(vec![step], Box::new(then)))
        }
    }
}

/// The table and the column that the key refers to.
fn parent<'a>(key: &Key<'a>) -> Result<(&'a str, &'a str)> {
    let column = key.reference.parent_columns.first().context("a key has a column")?;
    Ok((&key.reference.parent_table, column))
}

/// Gathers the parent's hashes from its index alone, range by range, then compares.
fn gather<'a>(key: Key<'a>, bounds: &[String]) -> Result<Next<'a>> {
    let known = Rc::new(Known::new(bounds.len() + 1));
    let (table, column) = parent(&key)?;
    let (hash, value) = key.hash(table, column);
    let cost = key.scope.catalog.pages(table) / (bounds.len() as u64 + 1);
    let mut steps = Vec::new();
    for at in 0..=bounds.len() {
        let (low, high) = ends(bounds, at);
        let variables = key
            .variables()?
            .sql("table", Fragment::qualified(&key.scope.catalog.schema, table))
            .sql("hash", Fragment::keyword(hash.clone()))
            .sql("range", range(&value, low, high));
        let sql = filled("sql/orphans/hashes.sql", &variables)?;
        let all = Rc::clone(&known);
        let step = Step::other(key.reference.subject(), cost, move |connection| {
            Box::pin(async move {
                let rows = rows_under(connection, BY_INDEX, sql).await?;
                all.add(at, hashes_in(&rows)?);
                Ok(Answer::of(()))
            })
        });
        steps.push(step.awaited());
    }
    compare(key, known, steps)
}

/// Holds the child's hashes against those of the parent, which `steps` bring.
fn compare<'a>(key: Key<'a>, known: Rc<Known>, mut steps: Vec<Step>) -> Result<Next<'a>> {
    let (table, columns) = (&key.reference.child_table, &key.reference.child_columns);
    let (expression, value) = key.hash(table, columns.first().context("a key has a column")?);
    let is_nullable = key.scope.catalog.tables.get(table).is_none_or(|table| table.all_nullable(columns));
    let front = Front { hash: expression.clone(), condition: format!("{value} IS NOT NULL") };
    let wanted = if is_nullable {
        let condition = Some(format!("{value} IS NOT NULL"));
        Want::Hashes { expression, condition, with_places: true }
    } else {
        // Without a condition places are made once for all who ask. A null that NOT NULL let through is not known
        // either; the query for the rows leaves it out.
        Want::Hashes { expression: format!("COALESCE({expression}, 0)"), condition: None, with_places: true }
    };
    let first = steps.len();
    let about = key.reference.subject();
    steps.extend(key.scope.readings.join(key.scope.catalog, table, &about, wanted, look(&known)));
    let then = move |mut answers: Vec<Answer>| match found_in(&known, answers.split_off(first))? {
        Missing { rows: Some(rows), .. } => pass::conclude(&key, Some(rows)),
        missing => front.counted(key, known, missing),
    };
    Ok(Next::Steps(steps, Box::new(then)))
}

impl Key<'_> {
    /// The hash of a column's value as the server makes it, and the value.
    fn hash(&self, table: &str, column: &str) -> (String, Fragment) {
        let table = Fragment::qualified(&self.scope.catalog.schema, table);
        let value = Fragment::keyword(format!("{table}.{}", Fragment::ident(column)));
        (hash_of(value.as_str(), "0"), value)
    }
}

fn hashes_in(rows: &[PgRow]) -> sqlx::Result<Vec<u64>> {
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    Ok(read_hashes(row.try_get::<Option<&[u8]>, _>("hashes")?.unwrap_or_default()))
}

/// Keeps of each piece the places of rows that are not known, or the piece as it is as long as that cannot be told.
pub fn look(known: &Rc<Known>) -> impl Fn(Part) -> Answer + Clone + 'static {
    let known = Rc::clone(known);
    move |part| Answer::of(known.missing(part))
}

/// All rows that are not known, once that can be told.
///
/// # Errors
/// When the answers are of something else.
pub fn found_in(known: &Known, answers: Vec<Answer>) -> Result<Missing> {
    let mut all = Missing::default();
    for answer in answers {
        match known.missing(answer.made()?) {
            Part::Missing(missing) => all.add(missing),
            _ => bail!("rows that are missing are expected"),
        }
    }
    Ok(all)
}
