//! How an upgrade went before which `preflight --keep` was run: its run in the ledger holds the prediction and the row
//! counts.

use anyhow::{Context, Result};
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::fix_conflicts::applied_runs;
use super::keep::KeptRun;
use super::keep::copy::kept_by;
use crate::database::catalog::Catalog;
use crate::database::ident::SqlFragment;
use crate::database::query::query_file;
use crate::database::sql_file::Variables;
use crate::evolution::release::{MigrationHistory, Release};
use crate::repair::ledger::AppliedRun;
use crate::text::date::today;

/// Days after an upgrade in which rows are counted for it.
const NEWS: i64 = 7;

/// The outcome of an upgrade.
#[derive(Debug, Clone, Serialize)]
pub struct UpgradeOutcome {
    /// The run that kept what it destroys.
    pub run: i64,
    /// The release before.
    pub from: Option<String>,
    /// The release that it led to.
    pub to: String,
    /// True if every migration of that release is applied and none failed.
    pub succeeded: bool,
    /// Migrations that failed.
    pub failed: Vec<String>,
    /// Tables that have fewer rows than before, with what was predicted.
    pub fewer: Vec<TableCount>,
    /// The number of other tables that were counted.
    pub others: usize,
    /// True if nothing is missing that was not predicted.
    pub as_predicted: bool,
    /// The steps that are left to do.
    pub left: Vec<String>,
}

/// The number of rows a table has and had.
#[derive(Debug, Clone, Serialize)]
pub struct TableCount {
    /// The table.
    pub table: String,
    /// Before the upgrade.
    pub then: i64,
    /// Now; `null` where the table is gone.
    pub now: Option<i64>,
    /// The number of rows that were predicted to go.
    pub predicted: i64,
}

/// The outcome of the last upgrade; `None` where none was kept, it is not news any more, or it has not been run yet.
pub async fn upgrade_outcome(
    connection: &mut PgConnection,
    catalog: &Catalog,
    history: Option<&MigrationHistory>,
) -> Result<Option<UpgradeOutcome>> {
    let Some(history) = history else { return Ok(None) };
    // Why the ledger cannot be read is for its own checks to say.
    let Ok(Some(runs)) = applied_runs(connection, &catalog.schema).await else { return Ok(None) };
    let kept = runs.iter().filter_map(|run| Some((run, kept_by(run)?)));
    let Some((run, kept)) =
        kept.filter(|(run, kept)| kept.finished && is_news(run)).max_by_key(|(run, _)| run.run)
    else {
        return Ok(None);
    };
    let Some(target) = Release::find(&kept.to) else { return Ok(None) };
    let is_complete = target.migrations().all(|migration| history.applied.contains(&migration.name));
    if !is_complete && history.failed.is_empty() {
        return Ok(None);
    }
    let mut outcome = UpgradeOutcome {
        run: run.run,
        from: from(run),
        to: kept.to.clone(),
        succeeded: is_complete && history.failed.is_empty(),
        failed: history.failed.clone(),
        fewer: Vec::new(),
        others: 0,
        as_predicted: true,
        left: left(run.run, &kept, history),
    };
    if outcome.succeeded {
        count(connection, catalog, &kept, &mut outcome).await?;
    }
    Ok(Some(outcome))
}

/// The release before, as far as it was known from the history.
fn from(run: &AppliedRun) -> Option<String> {
    match (&run.release_from, &run.release_to) {
        (Some(from), Some(to)) if from != to => Some(format!("{from} to {to}")),
        (from, _) => from.clone(),
    }
}

fn is_news(run: &AppliedRun) -> bool {
    let applied = run.applied_at.parse().map(|time: Timestamp| Offset::UTC.to_datetime(time).date());
    applied.is_ok_and(|day| today() <= day.saturating_add(NEWS.days()))
}

async fn count(
    connection: &mut PgConnection,
    catalog: &Catalog,
    kept: &KeptRun,
    outcome: &mut UpgradeOutcome,
) -> Result<()> {
    for (table, then) in &kept.counted {
        let now = match catalog.tables.get(table) {
            None => None,
            Some(found) if !found.is_readable => continue,
            Some(_) => Some(count_rows(connection, &catalog.schema, table).await?),
        };
        let predicted = kept.removed.get(table).copied().unwrap_or_default();
        outcome.as_predicted &= now.unwrap_or_default() >= then - predicted;
        if now.unwrap_or_default() < *then {
            outcome.fewer.push(TableCount { table: table.clone(), then: *then, now, predicted });
        } else {
            outcome.others += 1;
        }
    }
    Ok(())
}

/// The number of rows a table has.
pub async fn count_rows(connection: &mut PgConnection, schema: &str, table: &str) -> Result<i64> {
    let variables = Variables::default()
        .sql("what", SqlFragment::assert_safe("*".to_owned()))
        .sql("table", SqlFragment::qualified(schema, table));
    let found = query_file(connection, "sql/upgrade/count.sql", &variables).await?;
    Ok(found.first().context("a count is one row")?.try_get("count")?)
}

fn left(run: i64, kept: &KeptRun, history: &MigrationHistory) -> Vec<String> {
    if !history.failed.is_empty() {
        return vec!["evodoctor fix EVO301".to_owned()];
    }
    if kept.parts.is_empty() { Vec::new() } else { vec![format!("evodoctor undo {run}")] }
}
