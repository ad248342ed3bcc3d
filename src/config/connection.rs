//! The database that a file names, with a password that is not written in the file.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::toml_table::{Located, TomlTable};
use crate::database::url;

/// Characters that need no encoding in any part of a URL.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The keys that name a database. One of them is enough.
const SOURCES: [&str; 3] = ["database-url", "env-file", "compose"];

/// The way in which a database is named.
#[derive(Debug, Clone)]
pub enum ConnectionSource {
    /// By a connection string.
    Url {
        /// It, with `${VARIABLE}` where something comes from the environment.
        url: Located<String>,
        /// A file that holds the password and nothing else.
        password_file: Option<Located<PathBuf>>,
    },
    /// By Evolution's own `.env`.
    EnvFile(PathBuf),
    /// By the compose file that Evolution is started with.
    Compose {
        /// The file.
        path: PathBuf,
        /// Evolution's service in it; `None` is the one with a connection string.
        service: Option<String>,
    },
}

impl ConnectionSource {
    /// The connection of a table: `database-url` with or without `password-file`, `env-file`, or `compose` with or without `service`.
    ///
    /// # Errors
    /// When it says two things, when the connection string is none, and when a password is in it.
    pub fn read(table: &TomlTable<'_>, folder: &Path, is_private: bool) -> Result<Option<Self>> {
        let [url, env_file, compose] = SOURCES.map(|key| table.string(key));
        let (url, env_file, compose) = (url?, env_file?, compose?);
        let given = [&url, &env_file, &compose].into_iter().zip(SOURCES);
        let given: Vec<_> = given.filter_map(|(value, key)| Some((value.as_ref()?, key))).collect();
        if let [(_, first), (value, second), ..] = given[..] {
            let message = format!("both {first} and {second} give the database");
            return Err(value.error_at(message, "remove one of them"));
        }
        let password_file = table
            .string("password-file")?
            .map(|path| Located { value: folder.join(&path.value), place: path.place });
        let service = table.string("service")?;
        if let Some(path) = password_file.as_ref().filter(|_| url.is_none()) {
            return Err(path.error_at(
                "password-file needs database-url",
                "name the database with database-url = \"postgresql://user@host/database\"",
            ));
        }
        if let Some(service) = service.as_ref().filter(|_| compose.is_none()) {
            let next = "name the file that has this service with compose = \"compose.yaml\"";
            return Err(service.error_at("service needs compose", next));
        }
        if let Some(url) = url {
            expect_sound(&url, is_private)?;
            return Ok(Some(Self::Url { url, password_file }));
        }
        if let Some(path) = compose {
            let (path, service) = (folder.join(path.value), service.map(|name| name.value));
            return Ok(Some(Self::Compose { path, service }));
        }
        Ok(env_file.map(|path| Self::EnvFile(folder.join(path.value))))
    }

    /// The connection string, with what the environment and the password's file hold; `None` where another file has it.
    ///
    /// # Errors
    /// When a variable is not set, or the file cannot be read.
    pub fn connection_string(&self) -> Result<Option<String>> {
        let Self::Url { url, password_file } = self else { return Ok(None) };
        let mut text = expanded(url)?;
        if let Some(file) = password_file {
            let password = fs::read_to_string(&file.value).with_context(|| {
                format!("{}: the password's file {} cannot be read", file.place, file.value.display())
            })?;
            let password = password.trim_end_matches(['\n', '\r']);
            let separator = if text.contains('?') { '&' } else { '?' };
            text.push_str(&format!("{separator}password={}", utf8_percent_encode(password, ENCODED)));
        }
        Ok(Some(text))
    }
}

/// The secrets that a connection string of the file would send to a server.
#[derive(Debug)]
pub struct SecretDestination {
    /// Where in the file it stands.
    pub place: String,
    /// The host as it is written, with `variable` in the place of one.
    pub host: String,
    /// True if a variable or a file goes there, and not only what libpq adds to a connection without a password.
    pub is_explicit: bool,
}

