//! Protects the caller's secrets from `evodoctor.toml`. The file is in a repository, and anyone who can change a line
//! of it could otherwise have any variable, any readable file or PGPASSWORD sent to a server of their own.

use std::env;
use std::path::Path;

use anyhow::Result;

use crate::cli::GlobalOptions;
use crate::config::{ConfigSection, ConnectionSource, SecretDestination};
use crate::database::compose::Compose;
use crate::database::env_file;
use crate::database::url::{ConnectTarget, fetches_password, has_password};
use crate::error::user_error;

/// Hosts that may receive the caller's secrets, as `--allow-host` names them.
const VARIABLE: &str = "EVODOCTOR_ALLOW_HOST";

/// Refuses a connection of the file that would take a secret of the caller's to a host that the caller has not named.
///
/// # Errors
/// Names the line and the host, and says how to name it.
pub fn expect_trusted_host(section: &ConfigSection, common: &GlobalOptions) -> Result<()> {
    let Some(connection) = &section.connection else { return Ok(()) };
    let (text, sending) = match connection {
        ConnectionSource::Url { .. } => {
            match (connection.secret_destination()?, connection.connection_string()?) {
                (Some(sending), Some(text)) => (text, sending),
                _ => return Ok(()),
            }
        }
        ConnectionSource::EnvFile(path) => {
            // What cannot be read, or used, is said where it is used.
            let Ok(text) = env_file::connection_string(path) else { return Ok(()) };
            let Ok(target) = ConnectTarget::parse(&text) else { return Ok(()) };
            let Some(host) = target.remote_host().filter(|_| !has_password(&text).unwrap_or(false)) else {
                return Ok(());
            };
            let (place, host) = (path.display().to_string(), host.to_owned());
            (text, SecretDestination { place, host, is_explicit: false })
        }
        ConnectionSource::Compose { path, service } => {
            let compose = Compose::read(path);
            let Ok(found) = compose.and_then(|compose| compose.evolution(service.as_deref())) else {
                return Ok(());
            };
            let Ok(target) = ConnectTarget::parse(&found.connection) else { return Ok(()) };
            let is_own = !found.mixes_variables && has_password(&found.connection).unwrap_or(false);
            let Some(host) = target.remote_host().filter(|_| !is_own) else { return Ok(()) };
            let (place, host) = (path.display().to_string(), host.to_owned());
            (found.connection, SecretDestination { place, host, is_explicit: found.mixes_variables })
        }
    };
    if !sending.is_explicit && !has_own_password() && !fetches_password(&text)? {
        return Ok(());
    }
    let Ok(target) = ConnectTarget::parse(&text) else { return Ok(()) };
    let host = target.remote_host().unwrap_or_default();
    if named(common).iter().any(|name| name.eq_ignore_ascii_case(host)) {
        return Ok(());
    }
    let SecretDestination { place, host, .. } = sending;
    Err(user_error(
        format!(
            "{place}: a password or a variable of yours would be sent to {host:?}, a host that only this \
             file names"
        ),
        format!(
            "if you trust the host: --allow-host {host}, or {VARIABLE}={host}; else ignore the file \
             (--no-config) and give --database-url"
        ),
    ))
}

/// True if libpq's variables or its file would give a password to a connection string without one.
fn has_own_password() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let in_home = || env::var_os("HOME").is_some_and(|home| Path::new(&home).join(".pgpass").exists());
    ["PGPASSWORD", "PGPASSFILE", "PGSERVICE"].into_iter().any(is_set) || in_home()
}

/// The hosts that the caller has named: by option, by variable, or in a connection string of the environment.
fn named(common: &GlobalOptions) -> Vec<String> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.trim().is_empty());
    let mut hosts = common.allow_host.clone();
    hosts.extend(
        variable(VARIABLE).iter().flat_map(|hosts| hosts.split(',')).map(|host| host.trim().to_owned()),
    );
    hosts.extend(variable("PGHOST"));
    let strings = env_file::NAMES.iter().filter_map(|name| variable(name));
    let targets = strings.filter_map(|text| ConnectTarget::parse(&text).ok());
    hosts.extend(targets.filter_map(|target| target.remote_host().map(str::to_owned)));
    hosts
}
