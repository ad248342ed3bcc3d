//! `evodoctor.toml`: what a team has decided, kept beside its code. Reads and validates; knows no database.
//!
//! The command line wins over the section of the environment that is chosen, that one over the top of the file, and the
//! file over the variables `DATABASE_CONNECTION_URI` and `DATABASE_URL`. Files that it names are looked for from its own
//! folder.

mod connection;
mod find;
mod section;
mod table;
mod targets;

use std::path::{Path, PathBuf};

use anyhow::Result;

pub use connection::{Connection, Sending};
pub use find::{NAME, find};
pub use section::Section;
pub use targets::{Target, file_stem, targets};

use crate::exit::failure;
use crate::nearest::nearest;
use table::Source;

/// The table of the environments.
const ENVIRONMENTS: &str = "env";

/// What a file says for one environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file.
    pub file: PathBuf,
    /// The environment that was chosen.
    pub environment: Option<String>,
    /// Its settings over those at the top.
    pub section: Section,
}

impl Config {
    /// Reads a file. Every environment is looked at, also those that are not chosen.
    ///
    /// # Errors
    /// Names the line, and what was probably meant.
    pub fn read(file: &Path, environment: Option<&str>) -> Result<Self> {
        let source = Source::read(file)?;
        Self::of(&source, file, environment)
    }

    fn of(source: &Source, file: &Path, environment: Option<&str>) -> Result<Self> {
        let folder = file.parent().unwrap_or(Path::new(""));
        let parsed = source.parse()?;
        let root = source.root(&parsed);
        let top = Section::read(&root, folder, &[ENVIRONMENTS])?;
        let mut chosen = None;
        let mut names = Vec::new();
        if let Some(environments) = root.table(ENVIRONMENTS)? {
            for name in environments.keys() {
                let table = environments.table(name.value)?.expect("a key has a value");
                let section = Section::read(&table, folder, &[])?;
                if environment == Some(name.value) {
                    chosen = Some(section);
                }
                names.push(name.value);
            }
        }
        let section = match (environment, chosen) {
            (None, _) => top,
            (Some(_), Some(section)) => section.over(top),
            (Some(name), None) => {
                let next = match (nearest(name, &names), names.is_empty()) {
                    (Some(near), _) => format!("did you mean --env {near}?"),
                    (None, false) => format!("there are {}", names.join(", ")),
                    (None, true) => format!("it has no environments; begin one with [{ENVIRONMENTS}.{name}]"),
                };
                return Err(failure(
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
