//! A folder of migrations as a checkout or an image has it, made for a test.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use evodoctor::evolution::release::Release;
use tempfile::TempDir;

use super::migrations::path;

/// The root of a checkout; it is gone with this value.
pub struct Checkout {
    root: TempDir,
}

impl Checkout {
    /// Without any migration.
    pub fn empty() -> Self {
        let checkout = Self { root: tempfile::tempdir().expect("a folder") };
        fs::create_dir_all(checkout.migrations()).expect("a folder");
        checkout
    }

    /// With the migrations of a release.
    pub fn of(release: &str) -> Self {
        let release = Release::find(release).expect("a known release");
        let checkout = Self::empty();
        for migration in release.migrations() {
            let folder = path(migration, release);
            let folder = folder.parent().expect("a folder");
            symlink(folder, checkout.migrations().join(&migration.name)).expect("a link");
        }
        checkout
    }

    /// Adds a migration.
    #[must_use]
    pub fn with(self, name: &str, sql: impl AsRef<[u8]>) -> Self {
        let folder = self.migrations().join(name);
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join("migration.sql"), sql).expect("a file");
        self
    }

    /// Its root.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Where its migrations are.
    pub fn migrations(&self) -> PathBuf {
        self.root.path().join("prisma/postgresql-migrations")
    }
}
