//! The password that libpq's file has for a server: `PGPASSFILE`, or else `~/.pgpass`, as psql looks it up.

use std::env;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The server, database and user that a password belongs to.
pub(super) struct Wanted<'w> {
    pub host: &'w str,
    pub port: u16,
    pub database: &'w str,
    pub user: &'w str,
}

/// The password for it, in `named` (`passfile=`, `PGPASSFILE`) or in the user's own file. A file that is readable by
/// others is ignored, as psql does.
pub(super) fn password(named: Option<&str>, wanted: &Wanted<'_>) -> Option<String> {
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".pgpass"));
    let file = named.map(PathBuf::from).or_else(home)?;
    let is_file = fs::metadata(&file).is_ok_and(|metadata| metadata.is_file());
    let mut opened = File::open(&file).ok().filter(|_| is_file)?;
    let mode = opened.metadata().ok()?.permissions().mode();
    if mode & 0o77 != 0 {
        eprintln!("note: {} is readable by others and is not used: chmod 600 it", file.display());
        return None;
    }
    let mut text = String::new();
    opened.read_to_string(&mut text).ok()?;
    text.lines().find_map(|line| matching(line, wanted))
}

/// The password of a line, where it is for this server, database and user.
fn matching(line: &str, wanted: &Wanted<'_>) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut rest = line;
    let port = wanted.port.to_string();
    for value in [wanted.host, &port, wanted.database, wanted.user] {
        let (field, after) = field(rest)?;
        if rest[..rest.len() - after.len()] != *"*:" && field != value {
            return None;
        }
        rest = after;
    }
    let (password, _) = field(rest).unwrap_or_else(|| (unescaped(rest), ""));
    Some(password).filter(|password| !password.is_empty())
}

/// The field up to the next colon without a backslash before it, and what comes after that.
fn field(text: &str) -> Option<(String, &str)> {
    let mut is_escaped = false;
    let end = text.find(|c: char| {
        let is_end = c == ':' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    })?;
    Some((unescaped(&text[..end]), &text[end + 1..]))
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        out.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_psql_reads_it() {
        let wanted = Wanted { host: "h", port: 5432, database: "d:b", user: "u" };
        for (line, password) in [
            ("h:5432:d\\:b:u:secret", Some("secret")),
            ("*:*:*:*:se\\:c\\\\ret", Some("se:c\\ret")),
            ("h:5432:*:u:secret:more", Some("secret")),
            ("h:5433:*:u:secret", None),
            ("other:*:*:*:secret", None),
            ("\\*:*:*:*:secret", None),
            ("#*:*:*:*:secret", None),
            ("h:5432", None),
            ("h:5432:*:u:", None),
            ("", None),
        ] {
            assert_eq!(matching(line, &wanted).as_deref(), password, "{line}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_passed_over() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "other:*:*:*:no\nh:*:*:*:yes\n").unwrap();
        let wanted = Wanted { host: "h", port: 1, database: "d", user: "u" };
        let found = || password(file.path().to_str(), &wanted);
        assert_eq!(found().as_deref(), Some("yes"));
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(found(), None);
    }
}
