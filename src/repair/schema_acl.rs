//! Access to evodoctor's schema: only its owner may read it.

use anyhow::Result;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use crate::database::query::{execute, query_file};
use crate::database::sql_file::Variables;

/// Revokes what ALTER DEFAULT PRIVILEGES grants others on new schemas and tables, because evodoctor's tables hold the
/// same data as Evolution's. To be called after tables are created.
pub async fn revoke_from_others(connection: &mut PgConnection) -> Result<()> {
    for row in query_file(connection, "sql/ledger/revokes.sql", &Variables::default()).await? {
        execute(connection, row.try_get("statement")?).await?;
    }
    Ok(())
}
