//! Foreign keys from tables of untrusted roles to Evolution's: those tables are not read, because the planner could run
//! their code, so a row that such a key refers to is not removed.

use anyhow::Result;

use crate::database::catalog::{Catalog, DeclaredKey};
use crate::error::user_error;

/// Refuses to remove rows that a table refers to which may not be looked at.
pub fn expect_trusted_reference(catalog: &Catalog, key: &DeclaredKey) -> Result<()> {
    let is_closed = key.child_schema == catalog.schema && catalog.closed.contains_key(&key.child_table);
    if key.stranger.is_none() && !is_closed {
        return Ok(());
    }
    let whose = match &key.stranger {
        Some(role) => format!("belongs to role {role:?}"),
        None => catalog.closed.get(&key.child_table).cloned().unwrap_or_default(),
    };
    Err(user_error(
        format!(
            "rows of {:?} would be removed, and {:?}.{:?} refers to it ({}) and is not examined: it \
                {whose}",
            key.parent_table, key.child_schema, key.child_table, key.name
        ),
        "give that table to the owner of Evolution's tables, or drop its foreign key; or skip this fix \
            with --ignore",
    ))
}
