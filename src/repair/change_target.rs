//! The database that a fix or an undo changes.

use anyhow::Result;
use sqlx::postgres::PgConnection;

use crate::database::catalog::{self, Catalog, ServerInfo};
use crate::error::user_error;
use crate::evolution::release::{MigrationHistory, ReleaseRange};

/// The database that is to be changed.
#[derive(Debug, Clone)]
pub struct ChangeTarget {
    /// The server and the session.
    pub server: ServerInfo,
    /// Evolution's schema.
    pub schema: String,
    /// The releases it may be.
    pub range: Option<ReleaseRange>,
}

impl ChangeTarget {
    /// Refuses if the release is no longer the one that was read before Prisma's lock was taken: migrations have run
    /// since, and the plan was made for another database.
    pub async fn expect_release(&self, connection: &mut PgConnection, catalog: &Catalog) -> Result<()> {
        let history = catalog::migration_history(connection, catalog).await?;
        let range = history.and_then(|rows| MigrationHistory::from_rows(&rows).range);
        if range == self.range {
            return Ok(());
        }
        let name =
            |range: Option<ReleaseRange>| range.map_or("unknown".to_owned(), |range| range.to_string());
        Err(user_error(
            format!(
                "migrations have run on this database since: the release was {} and is {} now; \
                 nothing has been changed",
                name(self.range),
                name(range)
            ),
            "run it again",
        ))
    }
}
