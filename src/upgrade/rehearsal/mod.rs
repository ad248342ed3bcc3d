//! Rehearsal: the pending migrations' own files, run for real.
//!
//! On a restored dump each file is run and committed by itself, as Prisma does; that is safe there, and closest to
//! reality. On a live database all of them run in one transaction that is rolled back. Either way each statement is
//! sent by itself, behind a savepoint, so that the one that fails is known, and the rest is run as if that one had been
//! fixed. A file that no known release has is run like any other.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use self::table_snapshot::RowCounts;
use super::{MigrationOutcome, PendingMigration};
use crate::evolution::release::{HistoryRow, Release, facts};
use crate::repair::locks::HeldLock;

pub mod compare_prediction;
pub mod execute;
mod held_before;
pub mod migration_dir;
mod statement;
pub mod table_snapshot;

use self::migration_dir::{MigrationDir, MigrationFile};

/// The result of the rehearsal.
#[derive(Debug, Serialize)]
pub struct MigrationRehearsal {
    /// The folder whose files were run.
    pub directory: PathBuf,
    /// The newest release all of whose migrations are in it.
    pub release: Option<&'static str>,
    /// True if each file was committed, as on a dump; otherwise all ran in one transaction that was rolled back.
    pub committed: bool,
    /// Applied migrations that it does not hold. Prisma does not mind that.
    pub missing: Vec<String>,
    /// Applied migrations whose recorded checksum is not the file's.
    pub changed: Vec<ChangedMigration>,
    /// The pending files, in order.
    pub files: Vec<FileResult>,
}

/// An applied migration whose file has other content now.
#[derive(Debug, Serialize)]
pub struct ChangedMigration {
    /// Its name.
    pub name: String,
    /// The checksum recorded when it was applied.
    pub recorded: String,
    /// The file's.
    pub file: String,
}

/// The result of one file.
#[derive(Debug, Serialize)]
pub struct FileResult {
    /// The migration's name.
    pub name: String,
    /// The release that brings it; `null` where this program knows of none.
    pub release: Option<&'static str>,
    /// The releases that shipped this very content; `null` where none did.
    pub content: Option<&'static str>,
    /// `passes`, `loses-data`, `undecided` where a part of it could not be run here, or `fails`.
    pub outcome: MigrationOutcome,
    /// True if Prisma comes to it: it stops at the first failure.
    pub reached: bool,
    /// The number of statements it has.
    pub statements: usize,
    /// The duration in milliseconds, without what watching them took.
    pub duration_ms: u64,
    /// The errors of the server; Prisma stops at the first.
    pub errors: Vec<FailedStatement>,
    /// The statements that could not be run here.
    pub not_rehearsed: Vec<SkippedStatement>,
    /// The lines in which the file commits by itself: what is before stays, whatever becomes of the rest.
    pub commits: Vec<usize>,
    /// Rows treated, by table; tables of other schemas with their schema.
    pub rows: BTreeMap<String, RowCounts>,
    /// Locks on tables that were there before. Of a rolled-back rehearsal only what earlier files did not hold already.
    pub locks: Vec<HeldLock>,
    /// Write-ahead log written in the meantime, in bytes. On a live server that is everybody's.
    pub wal_bytes: i64,
    /// Size of new and rewritten files of tables and indexes, in bytes; the old ones stay until the commit.
    pub new_file_bytes: i64,
    /// The statements that took longest, at most three and none below a tenth of a second.
    pub slow: Vec<SlowStatement>,
    /// The prediction; `null` if this program does not know the migration.
    pub predicted: Option<PredictedOutcome>,
    /// In what the rehearsal differs from the prediction.
    pub differences: Vec<String>,
}

/// A statement that failed.
#[derive(Debug, Clone, Serialize)]
pub struct FailedStatement {
    /// The line of the file, from 1: where the server points to, else where the statement begins.
    pub line: usize,
    /// The error's code; `null` for what never reaches the server.
    pub sqlstate: Option<String>,
    /// The server's words, without values of rows.
    pub message: String,
    /// The server's DETAIL, without values of rows.
    pub detail: Option<String>,
    /// The beginning of the statement.
    pub statement: String,
    /// The line of the file's own `COMMIT` before it: what stands up to there stays.
    pub committed_up_to: Option<usize>,
}

