//! The ledger: which fixes were applied, by whom, and what undo needs to know. It lives in the schema `evodoctor`.

mod access;
mod entry;

use std::collections::BTreeMap;

use access::FORMAT;
pub use access::{expect_own, expect_sound, is_usable, write_obstacle};
use anyhow::{Context, Result};
use entry::read_run;
pub use entry::{AppliedFix, AppliedRun, UndoSteps};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::locks::{self, LockMode};
use super::schema_acl::revoke_from_others;
use crate::checks::check_error::if_decided;
use crate::checks::query_variables;
use crate::database::catalog::{Catalog, LedgerFacts};
use crate::database::query::{execute_file, query_file, query_statement};
use crate::database::sql_file::Variables;
use crate::error::user_error;
use crate::evolution::release::ReleaseRange;

/// Creates the ledger where it is missing or old, and takes the number of the run that begins.
///
/// # Errors
/// When this role may not create or use it; the message says what to grant.
pub async fn create_or_upgrade(
    connection: &mut PgConnection,
    facts: &LedgerFacts,
    schema: &str,
    role: &str,
    database: &str,
) -> Result<i64> {
    if let Some((line, step)) = write_obstacle(facts, role, database)? {
        return Err(user_error(format!("role {role:?} {line}; nothing has been changed"), step));
    }
    bring_up_to_date(connection, facts, schema).await?;
    let next = query_file(connection, "sql/ledger/next_run.sql", &Variables::default()).await?;
    Ok(next.first().context("a number is one row")?.try_get("run")?)
}

/// Creates the ledger where it is missing, and brings an old one up to the format of today.
///
/// # Errors
/// When this role may not, or another session made the schema in between.
pub async fn bring_up_to_date(
    connection: &mut PgConnection,
    facts: &LedgerFacts,
    schema: &str,
) -> Result<()> {
    if facts.comment.as_deref() != Some(FORMAT) {
        execute_file(connection, "sql/ledger/create.sql", &Variables::default()).await?;
        revoke_from_others(connection).await?;
        expect_sound(&LedgerFacts::read(connection, schema).await?)?;
    }
    Ok(())
}

/// For errors of the ledger's own statements: its tables are locked.
pub fn as_timeout(error: anyhow::Error) -> anyhow::Error {
    let tables = ["run", "applied_fix", "quarantine_entry"].map(str::to_owned);
    locks::as_timeout(error, "evodoctor", &tables, LockMode::ShareRowExclusive)
}

/// Writes the run and its fixes, in the transaction that applied them; as one of a series of batches, if it is.
pub async fn record_run(
    connection: &mut PgConnection,
    schema: &str,
    range: Option<ReleaseRange>,
    plan_hash: &str,
    fixes: &[AppliedFix],
    series: Option<i64>,
) -> Result<()> {
    let bound = |release: Option<_>| {
        release.map(|r: crate::evolution::release::Release| r.version()).unwrap_or_default()
    };
    let variables = Variables::for_schema(schema)
        .text("tool_version", env!("CARGO_PKG_VERSION"))
        .text("release_from", bound(range.map(|r| r.from)))
        .text("release_to", bound(range.and_then(|r| r.to)))
        .text("plan_hash", plan_hash)
        .text("series", series.map(|first| first.to_string()).unwrap_or_default());
    execute_file(connection, "sql/ledger/record_run.sql", &variables).await?;
    for (position, fix) in fixes.iter().enumerate() {
        let variables = Variables::default()
            .text("position", position.to_string())
            .text("code", &fix.code)
            .text("version", fix.version.to_string())
            .text("checksum", &fix.checksum)
            .text("tables", serde_json::to_string(&fix.tables)?)
            .text("ddl_before", serde_json::to_string(&fix.ddl_before)?)
            .text("ddl_after", serde_json::to_string(&fix.ddl_after)?)
            .text("steps", serde_json::to_string(&fix.steps)?);
        execute_file(connection, "sql/ledger/record_fix.sql", &variables).await?;
    }
    Ok(())
}

/// Updates the state of the deferred statements, and the current DDL of a fix's tables.
pub async fn update_fix(
    connection: &mut PgConnection,
    run: i64,
    position: usize,
    fix: &AppliedFix,
) -> Result<()> {
    let variables = Variables::default()
        .text("run", run.to_string())
        .text("position", position.to_string())
        .text("ddl_after", serde_json::to_string(&fix.ddl_after)?)
        .text("steps", serde_json::to_string(&fix.steps)?);
    execute_file(connection, "sql/ledger/update_fix.sql", &variables).await
}

/// Every run in the ledger, newest first; none when there is no ledger.
///
/// # Errors
/// When the ledger is not to be trusted, or holds what cannot be read.
pub async fn read_runs(connection: &mut PgConnection, schema: &str) -> Result<Vec<AppliedRun>> {
    let facts = LedgerFacts::read(connection, schema).await?;
    read_runs_of(connection, &facts).await
}

/// The same, of a ledger that the catalog was asked about before.
///
/// # Errors
/// As [`read_runs`].
pub async fn read_runs_of(connection: &mut PgConnection, facts: &LedgerFacts) -> Result<Vec<AppliedRun>> {
    if !expect_sound(facts)? {
        return Ok(Vec::new());
    }
    let found = query_file(connection, "sql/ledger/runs.sql", &Variables::default()).await?;
    let mut runs: Vec<AppliedRun> = found.iter().map(read_run).collect::<Result<_>>()?;
    let kept = kept_rows(connection).await?;
    for run in &mut runs {
        run.quarantined = kept.get(&run.run).copied().unwrap_or_default();
    }
    Ok(runs)
}

/// The number of rows each run has in the quarantine, in the form of today and in that of older versions.
async fn kept_rows(connection: &mut PgConnection) -> Result<BTreeMap<i64, i64>> {
    let mut kept = BTreeMap::new();
    let forms = query_file(connection, "sql/ledger/quarantine_forms.sql", &Variables::default()).await?;
    let forms = forms.first().context("the server did not answer")?;
    for (form, path) in
        [("has_entries", "sql/ledger/quarantined.sql"), ("has_legacy", "sql/ledger/quarantined_legacy.sql")]
    {
        if !forms.try_get::<bool, _>(form)? {
            continue;
        }
        for row in query_file(connection, path, &Variables::default()).await? {
            *kept.entry(row.try_get("run")?).or_default() += row.try_get::<i64, _>("count")?;
        }
    }
    Ok(kept)
}

/// Fills in which of upstream's migrations have changed the same objects since each run.
///
/// # Errors
/// When the connection is lost. A ledger that may not be read has no runs to tell it to.
pub async fn mark_superseded(
    connection: &mut PgConnection,
    catalog: &Catalog,
    runs: &mut [AppliedRun],
) -> Result<()> {
    let Some(query) = if_decided(query_variables::superseded_query(catalog))? else { return Ok(()) };
    for row in query_statement(connection, query).await? {
        let number: i64 = row.try_get("run")?;
        let migrations: Vec<String> = row.try_get("migrations")?;
        for run in runs.iter_mut().filter(|run| run.run == number) {
            run.superseded_by.extend(migrations.clone());
            run.superseded_by.sort();
            run.superseded_by.dedup();
        }
    }
    Ok(())
}
