//! No index is to be trusted, and no hash: the table is read, once for all who want to know something of its rows.

use anyhow::Result;

use super::Key;
use crate::database::quote::Fragment;
use crate::database::script::filled;
use crate::examine::reading::{Place, Want, at, places};
use crate::examine::step::{Answer, Next, Step};

/// Joins the reading of the referring table, for the places of orphans.
pub fn begin(key: Key<'_>) -> Result<Next<'_>> {
    let (reference, scope) = (key.reference, key.scope);
    let value = reference.value(scope.catalog);
    let parent = Fragment::ident(&format!("parent {}", key.number));
    let wanted = Want::Rows {
        // Each value once, even where a corrupt index let it in twice: the join adds no row.
        join: format!(
            "LEFT JOIN (SELECT DISTINCT {} AS value FROM {} AS parent) AS {parent} ON {parent}.value = {value}",
            reference.parent_value(),
            Fragment::qualified(&reference.parent_schema, &reference.parent_table),
        ),
        condition: format!("{value} IS NOT NULL AND {parent}.value IS NULL"),
    };
    let table = &reference.child_table;
    let steps = scope.readings.join(scope.catalog, table, &reference.subject(), wanted, Answer::of);
    Ok(Next::Steps(steps, Box::new(move |answers| conclude(&key, places(answers)?))))
}

/// Goes on with the places of orphans; `None` where there are too many.
///
/// # Errors
/// When a file of this program is broken.
pub fn conclude<'a>(key: &Key<'a>, places: Option<Vec<Place>>) -> Result<Next<'a>> {
    let rows = match places {
        // To look them up one by one would take longer than to read the table again.
        None => return key.begin_plain(),
        Some(rows) if rows.is_empty() => return Ok(Next::Rows(Vec::new())),
        Some(rows) => rows,
    };
    let child = Fragment::qualified(&key.scope.catalog.schema, &key.reference.child_table);
    let value = key.reference.value(key.scope.catalog);
    let predicate = Fragment::keyword(format!("{} AND {value} IS NOT NULL", at(child.as_str(), &rows)));
    let variables = key.variables()?.sql("predicate", predicate);
    let found = Fragment::keyword(filled("sql/orphans/not_exists.sql", &variables)?);
    let sql = (key.word)(&variables.sql("found", found))?;
    Ok(Next::finding(vec![Step::query(key.reference.subject(), rows.len() as u64, sql)]))
}
