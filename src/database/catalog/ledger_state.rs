//! Finds out whether there is a ledger of evodoctor, and whether it can be trusted.

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use crate::database::query::query_file;
use crate::database::trusted_roles;

/// The state of evodoctor's ledger in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerState {
    /// Nothing has been applied here yet.
    Absent,
    /// This role may not read it.
    Hidden,
    /// This role may read it.
    Readable,
    /// There is one that others could have forged, for this reason.
    Distrusted(String),
}

impl LedgerState {
    /// From the catalog alone: nothing in the ledger is read.
    pub(super) async fn read(connection: &mut PgConnection, schema: &str) -> Result<Self> {
        let rows =
            query_file(connection, "sql/ledger/state.sql", &trusted_roles::trust_variables(schema)?).await?;
        let row = rows.first().context("the server did not answer")?;
        let comment: Option<String> = row.try_get("comment")?;
        if !comment.is_some_and(|comment| comment.starts_with("evodoctor ledger")) {
            return Ok(Self::Absent);
        }
        if let Some(why) = row.try_get("distrust")? {
            return Ok(Self::Distrusted(why));
        }
        Ok(if row.try_get("is_readable")? { Self::Readable } else { Self::Hidden })
    }
}
