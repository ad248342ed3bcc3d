//! Who may look into evodoctor's schema: its owner, and nobody else.

use anyhow::Result;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use crate::database::run::{execute, rows};
use crate::database::script::Variables;

/// Takes from others what ALTER DEFAULT PRIVILEGES gives them on new schemas and tables: evodoctor's hold whatever Evolution's
/// rows hold. For after tables were made.
///
/// # Errors
/// When the connection is lost.
pub async fn close_to_others(connection: &mut PgConnection) -> Result<()> {
    for row in rows(connection, "sql/ledger/revokes.sql", &Variables::default()).await? {
        execute(connection, row.try_get("statement")?).await?;
    }
    Ok(())
}
