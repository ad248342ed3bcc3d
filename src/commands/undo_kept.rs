//! `evodoctor undo` of a run that kept what an upgrade destroys, and `--into-schema` of any run.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use sqlx::postgres::PgConnection;

use super::shared::apply::{self, dry_run_with_retry};
use super::shared::connect::DatabaseContext;
use crate::cli::{self, GlobalOptions};
use crate::database::catalog::{self, Catalog};
use crate::database::query::{execute, execute_file};
use crate::database::sql_file::Variables;
use crate::error::user_error;
use crate::evolution::release::MigrationHistory;
use crate::exit_code::Exit;
use crate::repair::ledger::AppliedRun;
use crate::repair::locks::{self, LockRetry};
use crate::repair::plan::{DatabaseIdentity, FixPlan, FixTiming, plan_hash};
use crate::repair::privileges::{self, RequiredPrivileges};
use crate::repair::quarantine::{Quarantine, RowDiff};
use crate::repair::work_tables::run_file;
use crate::report::{Change, RunInfo};
use crate::rules::rule::Applicability;
use crate::text::shell;
use crate::upgrade::keep::bring_back::{BringingBack, BroughtBack};
use crate::upgrade::keep::copy::kept_by;
use crate::upgrade::keep::lay_out::lay_out;
use crate::upgrade::keep::{CODE, KeptRun};

/// The run, and what it kept; `None` where it is no such run.
///
/// # Errors
/// When the run was undone already, or is about another schema.
pub fn find(opened: &DatabaseContext, runs: &[AppliedRun], wanted: i64) -> Result<Option<KeptRun>> {
    let Some(run) = runs.iter().find(|run| run.run == wanted) else { return Ok(None) };
    let Some(kept) = kept_by(run) else { return Ok(None) };
    if let Some(when) = &run.undone_at {
        return Err(user_error(
            format!("run {wanted} was undone already, at {when}"),
            "evodoctor history lists the runs",
        ));
    }
    if run.target_schema != opened.schema {
        return Err(user_error(
            format!("run {wanted} is about schema {:?}, not {:?}", run.target_schema, opened.schema),
            format!("name it: evodoctor undo {wanted} --schema {:?}", run.target_schema),
        ));
    }
    Ok(Some(kept))
}

/// Brings back what fits into the newer tables.
///
/// # Errors
/// When rows or roles stand in the way, or the connection is lost. Nothing is changed then.
pub async fn run(
    opened: &mut DatabaseContext,
    number: i64,
    kept: &KeptRun,
    args: &cli::UndoArgs,
    common: &GlobalOptions,
) -> Result<Exit> {
    let subject = opened.change_target();
    let lock_retry = LockRetry::new(args.waiting.wait).dry_run(!args.apply);
    let done = dry_run_with_retry(opened, &subject, lock_retry, async |connection, attempt| {
        locks::begin_change(connection, attempt.moment).await?;
        let catalog = Catalog::read(connection, &subject.schema).await?;
        subject.expect_release(connection, &catalog).await?;
        expect_privileges(&catalog, &subject.server, kept)?;
        let history = catalog::migration_history(connection, &catalog).await?;
        let applied = history.map(|rows| MigrationHistory::from_rows(&rows).applied).unwrap_or_default();
        let work = BringingBack { catalog: &catalog, run: number, applied: &applied, writes: args.apply };
        let done = work.bring_back(connection, kept).await?;
        if args.apply && done.stays.is_empty() {
            let_go(connection, number, kept).await?;
        }
        Ok(done)
    })
    .await?;
    let BroughtBack { rows, stays, statements } = done;
    let is_over = stays.is_empty();
    let mut next = Vec::new();
    if args.apply {
        let (run, counts) = (number, is_over);
        apply::commit_transaction(opened, run, |one| one.run == run && (!counts || one.undone_at.is_some()))
            .await?;
        next.push("evodoctor check".to_owned());
    } else {
        apply::roll_back(opened).await?;
        if !rows.is_empty() {
            next.push(format!("evodoctor undo {} --apply", number));
        }
    }
    if !is_over {
        next.push(format!(
            "evodoctor undo {} --into-schema NAME --apply    writes what stays kept into tables",
            number
        ));
    }
    let is_pending = !rows.is_empty() && !args.apply;
    let notes = stays.into_iter().collect();
    let plan = plan(CODE, &format!("before-{}", kept.to), rows, statements, notes);
    print(opened, plan, number, args.apply, next, common)?;
    Ok(if is_pending { Exit::Findings } else { Exit::Clean })
}

