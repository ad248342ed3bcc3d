//! Ranges of a column's values, which share none: what is found in them adds up.

use anyhow::Result;
use sqlx::Row;

use super::Key;
use crate::database::quote::Fragment;
use crate::database::script::{Variables, filled};
use crate::examine::step::{Answer, Step};

/// The step that asks for the bounds between so many ranges of a column in Evolution's schema.
///
/// # Errors
/// When the file is broken.
pub fn bounds(key: &Key<'_>, table: &str, column: &str, ranges: u32) -> Result<Step> {
    let variables = Variables::for_schema(&key.scope.catalog.schema)
        .text("table_name", table)
        .text("column_name", column)
        .text("ranges", ranges.to_string());
    let sql = filled("sql/orphans/bounds.sql", &variables)?;
    Ok(Step::query(key.reference.subject(), key.reference.pages(key.scope.catalog), sql).awaited())
}

/// The bounds in its answer.
///
/// # Errors
/// When the rows are of something else.
pub fn bounds_in(answer: Answer) -> Result<Vec<String>> {
    answer.rows()?.iter().map(|row| Ok(row.try_get("bound")?)).collect()
}

/// Where a range begins and ends, of those between the bounds, of which there is one more.
pub fn ends(bounds: &[String], at: usize) -> (Option<&String>, Option<&String>) {
    (at.checked_sub(1).and_then(|at| bounds.get(at)), bounds.get(at))
}

/// The condition for a value from `low` on and below `high`, in the order of the column's own type and collation.
pub fn range(value: &Fragment, low: Option<&String>, high: Option<&String>) -> Fragment {
    let from = low.map(|low| format!("{value} >= {}", Fragment::literal(low)));
    let to = high.map(|high| format!("{value} < {}", Fragment::literal(high)));
    let bounds: Vec<String> = from.into_iter().chain(to).collect();
    let none = || format!("{value} IS NOT NULL");
    Fragment::keyword(if bounds.is_empty() { none() } else { bounds.join(" AND ") })
}
