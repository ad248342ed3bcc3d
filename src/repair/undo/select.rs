//! Which runs an undo reverses, or why it cannot.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::error::user_error;
use crate::repair::ledger::AppliedRun;

/// The runs that undoing `wanted` reverses, the newest first: the run, or all of the series of batches that it is the first of.
/// Runs that were undone and still keep rows are meant only where no other is left.
pub fn runs_to_undo(runs: &[AppliedRun], wanted: i64) -> Result<Vec<i64>> {
    let run = choose_run(runs, wanted)?;
    let of_series = || runs.iter().filter(|one| one.run == wanted || one.series == Some(wanted));
    let not_undone: Vec<i64> = of_series().filter(|one| one.undone_at.is_none()).map(|one| one.run).collect();
    let left: Vec<i64> = of_series().filter(|one| one.keeps_left_rows()).map(|one| one.run).collect();
    let mut numbers = match (not_undone.as_slice(), left.as_slice()) {
        ([], []) => vec![run.run],
        ([], _) => left,
        _ => not_undone,
    };
    numbers.sort_by_key(|number| std::cmp::Reverse(*number));
    Ok(numbers)
}

/// Finds the run, or says why it cannot be undone.
///
/// # Errors
/// When there is no such run, it was undone or closed, is of another schema, upstream has changed the same objects since,
/// or a later run touched the same tables.
pub fn select_run(runs: &[AppliedRun], wanted: i64, schema: &str) -> Result<AppliedRun> {
    let see = "evodoctor history lists the runs";
    let run = choose_run(runs, wanted)?;
    if let Some(when) = run.undone_at.as_ref().filter(|_| !run.keeps_left_rows()) {
        return Err(user_error(format!("run {wanted} was undone already, at {when}"), see));
    }
    if let Some(when) = &run.pruned_at {
        return Err(user_error(
            format!("run {wanted} was pruned at {when}: the rows that it kept are gone"),
            see,
        ));
    }
    if let Some(when) = &run.closed_at {
        return Err(user_error(
            format!("run {wanted} was closed at {when}: an upgrade has changed what it repaired"),
            format!("what it keeps is in \"evodoctor\".\"quarantine\" (\"run\" = {wanted}); {see}"),
        ));
    }
    if run.target_schema != schema {
        return Err(user_error(
            format!("run {wanted} changed schema {:?}, not {schema:?}", run.target_schema),
            format!("name it: evodoctor undo {wanted} --schema {:?}", run.target_schema),
        ));
    }
    if run.undone_at.is_some() {
        // What it changed in the schema is reversed, and rows are brought back one by one.
        return Ok(run.clone());
    }
    if !run.superseded_by.is_empty() {
        return Err(user_error(
            format!(
                "run {wanted} has been superseded: {} changed the same objects since, and undoing it would \
                 remove what the newer release needs",
                run.superseded_by.join(", ")
            ),
            "close it: evodoctor fix EVO307 --apply; what it keeps stays in the quarantine",
        ));
    }
    let tables: BTreeSet<&String> = run.fixes.iter().flat_map(|fix| &fix.tables).collect();
    let later = runs.iter().filter(|r| r.run > wanted && r.undone_at.is_none() && r.target_schema == schema);
    let on_top: Vec<String> = later
        .filter(|r| r.fixes.iter().flat_map(|fix| &fix.tables).any(|table| tables.contains(table)))
        .map(|r| r.run.to_string())
        .collect();
    if let Some(newest) = on_top.first() {
        return Err(user_error(
            format!("run {} changed the same tables after run {wanted}", on_top.join(" and run ")),
            format!("undo the newest first: evodoctor undo {newest}"),
        ));
    }
    Ok(run.clone())
}

fn choose_run(runs: &[AppliedRun], wanted: i64) -> Result<&AppliedRun> {
    runs.iter().find(|run| run.run == wanted).ok_or_else(|| {
        user_error(
            format!("there is no run {wanted} in this database's ledger"),
            "evodoctor history lists the runs",
        )
    })
}
