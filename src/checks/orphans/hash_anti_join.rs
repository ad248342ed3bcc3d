//! Many values, of which one side is read from its table: hashes of both sides, compared here.

use std::rc::Rc;

use anyhow::{Context, Result, bail};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::first_rows::FirstRows;
use super::key_ranges::{bounds, bounds_in, ends, range};
use super::strategy::HashSource;
use super::{BY_INDEX, OrphanSearch, seq_scan};
use crate::checks::step::{Next, Step, StepAnswer};
use crate::checks::table_scan::{
    ChunkPart, MissingRows, Projection, ValueHashes, decode_hashes, hash_expression,
};
use crate::database::ident::SqlFragment;
use crate::database::query::query_with_settings;
use crate::database::sql_file::render_file;

/// Asks for the bounds of what is read in ranges, then compares.
pub fn start(key: OrphanSearch<'_>, source: HashSource) -> Result<Next<'_>> {
    let (table, column) = parent(&key)?;
    match source {
        HashSource::Table => {
            let about = format!("hashes of {table}");
            let (hash, _) = key.hash(table, column);
            let (known, steps) = key.scope.readings.hash_set(key.scope.catalog, table, &about, hash);
            compare(key, known, steps)
        }
        HashSource::Index { ranges: 1 } => gather(key, &[]),
        HashSource::Index { ranges } => {
            let step = bounds(&key, table, column, ranges)?;
            let then = move |answers: Vec<StepAnswer>| {
                let answer = answers.into_iter().next().context("one step has one answer")?;
                gather(key, &bounds_in(answer)?)
            };
            Ok(Next::Steps(vec![step], Box::new(then)))
        }
    }
}

/// The table and the column that the key refers to.
fn parent<'a>(key: &OrphanSearch<'a>) -> Result<(&'a str, &'a str)> {
    let column = key.reference.parent_columns.first().context("a key has a column")?;
    Ok((&key.reference.parent_table, column))
}

/// Gathers the parent's hashes from its index alone, range by range, then compares.
fn gather<'a>(key: OrphanSearch<'a>, bounds: &[String]) -> Result<Next<'a>> {
    let known = Rc::new(ValueHashes::new(bounds.len() + 1));
    let (table, column) = parent(&key)?;
    let (hash, value) = key.hash(table, column);
    let cost = key.scope.catalog.page_count(table) / (bounds.len() as u64 + 1);
    let mut steps = Vec::new();
    for at in 0..=bounds.len() {
        let (low, high) = ends(bounds, at);
        let variables = key
            .variables()?
            .sql("table", SqlFragment::qualified(&key.scope.catalog.schema, table))
            .sql("hash", SqlFragment::assert_safe(hash.clone()))
            .sql("range", range(&value, low, high));
        let sql = render_file("sql/orphans/hashes.sql", &variables)?;
        let all = Rc::clone(&known);
        let step = Step::other(key.reference.subject(), cost, move |connection| {
            Box::pin(async move {
                let rows = query_with_settings(connection, BY_INDEX, sql).await?;
                all.add_chunk(at, hashes_in(&rows)?);
                Ok(StepAnswer::of(()))
            })
        });
        steps.push(step.awaited());
    }
    compare(key, known, steps)
}

/// Holds the child's hashes against those of the parent, which `steps` bring.
fn compare<'a>(key: OrphanSearch<'a>, known: Rc<ValueHashes>, mut steps: Vec<Step>) -> Result<Next<'a>> {
    let (table, columns) = (&key.reference.child_table, &key.reference.child_columns);
    let (expression, value) = key.hash(table, columns.first().context("a key has a column")?);
    let is_nullable = key.scope.catalog.tables.get(table).is_none_or(|table| table.all_nullable(columns));
    let front = FirstRows { hash: expression.clone(), condition: format!("{value} IS NOT NULL") };
    let wanted = if is_nullable {
        let condition = Some(format!("{value} IS NOT NULL"));
        Projection::Hashes { expression, condition, with_places: true }
    } else {
        // Without a condition places are made once for all who ask. A null that NOT NULL let through is not known
        // either; the query for the rows leaves it out.
        Projection::Hashes {
            expression: format!("COALESCE({expression}, 0)"),
            condition: None,
            with_places: true,
        }
    };
    let first = steps.len();
    let about = key.reference.subject();
    steps.extend(key.scope.readings.subscribe(
        key.scope.catalog,
        table,
        &about,
        wanted,
        missing_in_chunk(&known),
    ));
    let then = move |mut answers: Vec<StepAnswer>| match collect_missing(&known, answers.split_off(first))? {
        MissingRows { rows: Some(rows), .. } => seq_scan::conclude(&key, Some(rows)),
        missing => front.counted(key, known, missing),
    };
    Ok(Next::Steps(steps, Box::new(then)))
}

impl OrphanSearch<'_> {
    /// The hash of a column's value as the server makes it, and the value.
    fn hash(&self, table: &str, column: &str) -> (String, SqlFragment) {
        let table = SqlFragment::qualified(&self.scope.catalog.schema, table);
        let value = SqlFragment::assert_safe(format!("{table}.{}", SqlFragment::ident(column)));
        (hash_expression(value.as_str(), "0"), value)
    }
}

fn hashes_in(rows: &[PgRow]) -> sqlx::Result<Vec<u64>> {
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    Ok(decode_hashes(row.try_get::<Option<&[u8]>, _>("hashes")?.unwrap_or_default()))
}

/// Keeps of each piece the places of rows that are not known, or the piece as it is as long as that cannot be told.
pub fn missing_in_chunk(known: &Rc<ValueHashes>) -> impl Fn(ChunkPart) -> StepAnswer + Clone + 'static {
    let known = Rc::clone(known);
    move |part| StepAnswer::of(known.missing(part))
}

/// All rows that are not known, once that can be told.
///
/// # Errors
/// When the answers are of something else.
pub fn collect_missing(known: &ValueHashes, answers: Vec<StepAnswer>) -> Result<MissingRows> {
    let mut all = MissingRows::default();
    for answer in answers {
        match known.missing(answer.made()?) {
            ChunkPart::Missing(missing) => all.add(missing),
            _ => bail!("rows that are missing are expected"),
        }
    }
    Ok(all)
}
