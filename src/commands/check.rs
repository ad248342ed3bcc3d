//! `evodoctor check`: examines a database in one read-only snapshot.

use std::time::Instant;

use anyhow::Result;

use super::conclude::conclude;
use super::open::{self, Opened};
use super::select::Selection;
use super::settings;
use super::stop::stop;
use super::targets;
use crate::cli::{self, Common};
use crate::environment::damage;
use crate::examine::check::{Check, checks};
use crate::examine::empty::empty_tables;
use crate::examine::first::schema_differs;
use crate::examine::runner::{self, Scope};
use crate::examine::schedule::{self, Examined, Plan};
use crate::exit::Exit;
use crate::repair::{fix, rehearsal};
use crate::report::{Detail, Report};

/// Examines and reports.
///
/// # Errors
/// As [`examine`], and when the report cannot be written.
pub async fn run(args: &cli::Check, common: &Common) -> Result<Exit> {
    if let Some(list) = &args.several.targets {
        let each = async |common: &Common| examine(args, common).await;
        return targets::run(list, &args.several, "check", common, each).await;
    }
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
    let mut opened = tokio::select! {
        biased;
        error = open::interrupted(common) => return Err(error),
        opened = Opened::snapshot(common) => opened?,
    };
    let mut scope = Scope::new(&opened.catalog, opened.range(), &opened.server.role);
    scope.paranoid = args.paranoid;
    scope.empty = empty_tables(opened.session.connection(), &opened.catalog).await?;
    let selected = |check: &Check| selection.lets_through(&check.rule.code);
    if checks().iter().any(|check| selected(check) && check.compares_schema()) {
        scope.differs = schema_differs(opened.session.connection(), &scope).await?;
    }
    let deadline = args.timeout.map(|timeout| Instant::now() + timeout);
    let plan = Plan { target: &opened.target, jobs: args.jobs, deadline };
    let stop = stop(args.timeout, deadline);
    let Examined { mut checks, mut findings, is_connected } =
        schedule::run(opened.session.connection(), &scope, &plan, selected, stop).await?;
    rehearsal::mark_untreatable(&mut findings, &scope);
    fix::annotate(&mut findings);
    let (mut more_checks, mut more) = (Vec::new(), Vec::new());
    if is_connected {
        (more_checks, more) = settings::examine(&mut opened, common).await?;
    }
    if let Some((check, finding)) = damage::finding(&checks) {
        more_checks.push(check);
        more.push(finding);
    }
    more_checks.retain(|check| selection.lets_through(&check.code));
    more.retain(|finding| selection.lets_through(&finding.code));
    checks.extend(more_checks);
    findings.extend(more);
    runner::sort(&mut findings);
    if is_connected {
        opened.session.end_snapshot().await?;
    }

    let mut report = Report::new("check", Detail::Check {}).with_examination(checks, findings);
    report.database = Some(opened.database_info());
    report.release = opened.release_info();
    Ok(report.judged(common))
}
