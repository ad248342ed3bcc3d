//! Copies what the upgrade destroys into the quarantine, as a run in the ledger. Large parts are copied in batches,
//! each in its own transaction; the run counts as finished after the last one.

use anyhow::{Context, Result};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::{CODE, KeptPart, KeptRun, LostPart};
use crate::database::catalog::{self, Catalog, CatalogTable, Ddl};
use crate::database::ident::SqlFragment;
use crate::database::query::{execute_file, query_file};
use crate::database::sql_file::Variables;
use crate::evolution::release::MigrationHistory;
use crate::repair::change_target::ChangeTarget;
use crate::repair::ledger::{self, AppliedFix, AppliedRun, UndoSteps};
use crate::repair::locks::{self, LockAttempt, LockMode};
use crate::repair::quarantine::{Quarantine, RowAction, RowDiff, digest, kept_values, read_entries};
use crate::repair::work_tables::run_file;
use crate::text::hex::encode_hex;

/// The progress of copying.
#[derive(Debug, Clone)]
pub struct CopyState {
    /// The number of the run.
    pub run: i64,
    /// The hash by which the ledger knows it.
    pub plan_hash: String,
    /// The run's record.
    pub kept: KeptRun,
    /// The parts that are too large for one transaction, with the last key that was copied.
    left: Vec<(usize, Option<String>)>,
}

impl CopyState {
    /// True if nothing is left to copy.
    pub fn is_done(&self) -> bool {
        self.left.is_empty()
    }
}

/// The record of a kept run; `None` for a run that repaired something.
pub fn kept_by(run: &AppliedRun) -> Option<KeptRun> {
    let fix = run.fixes.iter().find(|fix| fix.code == CODE)?;
    serde_json::from_value(fix.steps.kept.clone()?).ok()
}

/// Begins: makes the run and its tables, and copies every part that fits into a batch. The transaction is left open.
///
/// # Errors
/// When a table is busy or closed, migrations have run in the meantime, or the ledger may not be written.
pub async fn begin(
    connection: &mut PgConnection,
    subject: &ChangeTarget,
    attempt: &LockAttempt,
    parts: &[(LostPart, i64)],
    mut kept: KeptRun,
    batch: i64,
) -> Result<CopyState> {
    let schema = &subject.schema;
    locks::begin_change(connection, attempt.moment).await?;
    let catalog = Catalog::read(connection, schema).await?;
    subject.expect_release(connection, &catalog).await?;
    let server = &subject.server;
    let run =
        ledger::create_or_upgrade(connection, &catalog.ledger_facts, schema, &server.role, &server.database)
            .await
            .map_err(ledger::as_timeout)?;
    discard_stale(connection, &catalog).await?;
    let mut quarantine = Quarantine::new(run, false);
    let mut left = Vec::new();
    let tables: Vec<String> = parts.iter().map(|(part, _)| part.table.clone()).collect();
    // A reader blocks only sessions that need ACCESS EXCLUSIVE.
    locks::lock(connection, attempt, schema, &tables, LockMode::AccessShare).await?;
    for (at, (part, rows)) in parts.iter().enumerate() {
        let table = part.table_in(&catalog)?;
        let stored = part.stored(table);
        let relation = quarantine.table_for(connection, CODE, schema, table, part.action(), &stored).await?;
        let diff = RowDiff {
            table: part.table.clone(),
            action: part.action(),
            columns: part.columns().to_vec(),
            reason: part.reason(),
            count: 0,
            digest: "0".to_owned(),
            sample: Vec::new(),
        };
        quarantine.record(connection, CODE, &diff, &relation).await?;
        kept.parts.push(KeptPart { part: part.clone(), relation });
        if *rows > batch
            && batch_key(table).is_some()
            && !matches!(part.what, super::LostRows::Duplicates { .. })
        {
            left.push((at, None));
        } else {
            copy(connection, &catalog, run, &kept.parts[at], None).await?;
        }
    }
    kept.finished = left.is_empty();
    let plan_hash = hash(&kept);
    let steps = UndoSteps { kept: Some(serde_json::to_value(&kept)?), ..UndoSteps::default() };
    let fix = AppliedFix {
        code: CODE.to_owned(),
        version: 1,
        checksum: String::new(),
        // It changed none: changes of others to these tables do not matter.
        tables: Vec::new(),
        ddl_before: Ddl::default(),
        ddl_after: Ddl::default(),
        steps,
    };
    ledger::record_run(connection, schema, subject.range, &plan_hash, &[fix], None).await?;
    Ok(CopyState { run, plan_hash, kept, left })
}

/// Copies the next batch of what is left, in a transaction of its own that is left open.
pub async fn next_batch(
    connection: &mut PgConnection,
    subject: &ChangeTarget,
    attempt: &LockAttempt,
    mut state: CopyState,
    batch: i64,
) -> Result<CopyState> {
    locks::begin_change(connection, attempt.moment).await?;
    let catalog = Catalog::read(connection, &subject.schema).await?;
    subject.expect_release(connection, &catalog).await?;
    let Some((at, last)) = state.left.first().cloned() else { return Ok(state) };
    let after = Batch { size: batch, after: last };
    let (count, last) = copy(connection, &catalog, state.run, &state.kept.parts[at], Some(&after)).await?;
    if count < batch {
        state.left.remove(0);
    } else if let Some(first) = state.left.first_mut() {
        first.1 = last;
    }
    if state.left.is_empty() {
        state.kept.finished = true;
        let steps = UndoSteps { kept: Some(serde_json::to_value(&state.kept)?), ..UndoSteps::default() };
        let variables = Variables::default()
            .text("run", state.run.to_string())
            .text("steps", serde_json::to_string(&steps)?);
        execute_file(connection, "sql/ledger/update_steps.sql", &variables).await?;
    }
    Ok(state)
}