impl ConnectionSource {
    /// The caller's secrets that it would send, and where to; `None` if there are none, the host is this machine, or a
    /// variable names the host.
    ///
    /// # Errors
    /// When what is written is not a connection string.
    pub fn secret_destination(&self) -> Result<Option<SecretDestination>> {
        let Self::Url { url, password_file } = self else { return Ok(None) };
        let parts = parts(&url.value);
        if let [Part::Variable(_)] = parts[..] {
            return Ok(None);
        }
        let with = |filling: &str| -> String {
            parts.iter().map(|part| if let Part::Text(text) = part { *text } else { filling }).collect()
        };
        let filling = "variable";
        // What else is wrong with it is said where it is used.
        let Ok(target) = url::ConnectTarget::parse(&with(filling)) else { return Ok(None) };
        let Some(host) = target.remote_host().filter(|host| *host != filling) else { return Ok(None) };
        let is_explicit =
            password_file.is_some() || parts.iter().any(|part| matches!(part, Part::Variable(_)));
        if !is_explicit && url::has_password(&with(""))? {
            return Ok(None);
        }
        Ok(Some(SecretDestination { place: url.place.clone(), host: host.to_owned(), is_explicit }))
    }
}

/// Puts variables in. One that is the whole text is taken as it is; of a part, what could be taken for something else is
/// encoded.
fn expanded(text: &Located<String>) -> Result<String> {
    let parts = parts(&text.value);
    let is_whole = parts.len() == 1;
    parts
        .into_iter()
        .map(|part| match part {
            Part::Text(text) => Ok(text.to_owned()),
            Part::Variable(name) => match env::var(name) {
                Ok(value) if is_whole => Ok(value),
                Ok(value) => Ok(utf8_percent_encode(&value, ENCODED).to_string()),
                Err(_) => Err(text.error_at(
                    format!("the variable {name} is not set"),
                    format!("set {name}, or write something else in its place in the file"),
                )),
            },
        })
        .collect()
}

enum Part<'t> {
    Text(&'t str),
    Variable(&'t str),
}

/// `${NAME}` is a variable; a dollar sign before anything else is a dollar sign.
fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let (mut rest, mut plain) = (text, 0);
    while let Some(at) = rest[plain..].find("${") {
        let start = plain + at;
        let name_end = rest[start..].find('}').map(|length| start + length);
        let is_name =
            |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        match name_end.filter(|end| is_name(&rest[start + 2..*end])) {
            Some(end) => {
                if start > 0 {
                    parts.push(Part::Text(&rest[..start]));
                }
                parts.push(Part::Variable(&rest[start + 2..end]));
                (rest, plain) = (&rest[end + 1..], 0);
            }
            None => plain = start + 2,
        }
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

/// Refuses an invalid connection string, and a password in it, because others can read a file beside the code.
pub fn expect_sound(url: &Located<String>, is_private: bool) -> Result<()> {
    let parts = parts(&url.value);
    if let [Part::Variable(_)] = parts[..] {
        return Ok(());
    }
    let written: String =
        parts.iter().map(|part| if let Part::Text(text) = part { text } else { "" }).collect();
    let has_password = url::has_password(&written).map_err(|error| error.context(url.place.clone()))?;
    if has_password && !is_private {
        return Err(url.error_at(
            "the connection string contains a password, which everyone who can read this file can see",
            "replace it with ${PASSWORD} and set that variable, or name a file with password-file, or \
             Evolution's .env with env-file",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Located<String> {
        Located { value: text.to_owned(), place: "f:1".to_owned() }
    }

    #[test]
    fn a_password_is_refused_and_a_variable_is_not() {
        for text in
            ["postgresql://u:secret@h/d", "postgresql://u@h/d?password=secret", "postgresql://u:a${B}@h/d"]
        {
            let error = expect_sound(&url(text), false).unwrap_err().to_string();
            assert!(
                error.starts_with("f:1: the connection string contains a password")
                    && !error.contains("secret"),
                "{error}"
            );
        }
        for text in ["postgresql://u@h/d", "postgresql://u:${PASSWORD}@h/d", "${URL}", "postgresql://u:@h/d"]
        {
            expect_sound(&url(text), false).unwrap();
        }
        assert!(expect_sound(&url("mysql://h/d"), true).is_err());
    }

    #[test]
    fn variables_are_put_in_and_encoded_where_they_are_a_part() {
        assert_eq!(expanded(&url("a$b${}${c d}${")).unwrap(), "a$b${}${c d}${");
        let home = env::var("PATH").unwrap();
        assert_eq!(expanded(&url("${PATH}")).unwrap(), home);
        let encoded = utf8_percent_encode(&home, ENCODED).to_string();
        assert_eq!(expanded(&url("x:${PATH}@y")).unwrap(), format!("x:{encoded}@y"));
        assert!(encoded.contains("%2F"));
        let error = expanded(&url("${NO_SUCH_VARIABLE_HERE}")).unwrap_err().to_string();
        assert_eq!(error, "f:1: the variable NO_SUCH_VARIABLE_HERE is not set");
    }
}
