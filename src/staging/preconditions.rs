//! Requirements of a snapshot of a live database, checked before any work is done: programs, rights, and a server
//! process of its own.

use std::path::PathBuf;

use anyhow::Result;
use sqlx::Row;

use crate::database::ident::SqlFragment;
use crate::database::pooler::shares_server_processes;
use crate::database::query::query_file;
use crate::database::restore::structure_copy::find_programs;
use crate::database::session::Session;
use crate::database::sql_file::Variables;
use crate::database::url::ConnectTarget;
use crate::error::user_error;
use crate::evolution::release::Release;
use crate::evolution::schema::schema;

/// The programs and tables for the copy.
pub struct Preconditions {
    /// The directory with pg_dump, pg_restore and a server.
    pub programs: PathBuf,
    /// Tables of others in Evolution's schema, which this role may not read and which stay out.
    pub excluded: Vec<String>,
}

impl Preconditions {
    /// Looks for what is needed.
    ///
    /// # Errors
    /// When Postgres's programs are missing or older than the server, or the role may not read a table of Evolution's.
    pub async fn check(session: &mut Session, schema_name: &str) -> Result<Self> {
        let programs = find_programs(u32::try_from(session.server_version_num / 10_000).ok())?;
        let variables = Variables::for_schema(schema_name);
        let rows =
            query_file(session.connection(), "sql/staging/tables_without_select.sql", &variables).await?;
        let names: Vec<String> = rows.iter().map(|row| row.try_get("table")).collect::<Result<_, _>>()?;
        let (needed, excluded): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| is_evolutions(name));
        if needed.is_empty() {
            return Ok(Self { programs, excluded });
        }
        let role = &session.role;
        let quoted = |names: &[String]| names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>();
        let tables: Vec<String> =
            needed.iter().map(|name| SqlFragment::qualified(schema_name, name).to_string()).collect();
        Err(user_error(
            format!(
                "role {role:?} may not read {}: pg_dump, which reads the structure, needs SELECT on every \
                 whole table",
                quoted(&needed).join(", ")
            ),
            format!("GRANT SELECT ON {} TO {}", tables.join(", "), SqlFragment::ident(role)),
        ))
    }
}

/// Refuses a pool in transaction mode.
///
/// # Errors
/// When there is one between here and the server.
pub async fn expect_own_server_process(target: &ConnectTarget) -> Result<()> {
    if !shares_server_processes(target).await? {
        return Ok(());
    }
    Err(user_error(
        "a pooler in transaction mode is in between, such as PgBouncer: pg_dump, which reads the structure, \
         would leave its settings there (an empty search_path) to other clients",
        "connect to Postgres directly (SHOW DATABASES at PgBouncer's admin console names its host and port), \
         or make the snapshot from a dump: --snapshot FILE",
    ))
}

/// True if a release of Evolution's has such a table.
fn is_evolutions(table: &str) -> bool {
    table == super::columns::HISTORY
        || Release::all().any(|release| schema().tables(release).any(|known| known.name == table))
}
