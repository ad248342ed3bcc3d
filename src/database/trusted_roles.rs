//! The trusted roles, whose relations and code may be used: superusers, this session's own role, and the owner of
//! Evolution's tables. Objects of other roles are read from the catalog and reported, never planned or executed: a
//! function in an index's predicate runs as soon as the planner looks at its table.
//!
//! `SET ROLE` is not a boundary, because a function can RESET it. A superuser therefore never runs code of a role that
//! is not one: it is left out or refused, and the message names the role that can do it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::ident::SqlFragment;
use super::query::query_file;
use super::sql_file::{Variables, render_file};

/// The variables `:'schema'` and `:trusted`, a query for the oids of the trusted roles.
pub fn trust_variables(schema: &str) -> Result<Variables> {
    let variables = Variables::for_schema(schema);
    let roles = render_file("sql/catalog/trusted_roles.sql", &variables)?;
    Ok(variables.sql("trusted", SqlFragment::assert_safe(roles)))
}

/// Code of a role that is not trusted, and what calls it on a table of Evolution's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UntrustedCode {
    /// The caller and the code, such as `trigger t on table s."T" (function s.f)`.
    pub what: String,
    /// The role that can change it.
    pub owner: String,
    /// True if it runs when the table is planned or read, and not only when it is changed.
    pub on_read: bool,
    /// True if this session is a superuser's.
    pub is_superuser: bool,
}

impl UntrustedCode {
    /// Why it is not run; goes on from a table's name.
    pub fn reason(&self, role: &str) -> String {
        let power = if self.is_superuser { ", a superuser" } else { "" };
        format!("{} is code of role {:?}, which would run as {role:?}{power}", self.what, self.owner)
    }

    /// The hint.
    pub fn hint(&self, table_owner: &str) -> String {
        if self.is_superuser && table_owner == self.owner {
            return format!("connect as {table_owner:?}, the owner, who runs it with every write");
        }
        format!(
            "connect as the table's owner ({table_owner:?}) if that is not a superuser; or read the code, \
             and drop it or give it to a trusted role (ALTER FUNCTION … OWNER TO)"
        )
    }
}

/// The code that is not trusted, by table.
pub async fn find_untrusted_code(
    connection: &mut PgConnection,
    schema: &str,
) -> Result<BTreeMap<String, Vec<UntrustedCode>>> {
    let mut by_table: BTreeMap<String, Vec<UntrustedCode>> = BTreeMap::new();
    let some = query_file(connection, "sql/catalog/has_untrusted_code.sql", &Variables::default()).await?;
    if !some.first().context("one row")?.try_get::<bool, _>("has_code")? {
        return Ok(by_table);
    }
    for row in query_file(connection, "sql/catalog/untrusted_code.sql", &trust_variables(schema)?).await? {
        by_table.entry(row.try_get("table_name")?).or_default().push(UntrustedCode {
            what: row.try_get("what")?,
            owner: row.try_get("owner")?,
            on_read: row.try_get("on_read")?,
            is_superuser: row.try_get("is_superuser")?,
        });
    }
    Ok(by_table)
}
