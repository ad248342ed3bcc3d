//! Finds out whether the ledger exists, is ours, and can be trusted, and what this role may do with it.

use anyhow::Result;
use sqlx::postgres::PgConnection;

use crate::database::catalog::LedgerFacts;
use crate::database::ident::SqlFragment;
use crate::error::user_error;

/// The comment of the schema: what this version makes.
pub(super) const FORMAT: &str = "evodoctor ledger, format 3";

/// The formats of older versions. They are read as they are, and migrated by the next run.
const OLD_FORMATS: [&str; 2] = ["evodoctor ledger, format 1", "evodoctor ledger, format 2"];

/// True if the ledger is there.
///
/// # Errors
/// When something else has the name, others may change it, or a newer version of this program made it.
pub fn expect_sound(facts: &LedgerFacts) -> Result<bool> {
    let is_ours = |comment: &str| comment == FORMAT || OLD_FORMATS.contains(&comment);
    if facts.exists && !facts.comment.as_deref().is_some_and(is_ours) {
        return Err(match &facts.comment {
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
    if let Some(why) = &facts.distrust {
        return Err(user_error(
            format!("the ledger in the schema \"evodoctor\" is not trusted: {why}; nothing in it is read"),
            "it may be forged. If it is not yours: DROP SCHEMA \"evodoctor\" CASCADE. If it is: \
             give the schema and its tables to the owner of Evolution's tables (ALTER SCHEMA, ALTER TABLE … \
             OWNER TO), revoke the rights of others (REVOKE), and drop what does not belong there",
        ));
    }
    if facts.exists && !facts.is_usable {
        return Err(user_error(
            "this role may not read evodoctor's ledger",
            format!("connect as {:?}, who owns the schema \"evodoctor\"", facts.owner),
        ));
    }
    Ok(facts.exists)
}

/// True if this role may look into the ledger, or there is none.
pub async fn is_usable(connection: &mut PgConnection, schema: &str) -> Result<bool> {
    let facts = LedgerFacts::read(connection, schema).await?;
    Ok(!facts.exists || facts.is_usable)
}

/// Refuses to run statements from the ledger as any role but its owner: anyone who may write there could otherwise have
/// a superuser run them.
pub async fn expect_own(connection: &mut PgConnection, schema: &str, role: &str) -> Result<()> {
    let LedgerFacts { owner, other_writer, .. } = LedgerFacts::read(connection, schema).await?;
    if owner != role {
        return Err(user_error(
            format!(
                "the undo statements are in the ledger, which belongs to {owner:?}, and run with that role's \
                 rights only"
            ),
            format!("connect as {owner:?} to undo this run"),
        ));
    }
    match other_writer {
        None => Ok(()),
        Some(writer) => Err(user_error(
            format!(
                "the undo statements are in the ledger, where {writer:?} may write what {role:?} would run"
            ),
            format!(
                "ALTER TABLE … OWNER TO {who} for the tables of \"evodoctor\", REVOKE ALL ON ALL TABLES IN \
                 SCHEMA \"evodoctor\" FROM {writer}; read \"steps\" of \"evodoctor\".\"applied_fix\" first",
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
pub fn write_obstacle(facts: &LedgerFacts, role: &str, database: &str) -> Result<Option<(String, String)>> {
    let exists = expect_sound(facts)?;
    let owner = &facts.owner;
    if exists && !facts.is_owned {
        return Ok(Some((
            format!("does not own the schema \"evodoctor\", where the ledger is: {owner:?} does"),
            format!(
                "connect as {owner:?}, or let it hand the ledger over: ALTER SCHEMA \"evodoctor\" OWNER TO \
                 {who}, and the same for each of its tables",
                who = SqlFragment::ident(role)
            ),
        )));
    }
    if let Some(owner) = &facts.tables_owner {
        return Ok(Some((
            format!("owns the schema \"evodoctor\", but not the ledger's tables in it: {owner:?} does"),
            format!(
                "as {owner:?}: ALTER TABLE \"evodoctor\".\"run\" OWNER TO {who}, and so on for its other tables",
                who = SqlFragment::ident(role)
            ),
        )));
    }
    if !exists && !facts.can_create {
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
