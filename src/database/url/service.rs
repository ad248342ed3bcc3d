//! libpq's service file: connections by name, in `[name]` sections of lines `parameter=value`.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::setting::Setting;
use crate::error::user_error;

/// Where Debian and other distributions keep the one of all users; `PGSYSCONFDIR` names another folder.
const FOLDERS: [&str; 4] =
    ["/etc/postgresql-common", "/etc/postgresql", "/etc/sysconfig/pgsql", "/usr/local/etc/postgresql"];
const NAME: &str = "pg_service.conf";

/// The settings of a service: from `named` (`servicefile=`, `PGSERVICEFILE`) or `~/.pg_service.conf`, else from the one
/// of all users.
///
/// # Errors
/// When it is nowhere, or says what it may not.
pub(super) fn settings(service: &str, named: Option<&str>) -> Result<Vec<Setting>> {
    let files = files(named);
    for file in &files {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            // Only a file that was named has to exist, as with psql.
            Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => continue,
            Err(error) => {
                return Err(user_error(
                    format!("the service file {} cannot be read: {error}", file.display()),
                    "name it with PGSERVICEFILE",
                ));
            }
        };
        if let Some(found) = section(&text, service, file)? {
            return Ok(found);
        }
    }
    let looked: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    Err(user_error(
        format!("there is no service {service:?}; looked for in {}", looked.join(", ")),
        "add it there as [name] with lines such as host=db, or name another file with PGSERVICEFILE",
    ))
}

fn files(named: Option<&str>) -> Vec<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let own = named.map(PathBuf::from).or_else(|| set("HOME").map(|home| home.join(".pg_service.conf")));
    let everybodys = match set("PGSYSCONFDIR") {
        Some(folder) => vec![folder.join(NAME)],
        None => FOLDERS.iter().map(|folder| Path::new(folder).join(NAME)).collect(),
    };
    own.into_iter().chain(everybodys).collect()
}

/// The section of this name; the first one counts.
fn section(text: &str, service: &str, file: &Path) -> Result<Option<Vec<Setting>>> {
    let mut found: Option<Vec<Setting>> = None;
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        let place = || format!("{}:{number}", file.display());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            if found.is_some() {
                break;
            }
            if name == service {
                found = Some(Vec::new());
            }
            continue;
        }
        let Some(settings) = &mut found else { continue };
        if line.starts_with("ldap") && line.contains("://") {
            return Err(user_error(
                format!(
                    "{}: the service is looked up in a directory (LDAP), which evodoctor does not support",
                    place()
                ),
                "write host, port and dbname into the service file, or give --database-url",
            ));
        }
        let Some((name, value)) = line.split_once('=') else {
            return Err(user_error(
                format!("{}: this is not parameter=value", place()),
                "write it as host=db",
            ));
        };
        if name == "service" || name == "servicefile" {
            return Err(user_error(
                format!("{}: a service may not name another one", place()),
                "write its parameters here",
            ));
        }
        settings.push(Setting { name: name.to_owned(), value: value.to_owned(), place: place() });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, service: &str) -> Result<Option<Vec<(String, String)>>> {
        let found = section(text, service, Path::new("f"))?;
        Ok(found.map(|all| all.into_iter().map(|setting| (setting.name, setting.value)).collect()))
    }

    #[test]
    fn the_first_section_of_the_name_counts() {
        let text = "# all\n[a]\nhost=one\n\n[b]\n  host=two \npassword=p=q#r\n[b]\nhost=three\n";
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read(text, "b").unwrap(), Some(vec![pair("host", "two"), pair("password", "p=q#r")]));
        assert_eq!(read(text, "c").unwrap(), None);
        assert_eq!(read("[a]", "a").unwrap(), Some(Vec::new()));
    }

    #[test]
    fn service_file_errors_name_their_line() {
        for (line, part) in
            [("host", "parameter=value"), ("service=x", "another one"), ("ldap://h/d", "LDAP")]
        {
            let error = read(&format!("[a]\n{line}"), "a").unwrap_err().to_string();
            assert!(error.starts_with("f:2: ") && error.contains(part), "{error}");
            assert!(read(&format!("[b]\n{line}\n[a]"), "a").unwrap().is_some(), "{line}");
        }
    }
}
