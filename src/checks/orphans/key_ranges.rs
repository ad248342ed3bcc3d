//! Ranges of a column's values, which share none: what is found in them adds up.

use anyhow::Result;
use sqlx::Row;

use super::OrphanSearch;
use crate::checks::step::{Step, StepAnswer};
use crate::database::ident::SqlFragment;
use crate::database::sql_file::{Variables, render_file};

/// The step that asks for the bounds between so many ranges of a column in Evolution's schema.
///
/// # Errors
/// When the file is broken.
pub fn bounds(key: &OrphanSearch<'_>, table: &str, column: &str, ranges: u32) -> Result<Step> {
    let variables = Variables::for_schema(&key.scope.catalog.schema)
        .text("table_name", table)
        .text("column_name", column)
        .text("ranges", ranges.to_string());
    let sql = render_file("sql/orphans/bounds.sql", &variables)?;
    Ok(Step::query(key.reference.subject(), key.reference.pages(key.scope.catalog), sql).awaited())
}

/// The bounds in its answer.
///
/// # Errors
/// When the rows are of something else.
pub fn bounds_in(answer: StepAnswer) -> Result<Vec<String>> {
    answer.rows()?.iter().map(|row| Ok(row.try_get("bound")?)).collect()
}

/// Where a range begins and ends, of those between the bounds, of which there is one more.
pub fn ends(bounds: &[String], at: usize) -> (Option<&String>, Option<&String>) {
    (at.checked_sub(1).and_then(|at| bounds.get(at)), bounds.get(at))
}

/// The condition for a value from `low` on and below `high`, in the order of the column's own type and collation.
pub fn range(value: &SqlFragment, low: Option<&String>, high: Option<&String>) -> SqlFragment {
    let from = low.map(|low| format!("{value} >= {}", SqlFragment::literal(low)));
    let to = high.map(|high| format!("{value} < {}", SqlFragment::literal(high)));
    let bounds: Vec<String> = from.into_iter().chain(to).collect();
    let none = || format!("{value} IS NOT NULL");
    SqlFragment::assert_safe(if bounds.is_empty() { none() } else { bounds.join(" AND ") })
}
