//! `evodoctor.toml`: the decisions of a team, kept beside its code. Reads and validates; does not know about databases.
//!
//! The command line wins over the section of the environment that is chosen, that one over the top of the file, and the
//! file over the variables `DATABASE_CONNECTION_URI` and `DATABASE_URL`. Files that it names are looked for from its own
//! folder.

mod connection;
mod discovery;
mod section;
mod target_list;
mod toml_table;

use std::path::{Path, PathBuf};

use anyhow::Result;

pub use connection::{ConnectionSource, SecretDestination};
pub use discovery::{NAME, find_config};
pub use section::ConfigSection;
pub use target_list::{NamedTarget, read_target_list, to_file_stem};

use crate::error::user_error;
use crate::text::suggest::closest_match;
use toml_table::TomlFile;

/// The table of the environments.
const ENVIRONMENTS: &str = "env";

/// The settings of a file for one environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file.
    pub file: PathBuf,
    /// The environment that was chosen.
    pub environment: Option<String>,
    /// Its settings over those at the top.
    pub section: ConfigSection,
}

impl Config {
    /// Reads a file. Every environment is looked at, also those that are not chosen.
    ///
    /// # Errors
    /// Names the line, and what was probably meant.
    pub fn read(file: &Path, environment: Option<&str>) -> Result<Self> {
        let source = TomlFile::read(file)?;
        Self::of(&source, file, environment)
    }

    fn of(source: &TomlFile, file: &Path, environment: Option<&str>) -> Result<Self> {
        let folder = file.parent().unwrap_or(Path::new(""));
        let parsed = source.parse()?;
        let root = source.root(&parsed);
        let top = ConfigSection::read(&root, folder, &[ENVIRONMENTS])?;
        let mut chosen = None;
        let mut names = Vec::new();
        if let Some(environments) = root.table(ENVIRONMENTS)? {
            for name in environments.keys() {
                let table = environments.table(name.value)?.expect("a key has a value");
                let section = ConfigSection::read(&table, folder, &[])?;
                if environment == Some(name.value) {
                    chosen = Some(section);
                }
                names.push(name.value);
            }
        }
        let section = match (environment, chosen) {
            (None, _) => top,
            (Some(_), Some(section)) => section.merged_over(top),
            (Some(name), None) => {
                let next = match (closest_match(name, &names), names.is_empty()) {
                    (Some(near), _) => format!("did you mean --env {near}?"),
                    (None, false) => format!("its environments are {}", names.join(", ")),
                    (None, true) => format!("it has no environments; add one with [{ENVIRONMENTS}.{name}]"),
                };
                return Err(user_error(
                    format!("{} has no environment {name:?} (from --env or EVODOCTOR_ENV)", file.display()),
                    next,
                ));
            }
        };
        Ok(Self { file: file.to_owned(), environment: environment.map(str::to_owned), section })
    }
}

#[cfg(test)]
mod tests;
