//! Many values: hashes of both sides, from whatever is the cheapest to read, compared here.

use std::rc::Rc;

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::choice::{RANGES, Source};
use super::found::Found;
use super::ranges::{bounds, bounds_in, ends, range};
use super::{Key, merge, pass, step_under};
use crate::database::quote::Fragment;
use crate::database::run::rows_under;
use crate::database::script::filled;
use crate::examine::known::Known;
use crate::examine::reading::{MOST_ROWS, Part, Place, Want, places, read_hashes};
use crate::examine::step::{Answer, Next, Step};

const BY_INDEX: &str = "sql/orphans/by_index.sql";

/// A side of the key: its table and column.
#[derive(Clone, Copy)]
struct Side<'a> {
    table: &'a str,
    column: &'a str,
    source: Source,
}

impl<'a> Side<'a> {
    fn new(table: &'a str, columns: &'a [String], source: Source) -> Result<Self> {
        let column = columns.first().context("a key has a column")?;
        Ok(Self { table, column, source })
    }
}

/// Asks for the bounds of what is read in ranges, then compares.
pub fn begin(key: Key<'_>, child: Source, parent: Source) -> Result<Next<'_>> {
    let reference = key.reference;
    let child = Side::new(&reference.child_table, &reference.child_columns, child)?;
    let parent = Side::new(&reference.parent_table, &reference.parent_columns, parent)?;
    let asked = |side: Side<'_>| match side.source {
        Source::Ranges => bounds(&key, side.table, side.column, RANGES).map(Some),
        Source::Table | Source::Index => Ok(None),
    };
    let (of_parent, of_child) = (asked(parent)?, asked(child)?);
    let (has_parent, has_child) = (of_parent.is_some(), of_child.is_some());
    let steps = of_parent.into_iter().chain(of_child).collect();
    let then = move |answers: Vec<Answer>| {
        let mut answers = answers.into_iter();
        let mut next = |is_asked: bool| match is_asked.then(|| answers.next()).flatten() {
            Some(answer) => bounds_in(answer),
            None => Ok(Vec::new()),
        };
        let (parent_bounds, child_bounds) = (next(has_parent)?, next(has_child)?);
        compare(key, parent, &parent_bounds, child, child_bounds)
    };
    Ok(Next::Steps(steps, Box::new(then)))
}

/// Gathers the parent's hashes, and holds the child's against them.
fn compare<'a>(
    key: Key<'a>,
    parent: Side<'a>,
    parent_bounds: &[String],
    child: Side<'a>,
    child_bounds: Vec<String>,
) -> Result<Next<'a>> {
    let (known, mut steps) = match parent.source {
        Source::Table => {
            let about = format!("hashes of {}", parent.table);
            let (value, _) = key.hash(parent);
            key.scope.readings.known(key.scope.catalog, parent.table, &about, value)
        }
        Source::Index | Source::Ranges => {
            let known = Rc::new(Known::new(parent_bounds.len() + 1));
            let all = Rc::clone(&known);
            let steps = key.by_index(parent, parent_bounds, move |at, hashes| {
                all.add(at, hashes);
                Answer::of(())
            })?;
            (known, steps.into_iter().map(Step::awaited).collect())
        }
    };
    let first = steps.len();
    if child.source == Source::Table {
        let (expression, value) = key.hash(child);
        let table = key.scope.catalog.tables.get(child.table);
        let is_nullable = table.is_none_or(|table| table.all_nullable(&[child.column.to_owned()]));
        let wanted = if is_nullable {
            let condition = Some(format!("{value} IS NOT NULL"));
            Want::Hashes { expression, condition, with_places: true }
        } else {
            // Without a condition places are made once for all who ask. A null that NOT NULL let through is not known
            // either; the query for the rows leaves it out.
            Want::Hashes {
                expression: format!("COALESCE({expression}, 0)"),
                condition: None,
                with_places: true,
            }
        };
        let about = key.reference.subject();
        steps.extend(key.scope.readings.join(key.scope.catalog, child.table, &about, wanted, look(&known)));
        let then =
            move |mut answers: Vec<Answer>| pass::conclude(&key, found_in(&known, answers.split_off(first))?);
        return Ok(Next::Steps(steps, Box::new(then)));
    }
    let all = Rc::clone(&known);
    let look = move |_, hashes| Answer::of(all.missing_hashes(hashes));
    steps.extend(key.by_index(child, &child_bounds, look)?);
    let then = move |mut answers: Vec<Answer>| {
        let missing = answers.split_off(first).into_iter();
        let missing: Vec<Vec<u64>> =
            missing.map(|answer| Ok(known.missing_hashes(answer.made()?))).collect::<Result<_>>()?;
        fetch(key, child, &child_bounds, &missing)
    };
    Ok(Next::Steps(steps, Box::new(then)))
}

