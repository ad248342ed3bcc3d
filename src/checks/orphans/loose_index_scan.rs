//! Few different values under an index: a loose scan of it.

use anyhow::Context;
use sqlx::Row;

use super::summary::OrphanSummary;
use super::{BY_INDEX, OrphanSearch};
use crate::checks::check_error::CheckResult;
use crate::checks::task::Task;
use crate::database::sql_file::render_file;

/// Visits every value; `None` when it gave up after `limit` of them.
///
/// # Errors
/// Undecided when the server refuses.
pub async fn find(search: &OrphanSearch<'_, '_, '_>, limit: u32) -> CheckResult<Option<OrphanSummary>> {
    let variables = search.variables()?.text("limit", limit.to_string());
    let sql = render_file("sql/orphans/loose_index_scan.sql", &variables)?;
    // A look-up reads some pages of the index, most of which stay in memory; the limit is far above what is expected.
    let task = Task::new(search.reference.subject(), u64::from(limit / 10));
    let rows = search.group.query_with_settings(BY_INDEX, task, sql).await?;
    let row = rows.first().context("a loose scan returns one row")?;
    let is_complete: bool = row.try_get("is_complete")?;
    Ok(if is_complete { Some(OrphanSummary::from_row(row)?) } else { None })
}
