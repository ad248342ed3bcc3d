//! Many values, of which one side is read from its table: hashes of both sides, compared here.

use std::rc::Rc;

use anyhow::{Context, Result, bail};
use futures_util::future::{join, join_all};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::first_rows::FirstRows;
use super::key_ranges::{KeyRange, in_range, key_ranges};
use super::strategy::HashSource;
use super::{BY_INDEX, OrphanSearch};
use crate::checks::check_error::CheckResult;
use crate::checks::scan_reader::read_scan;
use crate::checks::table_scan::{
    ChunkPart, Ctid, MissingRows, Projection, Subscription, ValueHashes, decode_hashes, hash_expression,
};
use crate::checks::task::Task;
use crate::database::ident::SqlFragment;
use crate::database::query::query_with_settings;
use crate::database::sql_file::render_file;

/// What was found.
pub enum Orphans {
    /// These rows are no less than the orphans.
    Rows(Vec<Ctid>),
    /// Too many to keep each.
    Counted {
        /// The number of orphans.
        count: u64,
        /// To how many different rows they refer.
        missing: u64,
        /// The first five.
        first: Vec<Ctid>,
    },
    /// Too many to keep each, and the first five are not at hand.
    TooMany,
}

/// Compares the hashes of both sides; those of the parent come from `source`.
///
/// # Errors
/// Undecided when one of the tables cannot be read.
pub async fn find(search: &OrphanSearch<'_, '_, '_>, source: HashSource) -> CheckResult<Orphans> {
    match source {
        HashSource::Table => {
            let (table, column) = parent(search)?;
            let (hash, _) = search.hash(table, column);
            let context = search.context();
            let (hashes, scan) = context.scans.hash_set(context.catalog, table, hash);
            let about = format!("hashes of {table}");
            let fill = async {
                read_scan(&scan, search.group, &about).await?;
                Ok(())
            };
            compare(search, &hashes, fill).await
        }
        HashSource::Index { ranges } => {
            let (table, column) = parent(search)?;
            let ranges = key_ranges(search, table, column, ranges).await?;
            let hashes = Rc::new(ValueHashes::new(ranges.len()));
            let fill = async {
                let reads = ranges.iter().enumerate();
                let reads =
                    reads.map(|(number, range)| read_range(search, &hashes, number, range, ranges.len()));
                join_all(reads).await.into_iter().collect()
            };
            compare(search, &hashes, fill).await
        }
    }
}

/// The table and the column that the key refers to.
fn parent<'p>(search: &OrphanSearch<'_, '_, 'p>) -> Result<(&'p str, &'p str)> {
    let column = search.reference.parent_columns.first().context("a key has a column")?;
    Ok((&search.reference.parent_table, column))
}

/// Reads the parent's hashes in one range of `count` from its index alone.
async fn read_range(
    search: &OrphanSearch<'_, '_, '_>,
    hashes: &ValueHashes,
    number: usize,
    (low, high): &KeyRange,
    count: usize,
) -> CheckResult<()> {
    let (table, column) = parent(search)?;
    let (hash, value) = search.hash(table, column);
    let catalog = search.context().catalog;
    let variables = search
        .variables()?
        .sql("table", SqlFragment::qualified(&catalog.schema, table))
        .sql("hash", SqlFragment::assert_safe(hash))
        .sql("range", in_range(&value, (low.as_ref(), high.as_ref())));
    let sql = render_file("sql/orphans/hashes.sql", &variables)?;
    let task = Task::new(search.reference.subject(), catalog.page_count(table) / count as u64).awaited();
    let read = async |connection: &mut PgConnection| {
        let rows = query_with_settings(connection, BY_INDEX, sql).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        Ok(decode_hashes(row.try_get::<Option<&[u8]>, _>("hashes")?.unwrap_or_default()))
    };
    hashes.add_chunk(number, search.group.run(task, read).await?);
    Ok(())
}

/// Compares the child's hashes with those of the parent, which `fill` brings meanwhile.
async fn compare(
    search: &OrphanSearch<'_, '_, '_>,
    hashes: &Rc<ValueHashes>,
    fill: impl Future<Output = CheckResult<()>>,
) -> CheckResult<Orphans> {
    let (reference, context) = (search.reference, search.context());
    let (table, columns) = (&reference.child_table, &reference.child_columns);
    let (hash, value) = search.hash(table, columns.first().context("a key has a column")?);
    let is_nullable = context.catalog.tables.get(table).is_none_or(|table| table.all_nullable(columns));
    let is_set = format!("{value} IS NOT NULL");
    let projection = if is_nullable {
        Projection::Hashes { expression: hash.clone(), condition: Some(is_set.clone()), with_ctids: true }
    } else {
        // Without a condition ctids are made once for all who ask. A null that NOT NULL let through is in no set
        // either; the query for the rows leaves it out.
        Projection::Hashes { expression: format!("COALESCE({hash}, 0)"), condition: None, with_ctids: true }
    };
    let scan = context.scans.subscribe(context.catalog, table, projection, missing_in_chunk(hashes));
    let mut missing = missing_rows(search, hashes, fill, &scan).await?;
    if let Some(rows) = missing.rows.take() {
        return Ok(Orphans::Rows(rows));
    }
    let child = SqlFragment::qualified(&context.catalog.schema, table);
    let order = reference.row_order(context.catalog);
    let first = FirstRows { table: &child, hash, condition: is_set, order };
    Ok(match first.five_missing(search.group, reference.subject(), hashes).await? {
        None => Orphans::TooMany,
        Some(first) => {
            // A null that NOT NULL let through refers to nothing, and is no orphan.
            let nulls = u64::from(missing.nulls > 0);
            let count = missing.count - missing.nulls;
            Orphans::Counted { count, missing: missing.values() - nulls, first }
        }
    })
}

async fn missing_rows(
    search: &OrphanSearch<'_, '_, '_>,
    hashes: &ValueHashes,
    fill: impl Future<Output = CheckResult<()>>,
    scan: &Subscription,
) -> CheckResult<MissingRows> {
    let (filled, parts) = join(fill, read_scan(scan, search.group, &search.reference.subject())).await;
    filled?;
    Ok(collect_missing(hashes, parts?)?)
}

impl OrphanSearch<'_, '_, '_> {
    /// The hash of a column's value as the server makes it, and the value.
    fn hash(&self, table: &str, column: &str) -> (String, SqlFragment) {
        let table = SqlFragment::qualified(&self.context().catalog.schema, table);
        let value = SqlFragment::assert_safe(format!("{table}.{}", SqlFragment::ident(column)));
        (hash_expression(value.as_str(), "0"), value)
    }
}

/// Reduces a chunk to the ctids of the rows that are missing, once the set is complete; leaves it as it is until then.
pub fn missing_in_chunk(hashes: &Rc<ValueHashes>) -> impl Fn(ChunkPart) -> ChunkPart + 'static {
    let hashes = Rc::clone(hashes);
    move |part| hashes.missing(part)
}

/// All rows that are missing. The set must be complete.
///
/// # Errors
/// When the parts are of something else.
pub fn collect_missing(hashes: &ValueHashes, parts: Vec<ChunkPart>) -> Result<MissingRows> {
    let mut all = MissingRows::default();
    for part in parts {
        match hashes.missing(part) {
            ChunkPart::Missing(missing) => all.add(missing),
            _ => bail!("rows that are missing are expected"),
        }
    }
    Ok(all)
}