/// Reads the index once more, in the ranges where values are missing, for those.
fn fetch<'a>(key: Key<'a>, child: Side<'a>, bounds: &[String], missing: &[Vec<u64>]) -> Result<Next<'a>> {
    if missing.iter().any(|hashes| hashes.len() > MOST_ROWS) {
        return merge::begin(key, if bounds.is_empty() { 1 } else { RANGES });
    }
    let (hash, value) = key.hash(child);
    let variables = key.variables()?;
    let cost = key.scope.catalog.pages(child.table) / missing.len().max(1) as u64;
    let mut steps = Vec::new();
    for (at, hashes) in missing.iter().enumerate().filter(|(_, hashes)| !hashes.is_empty()) {
        // As the server counts, half of them are negative.
        let hashes: Vec<String> = hashes.iter().map(|hash| hash.cast_signed().to_string()).collect();
        let orphaned = Fragment::keyword(format!(
            "{hash} IN (SELECT pg_catalog.unnest('{{{}}}'::pg_catalog.int8[]))",
            hashes.join(",")
        ));
        let (low, high) = ends(bounds, at);
        let variables =
            variables.clone().sql("child_range", range(&value, low, high)).sql("orphaned", orphaned);
        let sql = filled("sql/orphans/merge.sql", &variables)?;
        steps.push(step_under(BY_INDEX, key.reference.subject(), cost, sql));
    }
    Ok(Next::Steps(steps, Box::new(move |answers| key.conclude(&Found::sum(answers)?))))
}

impl Key<'_> {
    /// The hash of a side's value as the server makes it, and the value.
    fn hash(&self, side: Side<'_>) -> (String, Fragment) {
        let table = Fragment::qualified(&self.scope.catalog.schema, side.table);
        let value = Fragment::keyword(format!("{table}.{}", Fragment::ident(side.column)));
        // Equal texts are equal bytes, and have the same hash whatever language they sort by.
        (format!("pg_catalog.hashtextextended({value} COLLATE pg_catalog.\"C\", 0)"), value)
    }

    /// The steps that read a side's hashes from its index alone, range by range; `look` takes them with the range's
    /// number.
    fn by_index(
        &self,
        side: Side<'_>,
        bounds: &[String],
        look: impl Fn(usize, Vec<u64>) -> Answer + Clone + 'static,
    ) -> Result<Vec<Step>> {
        let (hash, value) = self.hash(side);
        let cost = self.scope.catalog.pages(side.table) / (bounds.len() as u64 + 1);
        let mut steps = Vec::new();
        for at in 0..=bounds.len() {
            let (low, high) = ends(bounds, at);
            let variables = self
                .variables()?
                .sql("table", Fragment::qualified(&self.scope.catalog.schema, side.table))
                .sql("hash", Fragment::keyword(hash.clone()))
                .sql("range", range(&value, low, high));
            let sql = filled("sql/orphans/hashes.sql", &variables)?;
            let look = look.clone();
            steps.push(Step::other(self.reference.subject(), cost, move |connection| {
                Box::pin(async move {
                    let rows = rows_under(connection, BY_INDEX, sql).await?;
                    Ok(look(at, hashes_in(&rows)?))
                })
            }));
        }
        Ok(steps)
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

/// The places of all rows that are not known, once that can be told; `None` when there are too many.
///
/// # Errors
/// When the answers are of something else.
pub fn found_in(known: &Known, answers: Vec<Answer>) -> Result<Option<Vec<Place>>> {
    let told = answers.into_iter().map(|answer| Ok(Answer::of(known.missing(answer.made()?))));
    places(told.collect::<Result<_>>()?)
}
