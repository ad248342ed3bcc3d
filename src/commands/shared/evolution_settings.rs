//! Evolution's settings, and whether they fit the database.

use std::env;

use anyhow::Result;
use sqlx::Row;

use crate::checks::savepoint::query_in_savepoint;
use crate::cli::GlobalOptions;
use crate::commands::shared::connect::DatabaseContext;
use crate::commands::shared::resolve_target;
use crate::database::env_file;
use crate::database::query::query_file;
use crate::database::sql_file::{SqlFile, Variables, embedded_file, render};
use crate::rules::environment::evolution_settings::{self, DatabaseFacts, EvolutionSettings};
use crate::rules::environment::exposure;
use crate::rules::finding::{CheckReport, Finding};

/// The settings: of the `.env` or compose file that is named, or of the environment where the connection string comes from it. A connection
/// string by itself, or a dump, says nothing of the server's settings.
fn in_hand(common: &GlobalOptions) -> Result<Option<EvolutionSettings>> {
    if let Some(path) = &common.env_file {
        return env_file::variables(path).map(|variables| Some(EvolutionSettings::new(variables)));
    }
    if let Some(evolution) = resolve_target::composed(common)? {
        return Ok(Some(EvolutionSettings::new(evolution.variables)));
    }
    if let Some(path) = resolve_target::own_env_file(common) {
        return env_file::variables(&path).map(|variables| Some(EvolutionSettings::new(variables)));
    }
    let is_environment = common.database_url.is_none() && common.snapshot.is_none();
    let is_evolutions = env::var("DATABASE_CONNECTION_URI").is_ok_and(|value| !value.trim().is_empty())
        && env::var("DATABASE_PROVIDER").is_ok_and(|value| !value.trim().is_empty());
    Ok((is_environment && is_evolutions).then(|| {
        let names = |name: &str| name.starts_with("DATABASE_") || name.starts_with("CACHE_REDIS_");
        let variables = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        EvolutionSettings::new(variables.filter(|(name, _)| names(name)))
    }))
}

/// Mismatches between the settings and the database, and who else can reach the database.
///
/// # Errors
/// When the connection is lost, or the file cannot be read.
pub async fn examine(
    opened: &mut DatabaseContext,
    common: &GlobalOptions,
) -> Result<(Vec<CheckReport>, Vec<Finding>)> {
    let mut findings = Vec::new();
    if let Some(settings) = in_hand(common)? {
        let existing = existing(opened).await?;
        findings.extend(evolution_settings::compare_settings(&settings, &existing));
        findings.extend(superuser(opened, &settings).await?);
    }
    // A dump is examined on a server that is ours.
    if common.snapshot.is_none() {
        findings.extend(trust(opened).await?);
    }
    Ok((evolution_settings::checks(&findings), findings))
}

async fn existing(opened: &mut DatabaseContext) -> Result<DatabaseFacts> {
    let schema = opened.schema.clone();
    let connection = opened.session.connection();
    let mut existing = DatabaseFacts { schema: schema.clone(), ..DatabaseFacts::default() };
    for row in query_file(connection, "sql/environment/schemas.sql", &Variables::default()).await? {
        let name: String = row.try_get("name")?;
        let query =
            SqlFile::parse(embedded_file("sql/environment/client_names.sql")).only_statement()?.to_owned();
        // Another role's table of that name may have other columns; then it is not Evolution's.
        let Ok(found) =
            query_in_savepoint(connection, render(&query, &Variables::for_schema(&name))?).await?
        else {
            continue;
        };
        let clients: Vec<(String, i64)> = found
            .iter()
            .map(|row| Ok((row.try_get("name")?, row.try_get("count")?)))
            .collect::<Result<_>>()?;
        if name == schema {
            existing.clients = clients;
        } else {
            existing.others.push((name, clients.iter().map(|(_, count)| count).sum()));
        }
    }
    Ok(existing)
}

/// The finding that the role of the settings is a superuser.
async fn superuser(opened: &mut DatabaseContext, settings: &EvolutionSettings) -> Result<Option<Finding>> {
    let Some(role) = settings.role() else { return Ok(None) };
    let variables = Variables::default().text("role", &role);
    let found = query_file(opened.session.connection(), "sql/environment/role.sql", &variables).await?;
    let is_superuser = found.first().map_or(Ok(false), |row| row.try_get("is_superuser"))?;
    Ok(is_superuser.then(|| exposure::superuser(&role)))
}

/// The lines that require no password, if this role may read them.
async fn trust(opened: &mut DatabaseContext) -> Result<Option<Finding>> {
    let connection = opened.session.connection();
    let asked = query_file(connection, "sql/environment/may_read_hba.sql", &Variables::default()).await?;
    if !asked.first().map_or(Ok(false), |row| row.try_get::<bool, _>("may_read"))? {
        return Ok(None);
    }
    let query = SqlFile::parse(embedded_file("sql/environment/trust.sql")).only_statement()?.to_owned();
    // A server that cannot read its own file says nothing of it.
    let Ok(found) = query_in_savepoint(connection, query).await? else { return Ok(None) };
    let lines: Vec<(i32, String)> =
        found.iter().map(|row| Ok((row.try_get("line")?, row.try_get("text")?))).collect::<Result<_>>()?;
    Ok(exposure::trust(&lines))
}
