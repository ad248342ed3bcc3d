//! Which database is meant: the one that the command line names, else the environment.

use std::env;

use anyhow::Result;

use crate::cli::Common;
use crate::database::env_file;
use crate::database::url::Target;
use crate::exit::failure;

/// Whether the command line or the environment names a database at all, or a dump of one.
pub fn is_named(common: &Common) -> bool {
    let is_set = |name: &&str| env::var(name).is_ok_and(|value| !value.trim().is_empty());
    common.snapshot.is_some()
        || common.database_url.is_some()
        || common.env_file.is_some()
        || env_file::NAMES.iter().any(is_set)
}

/// The database that the command line and the environment name: `--database-url`, else `--env-file`, else
/// `DATABASE_CONNECTION_URI`, else `DATABASE_URL`. `--schema` wins over the connection string's. An empty
/// variable is as good as none.
///
/// # Errors
/// When there is none, or its connection string cannot be used.
pub fn choose(common: &Common) -> Result<Target> {
    choose_with(common, |name| env::var(name).ok())
}

fn choose_with(common: &Common, variable: impl Fn(&str) -> Option<String>) -> Result<Target> {
    let from_environment = |name: &&str| {
        let value = variable(name).filter(|value| !value.trim().is_empty())?;
        Some((value, format!("from the variable {name}")))
    };
    let (text, origin) = if let Some(text) = &common.database_url {
        (text.clone(), "from --database-url".to_owned())
    } else if let Some(path) = &common.env_file {
        (env_file::connection_string(path)?, format!("from {}", path.display()))
    } else if let Some(found) = env_file::NAMES.iter().find_map(from_environment) {
        found
    } else {
        return Err(failure(
            "no database is named",
            "give --database-url URL, or --env-file FILE (Evolution's .env), or set DATABASE_CONNECTION_URI or \
             DATABASE_URL",
        ));
    };
    tracing::debug!(origin, "connection string");
    let mut target = Target::parse(&text).map_err(|error| error.context(origin))?;
    if let Some(schema) = &common.schema {
        target.schema = Some(schema.clone());
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;

    use super::*;
    use crate::cli::Cli;
    use crate::exit::Failure;

    fn chosen(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Target> {
        let cli = Cli::parse_from(["evodoctor", "check"].iter().chain(arguments));
        let variable = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        choose_with(&cli.common, variable)
    }

    #[test]
    fn the_nearest_word_wins() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "DATABASE_CONNECTION_URI='postgresql://u@file/d?schema=s'").unwrap();
        let file = file.path().to_str().unwrap();
        let both =
            [("DATABASE_CONNECTION_URI", "postgresql://u@uri/d"), ("DATABASE_URL", "postgresql://u@url/d")];
        let server = |arguments: &[&str], variables| chosen(arguments, variables).unwrap().server();
        assert_eq!(server(&["--database-url", "postgresql://u@option/d"], &both), "option:5432");
        assert_eq!(server(&["--env-file", file], &both), "file:5432");
        assert_eq!(server(&[], &both), "uri:5432");
        assert_eq!(server(&[], &[("DATABASE_CONNECTION_URI", " "), both[1]]), "url:5432");
        assert_eq!(chosen(&["--env-file", file], &[]).unwrap().schema.as_deref(), Some("s"));
        assert_eq!(chosen(&["--env-file", file, "--schema", "t"], &[]).unwrap().schema.as_deref(), Some("t"));
    }

    #[test]
    fn without_a_database_the_failure_names_every_way() {
        let error = chosen(&[], &[("DATABASE_URL", "")]).unwrap_err();
        let error = format!("{:?}", error.downcast_ref::<Failure>());
        for way in ["--database-url", "--env-file", "DATABASE_CONNECTION_URI", "DATABASE_URL"] {
            assert!(error.contains(way), "{error}");
        }
        let error = format!("{:#}", chosen(&[], &[("DATABASE_URL", "mysql://u:p@h/d")]).unwrap_err());
        assert!(error.contains("DATABASE_URL") && error.contains("MySQL"), "{error}");
    }
}