/// Writes the rows of a run into tables.
///
/// # Errors
/// When there is no such run, or the schema exists.
pub async fn into_schema(
    opened: &mut DatabaseContext,
    runs: &[AppliedRun],
    number: i64,
    schema: &str,
    args: &cli::UndoArgs,
    common: &GlobalOptions,
) -> Result<Exit> {
    let subject = opened.change_target();
    // The first run of a series of batches stands for all of them.
    let is_it = |run: &&AppliedRun| run.run == number || run.series == Some(number);
    let runs: Vec<i64> = runs.iter().filter(is_it).map(|run| run.run).collect();
    if runs.is_empty() {
        return Err(user_error(
            format!("there is no run {} in this database's ledger", number),
            "evodoctor history lists the runs",
        ));
    }
    let lock_retry = LockRetry::new(args.waiting.wait).dry_run(!args.apply);
    let laid = dry_run_with_retry(opened, &subject, lock_retry, async |connection, attempt| {
        locks::begin_change(connection, attempt.moment).await?;
        lay_out(connection, &subject, &runs, schema).await
    })
    .await?;
    let mut next = Vec::new();
    if args.apply {
        let committed = execute(opened.session.connection(), "COMMIT".into()).await;
        committed.with_context(|| {
            format!(
                "the connection was lost while committing: if the schema {schema:?} exists now, it succeeded"
            )
        })?;
    } else {
        apply::roll_back(opened).await?;
        next.push(format!("evodoctor undo {number} --into-schema {} --apply", shell::quote(schema)));
    }
    let notes = BTreeSet::from([format!(
        "the tables of {schema} are copies: drop them when you no longer need them (DROP SCHEMA … CASCADE); \
         the quarantine keeps its rows"
    )]);
    let plan = plan("into-schema", schema, laid.rows, laid.statements, notes);
    print(opened, plan, number, args.apply, next, common)?;
    Ok(if args.apply { Exit::Clean } else { Exit::Findings })
}

fn expect_privileges(
    catalog: &Catalog,
    server: &crate::database::catalog::ServerInfo,
    kept: &KeptRun,
) -> Result<()> {
    let tables = kept.parts.iter().map(|part| part.part.table.clone());
    let tables: BTreeSet<String> = tables.filter(|table| catalog.tables.contains_key(table)).collect();
    let need = RequiredPrivileges::new(CODE, tables.into_iter().collect(), std::iter::empty::<&String>());
    privileges::expect_privileges(catalog, &server.role, &server.database, &[need])
}

/// Drops the copies: all of it is back, or was never gone.
async fn let_go(connection: &mut PgConnection, run: i64, kept: &KeptRun) -> Result<()> {
    for part in &kept.parts {
        let variables = Variables::default().sql("kept", Quarantine::name(&part.relation));
        run_file(connection, "sql/quarantine/drop.sql", &variables).await?;
    }
    let variables = Variables::default().text("run", run.to_string()).text("left", "[]");
    execute_file(connection, "sql/ledger/close_run.sql", &variables).await
}

fn plan(
    code: &str,
    name: &str,
    row_diff: Vec<RowDiff>,
    statements: Vec<String>,
    notes: BTreeSet<String>,
) -> FixPlan {
    let rows = row_diff.iter().map(|diff| diff.count).sum();
    let changes = row_diff.iter().any(|diff| !diff.columns.is_empty());
    let plan = FixPlan {
        code: code.to_owned(),
        name: name.to_owned(),
        version: 1,
        checksum: String::new(),
        applicability: Applicability::Quarantine,
        hazards: if changes { vec!["changes-rows".to_owned()] } else { Vec::new() },
        notes: notes.into_iter().collect(),
        statements,
        after_commit: Vec::new(),
        schema_diff: String::new(),
        row_diff,
        left_rows: Vec::new(),
        locks: Vec::new(),
        timing: FixTiming { rows, ..FixTiming::default() },
        base: String::new(),
        plan_hash: String::new(),
    };
    plan.with_hash()
}

fn print(
    opened: &DatabaseContext,
    plan: FixPlan,
    run: i64,
    applied: bool,
    next: Vec<String>,
    common: &GlobalOptions,
) -> Result<()> {
    let identity = DatabaseIdentity::from_server(&opened.server, &opened.schema);
    let fixes = vec![plan];
    let change = Change {
        run: RunInfo { id: Some(run), applied, batches: Vec::new() },
        plan_hash: plan_hash(&identity, &fixes, &[]),
        fixes,
        next,
        pending: Vec::new(),
        left: Vec::new(),
    };
    apply::print_undo(opened, change, common)
}