/// A statement that was not run, or that says nothing about what Prisma would meet.
#[derive(Debug, Clone, Serialize)]
pub struct SkippedStatement {
    /// The line of the file, from 1.
    pub line: usize,
    /// The beginning of the statement.
    pub statement: String,
    /// Why.
    pub reason: String,
}

/// A statement that takes its time.
#[derive(Debug, Clone, Serialize)]
pub struct SlowStatement {
    /// The line of the file, from 1.
    pub line: usize,
    /// The beginning of the statement.
    pub statement: String,
    /// The duration, in milliseconds.
    pub duration_ms: u64,
}

/// The prediction of a migration, to be compared with the result.
#[derive(Debug, Clone, Serialize)]
pub struct PredictedOutcome {
    /// The outcome.
    pub outcome: MigrationOutcome,
    /// The SQLSTATE that it fails with.
    pub sqlstate: Option<String>,
    /// The codes of the findings about it.
    pub hazards: Vec<String>,
}

impl PredictedOutcome {
    fn of(pending: &PendingMigration) -> Self {
        Self {
            outcome: pending.outcome,
            sqlstate: pending.sqlstate.clone(),
            hazards: pending.hazards.clone(),
        }
    }
}

impl MigrationRehearsal {
    /// Holds a folder against a migration history; nothing is run as yet.
    pub fn new(folder: &MigrationDir, history: &[HistoryRow], committed: bool) -> Self {
        let applied = || history.iter().filter(|row| row.finished && !row.rolled_back);
        let changed = |row: &HistoryRow| {
            let file = folder.files.iter().find(|file| file.name == row.name)?;
            (!file.is(&row.checksum)).then(|| ChangedMigration {
                name: row.name.clone(),
                recorded: row.checksum.clone(),
                file: file.checksum.clone(),
            })
        };
        Self {
            directory: folder.path.clone(),
            release: folder.release().map(Release::version),
            committed,
            missing: applied().map(|row| row.name.clone()).filter(|name| !folder.has(name)).collect(),
            changed: applied().filter_map(changed).collect(),
            files: Vec::new(),
        }
    }
}

/// The files still to be applied, in order: those that the history does not hold as applied, up to a release's last
/// migration where one is given. Prisma takes files before applied ones, too.
pub fn pending_files<'a>(
    folder: &'a MigrationDir,
    history: &[HistoryRow],
    to: Option<Release>,
) -> Vec<&'a MigrationFile> {
    let is_applied = |file: &&MigrationFile| {
        history.iter().any(|row| row.finished && !row.rolled_back && row.name == file.name)
    };
    let last = to.and_then(|release| release.migrations().map(|migration| migration.name.as_str()).max());
    let is_wanted = |file: &&MigrationFile| last.is_none_or(|last| file.name.as_str() <= last);
    folder.files.iter().filter(|file| !is_applied(file) && is_wanted(file)).collect()
}

impl FileResult {
    fn begun(file: &MigrationFile) -> Self {
        let known = facts().migrations.iter().find(|migration| migration.name == file.name);
        Self {
            name: file.name.clone(),
            release: known.map(|migration| migration.since().version()),
            content: file.shipped_by(),
            outcome: MigrationOutcome::Passes,
            reached: true,
            statements: file.statements.len(),
            duration_ms: 0,
            errors: Vec::new(),
            not_rehearsed: Vec::new(),
            commits: Vec::new(),
            rows: BTreeMap::new(),
            locks: Vec::new(),
            wal_bytes: 0,
            new_file_bytes: 0,
            slow: Vec::new(),
            predicted: None,
            differences: Vec::new(),
        }
    }

    /// Tables that lose rows or values.
    pub fn losses(&self) -> impl Iterator<Item = (&String, &RowCounts)> {
        self.rows.iter().filter(|(_, rows)| rows.removed + rows.values_dropped > 0)
    }
}
