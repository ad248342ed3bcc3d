//! No index is to be trusted, and no hash: the table is read, once for all who want to know something of its rows.

use super::OrphanSearch;
use crate::checks::check_error::CheckResult;
use crate::checks::scan_reader::read_scan;
use crate::checks::table_scan::{Ctid, Projection, collect_ctids};
use crate::database::ident::SqlFragment;

/// The ctids of the rows that refer to nothing; `None` when there are too many.
///
/// # Errors
/// Undecided when the table cannot be read.
pub async fn find(search: &OrphanSearch<'_, '_, '_>) -> CheckResult<Option<Vec<Ctid>>> {
    let (reference, context) = (search.reference, search.context());
    let value = reference.value(context.catalog);
    let parent = SqlFragment::ident(&format!("parent {}", search.number));
    let projection = Projection::Rows {
        // Each value once, even where a corrupt index let it in twice: the join adds no row.
        join: format!(
            "LEFT JOIN (SELECT DISTINCT {} AS value FROM {} AS parent) AS {parent} ON {parent}.value = {value}",
            reference.parent_value(),
            SqlFragment::qualified(&reference.parent_schema, &reference.parent_table),
        ),
        condition: format!("{value} IS NOT NULL AND {parent}.value IS NULL"),
    };
    let scan = context.scans.subscribe(context.catalog, &reference.child_table, projection, |part| part);
    Ok(collect_ctids(read_scan(&scan, search.group, &reference.subject()).await?)?)
}
