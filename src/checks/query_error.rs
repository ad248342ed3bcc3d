//! Why a query of a check was refused, and what would help.

use std::io::ErrorKind;

use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

use super::context::CheckContext;
use crate::database::ident::SqlFragment;
use crate::database::restore::OWNER;
use crate::error::sqlstate::{self, DAMAGED, RECOVERY_CONFLICT, SqlstateAdvice, without_row_values};

/// Says what the server refused, and what would help.
pub fn explain_query_error(error: &sqlx::Error, context: &CheckContext<'_>) -> String {
    let Some(database) = error.as_database_error() else { return error.to_string() };
    let state = database.code().unwrap_or_default();
    let (role, message) = (context.role, without_row_values(&state, database.message()));
    match state.as_ref() {
        "42501" if is_row_security(database) => format!(
            "row-level security would hide rows from role {role:?} ({message}); ask as the table's owner, \
             or as a role with BYPASSRLS"
        ),
        "42501" if role == OWNER => format!("the dump lacks its rows ({message})"),
        "42501" => format!("role {role:?} may not read it ({message}); {}", grants(context, message)),
        "40001" => conflict_words(message),
        // The finding that damage is reported by says what to do.
        "XX001" | "XX002" => format!("{DAMAGED} ({message})"),
        _ => match sqlstate::advice(database) {
            Some(SqlstateAdvice { what, next }) => format!("{what} ({message}); {next}"),
            None => message.to_owned(),
        },
    }
}

/// The reason if a standby has ended the connection to replay changes of the primary; `None` for any other error.
///
/// A connection that stood idle when it was ended breaks at the next statement, before what the server said is read.
pub fn recovery_conflict(error: &anyhow::Error, is_standby: bool) -> Option<String> {
    let of_driver = error.chain().find_map(|cause| cause.downcast_ref::<sqlx::Error>())?;
    match of_driver {
        sqlx::Error::Database(database) if database.code().as_deref() == Some("40001") => {
            Some(conflict_words(database.message()))
        }
        sqlx::Error::Io(io) if is_standby && is_ended_by_peer(io.kind()) => {
            Some(conflict_words(&io.to_string()))
        }
        _ => None,
    }
}

fn is_ended_by_peer(kind: ErrorKind) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

fn conflict_words(message: &str) -> String {
    format!("{} ({message}); {}", RECOVERY_CONFLICT.what, RECOVERY_CONFLICT.next)
}

/// True if the server refused because row security would have hidden rows. Its message may be in any language, the name of
/// the function that says it is not.
fn is_row_security(error: &dyn DatabaseError) -> bool {
    let routine = error.try_downcast_ref::<PgDatabaseError>().and_then(PgDatabaseError::routine);
    routine == Some("check_enable_rls") || error.message().contains("row-level security")
}

/// What to type so that the role may read: the tables that the server named, else all that are closed to it.
fn grants(context: &CheckContext<'_>, message: &str) -> String {
    let role = SqlFragment::ident(context.role);
    let schema = SqlFragment::ident(&context.catalog.schema);
    if !context.catalog.is_reachable {
        return format!(
            "GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}"
        );
    }
    let closed = || context.catalog.tables.values().filter(|table| !table.is_readable);
    let named: Vec<String> = closed()
        .filter(|table| {
            message.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == table.name)
        })
        .map(|table| SqlFragment::qualified(&context.catalog.schema, &table.name).to_string())
        .collect();
    match named.as_slice() {
        [] => format!("GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}"),
        named => format!("GRANT SELECT ON {} TO {role}", named.join(", ")),
    }
}
