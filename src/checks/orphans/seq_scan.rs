//! No index is to be trusted, and no hash: the table is read, once for all who want to know something of its rows.

use anyhow::Result;

use super::OrphanSearch;
use crate::checks::step::{Next, Step, StepAnswer};
use crate::checks::table_scan::{Ctid, Projection, collect_ctids, ctid_condition};
use crate::database::ident::SqlFragment;
use crate::database::sql_file::render_file;

/// Joins the reading of the referring table, for the places of orphans.
pub fn start(key: OrphanSearch<'_>) -> Result<Next<'_>> {
    let (reference, scope) = (key.reference, key.scope);
    let value = reference.value(scope.catalog);
    let parent = SqlFragment::ident(&format!("parent {}", key.number));
    let wanted = Projection::Rows {
        // Each value once, even where a corrupt index let it in twice: the join adds no row.
        join: format!(
            "LEFT JOIN (SELECT DISTINCT {} AS value FROM {} AS parent) AS {parent} ON {parent}.value = {value}",
            reference.parent_value(),
            SqlFragment::qualified(&reference.parent_schema, &reference.parent_table),
        ),
        condition: format!("{value} IS NOT NULL AND {parent}.value IS NULL"),
    };
    let table = &reference.child_table;
    let steps = scope.readings.subscribe(scope.catalog, table, &reference.subject(), wanted, StepAnswer::of);
    Ok(Next::Steps(steps, Box::new(move |answers| conclude(&key, collect_ctids(answers)?))))
}

/// Goes on with the places of orphans; `None` where there are too many.
///
/// # Errors
/// When a file of this program is broken.
pub fn conclude<'a>(key: &OrphanSearch<'a>, places: Option<Vec<Ctid>>) -> Result<Next<'a>> {
    let rows = match places {
        // To look them up one by one would take longer than to read the table again.
        None => return key.begin_plain(),
        Some(rows) if rows.is_empty() => return Ok(Next::Rows(Vec::new())),
        Some(rows) => rows,
    };
    let child = SqlFragment::qualified(&key.scope.catalog.schema, &key.reference.child_table);
    let value = key.reference.value(key.scope.catalog);
    let predicate = SqlFragment::assert_safe(format!(
        "{} AND {value} IS NOT NULL",
        ctid_condition(child.as_str(), &rows)
    ));
    let variables = key.variables()?.sql("predicate", predicate);
    let found = SqlFragment::assert_safe(render_file("sql/orphans/not_exists.sql", &variables)?);
    let sql = (key.word)(&variables.sql("found", found))?;
    Ok(Next::finding(vec![Step::query(key.reference.subject(), rows.len() as u64, sql)]))
}
