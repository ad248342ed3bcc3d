//! Many values, indexed on both sides: the two indexes side by side, in ranges.

use anyhow::{Context, Result};

use super::OrphanSearch;
use super::key_ranges::{bounds, bounds_in, ends, range};
use super::summary::OrphanSummary;
use crate::checks::step::{Next, Step, StepAnswer};
use crate::database::ident::SqlFragment;
use crate::database::sql_file::render_file;

/// Asks for bounds between ranges, then compares range by range.
pub fn start(key: OrphanSearch<'_>, ranges: u32) -> Result<Next<'_>> {
    let Some(column) = key.reference.child_columns.first().filter(|_| ranges > 1) else {
        return compare(key, &[]);
    };
    let table = &key.reference.child_table;
    let step = bounds(&key, table, column, ranges)?;
    let then = move |answers: Vec<StepAnswer>| {
        let answer = answers.into_iter().next().context("one step has one answer")?;
        compare(key, &bounds_in(answer)?)
    };
    Ok(Next::Steps(vec![step], Box::new(then)))
}

fn compare<'a>(key: OrphanSearch<'a>, bounds: &[String]) -> Result<Next<'a>> {
    let variables = key.variables()?;
    let (value, parent_value) = (key.reference.value(key.scope.catalog), key.reference.parent_value());
    let cost = key.reference.pages(key.scope.catalog) / (bounds.len() as u64 + 1);
    let mut steps = Vec::new();
    for at in 0..=bounds.len() {
        let (low, high) = ends(bounds, at);
        let variables = variables
            .clone()
            .sql("child_range", range(&value, low, high))
            .sql("orphaned", orphaned(&key, &range(&parent_value, low, None)));
        let sql = render_file("sql/orphans/merge.sql", &variables)?;
        steps.push(Step::query_under("sql/orphans/in_order.sql", key.reference.subject(), cost, sql));
    }
    Ok(Next::Steps(steps, Box::new(move |answers| key.conclude(&OrphanSummary::sum(answers)?))))
}

/// The condition for a value that no row of the parent in this range has. It needs no end: the comparison ends with the child.
fn orphaned(key: &OrphanSearch<'_>, range: &SqlFragment) -> SqlFragment {
    let parent = SqlFragment::qualified(&key.reference.parent_schema, &key.reference.parent_table);
    let (parent_value, value) = (key.reference.parent_value(), key.reference.value(key.scope.catalog));
    SqlFragment::assert_safe(format!(
        "NOT EXISTS (SELECT FROM {parent} AS parent WHERE {parent_value} = {value} AND {range})"
    ))
}
