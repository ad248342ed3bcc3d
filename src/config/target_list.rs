//! A list of databases, for one run over all of them: TOML with a `[[target]]` for each, or lines of a name and a
//! connection string (or the path of an `.env`), as a hoster's own program writes them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

use super::connection::{self, ConnectionSource};
use super::section::ConfigSection;
use super::toml_table::{Located, TomlFile, TomlTable};
use crate::error::user_error;

/// The longest name of a file that a target's is made into.
const LONGEST: usize = 100;

/// A database of the list.
#[derive(Debug, Clone)]
pub struct NamedTarget {
    /// Its name in tables and reports.
    pub name: String,
    /// The same as the name of a file, without an ending.
    pub file: String,
    /// Where it is, and what is special about it.
    pub section: ConfigSection,
}

/// Reads a list; `-` reads lines from stdin.
///
/// # Errors
/// Names the line: when a name is there twice, or would be the name of another's file; when a target says of no
/// database where it is; and when a password is in a file that others may read.
pub fn read_target_list(path: &Path) -> Result<Vec<NamedTarget>> {
    let targets = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("the list of databases cannot be read from stdin")?;
        lines(&TomlFile::new("stdin", text), Path::new(""), true)?
    } else {
        let source = TomlFile::read(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let is_private = fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o077 == 0);
        match path.extension() {
            Some(ending) if ending == "toml" => tables(&source, folder, is_private)?,
            _ => lines(&source, folder, is_private)?,
        }
    };
    if targets.is_empty() {
        return Err(user_error(
            format!("{} names no database", path.display()),
            "write a line for each: a name, a space, and its connection string; or TOML with [[target]] in a \
             file that ends in .toml",
        ));
    }
    distinct(targets)
}

/// A name as that of a file: what is neither letter, digit, dot, hyphen nor underscore is an underscore.
pub fn to_file_stem(name: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let safe = |(at, c): (usize, char)| if is_safe(c) || (c == '.' && at > 0) { c } else { '_' };
    name.chars().take(LONGEST).enumerate().map(safe).collect()
}

fn tables(source: &TomlFile, folder: &Path, is_private: bool) -> Result<Vec<Located<NamedTarget>>> {
    let parsed = source.parse()?;
    let root = source.root(&parsed);
    root.deny_unknown_keys(&["target"])?;
    root.tables("target")?.iter().map(|table| target(table, folder, is_private)).collect()
}

fn target(table: &TomlTable<'_>, folder: &Path, is_private: bool) -> Result<Located<NamedTarget>> {
    let section = ConfigSection::read_target(table, folder, is_private)?;
    let name = table
        .string("name")?
        .ok_or_else(|| table.error_at("this target has no name", "give it one: name = \"…\""))?;
    if section.connection.is_none() {
        return Err(name.error_at(
            format!("{} does not say where its database is", name.value),
            "add database-url = \"postgresql://…\", or env-file = \"….env\", or compose = \"compose.yaml\"",
        ));
    }
    Ok(Located {
        value: NamedTarget { file: to_file_stem(&name.value), name: name.value, section },
        place: name.place,
    })
}

fn lines(source: &TomlFile, folder: &Path, is_private: bool) -> Result<Vec<Located<NamedTarget>>> {
    let mut targets = Vec::new();
    let mut at = 0;
    for line in source.text().split_inclusive('\n') {
        let place = source.location(at);
        at += line.len();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [] => {}
            [first, ..] if first.starts_with('#') => {}
            [name, given] => {
                let connection = if given.contains("://") || given.starts_with("${") {
                    let url = Located { value: given.to_owned(), place: place.clone() };
                    connection::expect_sound(&url, is_private)?;
                    ConnectionSource::Url { url, password_file: None }
                } else {
                    ConnectionSource::EnvFile(folder.join(given))
                };
                let section = ConfigSection { connection: Some(connection), ..ConfigSection::default() };
                let target = NamedTarget { name: name.to_owned(), file: to_file_stem(name), section };
                targets.push(Located { value: target, place });
            }
            // The words may hold a password.
            _ => {
                return Err(user_error(
                    format!(
                        "{place}: a line must be a name and a connection string, and this one has {} words",
                        words.len()
                    ),
                    "percent-encode spaces in the connection string (%20); for more than that write TOML \
                     with [[target]], in a file that ends in .toml",
                ));
            }
        }
    }
    Ok(targets)
}

fn distinct(targets: Vec<Located<NamedTarget>>) -> Result<Vec<NamedTarget>> {
    let mut files: BTreeMap<String, Located<String>> = BTreeMap::new();
    for Located { value: target, place } in &targets {
        let name = Located { value: target.name.clone(), place: place.clone() };
        // Some file systems take capital letters for small ones.
        if let Some(other) = files.insert(target.file.to_lowercase(), name) {
            let message = if other.value == target.name {
                format!("{place}: {} is listed already ({})", target.name, other.place)
            } else {
                format!(
                    "{place}: {} would write the same file as {} ({})",
                    target.name, other.value, other.place
                )
            };
            return Err(user_error(message, "give each database a name of its own"));
        }
    }
    Ok(targets.into_iter().map(|target| target.value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error;

    #[test]
    fn lines_name_urls_variables_and_env_files() {
        let text = "# ours\n\na postgresql://u@h/d\nb ${B_URL}\n  c c/.env  \n";
        let read = lines(&TomlFile::new("list", text), Path::new("folder"), false).unwrap();
        let kinds: Vec<String> =
            read.iter().map(|target| format!("{:?}", target.value.section.connection)).collect();
        assert!(kinds[0].contains("u@h/d") && kinds[1].contains("${B_URL}"), "{kinds:?}");
        assert!(kinds[2].contains("EnvFile(\"folder/c/.env\")"), "{kinds:?}");
        assert_eq!(read[2].place, "list:5");
    }

    #[test]
    fn errors_name_their_line_and_no_password() {
        for (text, said) in [
            ("a postgresql://u:s3cret@h/d", "list:1: the connection string contains a password"),
            ("\na b s3cret", "list:2: a line must be a name and a connection string"),
            ("a a.env\na b.env", "list:2: a is listed already (list:1)"),
            ("a/b a.env\nA_B b.env", "list:2: A_B would write the same file as a/b (list:1)"),
        ] {
            let read = lines(&TomlFile::new("list", text), Path::new(""), false).and_then(distinct);
            let error = read.expect_err(text).to_string();
            assert!(error.starts_with(said) && !error.contains("s3cret"), "{error}");
        }
        lines(&TomlFile::new("list", "a postgresql://u:p@h/d"), Path::new(""), true)
            .expect("nobody else reads it");
        for (text, said) in [
            ("[[target]]\nname = \"a\"", "f.toml:2: a does not say where"),
            ("[[target]]\nenv-file = \"a\"", "f.toml:1: this target has no name"),
            ("[[target]]\nname = \"a\"\nformat = \"json\"", "f.toml:3: there is no key \"format\""),
            ("[[targets]]\nname = \"a\"", "f.toml:1: there is no key \"targets\""),
        ] {
            let error = tables(&TomlFile::new("f.toml", text), Path::new(""), false).expect_err(text);
            assert!(error.to_string().starts_with(said), "{error} {:?}", error::hint(&error));
        }
    }

    #[test]
    fn no_name_escapes_the_folder() {
        for (name, stem) in [
            ("customer-1.example", "customer-1.example"),
            ("../../etc/passwd", "_._.._etc_passwd"),
            ("..", "_."),
            ("São Paulo", "S_o_Paulo"),
        ] {
            assert_eq!(to_file_stem(name), stem);
        }
    }
}
