//! Many values, indexed on both sides: the two indexes side by side, in ranges.

use anyhow::{Context, Result};

use super::Key;
use super::found::Found;
use super::ranges::{bounds, bounds_in, ends, range};
use crate::database::quote::Fragment;
use crate::database::script::filled;
use crate::examine::step::{Answer, Next, Step};

/// Asks for bounds between ranges, then compares range by range.
pub fn begin(key: Key<'_>, ranges: u32) -> Result<Next<'_>> {
    let Some(column) = key.reference.child_columns.first().filter(|_| ranges > 1) else {
        return compare(key, &[]);
    };
    let table = &key.reference.child_table;
    let step = bounds(&key, table, column, ranges)?;
    let then = move |answers: Vec<Answer>| {
        let answer = answers.into_iter().next().context("one step has one answer")?;
        compare(key, &bounds_in(answer)?)
    };
    Ok(Next::Steps(vec![step], Box::new(then)))
}

fn compare<'a>(key: Key<'a>, bounds: &[String]) -> Result<Next<'a>> {
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
        let sql = filled("sql/orphans/merge.sql", &variables)?;
        steps.push(Step::query_under("sql/orphans/in_order.sql", key.reference.subject(), cost, sql));
    }
    Ok(Next::Steps(steps, Box::new(move |answers| key.conclude(&Found::sum(answers)?))))
}

/// The condition for a value that no row of the parent in this range has. It needs no end: the comparison ends with the child.
fn orphaned(key: &Key<'_>, range: &Fragment) -> Fragment {
    let parent = Fragment::qualified(&key.reference.parent_schema, &key.reference.parent_table);
    let (parent_value, value) = (key.reference.parent_value(), key.reference.value(key.scope.catalog));
    Fragment::keyword(format!(
        "NOT EXISTS (SELECT FROM {parent} AS parent WHERE {parent_value} = {value} AND {range})"
    ))
}
