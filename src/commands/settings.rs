//! Evolution's settings as far as they are in hand, and what the database says to them.

use std::env;

use anyhow::Result;
use sqlx::Row;

use super::meant;
use super::open::Opened;
use crate::cli::Common;
use crate::database::env_file;
use crate::database::run::rows;
use crate::database::script::{Script, Variables, file, render};
use crate::environment::exposure;
use crate::environment::settings::{self, Existing, Settings};
use crate::examine::finding::{CheckReport, Finding};
use crate::examine::runner::guarded_query;

/// The settings: of the `.env` or compose file that is named, or of the environment where the connection string comes from it. A connection
/// string by itself, or a dump, says nothing of the server's settings.
fn in_hand(common: &Common) -> Result<Option<Settings>> {
    if let Some(path) = &common.env_file {
        return env_file::variables(path).map(|variables| Some(Settings::new(variables)));
    }
    if let Some(evolution) = meant::composed(common)? {
        return Ok(Some(Settings::new(evolution.variables)));
    }
    if let Some(path) = meant::own_env_file(common) {
        return env_file::variables(&path).map(|variables| Some(Settings::new(variables)));
    }
    let is_environment = common.database_url.is_none() && common.snapshot.is_none();
    let is_evolutions = env::var("DATABASE_CONNECTION_URI").is_ok_and(|value| !value.trim().is_empty())
        && env::var("DATABASE_PROVIDER").is_ok_and(|value| !value.trim().is_empty());
    Ok((is_environment && is_evolutions).then(|| {
        let names = |name: &str| name.starts_with("DATABASE_") || name.starts_with("CACHE_REDIS_");
        let variables = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Settings::new(variables.filter(|(name, _)| names(name)))
    }))
}

/// What does not fit between the settings and the database, and who else may get at it.
///
/// # Errors
/// When the connection is lost, or the file cannot be read.
pub async fn examine(opened: &mut Opened, common: &Common) -> Result<(Vec<CheckReport>, Vec<Finding>)> {
    let mut findings = Vec::new();
    if let Some(settings) = in_hand(common)? {
        let existing = existing(opened).await?;
        findings.extend(settings::examine(&settings, &existing));
        findings.extend(superuser(opened, &settings).await?);
    }
    // A dump is examined on a server that is ours.
    if common.snapshot.is_none() {
        findings.extend(trust(opened).await?);
    }
    Ok((settings::checks(&findings), findings))
}

async fn existing(opened: &mut Opened) -> Result<Existing> {
    let schema = opened.schema.clone();
    let connection = opened.session.connection();
    let mut existing = Existing { schema: schema.clone(), ..Existing::default() };
    for row in rows(connection, "sql/environment/schemas.sql", &Variables::default()).await? {
        let name: String = row.try_get("name")?;
        let query = Script::parse(file("sql/environment/client_names.sql")).single()?.to_owned();
        // Somebody else's table of that name may have other columns; then it is none of Evolution's.
        let Ok(found) = guarded_query(connection, render(&query, &Variables::for_schema(&name))?).await?
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

/// Whether the role of the settings may do everything.
async fn superuser(opened: &mut Opened, settings: &Settings) -> Result<Option<Finding>> {
    let Some(role) = settings.role() else { return Ok(None) };
    let variables = Variables::default().text("role", &role);
    let found = rows(opened.session.connection(), "sql/environment/role.sql", &variables).await?;
    let is_superuser = found.first().map_or(Ok(false), |row| row.try_get("is_superuser"))?;
    Ok(is_superuser.then(|| exposure::superuser(&role)))
}

/// The lines that ask nobody for a password, where this role may read them.
async fn trust(opened: &mut Opened) -> Result<Option<Finding>> {
    let connection = opened.session.connection();
    let asked = rows(connection, "sql/environment/may_read_hba.sql", &Variables::default()).await?;
    if !asked.first().map_or(Ok(false), |row| row.try_get::<bool, _>("may_read"))? {
        return Ok(None);
    }
    let query = Script::parse(file("sql/environment/trust.sql")).single()?.to_owned();
    // A server that cannot read its own file says nothing of it.
    let Ok(found) = guarded_query(connection, query).await? else { return Ok(None) };
    let lines: Vec<(i32, String)> =
        found.iter().map(|row| Ok((row.try_get("line")?, row.try_get("text")?))).collect::<Result<_>>()?;
    Ok(exposure::trust(&lines))
}
