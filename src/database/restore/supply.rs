//! What a dump of single tables (`pg_dump --table`) takes for granted: their schema, and Evolution's enums.

use anyhow::Result;
use sqlx::postgres::PgConnection;

use super::complaint::Complaint;
use crate::database::build::Builder;
use crate::database::run::{execute, script, state_of};
use crate::database::script::Variables;
use crate::evolution::release::Release;
use crate::evolution::schema::schema as facts;

/// Makes what the server misses, where it is known what that is: the refused statement may then be tried again.
/// A thing that is made by guess is told.
///
/// # Errors
/// When the connection is lost.
pub async fn supply(connection: &mut PgConnection, error: &sqlx::Error) -> Result<Option<Vec<Complaint>>> {
    let message = error.as_database_error().map(|error| error.message()).unwrap_or_default();
    let Some(missing) = message.split('"').nth(1) else { return Ok(None) };
    match state_of(error).as_deref() {
        Some("3F000") => {
            let made = script(connection, "sql/restore/schema.sql", &Variables::for_schema(missing)).await;
            Ok(made.ok().map(|()| Vec::new()))
        }
        Some("42704") => {
            let release = Release::newest();
            let Some((schema, name)) = missing.rsplit_once('.') else { return Ok(None) };
            let Some(kind) = facts().enums(release).find(|kind| kind.name == name) else { return Ok(None) };
            if execute(connection, Builder { schema, release }.enumeration(kind)).await.is_err() {
                return Ok(None);
            }
            let error = format!("it is not in the dump, and is taken from Evolution {release}");
            let object = format!("type {missing}");
            Ok(Some(vec![Complaint { object, error, has_bearing: true, rows_of: None }]))
        }
        _ => Ok(None),
    }
}
