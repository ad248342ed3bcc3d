//! Runs checks one after the other in the transaction that is open, each behind a savepoint, so that one that fails does not
//! decide for the others. [`super::executor`] runs many at once, on connections of their own.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::Result;
use sqlx::postgres::PgConnection;

use super::check::{Check, all_checks};
use super::check_run::CheckRun;
use super::context::CheckContext;
use super::query_error::explain_query_error;
use super::savepoint::run_step_in_savepoint;
use crate::database::query::{execute_file, is_lock_conflict};
use crate::database::sql_file::Variables;
use crate::rules::finding::{CheckReport, Finding};
use crate::rules::order::sort_by_consequence;

/// Runs every check that applies and that `selected` lets through.
///
/// # Errors
/// When the connection is lost. A query that fails makes its check undecided instead.
pub async fn run_checks(
    connection: &mut PgConnection,
    scope: &CheckContext<'_>,
    selected: impl Fn(&Check) -> bool,
) -> Result<(Vec<CheckReport>, Vec<Finding>)> {
    if scope.paranoid {
        execute_file(connection, "sql/catalog/heap_only.sql", &Variables::default()).await?;
    }
    let (mut reports, mut findings) = (Vec::new(), Vec::new());
    for check in all_checks().iter().filter(|check| scope.applies(&check.rule) && selected(check)) {
        let (report, found) = run_check(connection, scope, check).await?;
        reports.push(report);
        findings.extend(found);
    }
    sort_by_consequence(&mut findings);
    Ok((reports, findings))
}

/// Runs one check.
///
/// # Errors
/// When the connection is lost. Where the scope gives way, also when others hold a lock for too long.
pub async fn run_check(
    connection: &mut PgConnection,
    scope: &CheckContext<'_>,
    check: &Check,
) -> Result<(CheckReport, Vec<Finding>)> {
    tracing::debug!("check {}", check.rule.code);
    check.register_scans(scope);
    let (mut course, steps) = CheckRun::start(scope, check)?;
    let mut ready = VecDeque::from(steps);
    while let Some((place, step)) = ready.pop_front() {
        if !course.needs(place) {
            continue;
        }
        let started = Instant::now();
        let answer = match run_step_in_savepoint(connection, None, step).await? {
            Err(error) if scope.gives_way && is_lock_conflict(&error) => return Err(error.into()),
            answer => answer.map_err(|error| explain_query_error(&error, scope)),
        };
        for (position, step) in course.complete(place, answer, started.elapsed())?.into_iter().enumerate() {
            ready.insert(position, step);
        }
    }
    course.conclude()
}
