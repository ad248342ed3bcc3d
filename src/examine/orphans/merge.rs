//! Many values, indexed on both sides: the two indexes side by side, in ranges.

use anyhow::Result;
use sqlx::Row;

use super::found::Found;
use super::{Key, step_under};
use crate::database::quote::Fragment;
use crate::database::script::filled;
use crate::examine::step::{Answer, Next, Step};

/// Asks for bounds between ranges, then compares range by range.
pub fn begin(key: Key<'_>, ranges: u32) -> Result<Next<'_>> {
    let Some(column) = key.reference.child_columns.first().filter(|_| ranges > 1) else {
        return compare(key, &[]);
    };
    let variables = key
        .variables()?
        .text("table_name", &key.reference.child_table)
        .text("column_name", column)
        .text("ranges", ranges.to_string());
    let sql = filled("sql/orphans/bounds.sql", &variables)?;
    let step = Step::query(key.reference.subject(), key.reference.pages(key.scope.catalog), sql);
    let then = move |answers: Vec<Answer>| {
        let mut bounds: Vec<String> = Vec::new();
        for answer in answers {
            for row in answer.rows()? {
                bounds.push(row.try_get("bound")?);
            }
        }
        compare(key, &bounds)
    };
    Ok(Next::Steps(vec![step], Box::new(then)))
}

fn compare<'a>(key: Key<'a>, bounds: &[String]) -> Result<Next<'a>> {
    let variables = key.variables()?;
    let (value, parent_value) = (key.reference.value(key.scope.catalog), key.reference.parent_value());
    let cost = key.reference.pages(key.scope.catalog) / (bounds.len() as u64 + 1);
    let mut steps = Vec::new();
    for at in 0..=bounds.len() {
        let (low, high) = (at.checked_sub(1).and_then(|at| bounds.get(at)), bounds.get(at));
        let variables = variables
            .clone()
            .sql("child_range", range(&value, low, high))
            .sql("parent_range", range(&parent_value, low, high));
        let sql = filled("sql/orphans/merge.sql", &variables)?;
        steps.push(step_under("sql/orphans/in_order.sql", key.reference.subject(), cost, sql));
    }
    let then = move |answers: Vec<Answer>| {
        let mut found = Found::default();
        for answer in answers {
            for row in answer.rows()? {
                found.add(Found::read(&row)?);
            }
        }
        key.conclude(&found)
    };
    Ok(Next::Steps(steps, Box::new(then)))
}

/// The condition for a value from `low` on and below `high`, in the order of the column's own type and collation.
fn range(value: &Fragment, low: Option<&String>, high: Option<&String>) -> Fragment {
    let from = low.map(|low| format!("{value} >= {}", Fragment::literal(low)));
    let to = high.map(|high| format!("{value} < {}", Fragment::literal(high)));
    let bounds: Vec<String> = from.into_iter().chain(to).collect();
    let none = || format!("{value} IS NOT NULL");
    Fragment::keyword(if bounds.is_empty() { none() } else { bounds.join(" AND ") })
}
