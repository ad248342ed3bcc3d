//! A check that looks at every row of a large table for a few that may be wrong: it subscribes to the scan of the table with a
//! condition that is quick to decide (`suspects` in its header), and runs its query on those rows only.

use super::check_error::CheckResult;
use super::context::CheckContext;
use super::scan_reader::read_scan;
use super::table_scan::{Projection, collect_ctids, rows_by_ctid};
use super::task_group::TaskGroup;
use crate::database::ident::SqlFragment;

/// What a check's header says of the rows that may be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFilter {
    /// The table, from `reads`.
    pub table: String,
    /// The condition, from `suspects`: true for every row that the check could find, and for few others.
    pub condition: String,
}

impl RowFilter {
    /// True if the rows come from the scan of the table: it is large, and an ordinary table.
    pub fn uses_scan(&self, context: &CheckContext<'_>) -> bool {
        context.catalog.page_count(&self.table) >= context.large && context.catalog.columns.has(&self.table)
    }

    /// A query for the rows that the check has to look at (`:suspects`), which may be all of the table; `None` where there are none.
    ///
    /// # Errors
    /// Undecided when the table cannot be read.
    pub async fn suspects(&self, group: &TaskGroup<'_, '_>) -> CheckResult<Option<SqlFragment>> {
        let context = group.context();
        let table = SqlFragment::qualified(&context.catalog.schema, &self.table);
        let all = SqlFragment::assert_safe(format!("SELECT * FROM {table}"));
        if !self.uses_scan(context) {
            return Ok(Some(all));
        }
        let projection = Projection::Rows { join: String::new(), condition: self.condition.clone() };
        let scan = context.scans.subscribe(context.catalog, &self.table, projection, |part| part);
        Ok(match collect_ctids(read_scan(&scan, group, &self.table).await?)? {
            None => Some(all),
            Some(rows) if rows.is_empty() => None,
            Some(rows) => Some(rows_by_ctid(&table, &rows)),
        })
    }
}
