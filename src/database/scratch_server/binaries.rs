//! Where Postgres's server programs are on this machine, and how to get them when they are not.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::Result;

use crate::error::user_error;

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
pub fn find_binaries() -> Result<PathBuf> {
    if let Some(named) = named() {
        return expect_binaries(&named).map_err(|error| error.context(format!("{VARIABLE} is set")));
    }
    everywhere().into_iter().find(|directory| is_complete(directory)).map_or_else(|| Err(none()), Ok)
}

/// The purpose of Postgres's programs.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'p> {
    /// A dump is restored; an archive takes `pg_restore`.
    Restore {
        /// The dump's name.
        dump: &'p str,
        /// True if it is not plain text.
        is_archive: bool,
    },
    /// A server's database is dumped, and the dump is restored.
    Copy,
}

impl Purpose<'_> {
    /// The client programs that it takes.
    fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Restore { is_archive: false, .. } => &[],
            Self::Restore { is_archive: true, .. } => &["pg_restore"],
            Self::Copy => &["pg_dump", "pg_restore"],
        }
    }

    fn lacks(self, program: &str) -> String {
        match self {
            Self::Restore { dump, .. } => format!(
                "{dump} is an archive, and {program} is not installed beside the server programs of \
                 this machine"
            ),
            Self::Copy => format!(
                "snapshot runs pg_dump and pg_restore, and {program} is not installed beside the server \
                 programs of this machine"
            ),
        }
    }

    fn is_newer(self, major: u32, newest: u32) -> String {
        match self {
            Self::Restore { dump, .. } => {
                format!("{dump} comes from PostgreSQL {major}; the newest here is {newest}")
            }
            Self::Copy => format!(
                "the server is PostgreSQL {major}, and the newest pg_dump on this machine is {newest}, \
                 which cannot dump a newer server"
            ),
        }
    }
}

/// The newest directory with `initdb` and `postgres`, and with the client programs that the purpose takes, where PostgreSQL
/// `major` is wanted at least. `EVODOCTOR_PG_BIN` names the only one, where it is set.
///
/// # Errors
/// When there is none, or none new enough; the next step is the command that installs one.
pub fn find_newest(purpose: Purpose<'_>, major: Option<u32>) -> Result<PathBuf> {
    let candidates = match named() {
        Some(named) => {
            vec![expect_binaries(&named).map_err(|error| error.context(format!("{VARIABLE} is set")))?]
        }
        None => everywhere().into_iter().filter(|directory| is_complete(directory)).collect(),
    };
    let Some(first) = candidates.first() else { return Err(none()) };
    let lacking = |directory: &Path| {
        purpose.programs().iter().copied().find(|program| !directory.join(program).is_file())
    };
    let missing = lacking(first);
    let complete = candidates.into_iter().filter(|directory| lacking(directory).is_none());
    // The first of equals, in the order of the search.
    let newest = complete
        .map(|directory| (version(&directory), directory))
        .reduce(|best, other| if other.0 > best.0 { other } else { best });
    let Some((version, directory)) = newest else {
        return Err(user_error(
            purpose.lacks(missing.unwrap_or("pg_restore")),
            install_version(major, "install PostgreSQL's client programs of the server's version"),
        ));
    };
    match (major, version.first()) {
        (Some(major), Some(newest)) if *newest < major => Err(user_error(
            purpose.is_newer(major, *newest),
            install_version(Some(major), &format!("install PostgreSQL {major}, server and client programs")),
        )),
        _ => Ok(directory),
    }
}

/// The value of the variable.
fn named() -> Option<PathBuf> {
    env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Every directory to look into, in order.
fn everywhere() -> Vec<PathBuf> {
    let on_path = env::var_os("PATH").unwrap_or_default();
    let usual = USUAL.iter().flat_map(|pattern| expand(pattern));
    env::split_paths(&on_path).chain(pg_config()).chain(usual).collect()
}

fn none() -> anyhow::Error {
    user_error(
        "this machine has no Postgres server programs (initdb, postgres)",
        format!("{}, or set {VARIABLE} to their directory", install_command()),
    )
}

/// The numbers of a server's version: `postgres (PostgreSQL) 17.2 (Debian …)` → 17, 2. Empty when it does not run.
fn version(directory: &Path) -> Vec<u32> {
    let output = Command::new(directory.join("postgres")).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    numbers(text.rsplit(") ").find(|part| part.starts_with(|c: char| c.is_ascii_digit())).unwrap_or_default())
}

/// Returns the command that installs a certain version here.
fn install_version(major: Option<u32>, otherwise: &str) -> String {
    let has_apt = Path::new("/usr/bin/apt-get").is_file();
    match major.filter(|_| has_apt) {
        Some(major) => format!(
            "run: {}apt-get install -y postgresql-{major} postgresql-client-{major} (where the distribution has only \
             older ones: https://apt.postgresql.org), or set {VARIABLE} to the directory of its programs",
            if is_root() { "" } else { "sudo " }
        ),
        None => format!("{otherwise}, or set {VARIABLE} to the directory of its programs"),
    }
}

/// The directory itself, when it has what a server takes.
///
/// # Errors
/// When `initdb` or `postgres` is missing there.
pub fn expect_binaries(directory: &Path) -> Result<PathBuf> {
    if is_complete(directory) {
        return Ok(directory.to_owned());
    }
    Err(user_error(
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
        assert!(expect_binaries(directory.path()).is_err());
        fs::write(directory.path().join("initdb"), "").unwrap();
        assert!(expect_binaries(directory.path()).is_err(), "initdb alone does not run a server");
        fs::write(directory.path().join("postgres"), "").unwrap();
        assert_eq!(expect_binaries(directory.path()).unwrap(), directory.path());
    }
}
