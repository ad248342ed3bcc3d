//! Keys from tables of roles that are not trusted to Evolution's: what hangs there is not looked at, as the planner could run
//! code of theirs, so that a row which such a key refers to is not removed.

use std::collections::BTreeSet;

use anyhow::Result;
use sqlx::postgres::PgConnection;

use super::quarantine::{self, RowAction};
use crate::database::catalog::{Catalog, DeclaredKey};
use crate::exit::failure;

/// Whether the rows behind a key may be looked at. Where they may not, no row that it could refer to may be removed.
///
/// # Errors
/// When rows of the table that it refers to are marked to be removed; names the role.
pub async fn may_look(
    connection: &mut PgConnection,
    catalog: &Catalog,
    code: &str,
    key: &DeclaredKey,
) -> Result<bool> {
    let is_closed = key.child_schema == catalog.schema && catalog.closed.contains_key(&key.child_table);
    if key.stranger.is_none() && !is_closed {
        return Ok(true);
    }
    let marked = quarantine::counts(connection, code).await?;
    let removed: BTreeSet<&str> = marked
        .iter()
        .filter(|marked| marked.action == RowAction::Removed)
        .map(|marked| marked.table.as_str())
        .collect();
    if !removed.contains(key.parent_table.as_str()) {
        return Ok(false);
    }
    let whose = match &key.stranger {
        Some(role) => format!("belongs to role {role:?}"),
        None => catalog.closed.get(&key.child_table).cloned().unwrap_or_default(),
    };
    Err(failure(
        format!(
            "rows of {:?} would be removed, and {:?}.{:?} refers to it ({}) and is not looked at: it {whose}",
            key.parent_table, key.child_schema, key.child_table, key.name
        ),
        "have that table given to Evolution's owner, or its key dropped; or leave this fix out with --ignore",
    ))
}
