//! `evodoctor preflight --migrations`: runs the pending files themselves.

use std::time::Duration;

use anyhow::Result;
use sqlx::postgres::PgConnection;

use super::shared::apply;
use super::shared::connect::DatabaseContext;
use crate::cli::{self, GlobalOptions};
use crate::error::user_error;
use crate::evolution::release::{HistoryRow, Release};
use crate::repair::locks::{self, LockAttempt, LockRetry};
use crate::repair::privileges;
use crate::upgrade::Preflight;
use crate::upgrade::rehearsal::migration_dir::MigrationDir;
use crate::upgrade::rehearsal::{MigrationRehearsal, compare_prediction, execute, pending_files};

/// The folder that is asked for, where one is.
///
/// # Errors
/// When it holds no migrations for PostgreSQL, or when a live database would be touched without consent.
pub fn read_migration_dir(args: &cli::PreflightArgs, common: &GlobalOptions) -> Result<Option<MigrationDir>> {
    let Some(path) = &args.migrations else { return Ok(None) };
    let folder = MigrationDir::read(path)?;
    if common.snapshot.is_none() && !args.rehearse_on_live {
        return Err(user_error(
            "--migrations runs the pending files in a transaction on this live database, then rolls it back. \
             Until then it holds every lock of the upgrade, which blocks Evolution; it leaves dead rows \
             behind; and effects outside of the transaction (sequences, dblink, COPY … TO PROGRAM) are not \
             rolled back. Nothing has been run",
            "use a dump: pg_dump -Fc --file evolution.dump URL, then the same command with \
             --snapshot evolution.dump; or accept the above with --rehearse-on-live, as the role that \
             Evolution connects as",
        ));
    }
    Ok(Some(folder))
}

/// The release that a folder leads to: the newest one that is all there, else the one that the database has.
pub fn target_release(folder: &MigrationDir, opened: &DatabaseContext) -> Release {
    let own = || opened.release_range().map(|range| range.to.unwrap_or_else(Release::newest));
    folder.release().or_else(own).unwrap_or_else(Release::newest)
}

/// Runs the files, and compares the result with the prediction. The snapshot has to be ended before.
///
/// # Errors
/// When tables stay busy, on Ctrl-C, or when the connection is lost. Nothing is changed on a live database in any case.
pub async fn rehearse_migrations(
    opened: &mut DatabaseContext,
    folder: &MigrationDir,
    history: Option<&[HistoryRow]>,
    to: Option<Release>,
    preflight: &Preflight,
    wait: Duration,
) -> Result<MigrationRehearsal> {
    let is_live = opened.restored.is_none();
    // A migration touches any table, and expands views that evodoctor does not.
    privileges::expect_no_foreign_code(&opened.catalog, &opened.server.role, "--migrations")?;
    let mut rehearsal = MigrationRehearsal::new(folder, history.unwrap_or_default(), !is_live);
    // Without a history it is unknown what is pending; Prisma runs nothing then (P3005).
    let Some(history) = history else { return Ok(rehearsal) };
    let files = pending_files(folder, history, to);
    let subject = opened.change_target();
    rehearsal.files = if is_live {
        let work = async |connection: &mut PgConnection, attempt: &LockAttempt| {
            locks::begin_change(connection, attempt.moment).await?;
            execute::in_one_transaction(connection, &subject.schema, &files).await
        };
        let files = apply::dry_run_with_retry(opened, &subject, LockRetry::new(wait), work).await?;
        apply::roll_back(opened).await?;
        files
    } else {
        execute::run_committed(opened.session.connection(), &subject.schema, &files).await?
    };
    compare_prediction::compare_prediction(&mut rehearsal, preflight);
    Ok(rehearsal)
}
