//! Selects the database: the one that the command line names, else the environment.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::cli::GlobalOptions;
use crate::commands::hints;
use crate::database::compose::{Compose, Evolution};
use crate::database::env_file;
use crate::database::url::{ConnectTarget, NAMING};
use crate::error::user_error;
use crate::progress;

/// Where Evolution is in its own image.
const EVOLUTION: &str = "/evolution";

/// True if the command line or the environment names a database at all, or a dump of one.
pub fn has_target(common: &GlobalOptions) -> bool {
    common.snapshot.is_some()
        || common.database_url.is_some()
        || common.env_file.is_some()
        || common.compose.is_some()
        || env_file::NAMES.iter().any(|name| set(name).is_some())
        || own_env_file(common).is_some()
}

/// The database that the command line and the environment name: `--database-url`, else `--env-file` or `--compose`, else
/// `DATABASE_CONNECTION_URI`, else `DATABASE_URL`, else what psql would take from libpq's variables, else the `.env` of the
/// Evolution that this container is. `--schema` wins over the connection string's. An empty variable is as good as none.
///
/// # Errors
/// When there is none, or its connection string cannot be used.
pub fn resolve_target(common: &GlobalOptions) -> Result<ConnectTarget> {
    choose_with(common, set, Path::new(EVOLUTION))
}

fn choose_with(
    common: &GlobalOptions,
    variable: impl Fn(&str) -> Option<String>,
    evolution: &Path,
) -> Result<ConnectTarget> {
    let from_environment = |name: &&str| Some((variable(name)?, format!("from the variable {name}")));
    let (text, origin) = if let Some(text) = &common.database_url {
        (text.clone(), "from --database-url".to_owned())
    } else if let Some(path) = &common.env_file {
        (env_file::connection_string(path)?, format!("from {}", path.display()))
    } else if let (Some(found), Some(path)) = (composed(common)?, &common.compose) {
        (found.connection, format!("from the service {} in {}", found.service, path.display()))
    } else if let Some(found) = env_file::NAMES.iter().find_map(from_environment) {
        found
    } else if let Some(name) = NAMING.iter().find(|name| variable(name).is_some()) {
        ("postgresql://".to_owned(), format!("from {name} and libpq's other variables"))
    } else if let Some(path) = env_file_of(evolution) {
        (env_file::connection_string(&path)?, format!("from {}, this container's Evolution", path.display()))
    } else {
        return Err(nothing());
    };
    if common.verbose > 0 {
        progress::notice(&format!("connection string {origin}"));
    }
    let mut target = ConnectTarget::parse(&text).map_err(|error| error.context(origin))?;
    target.compose.clone_from(&common.compose);
    if let Some(schema) = &common.schema {
        target.schema = Some(schema.clone());
    }
    Ok(target)
}

/// The error when nothing selects a database, with the settings that were found.
fn nothing() -> anyhow::Error {
    let hints = hints::within(Path::new("."));
    if hints.is_empty() {
        return user_error(
            "no database is named",
            "give --database-url URL, or --env-file FILE (Evolution's .env), or --compose FILE, or set \
             DATABASE_CONNECTION_URI or DATABASE_URL",
        );
    }
    user_error("no database is named", hints.join("; or "))
}

/// Evolution as the compose file has it, where one is given.
pub fn composed(common: &GlobalOptions) -> Result<Option<Evolution>> {
    let Some(path) = &common.compose else { return Ok(None) };
    Compose::read(path)?.evolution(common.service.as_deref()).map(Some)
}

/// The `.env` of the Evolution that this container is, where nothing else names a database: Evolution itself takes its settings from
/// there.
pub fn own_env_file(common: &GlobalOptions) -> Option<PathBuf> {
    let is_named_elsewhere = common.snapshot.is_some()
        || common.database_url.is_some()
        || common.env_file.is_some()
        || common.compose.is_some()
        || env_file::NAMES.iter().chain(&NAMING).any(|name| set(name).is_some());
    if is_named_elsewhere { None } else { env_file_of(Path::new(EVOLUTION)) }
}

