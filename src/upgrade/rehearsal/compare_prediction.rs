//! Compares the result with the prediction, and creates findings from the differences.

use std::collections::BTreeSet;

use super::{FileResult, MigrationRehearsal, PredictedOutcome};
use crate::rules::finding::{CheckOutcome, CheckReport, Finding};
use crate::rules::rehearsal::{FAILS, LOSES, rehearsal_rule};
use crate::upgrade::{MigrationOutcome, PendingMigration, Preflight};

/// Fills in what was predicted of each file, and which of them Prisma reaches.
pub fn compare_prediction(rehearsal: &mut MigrationRehearsal, preflight: &Preflight) {
    let mut reaches = preflight.starts;
    for file in &mut rehearsal.files {
        file.reached = reaches;
        reaches &= file.outcome != MigrationOutcome::Fails;
        if let Some(pending) = preflight.pending.iter().find(|pending| pending.name == file.name) {
            file.differences = differences(file, pending);
            file.predicted = Some(PredictedOutcome::of(pending));
        }
    }
}

fn differences(file: &FileResult, pending: &PendingMigration) -> Vec<String> {
    if pending.outcome == MigrationOutcome::Undecided || file.outcome == MigrationOutcome::Undecided {
        return Vec::new();
    }
    let failed = file.errors.first();
    let mut differences = Vec::new();
    match (pending.outcome == MigrationOutcome::Fails, failed) {
        (true, None) => differences.push(format!(
            "predicted to fail with {}, and passed",
            pending.sqlstate.as_deref().unwrap_or("an error")
        )),
        (false, Some(refused)) => differences.push(format!(
            "predicted to pass, and failed with {}",
            refused.sqlstate.as_deref().unwrap_or("an error")
        )),
        (true, Some(refused)) if refused.sqlstate != pending.sqlstate => differences.push(format!(
            "predicted to fail with {}, and failed with {}",
            pending.sqlstate.as_deref().unwrap_or("an error"),
            refused.sqlstate.as_deref().unwrap_or("an error")
        )),
        _ => {}
    }
    // What a failed file did up to there is undone.
    if failed.is_none() {
        let predicted = |table: &str| {
            let of_table = pending.rows.iter().filter(|rows| rows.table == table);
            of_table.filter(|rows| rows.action == "removes-rows").map(|rows| rows.count).sum::<i64>()
        };
        let tables: BTreeSet<&String> =
            pending.rows.iter().map(|rows| &rows.table).chain(file.rows.keys()).collect();
        for table in tables {
            let seen = file.rows.get(table).map_or(0, |rows| rows.removed);
            if seen != predicted(table) {
                let predicted = predicted(table);
                differences.push(format!("predicted to remove {predicted} of {table}, and removed {seen}"));
            }
        }
    }
    differences
}

/// The findings of the rehearsal, and the outcome of its two rules.
pub fn findings(rehearsal: &MigrationRehearsal) -> (Vec<CheckReport>, Vec<Finding>) {
    let files = &rehearsal.files;
    let failures: Vec<Finding> = files.iter().filter_map(failure).collect();
    let losses: Vec<Finding> = files.iter().flat_map(losses).collect();
    let left_out: Vec<String> = files
        .iter()
        .filter_map(|file| {
            let first = file.not_rehearsed.first()?;
            Some(format!("{} line {}: {}", file.name, first.line, first.reason))
        })
        .collect();
    let reason = (!left_out.is_empty()).then(|| left_out.join("; "));
    let duration_ms = files.iter().map(|file| file.duration_ms).sum();
    let report = |code: &str, found: &[Finding], reason: Option<String>| CheckReport {
        code: code.to_owned(),
        name: rehearsal_rule(code).name.clone(),
        outcome: match (found.is_empty(), &reason) {
            (false, _) => CheckOutcome::Found,
            (true, None) => CheckOutcome::Clean,
            (true, Some(_)) => CheckOutcome::Undecided,
        },
        reason,
        duration_ms,
    };
    let checks = vec![report(FAILS, &failures, reason), report(LOSES, &losses, None)];
    (checks, failures.into_iter().chain(losses).collect())
}

fn failure(file: &FileResult) -> Option<Finding> {
    let first = file.errors.first()?;
    let sqlstate = first.sqlstate.as_deref().unwrap_or("no SQLSTATE");
    let mut detail = format!("line {} of its file: {} ({sqlstate})", first.line, first.message);
    if let Some(more) = &first.detail {
        detail.push_str(&format!("; {more}"));
    }
    if let Some(line) = first.committed_up_to {
        detail.push_str(&format!("; the statements before its COMMIT in line {line} stay"));
    }
    let hazards = file.predicted.as_ref().map(|predicted| predicted.hazards.join(", ")).unwrap_or_default();
    if !hazards.is_empty() {
        detail.push_str(&format!("; what to do before: {hazards}"));
    }
    let mut finding = Finding::new(rehearsal_rule(FAILS), file.name.clone(), detail);
    finding.count = i64::try_from(file.errors.len()).unwrap_or(i64::MAX);
    finding.extra.insert("migration", file.name.as_str().into());
    finding.extra.insert("sqlstate", first.sqlstate.as_deref().into());
    finding.extra.insert("line", first.line.into());
    Some(finding)
}

/// A loss that a hazard already reports is not reported again.
fn losses(file: &FileResult) -> Vec<Finding> {
    let is_known = file.differences.is_empty()
        && file.predicted.as_ref().is_some_and(|predicted| !predicted.hazards.is_empty());
    if is_known || !file.errors.is_empty() {
        return Vec::new();
    }
    let one = |(table, rows): (&String, &super::table_snapshot::RowCounts)| {
        let mut parts = Vec::new();
        if rows.removed > 0 {
            parts.push(format!("removes {} rows", rows.removed));
        }
        if rows.values_dropped > 0 {
            parts.push(format!("drops columns with {} values", rows.values_dropped));
        }
        let detail = format!("migration {} {}", file.name, parts.join(" and "));
        let mut finding = Finding::new(rehearsal_rule(LOSES), table.clone(), detail);
        finding.count = rows.removed + rows.values_dropped;
        finding.key = format!("{} {table}", file.name);
        finding.extra.insert("migration", file.name.as_str().into());
        finding
    };
    file.losses().map(one).collect()
}
