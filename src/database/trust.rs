//! Whose relations and whose code are trusted: those of superusers, of this session's own role, and of the role that owns
//! Evolution's tables. What belongs to anybody else is read from the catalog and reported, and never planned or executed:
//! a function in an index's predicate runs as soon as the planner looks at its table.

use anyhow::Result;

use super::quote::Fragment;
use super::script::{Variables, filled};

/// The variables `:'schema'` and `:trusted`, a query for the oids of the trusted roles.
///
/// # Errors
/// When a file of this program is broken.
pub fn variables(schema: &str) -> Result<Variables> {
    let variables = Variables::for_schema(schema);
    let roles = filled("sql/catalog/trusted_roles.sql", &variables)?;
    Ok(variables.sql("trusted", Fragment::keyword(roles)))
}