/// The `.env` in Evolution's folder, if it is one and the file names a database.
fn env_file_of(folder: &Path) -> Option<PathBuf> {
    let package = std::fs::read_to_string(folder.join("package.json")).ok()?;
    let package: serde_json::Value = serde_json::from_str(&package).ok()?;
    let path = folder.join(".env");
    (package["name"] == "evolution-api" && env_file::connection_string(&path).is_ok()).then_some(path)
}

/// The value of a variable, unless it is empty.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;

    use super::*;
    use crate::cli::Cli;
    use crate::error::UserError;

    fn chosen(arguments: &[&str], variables: &[(&str, &str)]) -> Result<ConnectTarget> {
        let cli = Cli::parse_from(["evodoctor", "check"].iter().chain(arguments));
        let variable = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned()).filter(|value| !value.trim().is_empty())
        };
        choose_with(&cli.common, variable, Path::new("/nowhere"))
    }

    #[test]
    fn the_most_specific_source_wins() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "DATABASE_CONNECTION_URI='postgresql://u@file/d?schema=s'").unwrap();
        let file = file.path().to_str().unwrap();
        let both =
            [("DATABASE_CONNECTION_URI", "postgresql://u@uri/d"), ("DATABASE_URL", "postgresql://u@url/d")];
        let server = |arguments: &[&str], variables| chosen(arguments, variables).unwrap().server_name();
        assert_eq!(server(&["--database-url", "postgresql://u@option/d"], &both), "option:5432");
        assert_eq!(server(&["--env-file", file], &both), "file:5432");
        assert_eq!(server(&[], &both), "uri:5432");
        assert_eq!(server(&[], &[("DATABASE_CONNECTION_URI", " "), both[1]]), "url:5432");
        assert_eq!(chosen(&["--env-file", file], &[]).unwrap().schema.as_deref(), Some("s"));
        assert_eq!(chosen(&["--env-file", file, "--schema", "t"], &[]).unwrap().schema.as_deref(), Some("t"));
    }

    #[test]
    fn a_compose_file_is_a_source_too() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "services: {api: {environment: ['DATABASE_URL=postgresql://u@db/d?schema=s']}}";
        fs::write(file.path(), text).unwrap();
        let path = file.path().to_str().unwrap();
        let target = chosen(&["--compose", path], &[("DATABASE_URL", "postgresql://u@url/d")]).unwrap();
        assert_eq!((target.server_name().as_str(), target.schema.as_deref()), ("db:5432", Some("s")));
        assert_eq!(target.compose.as_deref(), Some(file.path()));
        assert!(chosen(&["--compose", path, "--service", "x"], &[]).is_err());
    }

    #[test]
    fn evolutions_own_container_needs_no_option() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let common = Cli::parse_from(["evodoctor", "check"]).common;
        let server = |variable: Option<&str>| {
            let variable = |name: &str| variable.filter(|_| name == "DATABASE_URL").map(str::to_owned);
            choose_with(&common, variable, folder.path()).map(|target| target.server_name()).ok()
        };
        write(".env", "DATABASE_CONNECTION_URI=postgresql://u@file/d");
        assert_eq!(server(None), None, "any folder may be called so");
        write("package.json", r#"{"name": "evolution-api", "version": "2.3.7"}"#);
        assert_eq!(server(None).as_deref(), Some("file:5432"));
        assert_eq!(server(Some("postgresql://u@variable/d")).as_deref(), Some("variable:5432"));
        write(".env", "OTHER=1");
        assert_eq!(server(None), None);
    }

    #[test]
    fn without_a_database_the_failure_names_every_way() {
        let error = chosen(&[], &[("DATABASE_URL", "")]).unwrap_err();
        let error = format!("{:?}", error.downcast_ref::<UserError>());
        for way in ["--database-url", "--env-file", "--compose", "DATABASE_CONNECTION_URI", "DATABASE_URL"] {
            assert!(error.contains(way), "{error}");
        }
        let error = format!("{:#}", chosen(&[], &[("DATABASE_URL", "mysql://u:p@h/d")]).unwrap_err());
        assert!(error.contains("DATABASE_URL") && error.contains("MySQL"), "{error}");
    }
}
