//! `evodoctor check`: examines a database in one read-only snapshot.

use std::time::Instant;

use anyhow::Result;

use super::conclude::conclude;
use super::open::Opened;
use super::select::Selection;
use crate::cli::{self, Common};
use crate::examine::runner::{self, Scope};
use crate::exit::Exit;
use crate::repair::{fix, rehearsal};
use crate::report::{Detail, Report};

/// Examines and reports.
///
/// # Errors
/// As [`examine`], and when the report cannot be written.
pub async fn run(args: &cli::Check, common: &Common) -> Result<Exit> {
    let begun = Instant::now();
    let report = examine(args, common).await?;
    conclude(&report, common, begun)
}

/// What the checks say of the database that the options name.
///
/// # Errors
/// When there is no database to examine, or the connection is lost.
pub async fn examine(args: &cli::Check, common: &Common) -> Result<Report> {
    let selection = Selection::new(common)?;
    let mut opened = Opened::snapshot(common).await?;
    let mut scope = Scope::new(&opened.catalog, opened.range(), &opened.server.role);
    scope.paranoid = args.paranoid;
    let selected = |check: &crate::examine::check::Check| selection.lets_through(&check.rule.code);
    let (checks, mut findings) = runner::run(opened.session.connection(), &scope, selected).await?;
    rehearsal::mark_untreatable(&mut findings, &scope);
    fix::annotate(&mut findings);
    opened.session.end_snapshot().await?;

    let mut report = Report::new("check", Detail::Check {}).with_examination(checks, findings);
    report.database = Some(opened.database_info());
    report.release = opened.release_info();
    Ok(report.judged(common))
}
