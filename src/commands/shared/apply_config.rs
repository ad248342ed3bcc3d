//! Applies `evodoctor.toml` under the options that were typed.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;

use crate::cli::{Cli, Command, GlobalOptions, LoadedConfig};
use crate::commands::shared::trusted_hosts;
use crate::config::{self, Config, ConfigSection, ConnectionSource};
use crate::database::env_file;
use crate::error::user_error;

/// The variable that names the environment.
const ENVIRONMENT: &str = "EVODOCTOR_ENV";

/// Options that select a database.
const DATABASES: [&str; 4] = ["database_url", "env_file", "compose", "snapshot"];

/// Fills in what was not typed.
///
/// # Errors
/// When the file is wrong, or an environment is asked for and there is none.
pub fn apply_config(cli: &mut Cli) -> Result<()> {
    if !cli.command.takes_config() || cli.common.no_config {
        return Ok(());
    }
    let Some(config) = read(&cli.common)? else { return Ok(()) };
    apply(&config.section, cli)?;
    tracing::debug!(file = %config.file.display(), environment = config.environment, "settings");
    let Config { file, environment, section } = config;
    cli.common.decided = Some(Arc::new(LoadedConfig { file, environment, policy: section.policy }));
    Ok(())
}

/// The file that is named, or found.
fn read(common: &GlobalOptions) -> Result<Option<Config>> {
    let variable = || env::var(ENVIRONMENT).ok().filter(|name| !name.trim().is_empty());
    let environment = common.env.clone().or_else(variable);
    let Some(file) = file(common)? else {
        return match environment {
            None => Ok(None),
            Some(name) => Err(user_error(
                format!(
                    "there is no {} in this folder or above it, so there is no environment {name:?}",
                    config::NAME
                ),
                format!("name the file with --config FILE, or remove --env and {ENVIRONMENT}"),
            )),
        };
    };
    Config::read(&file, environment.as_deref()).map(Some)
}

fn file(common: &GlobalOptions) -> Result<Option<PathBuf>> {
    if let Some(file) = &common.config {
        return Ok(Some(file.clone()));
    }
    // A folder that is gone has nothing above it either.
    let Ok(here) = env::current_dir() else { return Ok(None) };
    let found = config::find_config(&here)?;
    // As short as it would be typed.
    Ok(found.map(|file| file.strip_prefix(&here).map(PathBuf::from).unwrap_or(file)))
}

fn apply(section: &ConfigSection, cli: &mut Cli) -> Result<()> {
    let (_, formats) = cli.command.supported_formats();
    let takes_baseline = cli.command.takes_baseline();
    let emits = matches!(&cli.command, Command::Logs(logs) if logs.emit.is_some());
    // A list names its databases itself.
    let has_targets = cli.command.target_list().is_some();
    if let Command::Check(check) = &mut cli.command {
        check.jobs = check.jobs.or(section.jobs);
        check.timeout = check.timeout.or(section.timeout);
    }
    if let Some(waiting) = cli.command.lock_wait().filter(|_| !cli.common.typed.contains("wait")) {
        waiting.wait = section.wait.unwrap_or(waiting.wait);
    }
    let common = &mut cli.common;
    let connection = section.connection.clone().filter(|_| !has_targets);
    let section = ConfigSection { connection: chosen(connection, common), ..section.clone() };
    trusted_hosts::expect_trusted_host(&section, common)?;
    apply_section(&section, common)?;
    // A command that does not have the format of the file keeps its own.
    let is_wanted = |format: &_| !common.typed.contains("format") && formats.contains(format) && !emits;
    if let Some(format) = section.format.filter(is_wanted) {
        common.format = format;
    }
    let takes_baseline = takes_baseline && !common.typed.contains("baseline");
    // The baseline is written if there is none yet; for a list of databases it is a folder.
    let is_meant = |file: &&PathBuf| {
        (common.write_baseline.is_none() || file.exists()) && (!has_targets || file.is_dir())
    };
    if let Some(baseline) = section.baseline.as_ref().filter(|_| takes_baseline).filter(is_meant) {
        common.baseline = Some(baseline.clone());
    }
    Ok(())
}

/// The connection of the file, unless one was typed. A variable in the environment wins over the file, unless the file
/// or an environment in it was named; both cases print a note.
fn chosen(connection: Option<ConnectionSource>, common: &GlobalOptions) -> Option<ConnectionSource> {
    let connection = connection.filter(|_| !DATABASES.iter().any(|option| common.typed.contains(option)))?;
    let is_set = |name: &&&str| env::var(name).is_ok_and(|value| !value.trim().is_empty());
    let Some(variable) = env_file::NAMES.iter().find(is_set) else { return Some(connection) };
    let is_asked = common.config.is_some()
        || common.env.is_some()
        || env::var(ENVIRONMENT).is_ok_and(|name| !name.trim().is_empty());
    if is_asked {
        eprintln!("note: {} names the database, and {variable} is set too: the file's is used", config::NAME);
        return Some(connection);
    }
    eprintln!(
        "note: {variable} names the database, and {} does too: the variable's is used (--env NAME or \
         --config FILE asks for the file's)",
        config::NAME
    );
    None
}

/// Applies the connection settings of a section under the options that were typed.
///
/// # Errors
/// When a password is nowhere to be had.
pub fn apply_section(section: &ConfigSection, common: &mut GlobalOptions) -> Result<()> {
    let is_typed = |option| common.typed.contains(option);
    let names_database = DATABASES.iter().any(|option| is_typed(option));
    let (schema, select) = (!is_typed("schema"), !is_typed("select"));
    let fail_on = !is_typed("fail_on");
    match section.connection.as_ref().filter(|_| !names_database) {
        Some(ConnectionSource::EnvFile(path)) => common.env_file = Some(path.clone()),
        Some(ConnectionSource::Compose { path, service }) => {
            common.compose = Some(path.clone());
            common.service.clone_from(service);
        }
        Some(connection @ ConnectionSource::Url { .. }) => {
            common.database_url = connection.connection_string()?
        }
        None => {}
    }
    if let Some(name) = section.schema.as_ref().filter(|_| schema) {
        common.schema = Some(name.clone());
    }
    if let Some(codes) = section.select.as_ref().filter(|_| select) {
        common.select.clone_from(codes);
    }
    if let Some(mildest) = section.fail_on.filter(|_| fail_on) {
        common.fail_on = mildest;
    }
    Ok(())
}
