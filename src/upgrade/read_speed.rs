//! Measures how fast this server reads, on the largest table that has to be read. An estimate: it does not know how
//! fast the server writes, or what else it does during the upgrade.

use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::catalog_state::{CatalogState, TableSize};
use crate::checks::savepoint::in_savepoint;
use crate::database::ident::SqlFragment;
use crate::database::query::query_statement;
use crate::database::sql_file::{SqlFile, Variables, embedded_file, render};

/// Reads them.
const READ: &str = "sql/upgrade/read_speed.sql";

/// Blocks that are read at most: 64 MB, so that the measurement takes a second even on a slow disk.
const MOST_BLOCKS: i64 = 8192;

/// Rows that are read at most.
const MOST_ROWS: i64 = 100_000;

/// Rows of small tables measure the way to the server rather than the server.
const FEWEST_BLOCKS: i64 = 256;

/// The assumed speed if no table is large enough to measure, in bytes per second.
const ASSUMED: f64 = 100e6;

/// The work on a table, the lightest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TableWork {
    /// The catalog only.
    Catalog,
    /// It is read once.
    Scan,
    /// It is read, and an index is built.
    Index,
    /// A new version is written of every row.
    Update,
    /// It is written again, with all its indexes.
    Rewrite,
}

/// The server's speed of reading.
#[derive(Debug, Clone, Serialize)]
pub struct ReadSpeed {
    /// The table that was read; `null` where the speed is assumed, because every table is small, or because it
    /// could not be read.
    pub table: Option<String>,
    /// Bytes that were read of it.
    pub bytes: i64,
    /// Bytes a second.
    pub bytes_per_second: f64,
}

impl ReadSpeed {
    /// Where nothing was measured.
    pub fn default_estimate() -> Self {
        Self { table: None, bytes: 0, bytes_per_second: ASSUMED }
    }

    /// Reads the beginning of the largest of `tables` that this role may read. If that fails, for example because of an
    /// ACCESS EXCLUSIVE lock, the speed is assumed: only the times depend on it.
    pub async fn measure(
        connection: &mut PgConnection,
        schema: &str,
        state: &CatalogState,
        tables: &[&str],
    ) -> Result<Self> {
        let size = |table: &str| state.sizes.get(table).copied().unwrap_or_default();
        let Some(table) = tables.iter().max_by_key(|table| size(table).heap_bytes) else {
            return Ok(Self::default_estimate());
        };
        let TableSize { heap_bytes, rows: count, .. } = size(table);
        // So many rows that they lie in as many blocks as may be read.
        let blocks = (heap_bytes / 8192).max(1);
        if blocks < FEWEST_BLOCKS {
            return Ok(Self::default_estimate());
        }
        let limit = (count.saturating_mul(MOST_BLOCKS) / blocks).clamp(1000, MOST_ROWS);
        let variables = Variables::default()
            .sql("table", SqlFragment::qualified(schema, table))
            .sql("rows", SqlFragment::assert_safe(limit.to_string()));
        let sql = render(SqlFile::parse(embedded_file(READ)).only_statement()?, &variables).context(READ)?;
        let reading = async |connection: &mut PgConnection| {
            let started = Instant::now();
            Ok((query_statement(connection, sql).await?, started.elapsed()))
        };
        let (found, took) = match in_savepoint(connection, None, reading).await? {
            Ok(read) => read,
            Err(refusal) => {
                tracing::debug!("it is unknown how fast the server reads: {refusal}");
                return Ok(Self::default_estimate());
            }
        };
        let took = took.as_secs_f64().max(1e-6);
        let row = found.first().context("a count is one row")?;
        let bytes = row.try_get::<i64, _>("blocks")? * row.try_get::<i64, _>("block_size")?;
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let bytes_per_second = (bytes as f64 / took).max(1e6);
        Ok(Self { table: Some((*table).to_owned()), bytes, bytes_per_second })
    }

    /// About how long the work on a table of this size takes, in seconds. What is written costs a few times what is read:
    /// the row or the entry itself, the sorting, and the log of it.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub fn seconds(&self, work: TableWork, size: TableSize) -> f64 {
        let (heap, whole, indexes) = (size.heap_bytes as f64, size.bytes as f64, size.index_bytes as f64);
        let bytes = match work {
            TableWork::Catalog => 0.0,
            TableWork::Scan => heap,
            TableWork::Index => heap * 3.0,
            TableWork::Update => heap * 12.0 + indexes * 8.0,
            TableWork::Rewrite => whole * 4.0 + indexes * 3.0,
        };
        bytes / self.bytes_per_second
    }
}
