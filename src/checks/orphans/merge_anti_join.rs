//! Many values, indexed on both sides: the two indexes side by side, in ranges.

use anyhow::Context;
use futures_util::future::join_all;

use super::OrphanSearch;
use super::key_ranges::{KeyRange, in_range, key_ranges};
use super::summary::OrphanSummary;
use crate::checks::check_error::CheckResult;
use crate::checks::task::Task;
use crate::database::ident::SqlFragment;
use crate::database::sql_file::render_file;

/// Compares range by range, in about so many.
///
/// # Errors
/// Undecided when the server refuses.
pub async fn find(search: &OrphanSearch<'_, '_, '_>, count: u32) -> CheckResult<OrphanSummary> {
    let reference = search.reference;
    let column = reference.child_columns.first().context("a key has a column")?;
    let ranges = key_ranges(search, &reference.child_table, column, count).await?;
    let cost = reference.pages(search.context().catalog) / ranges.len() as u64;
    let found = join_all(ranges.iter().map(|range| find_in_range(search, range, cost))).await;
    let mut all = OrphanSummary::default();
    for found in found {
        all.add(found?);
    }
    Ok(all)
}

async fn find_in_range(
    search: &OrphanSearch<'_, '_, '_>,
    (low, high): &KeyRange,
    cost: u64,
) -> CheckResult<OrphanSummary> {
    let reference = search.reference;
    let (value, parent_value) = (reference.value(search.context().catalog), reference.parent_value());
    let parent = SqlFragment::qualified(&reference.parent_schema, &reference.parent_table);
    // The parent's range needs no end: the comparison ends with the child.
    let parent_range = in_range(&parent_value, (low.as_ref(), None));
    let orphaned = SqlFragment::assert_safe(format!(
        "NOT EXISTS (SELECT FROM {parent} AS parent WHERE {parent_value} = {value} AND {parent_range})"
    ));
    let variables = search
        .variables()?
        .sql("child_range", in_range(&value, (low.as_ref(), high.as_ref())))
        .sql("orphaned", orphaned);
    let sql = render_file("sql/orphans/merge.sql", &variables)?;
    let task = Task::new(reference.subject(), cost);
    let rows = search.group.query_with_settings("sql/orphans/in_order.sql", task, sql).await?;
    Ok(OrphanSummary::from_row(rows.first().context("a range is one row")?)?)
}
