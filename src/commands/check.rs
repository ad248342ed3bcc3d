//! `evodoctor check`: examines a database in one read-only snapshot.

use std::time::Instant;

use anyhow::Result;

use super::multi_target;
use super::shared::cancellation::until_stopped;
use super::shared::code_filter::CodeFilter;
use super::shared::connect::{self, DatabaseContext};
use super::shared::emit_report::emit_report;
use super::shared::evolution_settings;
use crate::checks::check::{Check, all_checks};
use crate::checks::context::CheckContext;
use crate::checks::empty_tables::empty_tables;
use crate::checks::executor::{self, CheckResults, ExecutionOptions};
use crate::checks::precondition::schema_differs;
use crate::cli::{self, GlobalOptions};
use crate::database::session::Session;
use crate::database::url::ConnectTarget;
use crate::exit_code::Exit;
use crate::repair::{dry_run, fix};
use crate::report::{Detail, Report};
use crate::rules::environment::damaged_files;
use crate::upgrade::outcome::upgrade_outcome;

/// Examines and reports.
pub async fn run(args: &cli::CheckArgs, common: &GlobalOptions) -> Result<Exit> {
    if let Some(list) = &args.several.targets {
        let each = async |common: &GlobalOptions| examine(args, common).await;
        return multi_target::run(list, &args.several, "check", common, each).await;
    }
    let begun = Instant::now();
    let mut report = examine(args, common).await?;
    emit_report(&mut report, common, begun)
}

/// Runs the checks on the database that the options select.
///
/// # Errors
/// When there is no database to examine, or the connection is lost.
pub async fn examine(args: &cli::CheckArgs, common: &GlobalOptions) -> Result<Report> {
    let selection = CodeFilter::new(common)?;
    let mut opened = tokio::select! {
        biased;
        error = connect::interrupted_on_dump(common) => return Err(error),
        opened = DatabaseContext::connect_snapshot(common) => opened?,
    };
    let deadline = args.timeout.map(|timeout| Instant::now() + timeout);
    let mut context = CheckContext::for_server(&opened.catalog, opened.release_range(), &opened.server);
    let CheckResults { mut checks, mut findings, is_connected } =
        run_checks(args, &selection, deadline, &mut opened.session, &opened.target, &mut context).await?;
    dry_run::mark_untreatable(&mut findings, &context);
    fix::annotate(&mut findings);
    let (mut more_checks, mut more) = (Vec::new(), Vec::new());
    if is_connected {
        (more_checks, more) = evolution_settings::examine(&mut opened, common).await?;
    }
    if let Some((check, finding)) = damaged_files::damage_finding(&checks) {
        more_checks.push(check);
        more.push(finding);
    }
    more_checks.retain(|check| selection.matches(&check.code));
    more.retain(|finding| selection.matches(&finding.code));
    checks.extend(more_checks);
    findings.extend(more);
    let mut upgrade = None;
    if is_connected {
        let in_time = deadline.is_none_or(|deadline| Instant::now() < deadline);
        if in_time && common.select.is_empty() {
            upgrade = upgrade_outcome(opened.session.connection(), &opened.catalog, opened.history.as_ref())
                .await?;
        }
        opened.session.end_snapshot().await?;
    }

    let mut report = Report::new("check", Detail::Check {}).with_examination(checks, findings);
    report.database = Some(opened.database_info());
    report.release = opened.release_info();
    report.upgrade = upgrade;
    Ok(report.with_policy(common))
}

/// Carries out the checks that are selected, in the snapshot that the session has open, until the deadline
/// if there is one.
pub async fn run_checks(
    args: &cli::CheckArgs,
    selection: &CodeFilter,
    deadline: Option<Instant>,
    session: &mut Session,
    target: &ConnectTarget,
    context: &mut CheckContext<'_>,
) -> Result<CheckResults> {
    context.paranoid = args.paranoid;
    context.empty = empty_tables(session.connection(), context.catalog).await?;
    let selected = |check: &Check| selection.matches(&check.rule.code);
    if all_checks().iter().any(|check| selected(check) && check.compares_schema()) {
        context.differs = schema_differs(session.connection(), context).await?;
    }
    let plan = ExecutionOptions { target, jobs: args.jobs, deadline };
    let stop = until_stopped(args.timeout, deadline);
    executor::run_in_parallel(session.connection(), context, &plan, selected, stop).await
}
