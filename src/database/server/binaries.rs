//! Where Postgres's server programs are on this machine, and how to get them when they are not.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::Result;

use crate::exit::failure;

/// The variable that names the directory with `initdb` and `postgres`.
pub const VARIABLE: &str = "EVODOCTOR_PG_BIN";

/// Folders of distributions and packagers; `*` stands for a version.
const USUAL: &[&str] = &[
    "/usr/lib/postgresql/*/bin",         // Debian, Ubuntu
    "/usr/pgsql-*/bin",                  // PGDG on Fedora and RHEL
    "/usr/libexec/postgresql*",          // Alpine
    "/usr/lib/postgresql*/bin",          // SUSE, Gentoo
    "/opt/homebrew/opt/postgresql*/bin", // Homebrew on Apple silicon
    "/usr/local/opt/postgresql*/bin",    // Homebrew on Intel
    "/opt/homebrew/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/usr/local/pgsql/bin", // make install
    "/usr/bin",
    "/usr/local/bin",
];

/// The directory with `initdb` and `postgres`: `EVODOCTOR_PG_BIN`, else PATH, else what `pg_config` says, else
/// the usual folders with the newest version first.
///
/// # Errors
/// When there is none; the next step is the command that installs one.
pub fn find() -> Result<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        return check(Path::new(&named)).map_err(|error| error.context(format!("{VARIABLE} is set")));
    }
    let on_path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&on_path)
        .chain(pg_config())
        .chain(USUAL.iter().flat_map(|pattern| expand(pattern)))
        .find(|directory| is_complete(directory))
        .map_or_else(
            || {
                Err(failure(
                    "no Postgres server programs (initdb, postgres) on this machine",
                    format!("{}, or set {VARIABLE} to their directory", install_command()),
                ))
            },
            Ok,
        )
}

/// The directory itself, when it has what a server takes.
///
/// # Errors
/// When `initdb` or `postgres` is missing there.
pub fn check(directory: &Path) -> Result<PathBuf> {
    if is_complete(directory) {
        return Ok(directory.to_owned());
    }
    Err(failure(
        format!("{} holds no initdb and postgres", directory.display()),
        "name the directory with Postgres's server programs, such as /usr/lib/postgresql/17/bin",
    ))
}

fn is_complete(directory: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|program| directory.join(program).is_file())
}

fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let directory = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(directory.trim()))
}

/// The existing directories that a pattern with at most one `*` stands for, newest version first.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else { return vec![PathBuf::from(pattern)] };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let mut versions: Vec<(Vec<u32>, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?;
            Some((numbers(version), PathBuf::from(format!("{parent}/{name}{after}"))))
        })
        .collect();
    versions.sort_by(|a, b| b.cmp(a));
    versions.into_iter().map(|(_, path)| path).collect()
}

/// The numbers in a version's name: `9.6` → 9, 6; `@17` → 17.
fn numbers(version: &str) -> Vec<u32> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// The one command that installs a server here, as the user who runs this would type it.
fn install_command() -> String {
    let on_path = env::var_os("PATH").unwrap_or_default();
    let has = |program: &str| env::split_paths(&on_path).any(|directory| directory.join(program).is_file());
    let known = [
        ("apt-get", "apt-get install -y postgresql"),
        ("dnf", "dnf install -y postgresql-server"),
        ("apk", "apk add postgresql"),
        ("pacman", "pacman -S --noconfirm postgresql"),
        ("zypper", "zypper install -y postgresql-server"),
    ];
    if let Some((_, command)) = known.iter().find(|(program, _)| has(program)) {
        let sudo = if has("sudo") && !is_root() { "sudo " } else { "" };
        // A machine fresh from an image has no package lists, and the command would fail without them.
        let is_fresh = command.starts_with("apt") && !has_package_lists();
        let update = if is_fresh { format!("{sudo}apt-get update && ") } else { String::new() };
        return format!("run: {update}{sudo}{command}");
    }
    if has("brew") {
        return "run: brew install postgresql".to_owned();
    }
    "install PostgreSQL's server with your system's package manager".to_owned()
}

fn has_package_lists() -> bool {
    let Ok(entries) = fs::read_dir("/var/lib/apt/lists") else { return false };
    entries.filter_map(Result::ok).any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number() {
        let directory = tempfile::tempdir().unwrap();
        for version in ["9.6", "10", "17", "9.10", "nonsense"] {
            fs::create_dir_all(directory.path().join(version).join("bin")).unwrap();
        }
        let pattern = format!("{}/*/bin", directory.path().display());
        let found: Vec<_> = expand(&pattern)
            .iter()
            .map(|path| path.strip_prefix(directory.path()).unwrap().display().to_string())
            .collect();
        assert_eq!(found, ["17/bin", "10/bin", "9.10/bin", "9.6/bin", "nonsense/bin"]);
    }

    #[test]
    fn a_directory_without_programs_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        assert!(check(directory.path()).is_err());
        fs::write(directory.path().join("initdb"), "").unwrap();
        assert!(check(directory.path()).is_err(), "initdb alone does not run a server");
        fs::write(directory.path().join("postgres"), "").unwrap();
        assert_eq!(check(directory.path()).unwrap(), directory.path());
    }
}
