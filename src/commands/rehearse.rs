//! `evodoctor preflight --migrations`: runs the pending files themselves.

use std::time::Duration;

use anyhow::Result;
use sqlx::postgres::PgConnection;

use super::change;
use super::open::Opened;
use crate::cli::{self, Common};
use crate::evolution::release::{HistoryRow, Release};
use crate::exit::failure;
use crate::repair::locks::{self, Attempt, Patience};
use crate::repair::rights;
use crate::upgrade::Preflight;
use crate::upgrade::rehearsal::folder::Folder;
use crate::upgrade::rehearsal::{Rehearsal, compare, pending, run};

/// The folder that is asked for, where one is.
///
/// # Errors
/// When it holds no migrations for PostgreSQL, or when a live database would be touched without consent.
pub fn folder(args: &cli::Preflight, common: &Common) -> Result<Option<Folder>> {
    let Some(path) = &args.migrations else { return Ok(None) };
    let folder = Folder::read(path)?;
    if common.snapshot.is_none() && !args.rehearse_on_live {
        return Err(failure(
            "--migrations runs the pending files for real. On a live database that is one transaction, rolled back at its \
             end: until then it holds every lock that the upgrade takes, so Evolution stands still for as long; what it \
             wrote is dead space afterwards; and what goes beyond a transaction (sequences, dblink, COPY … TO PROGRAM) is \
             not rolled back. Nothing has been run",
            "rehearse on a dump: pg_dump -Fc --file evolution.dump URL, then the same with --snapshot evolution.dump; or \
             consent to the above with --rehearse-on-live, as the role that Evolution connects as",
        ));
    }
    Ok(Some(folder))
}

/// The release that a folder leads to: the newest one that is all there, else the one that the database has.
pub fn target(folder: &Folder, opened: &Opened) -> Release {
    let own = || opened.range().map(|range| range.to.unwrap_or_else(Release::newest));
    folder.release().or_else(own).unwrap_or_else(Release::newest)
}

/// Rehearses, and holds the result against what was predicted. The snapshot has to be ended before.
///
/// # Errors
/// When tables stay busy, on Ctrl-C, or when the connection is lost. Nothing is changed on a live database in any case.
pub async fn rehearse(
    opened: &mut Opened,
    folder: &Folder,
    history: Option<&[HistoryRow]>,
    to: Option<Release>,
    preflight: &Preflight,
    wait: Duration,
) -> Result<Rehearsal> {
    let is_live = opened.restored.is_none();
    // A migration touches any table, and opens views that evodoctor does not.
    rights::expect_no_foreign_code(&opened.catalog, &opened.server.role, "--migrations")?;
    let mut rehearsal = Rehearsal::of(folder, history.unwrap_or_default(), !is_live);
    // Without a history nobody knows what is pending; Prisma runs nothing then (P3005).
    let Some(history) = history else { return Ok(rehearsal) };
    let files = pending(folder, history, to);
    let subject = opened.subject();
    rehearsal.files = if is_live {
        let work = async |connection: &mut PgConnection, attempt: &Attempt| {
            locks::begin(connection, attempt.moment).await?;
            run::in_one_transaction(connection, &subject.schema, &files).await
        };
        let files = change::rehearsed(opened, &subject, Patience::new(wait), work).await?;
        change::roll_back(opened).await?;
        files
    } else {
        run::committed(opened.session.connection(), &subject.schema, &files).await?
    };
    compare::compare(&mut rehearsal, preflight);
    Ok(rehearsal)
}