/// A batch of a table's rows, in the order of the primary key: a row that is changed in the meantime keeps its place
/// there.
struct Batch {
    size: i64,
    /// The last key of the batch before.
    after: Option<String>,
}

/// The column and the type to page by, where the primary key is one column.
fn batch_key(table: &CatalogTable) -> Option<(&str, &str)> {
    let [column] = table.primary_key.as_slice() else { return None };
    let position = table.stored_columns.iter().position(|stored| stored == column)?;
    let of_type = table.stored_types.get(position)?;
    let can_be_paged =
        matches!(of_type.as_str(), "text" | "integer" | "bigint") || of_type.starts_with("character varying");
    can_be_paged.then_some((column.as_str(), of_type.as_str()))
}

/// Copies rows of a part. Returns how many, and the last key of a batch.
async fn copy(
    connection: &mut PgConnection,
    catalog: &Catalog,
    run: i64,
    kept: &KeptPart,
    batch: Option<&Batch>,
) -> Result<(i64, Option<String>)> {
    let KeptPart { part, relation } = kept;
    let table = part.table_in(catalog)?;
    let stored = part.stored(table);
    let mut condition = part.condition(&catalog.schema).to_string();
    let mut in_batches = String::new();
    if let (Some(batch), Some((column, of_type))) = (batch, batch_key(table)) {
        let column = SqlFragment::ident(column);
        if let Some(last) = &batch.after {
            condition.push_str(&format!(
                " AND target.{column} > CAST({} AS {of_type})",
                SqlFragment::literal(last)
            ));
        }
        in_batches = format!("ORDER BY target.{column} LIMIT {}", batch.size);
    }
    let key = batch_key(table)
        .map_or("NULL::text".to_owned(), |(column, _)| format!("kept.{}", SqlFragment::ident(column)));
    let variables = Variables::default()
        .text("run", run.to_string())
        .text("reason", part.reason())
        .text("changed_columns", serde_json::to_string(part.columns())?)
        .sql("table", SqlFragment::qualified(&catalog.schema, &part.table))
        .sql("condition", SqlFragment::assert_safe(condition))
        .sql("in_batches", SqlFragment::assert_safe(in_batches))
        .sql("kept", Quarantine::name(relation))
        .sql("kept_columns", kept_values(table, &stored))
        .sql("key", SqlFragment::assert_safe(key))
        .sql("digest", digest(&stored));
    let path = match part.action() {
        RowAction::Changed => "sql/quarantine/copy_changed.sql",
        _ => "sql/quarantine/copy_removed.sql",
    };
    let found = query_file(connection, path, &variables).await?;
    let row = found.first().context("a count is one row")?;
    let count: i64 = row.try_get("count")?;
    let more = Variables::default()
        .text("run", run.to_string())
        .text("relation", relation)
        .text("count", count.to_string())
        .text("digest", row.try_get::<String, _>("digest")?);
    run_file(connection, "sql/quarantine/add_to_entry.sql", &more).await?;
    Ok((count, row.try_get("last")?))
}

/// Drops what an interrupted run has copied, and what was kept for an upgrade that has not been run: this run's copy is
/// newer.
async fn discard_stale(connection: &mut PgConnection, catalog: &Catalog) -> Result<()> {
    let schema = &catalog.schema;
    let history = catalog::migration_history(connection, catalog).await?;
    let applied = history.map(|rows| MigrationHistory::from_rows(&rows).applied).unwrap_or_default();
    let is_stale = |kept: &KeptRun| {
        let mut migrations = kept.parts.iter().flat_map(|part| &part.part.migrations);
        !kept.finished || !migrations.any(|migration| applied.contains(migration))
    };
    let runs = ledger::read_runs(connection, schema).await?;
    let is_open = |run: &&AppliedRun| {
        run.undone_at.is_none() && run.closed_at.is_none() && run.target_schema == *schema
    };
    for run in runs.iter().filter(is_open).filter(|run| kept_by(run).as_ref().is_some_and(is_stale)) {
        let mut relations: Vec<String> =
            read_entries(connection, &[run.run]).await?.into_iter().map(|entry| entry.relation).collect();
        relations.dedup();
        for relation in relations {
            let variables = Variables::default().sql("kept", Quarantine::name(&relation));
            run_file(connection, "sql/quarantine/drop.sql", &variables).await?;
        }
        execute_file(
            connection,
            "sql/ledger/close_run.sql",
            &Variables::default().text("run", run.run.to_string()).text("left", "[]"),
        )
        .await?;
    }
    Ok(())
}

fn hash(kept: &KeptRun) -> String {
    let what: Value = serde_json::json!([CODE, kept.to, kept.parts, kept.counted]);
    encode_hex(&Sha256::digest(what.to_string()))
}
