//! Finds out whether the ledger exists, is ours, and can be trusted, and what this role may do with it.

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use crate::database::ident::SqlFragment;
use crate::database::query::query_file;
use crate::database::trusted_roles;
use crate::error::user_error;

/// The comment of the schema: what this version makes.
pub(super) const FORMAT: &str = "evodoctor ledger, format 3";

/// The formats of older versions. They are read as they are, and migrated by the next run.
const OLD_FORMATS: [&str; 2] = ["evodoctor ledger, format 1", "evodoctor ledger, format 2"];

/// The catalog's facts about the ledger. Nothing in it is read before these are checked.
pub(super) async fn state(connection: &mut PgConnection, schema: &str) -> Result<PgRow> {
    let rows =
        query_file(connection, "sql/ledger/state.sql", &trusted_roles::trust_variables(schema)?).await?;
    rows.into_iter().next().context("the server did not answer")
}

/// True if the ledger is there.
///
/// # Errors
/// When something else has the name, others may change it, or a newer version of this program made it.
pub async fn ledger_exists(connection: &mut PgConnection, schema: &str) -> Result<bool> {
    expect_sound(&state(connection, schema).await?)
}

/// True if there is a ledger, and one that may be read.
pub(super) fn expect_sound(row: &PgRow) -> Result<bool> {
    let exists: bool = row.try_get("exists")?;
    let comment: Option<String> = row.try_get("comment")?;
    let is_ours = |comment: &str| comment == FORMAT || OLD_FORMATS.contains(&comment);
    if exists && !comment.as_deref().is_some_and(is_ours) {
        return Err(match comment {
            Some(comment) if comment.starts_with("evodoctor ledger") => user_error(
                format!("the ledger in this database has another format ({comment})"),
                "use the version of evodoctor that wrote it, or a newer one",
            ),
            _ => user_error(
                "this database has a schema \"evodoctor\" that is not evodoctor's ledger",
                "rename that schema: evodoctor keeps its ledger and quarantine under this name",
            ),
        });
    }
    if let Some(why) = row.try_get::<Option<String>, _>("distrust")? {
        return Err(user_error(
            format!("the ledger in the schema \"evodoctor\" is not trusted: {why}; nothing in it is read"),
            "it may be forged. If it is not yours: DROP SCHEMA \"evodoctor\" CASCADE. If it is: give the \
                schema and its tables to the owner of Evolution's tables (ALTER SCHEMA, ALTER TABLE \
                … OWNER TO), revoke the rights of others (REVOKE), and drop what does not belong \
                there",
        ));
    }
    if exists && !row.try_get::<bool, _>("is_usable")? {
        let owner: String = row.try_get("owner")?;
        return Err(user_error(
            "this role may not read evodoctor's ledger",
            format!("connect as {owner:?}, who owns the schema \"evodoctor\""),
        ));
    }
    Ok(exists)
}

/// True if this role may look into the ledger, or there is none.
pub async fn is_usable(connection: &mut PgConnection, schema: &str) -> Result<bool> {
    let row = state(connection, schema).await?;
    Ok(!row.try_get::<bool, _>("exists")? || row.try_get::<bool, _>("is_usable")?)
}

/// Refuses to run statements from the ledger as any role but its owner: anyone who may write there could otherwise have
/// a superuser run them.
pub async fn expect_own(connection: &mut PgConnection, schema: &str, role: &str) -> Result<()> {
    let row = state(connection, schema).await?;
    let owner: String = row.try_get("owner")?;
    if owner != role {
        return Err(user_error(
            format!(
                "the undo statements are in the ledger, which belongs to {owner:?}, and run with that \
                    role's rights only"
            ),
            format!("connect as {owner:?} to undo this run"),
        ));
    }
    match row.try_get::<Option<String>, _>("other_writer")? {
        None => Ok(()),
        Some(writer) => Err(user_error(
            format!(
                "the undo statements are in the ledger, where {writer:?} may write what {role:?} would \
                    run"
            ),
            format!(
                "ALTER TABLE … OWNER TO {who} for the tables of \"evodoctor\", REVOKE ALL ON ALL TABLES \
                    IN SCHEMA \"evodoctor\" FROM {writer}; read \"steps\" of \
                    \"evodoctor\".\"applied_fix\" first",
                who = SqlFragment::ident(role),
                writer = SqlFragment::ident(&writer),
            ),
        )),
    }
}

/// Why this role cannot write the ledger, and what to type; both continue "role X".
///
/// # Errors
/// When something else has the ledger's name, or this role may not even read it.
pub async fn write_obstacle(
    connection: &mut PgConnection,
    schema: &str,
    role: &str,
    database: &str,
) -> Result<Option<(String, String)>> {
    let row = state(connection, schema).await?;
    let exists = expect_sound(&row)?;
    if exists && !row.try_get::<bool, _>("is_owned")? {
        let owner: String = row.try_get("owner")?;
        return Ok(Some((
            format!("does not own the schema \"evodoctor\", where the ledger is: {owner:?} does"),
            format!(
                "connect as {owner:?}, or let it hand the ledger over: ALTER SCHEMA \"evodoctor\" OWNER TO {who}, and the \
                 same for each of its tables",
                who = SqlFragment::ident(role)
            ),
        )));
    }
    if let Some(owner) = row.try_get::<Option<String>, _>("tables_owner")? {
        return Ok(Some((
            format!("owns the schema \"evodoctor\", but not the ledger's tables in it: {owner:?} does"),
            format!(
                "as {owner:?}: ALTER TABLE \"evodoctor\".\"run\" OWNER TO {who}, and so on for its other tables",
                who = SqlFragment::ident(role)
            ),
        )));
    }
    if !exists && !row.try_get::<bool, _>("can_create")? {
        return Ok(Some((
            "may not create the schema \"evodoctor\", where the ledger and the quarantine go".to_owned(),
            format!(
                "as the database's owner: GRANT CREATE ON DATABASE {} TO {}",
                SqlFragment::ident(database),
                SqlFragment::ident(role)
            ),
        )));
    }
    Ok(None)
}
