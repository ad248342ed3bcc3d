//! Runs checks in the transaction that is open, each behind a savepoint, so that one that fails does not decide
//! for the others.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::check::{Check, all_checks};
use super::check_run::CheckRun;
use super::query_error::explain_query_error;
use super::references::{Reference, all_references, decode_subject};
use super::step::{Step, StepAnswer};
use super::table_scan::TableScans;
use super::unique_indexes::{UniqueIndex, unique_indexes};
use crate::database::catalog::Catalog;
use crate::database::column_stats::LARGE;
use crate::database::query::{execute, execute_file, is_lock_conflict, query_statement, simple_query};
use crate::database::sql_file::Variables;
use crate::evolution::release::ReleaseRange;
use crate::redact;
use crate::rules::finding::{CheckReport, Finding, FindingRepair};
use crate::rules::order::sort_by_consequence;
use crate::rules::rule::{Applicability, Rule};

/// What a check needs to know of the database.
#[derive(Debug)]
pub struct CheckContext<'a> {
    /// Tables and keys.
    pub catalog: &'a Catalog,
    /// The releases it may be; `None` when the history does not tell.
    pub range: Option<ReleaseRange>,
    /// The references that should hold.
    pub references: Vec<Reference>,
    /// The unique indexes that should hold.
    pub unique_indexes: Vec<UniqueIndex>,
    /// The role that asks, for messages.
    pub role: &'a str,
    /// Whether a lock that others hold ends the examination: a change begins again, where a check is undecided.
    pub gives_way: bool,
    /// Whether no index is trusted.
    pub paranoid: bool,
    /// Tables with fewer pages than that are compared as the planner likes.
    pub large: u64,
    /// Large tables that are going to be read, each once for all who ask.
    pub readings: TableScans,
    /// Tables that are known to have no row in this snapshot (see [`super::empty_tables`]).
    pub empty: BTreeSet<String>,
    /// Whether the schema differs from the release's at all, where that was asked beforehand (see [`super::precondition`]).
    pub differs: Option<bool>,
}

impl<'a> CheckContext<'a> {
    /// Gathers the references and the unique indexes of the catalog.
    pub fn new(catalog: &'a Catalog, range: Option<ReleaseRange>, role: &'a str) -> Self {
        let (references, unique_indexes) = (all_references(catalog, range), unique_indexes(catalog, range));
        Self {
            catalog,
            range,
            references,
            unique_indexes,
            role,
            gives_way: false,
            paranoid: false,
            large: LARGE,
            readings: TableScans::default(),
            empty: BTreeSet::new(),
            differs: None,
        }
    }

    /// Whether a rule speaks of any release that this database may be. An unknown release might be any.
    pub fn applies(&self, rule: &Rule) -> bool {
        match (self.range, rule.releases) {
            (Some(range), Some(of_rule)) => range.overlaps(&of_rule),
            _ => true,
        }
    }
}

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

/// Runs something behind a savepoint, where time is `left` no longer than that. The outer error is a lost connection, the
/// inner one the server's refusal.
///
/// # Errors
/// As said.
pub async fn in_savepoint<T>(
    connection: &mut PgConnection,
    left: Option<Duration>,
    work: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
) -> Result<sqlx::Result<T>> {
    execute(connection, guard(left)).await.context("the connection was lost")?;
    match work(connection).await {
        Ok(done) => {
            execute(connection, RELEASE.into()).await.context("the connection was lost")?;
            Ok(Ok(done))
        }
        Err(refusal) => Ok(Err(go_on_after(connection, refusal).await?)),
    }
}

const RELEASE: &str = "RELEASE SAVEPOINT evodoctor";

/// What makes the savepoint, and says how long what follows may take.
fn guard(left: Option<Duration>) -> String {
    let limit = left.map(|left| format!("; SET LOCAL statement_timeout = {}", left.as_millis().max(1)));
    format!("SAVEPOINT evodoctor{}", limit.unwrap_or_default())
}

/// Goes back to the savepoint after a refusal of the server's, which is returned.
///
/// # Errors
/// When the connection is lost.
async fn go_on_after(connection: &mut PgConnection, refusal: sqlx::Error) -> Result<sqlx::Error> {
    if !matches!(refusal, sqlx::Error::Database(_)) {
        return Err(refusal).context("the connection was lost");
    }
    // Rolled back to, it would still be open, and a snapshot cannot be exported from inside.
    let back = format!("ROLLBACK TO SAVEPOINT evodoctor; {RELEASE}");
    match execute(connection, back).await {
        Ok(_) => Ok(refusal),
        // Its last words say why, not that nobody answers any more.
        Err(_) => Err(refusal).context("the server ended the connection"),
    }
}

/// Runs a step behind a savepoint, where time is `left` no longer than that.
///
/// # Errors
/// As [`in_savepoint`].
pub async fn run_step_in_savepoint(
    connection: &mut PgConnection,
    left: Option<Duration>,
    step: Step,
) -> Result<sqlx::Result<StepAnswer>> {
    match step.into_query() {
        Ok(sql) => {
            // The savepoint is a message of its own: a text that the server cannot even read undoes what stands before it in
            // the same message. Its release is none; the query may end in a comment.
            execute(connection, guard(left)).await.context("the connection was lost")?;
            match simple_query(connection, format!("{sql}\n;{RELEASE}")).await {
                Ok(rows) => Ok(Ok(StepAnswer::Rows(rows))),
                Err(refusal) => Ok(Err(go_on_after(connection, refusal).await?)),
            }
        }
        Err(work) => in_savepoint(connection, left, async |connection| work(connection).await).await,
    }
}

/// Runs a query behind a savepoint.
///
/// # Errors
/// As [`in_savepoint`].
pub async fn query_in_savepoint(
    connection: &mut PgConnection,
    sql: String,
) -> Result<sqlx::Result<Vec<PgRow>>> {
    in_savepoint(connection, None, async |connection| query_statement(connection, sql).await).await
}

/// Reads a row by the contract that all checks share.
///
/// # Errors
/// When a column is missing or of another type.
pub fn finding_from_row(rule: &Rule, row: &PgRow) -> Result<Finding> {
    // Whoever pastes a key into a name has it masked there, too.
    let text = |column| row.try_get::<String, _>(column).map(|text| redact::redact_text(&text));
    let mut finding = Finding::new(rule, decode_subject(&text("subject")?), text("detail")?);
    finding.predicate = row.try_get::<Option<String>, _>("predicate")?.map(|text| redact::redact_text(&text));
    finding.count = row.try_get("count")?;
    finding.key = decode_subject(&text("key")?);
    let mut sample: Value = row.try_get("sample")?;
    redact::redact_json(&mut sample);
    finding.sample = match sample {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        other => vec![other],
    };
    if let Some(severity) = optional_column::<String>(row, "severity")? {
        finding.severity = severity.parse()?;
    }
    let has_fix = matches!(rule.fix, Some(Applicability::Safe | Applicability::Quarantine));
    finding.is_fixable = has_fix && optional_column::<bool>(row, "fixable")?.unwrap_or(true);
    let texts = |column| optional_column::<Vec<String>>(row, column).map(Option::unwrap_or_default);
    finding.repair =
        FindingRepair { tables: texts("tables")?, statements: texts("repair")?, undo: texts("undo")? };
    Ok(finding)
}

/// A column that a check may leave out.
///
/// # Errors
/// When it is of another type.
pub fn optional_column<'r, T>(row: &'r PgRow, column: &str) -> Result<Option<T>>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    match row.try_get::<Option<T>, _>(column) {
        Ok(value) => Ok(value),
        Err(sqlx::Error::ColumnNotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
