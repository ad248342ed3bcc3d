//! Ranges of a column's values, which share none: what is found in them adds up.

use sqlx::Row;

use super::OrphanSearch;
use crate::checks::check_error::CheckResult;
use crate::checks::task::Task;
use crate::database::ident::SqlFragment;
use crate::database::sql_file::{Variables, render_file};

/// A range of values: from the first bound on, and below the second. Without a bound it is open.
pub type KeyRange = (Option<String>, Option<String>);

/// Cuts a column of a table in Evolution's schema into about so many ranges.
///
/// # Errors
/// Undecided when the server does not say where.
pub async fn key_ranges(
    search: &OrphanSearch<'_, '_, '_>,
    table: &str,
    column: &str,
    count: u32,
) -> CheckResult<Vec<KeyRange>> {
    if count <= 1 {
        return Ok(vec![(None, None)]);
    }
    let catalog = search.context().catalog;
    let variables = Variables::for_schema(&catalog.schema)
        .text("table_name", table)
        .text("column_name", column)
        .text("ranges", count.to_string());
    let sql = render_file("sql/orphans/bounds.sql", &variables)?;
    let task = Task::new(search.reference.subject(), search.reference.pages(catalog)).awaited();
    let rows = search.group.query(task, sql).await?;
    let bounds: Vec<String> = rows.iter().map(|row| row.try_get("bound")).collect::<Result<_, _>>()?;
    let starts = std::iter::once(None).chain(bounds.iter().cloned().map(Some));
    let ends = bounds.iter().cloned().map(Some).chain([None]);
    Ok(starts.zip(ends).collect())
}

/// The condition for a value in a range, in the order of the column's own type and collation.
pub fn in_range(value: &SqlFragment, (low, high): (Option<&String>, Option<&String>)) -> SqlFragment {
    let from = low.map(|low| format!("{value} >= {}", SqlFragment::literal(low)));
    let to = high.map(|high| format!("{value} < {}", SqlFragment::literal(high)));
    let bounds: Vec<String> = from.into_iter().chain(to).collect();
    let none = || format!("{value} IS NOT NULL");
    SqlFragment::assert_safe(if bounds.is_empty() { none() } else { bounds.join(" AND ") })
}
