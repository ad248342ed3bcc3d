//! A folder of migrations as upstream ships it: found, read, and compared with what the releases shipped.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Result;
use sha2::{Digest, Sha256};

use crate::database::statement_splitter::{Statement, StatementSplitter};
use crate::error::user_error;
use crate::evolution::release::{Release, facts};

/// Where the folder is in a checkout and in an image, seen from there and from `prisma/`.
/// MySQL's come last, and are refused by their name.
const PLACES: [&str; 7] = [
    "",
    "postgresql-migrations",
    "migrations",
    "prisma/postgresql-migrations",
    "prisma/migrations",
    "mysql-migrations",
    "prisma/mysql-migrations",
];

/// Prisma's lock file beside the migrations.
const LOCK: &str = "migration_lock.toml";

/// A folder of migrations.
#[derive(Debug)]
pub struct MigrationDir {
    /// Where it was found.
    pub path: PathBuf,
    /// Its migrations, in the order in which Prisma applies them: that of their names.
    pub files: Vec<MigrationFile>,
}

/// One migration's file.
#[derive(Debug)]
pub struct MigrationFile {
    /// The folder's name, which Prisma stores as `migration_name`.
    pub name: String,
    /// Hex SHA-256 of the file, which Prisma stores as `checksum`.
    pub checksum: String,
    /// The same with the line ends of Unix and of Windows: Prisma takes them for equal.
    other_ends: [String; 2],
    /// Its statements.
    pub statements: Vec<Statement>,
}

impl MigrationDir {
    /// Reads the migrations in `path`, or in the place below it where a checkout or an image has them.
    ///
    /// # Errors
    /// When there are none, when they are MySQL's, or when a file is missing or cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let found = PLACES.iter().map(|place| path.join(place)).find(|place| holds_migrations(place));
        let Some(found) = found else { return Err(nothing_in(path)) };
        let provider = provider(&found);
        let mut files = Vec::new();
        for folder in folders(&found)? {
            files.push(MigrationFile::read(&folder)?);
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        if files.is_empty() {
            return Err(nothing_in(path));
        }
        let provider = provider.unwrap_or_else(|| guessed(&files).to_owned());
        if provider != "postgresql" {
            return Err(user_error(
                format!("the migrations in {} are for {provider}, and this is PostgreSQL", found.display()),
                "give prisma/postgresql-migrations of the same checkout or image",
            ));
        }
        Ok(Self { path: found, files })
    }

    /// The newest release all of whose migrations are here.
    pub fn release(&self) -> Option<Release> {
        Release::all().rev().find(|release| release.migrations().all(|migration| self.has(&migration.name)))
    }

    /// True if a migration is here.
    pub fn has(&self, name: &str) -> bool {
        self.files.iter().any(|file| file.name == name)
    }
}

impl MigrationFile {
    fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("migration.sql");
        let metadata = fs::metadata(&path).map_err(|error| unreadable(&path, &error))?;
        if !metadata.is_file() {
            return Err(user_error(
                format!("{} is not a file", path.display()),
                "give a fresh checkout's or image's prisma/postgresql-migrations",
            ));
        }
        let bytes = fs::read(&path).map_err(|error| unreadable(&path, &error))?;
        let Ok(text) = std::str::from_utf8(&bytes) else {
            return Err(user_error(
                format!("{} is not UTF-8: Prisma could not read it either", path.display()),
                "check the file; a fresh checkout or image has it complete",
            ));
        };
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let unix = text.replace("\r\n", "\n");
        let other_ends = [checksum(unix.as_bytes()), checksum(unix.replace('\n', "\r\n").as_bytes())];
        Ok(Self { name, checksum: checksum(&bytes), other_ends, statements: statements(&bytes) })
    }

    /// True if a checksum that Prisma recorded is this file's.
    pub fn is(&self, recorded: &str) -> bool {
        self.checksum == recorded || self.other_ends.iter().any(|other| other == recorded)
    }

    /// The releases that shipped this very content; `None` when none did.
    pub fn shipped_by(&self) -> Option<&'static str> {
        let migration = facts().migrations.iter().find(|migration| migration.name == self.name)?;
        let content = migration.contents.iter().find(|content| self.is(&content.sha256))?;
        Some(&content.releases)
    }
}

fn statements(text: &[u8]) -> Vec<Statement> {
    let mut lexer = StatementSplitter::default();
    let mut statements: Vec<Statement> =
        text.split_inclusive(|byte| *byte == b'\n').flat_map(|line| lexer.push_line(line)).collect();
    statements.extend(lexer.finish());
    statements
}

fn checksum(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// A folder of its own for every migration, or Prisma's mark.
fn holds_migrations(place: &Path) -> bool {
    let is_migration = |entry: io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.path().join("migration.sql").symlink_metadata().is_ok())
    };
    place.join(LOCK).is_file() || fs::read_dir(place).is_ok_and(|mut entries| entries.any(is_migration))
}

fn folders(place: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(place).map_err(|error| unreadable(place, &error))? {
        let path = entry.map_err(|error| unreadable(place, &error))?.path();
        let is_hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !is_hidden && fs::metadata(&path).map_err(|error| unreadable(&path, &error))?.is_dir() {
            folders.push(path);
        }
    }
    Ok(folders)
}

/// The kind of database that Prisma's mark names: upstream ships MySQL's migrations beside.
fn provider(place: &Path) -> Option<String> {
    let lock = fs::read_to_string(place.join(LOCK)).ok()?;
    let line = |line: &str| Some(line.trim().strip_prefix("provider")?.split('"').nth(1)?.to_owned());
    lock.lines().find_map(line)
}

/// The same if the mark is missing: only MySQL quotes a table's name with backticks.
fn guessed(files: &[MigrationFile]) -> &'static str {
    let is_mysqls = |statement: &Statement| {
        statement.words.starts_with(&["create".to_owned(), "table".to_owned()])
            && statement.text.contains(&b'`')
    };
    if files.iter().any(|file| file.statements.iter().any(is_mysqls)) { "mysql" } else { "postgresql" }
}

fn nothing_in(path: &Path) -> anyhow::Error {
    let what = match fs::metadata(path) {
        Ok(metadata) if !metadata.is_dir() => "is not a folder".to_owned(),
        Ok(_) => match fs::read_dir(path) {
            Ok(_) => "holds no migrations: no folder with a migration.sql in it".to_owned(),
            Err(error) => format!("cannot be read: {error}"),
        },
        Err(error) => format!("cannot be read: {error}"),
    };
    user_error(
        format!("{} {what}", path.display()),
        "give prisma/postgresql-migrations of a checkout or an image, or the root of either",
    )
}

fn unreadable(path: &Path, error: &io::Error) -> anyhow::Error {
    let next = match error.kind() {
        io::ErrorKind::NotFound => {
            "Prisma would stop here (P3015): remove the migration's folder, or bring its file back"
        }
        io::ErrorKind::PermissionDenied => "read it as another user, or copy the folder",
        _ => "give a fresh checkout's or image's prisma/postgresql-migrations",
    };
    user_error(format!("{} cannot be read: {error}", path.display()), next)
}
