//! Objects that a dump of single tables (`pg_dump --table`) assumes to exist: their schema, and Evolution's enums.

use anyhow::Result;
use sqlx::postgres::PgConnection;

use super::restore_error::RestoreError;
use crate::database::query::{execute, execute_file, sqlstate};
use crate::database::release_schema::DdlBuilder;
use crate::database::sql_file::Variables;
use crate::evolution::release::Release;
use crate::evolution::schema::schema as facts;

/// Creates what the server misses, if it is known what that is: the refused statement can then be retried. An object
/// that is created by a guess is reported.
pub async fn create_missing_types(
    connection: &mut PgConnection,
    error: &sqlx::Error,
) -> Result<Option<Vec<RestoreError>>> {
    let message = error.as_database_error().map(|error| error.message()).unwrap_or_default();
    let Some(missing) = message.split('"').nth(1) else { return Ok(None) };
    match sqlstate(error).as_deref() {
        Some("3F000") => {
            let made =
                execute_file(connection, "sql/restore/schema.sql", &Variables::for_schema(missing)).await;
            Ok(made.ok().map(|()| Vec::new()))
        }
        Some("42704") => {
            let release = Release::newest();
            let Some((schema, name)) = missing.rsplit_once('.') else { return Ok(None) };
            let Some(kind) = facts().enums(release).find(|kind| kind.name == name) else { return Ok(None) };
            if execute(connection, DdlBuilder { schema, release }.create_enum(kind)).await.is_err() {
                return Ok(None);
            }
            let error = format!("it is not in the dump, and is taken from Evolution {release}");
            let object = format!("type {missing}");
            Ok(Some(vec![RestoreError { object, error, has_bearing: true, rows_of: None }]))
        }
        _ => Ok(None),
    }
}
