//! Who may look into evodoctor's schema: its owner, and nobody else.

use anyhow::Result;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use crate::database::query::{execute, query_file};
use crate::database::sql_file::Variables;

/// Takes from others what ALTER DEFAULT PRIVILEGES gives them on new schemas and tables: evodoctor's hold whatever Evolution's
/// rows hold. For after tables were made.
///
/// # Errors
/// When the connection is lost.
pub async fn revoke_from_others(connection: &mut PgConnection) -> Result<()> {
    for row in query_file(connection, "sql/ledger/revokes.sql", &Variables::default()).await? {
        execute(connection, row.try_get("statement")?).await?;
    }
    Ok(())
}
