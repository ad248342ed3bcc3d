//! The applied runs, what is kept of them, and what pruning drops, in words.

use std::time::Duration;

use crate::repair::ledger::AppliedRun;
use crate::repair::prune::{LedgerStorage, PrunePlan};
use crate::text::humanize::{format_bytes, format_count, pluralize};

/// An age in days, or in hours where it is less than two days.
pub fn age(seconds: i64) -> String {
    let hours = Duration::from_secs(seconds.max(0).unsigned_abs()).as_secs() / 3600;
    match hours {
        0 => "less than an hour".to_owned(),
        1..48 => pluralize(usize::try_from(hours).unwrap_or_default(), "hour"),
        hours => pluralize(usize::try_from(hours / 24).unwrap_or_default(), "day"),
    }
}

/// A time of the ledger, which is in UTC, to the minute: `2026-11-29 05:32`.
pub fn minute(time: &str) -> String {
    time.get(..16)
        .filter(|_| time.ends_with('Z'))
        .map_or_else(|| time.to_owned(), |minute| minute.replace('T', " "))
}

/// A time of the ledger to the day: `2026-11-29`.
pub fn day(time: &str) -> String {
    time.get(..10).unwrap_or(time).to_owned()
}

/// Returns the amount that is kept, in a line.
pub fn storage(storage: &LedgerStorage) -> String {
    let oldest = storage.oldest_seconds.map(|seconds| format!(", the oldest for {}", age(seconds)));
    format!(
        "the schema \"evodoctor\" takes {} and keeps {} {}{}",
        format_bytes(storage.bytes),
        format_count(storage.rows),
        if storage.rows == 1 { "row" } else { "rows" },
        oldest.unwrap_or_default()
    )
}

/// The dropped rows, the rows that stay, and why.
pub fn lines(plan: &PrunePlan) -> Vec<String> {
    let what = || {
        let runs: Vec<String> = plan.runs.iter().map(i64::to_string).collect();
        let rows = if plan.rows == 1 { "row" } else { "rows" };
        format!(
            "{} {rows} ({}) of {} {}",
            format_count(plan.rows),
            format_bytes(plan.bytes),
            if runs.len() == 1 { "run" } else { "runs" },
            runs.join(", ")
        )
    };
    let first = match (plan.runs.is_empty(), plan.applied) {
        (true, _) => "nothing to prune".to_owned(),
        (false, true) => format!("pruned: {}", what()),
        (false, false) => format!("would drop for good: {}; nothing has been changed", what()),
    };
    let left = plan.left.iter().map(|left| format!("run {} {}", left.run, left.reason));
    [first].into_iter().chain(left).collect()
}

/// When a run was undone, or why it cannot be; `shown` is the format of times.
pub fn ended(run: &AppliedRun, shown: fn(&str) -> String) -> String {
    match (&run.undone_at, &run.closed_at) {
        (Some(undone), _) => undone_at(&shown(undone), &[run]),
        (None, Some(closed)) if run.pruned_at.is_some() => format!("pruned {}", shown(closed)),
        (None, Some(closed)) => format!("closed {}", shown(closed)),
        (None, None) if run.superseded_by.is_empty() => "no".to_owned(),
        (None, None) => format!("superseded by {}", run.superseded_by.join(", ")),
    }
}

/// When runs were undone, and how many of their rows could not come back.
pub fn undone_at(when: &str, runs: &[&AppliedRun]) -> String {
    let left = runs.iter().filter(|run| run.keeps_left_rows()).map(|run| run.quarantined).sum::<i64>();
    match left {
        0 => when.to_owned(),
        rows => format!("{when}, without {}", pluralize(rows, "row")),
    }
}
