//! Finds rows that a unique index refuses (EVO103), where the index is missing.
//!
//! The server would find the duplicates of a large table with a hash table, or a sort, of all its keys: neither fits in its
//! `work_mem`, and both spill to its disk, a hundred bytes for each row. So the server only makes a hash of eight bytes of each
//! key, in one scan of the table, and this program looks for hashes that occur more than once. If there are any, another scan
//! finds their rows, and the check's query compares only these. Equal keys always have the same hash; different keys with the same
//! hash by chance only cost a comparison.

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::check_error::CheckResult;
use super::context::CheckContext;
use super::scan_reader::read_scan;
use super::table_scan::{Ctid, MAX_HASHES, Projection, collect_ctids, hash_expression, rows_by_ctid};
use super::task::Task;
use super::task_group::TaskGroup;
use super::unique_indexes::UniqueIndex;
use crate::database::ident::SqlFragment;
use crate::database::sql_file::{Variables, render_file};

/// If more hashes than these occur more than once, the check's query compares all rows.
const MAX_DUPLICATES: usize = 10_000;

/// Finds what a unique index would refuse: the rows of the check's query, which `render` makes with the rows to look at as
/// `:among`, and what exists as `:holds` and `:is_invalid`. Under a valid index there is nothing, and the table is not read,
/// unless no index is trusted.
///
/// # Errors
/// Undecided when the table cannot be read.
pub async fn find(
    index: &UniqueIndex,
    group: &TaskGroup<'_, '_>,
    render: impl Fn(&Variables) -> Result<String>,
) -> CheckResult<Vec<PgRow>> {
    let context = group.context();
    let variables = index.variables(context.catalog);
    let present = render_file("sql/duplicates/present.sql", &variables)?;
    let rows = group.query(Task::new(index.subject(), 0), present).await?;
    let row = rows.first().context("what exists is one row")?;
    let (holds, is_invalid): (bool, bool) = (row.try_get("holds")?, row.try_get("is_invalid")?);
    if holds && !context.paranoid {
        return Ok(Vec::new());
    }
    let table = SqlFragment::qualified(&context.catalog.schema, &index.table);
    let (among, cost) = match suspects(index, group).await? {
        Some(rows) if rows.is_empty() => return Ok(Vec::new()),
        Some(rows) => (SqlFragment::assert_safe(format!("({})", rows_by_ctid(&table, &rows))), 0),
        None => (table, context.catalog.page_count(&index.table)),
    };
    let variables = variables
        .text("holds", holds.to_string())
        .text("is_invalid", is_invalid.to_string())
        .sql("among", among);
    group.query(Task::new(index.subject(), cost), render(&variables)?).await
}

/// The rows whose keys have the same hash as another row's; `None` where the check's query has to look at all rows.
async fn suspects(index: &UniqueIndex, group: &TaskGroup<'_, '_>) -> CheckResult<Option<Vec<Ctid>>> {
    let context = group.context();
    let Some(hash) = key_hash(index, context) else { return Ok(None) };
    let subject = index.subject();
    tracing::debug!("{subject}: hashes of its keys, as no index holds them");
    let (hashes, scan) = context.scans.hash_set(context.catalog, &index.table, hash.clone());
    read_scan(&scan, group, &format!("hashes of {subject}")).await?;
    let duplicates = hashes.duplicates();
    drop(hashes);
    if duplicates.is_empty() {
        return Ok(Some(Vec::new()));
    }
    // To look for their rows first would be another scan for little.
    if duplicates.len() > MAX_DUPLICATES {
        return Ok(None);
    }
    // As the server counts, half of them are negative.
    let duplicates: Vec<String> = duplicates.iter().map(|hash| hash.cast_signed().to_string()).collect();
    let duplicates = duplicates.join(",");
    let condition = format!("{hash} IN (SELECT pg_catalog.unnest('{{{duplicates}}}'::pg_catalog.int8[]))");
    let projection = Projection::Rows { join: String::new(), condition };
    let scan = context.scans.subscribe(context.catalog, &index.table, projection, |part| part);
    Ok(collect_ctids(read_scan(&scan, group, &subject).await?)?)
}

/// The hash of a row's key, null where part of it is; `None` where the table is small, or too large, or its columns are
/// not of the kind that is the same only where the bytes are.
fn key_hash(index: &UniqueIndex, context: &CheckContext<'_>) -> Option<String> {
    let (catalog, name) = (context.catalog, &index.table);
    let table = catalog.tables.get(name)?;
    let mut is_plain = index.columns.iter().map(|column| {
        catalog.columns.get(name, column).is_some_and(|column| column.is_text() && column.is_deterministic)
    });
    if table.pages < context.large || table.rows > MAX_HASHES || !is_plain.all(|is_plain| is_plain) {
        return None;
    }
    let table = SqlFragment::qualified(&catalog.schema, name);
    let add = |seed: String, column: &String| {
        hash_expression(&format!("{table}.{}", SqlFragment::ident(column)), &seed)
    };
    Some(index.columns.iter().fold("0".to_owned(), add))
}
