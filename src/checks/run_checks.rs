//! Runs checks in the transaction that is open, on its one connection, each behind a savepoint, so that one that fails does not
//! decide for the others. [`super::executor`] adds more connections.

use std::cell::Cell;

use anyhow::Result;
use futures_util::future::join_all;
use sqlx::postgres::PgConnection;

use super::check::{Check, all_checks};
use super::check_report::check_report;
use super::context::CheckContext;
use super::pool::{SnapshotPool, TaskLimits};
use crate::database::query::execute_file;
use crate::database::sql_file::Variables;
use crate::rules::finding::{CheckReport, Finding};
use crate::rules::order::sort_by_consequence;

/// The results of checks, and their findings.
pub type Examination = (Vec<CheckReport>, Vec<Finding>);

/// Runs every check that applies and that `selected` lets through.
///
/// # Errors
/// When the connection is lost. A query that fails makes its check undecided instead.
pub async fn run_checks(
    connection: &mut PgConnection,
    context: &CheckContext<'_>,
    selected: impl Fn(&Check) -> bool,
) -> Result<Examination> {
    if context.paranoid {
        execute_file(connection, "sql/catalog/heap_only.sql", &Variables::default()).await?;
    }
    let chosen = all_checks().iter().filter(|check| context.applies(&check.rule) && selected(check));
    let (reports, mut findings) = run_on(connection, context, chosen.collect()).await?;
    sort_by_consequence(&mut findings);
    Ok((reports, findings))
}

/// Runs one check.
///
/// # Errors
/// When the connection is lost. Where the context gives way, also when others hold a lock for too long.
pub async fn run_check(
    connection: &mut PgConnection,
    context: &CheckContext<'_>,
    check: &Check,
) -> Result<(CheckReport, Vec<Finding>)> {
    let (mut reports, findings) = run_on(connection, context, vec![check]).await?;
    Ok((reports.remove(0), findings))
}

async fn run_on(
    connection: &mut PgConnection,
    context: &CheckContext<'_>,
    checks: Vec<&Check>,
) -> Result<Examination> {
    let pool = SnapshotPool::new(context, TaskLimits::default());
    pool.run_on(connection, run_in_pool(&pool, checks)).await?
}

/// Runs checks side by side on whatever connections the pool gets.
///
/// # Errors
/// When the rows are not what a check's file promises.
pub(super) async fn run_in_pool(pool: &SnapshotPool<'_>, checks: Vec<&Check>) -> Result<Examination> {
    for check in &checks {
        tracing::debug!("check {}", check.rule.code);
        check.register_scans(pool.context());
    }
    let reports = checks.into_iter().map(async |check| {
        let busy = Cell::default();
        let answers = check.ask(pool, &busy).await;
        check_report(check, pool.context(), answers, busy.get())
    });
    let (mut all, mut findings) = (Vec::new(), Vec::new());
    for done in join_all(reports).await {
        let (report, found) = done?;
        all.push(report);
        findings.extend(found);
    }
    Ok((all, findings))
}
