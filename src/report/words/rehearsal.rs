//! The results of rehearsed files, in words.

use std::time::Duration;

use crate::repair::locks::HeldLock;
use crate::text::escape::escape_control;
use crate::text::humanize::{format_count, format_duration, pluralize};
use crate::upgrade::MigrationOutcome;
use crate::upgrade::rehearsal::table_snapshot::RowCounts;
use crate::upgrade::rehearsal::{FailedStatement, FileResult, MigrationRehearsal};

/// Tables, locks or files that a line names; more are counted.
const NAMED: usize = 3;

/// Below this, in milliseconds, a lock is not noticeable.
pub const NOTICED: u64 = 100;

/// The locks that keep Evolution's own statements waiting.
const BLOCKING: [&str; 4] = ["ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"];

/// The whole rehearsal in a sentence.
pub fn summary(rehearsal: &MigrationRehearsal, to: &str) -> String {
    let files = &rehearsal.files;
    let newest = files.last().filter(|file| file.release.is_none());
    let to = newest.map_or_else(|| format!("to {to}"), |file| format!("to {}", escape_control(&file.name)));
    let has = |outcome| files.iter().filter(|file| file.outcome == outcome).count();
    let mut parts = Vec::new();
    match files.iter().find(|file| file.outcome == MigrationOutcome::Fails) {
        Some(file) => {
            let first = file.errors.first();
            let sqlstate = first.and_then(|refused| refused.sqlstate.as_deref()).unwrap_or("an error");
            let line = first.map_or(0, |refused| refused.line);
            parts.push(format!("{} FAILS with {sqlstate} in line {line}", escape_control(&file.name)));
            parts.push("Prisma stops there".to_owned());
        }
        None if files.is_empty() => parts.push("no file is pending".to_owned()),
        None if has(MigrationOutcome::Undecided) > 0 => {
            parts.push(format!(
                "{} could not be rehearsed completely",
                pluralize(has(MigrationOutcome::Undecided), "file")
            ));
        }
        None => parts.push("all of them pass".to_owned()),
    }
    if has(MigrationOutcome::LosesData) > 0 {
        parts.push("data is lost".to_owned());
    }
    let differing = files.iter().filter(|file| !file.differences.is_empty()).count();
    if differing > 0 {
        parts.push(format!("{} not as predicted", pluralize(differing, "file")));
    }
    format!("{to}: {} rehearsed; {}", pluralize(files.len(), "pending file"), parts.join("; "))
}

/// The locks that block Evolution for a noticeable time.
pub fn noticed(file: &FileResult) -> impl Iterator<Item = String> + '_ {
    let is_noticed = |lock: &&HeldLock| lock.held_ms >= NOTICED && BLOCKING.contains(&lock.mode.as_str());
    file.locks.iter().filter(is_noticed).map(|lock| {
        let table = lock.table.rsplit('.').next().unwrap_or_default().trim_matches('"');
        format!("{table} {} {}", lock.mode.trim_end_matches("Lock"), time(lock.held_ms))
    })
}

/// The changes to rows of a table, in words.
pub fn treated(rows: &RowCounts) -> String {
    let parts = [
        (rows.inserted, "added"),
        (rows.updated, "changed"),
        (rows.removed, "removed"),
        (rows.values_dropped, "values dropped"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", format_count(n))).collect();
    parts.join(", ")
}

/// The first of them, and how many more there are.
pub fn few(mut parts: Vec<String>) -> String {
    let more = parts.len().saturating_sub(NAMED);
    parts.truncate(NAMED);
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    parts.join("; ")
}

/// The parts of a file that need attention, as labels and texts.
pub fn said(file: &FileResult) -> Vec<(&'static str, String)> {
    let mut pairs: Vec<(&str, String)> = Vec::new();
    for refused in file.errors.iter().take(NAMED) {
        pairs.push(("error", error(refused)));
        pairs.push(("statement", refused.statement.clone()));
        if let Some(meaning) = meaning(refused) {
            pairs.push(("means", meaning.to_owned()));
        }
    }
    if file.errors.len() > NAMED {
        pairs.push(("error", format!("and {} more in --format json", file.errors.len() - NAMED)));
    }
    for one in file.not_rehearsed.iter().take(NAMED) {
        pairs.push(("not run", format!("line {}: {}; {}", one.line, one.statement, one.reason)));
    }
    for line in &file.commits {
        let text = format!("line {line} commits: if the file fails later, the statements before it stay");
        pairs.push(("commits", text));
    }
    for slow in file.slow.iter().filter(|slow| slow.duration_ms >= 1000) {
        pairs.push(("slow", format!("line {}, {}: {}", slow.line, time(slow.duration_ms), slow.statement)));
    }
    pairs.extend(file.differences.iter().map(|difference| ("differs", difference.clone())));
    if let Some(predicted) = file.predicted.as_ref().filter(|_| !file.errors.is_empty()) {
        if file.differences.is_empty() {
            pairs.push(("predicted", "as it happened".to_owned()));
        }
        pairs.extend(predicted.hazards.iter().map(|code| ("next", format!("evodoctor explain {code}"))));
    } else if !file.errors.is_empty() {
        pairs.push((
            "next",
            "correct what the error names, then rehearse again; do not upgrade before".to_owned(),
        ));
    }
    pairs
}

fn error(refused: &FailedStatement) -> String {
    let sqlstate = refused.sqlstate.as_ref().map(|sqlstate| format!("{sqlstate} ")).unwrap_or_default();
    let detail = refused.detail.as_ref().map(|detail| format!("; {detail}")).unwrap_or_default();
    let kept = refused
        .committed_up_to
        .map(|line| format!("; the statements before the COMMIT in line {line} stay"))
        .unwrap_or_default();
    format!("line {}: {sqlstate}{}{detail}{kept}", refused.line, refused.message)
}

fn meaning(refused: &FailedStatement) -> Option<&'static str> {
    Some(match refused.sqlstate.as_deref()? {
        "42501" => "this role lacks the right: rehearse as the role that Evolution connects as",
        "25001" => "Prisma sends the file as one transaction, in which this cannot run: it fails there, too",
        "42P07" | "42701" | "42710" => {
            "what the file creates exists already: prisma db push or a person created it"
        }
        "42P01" | "42703" | "42704" => "what the file alters does not exist: it was renamed or removed",
        "2BP01" | "0A000" => {
            "an object of yours depends on what the file drops or alters: drop it before the upgrade, \
             create it again after"
        }
        "23505" => "there are duplicate rows where the file makes them unique: merge them before the upgrade",
        "23502" => "there are rows without a value where the file requires one",
        "22001" => "a value is longer than the column will be",
        _ => return None,
    })
}

/// The applied migrations compared with the folder.
pub fn directory(rehearsal: &MigrationRehearsal) -> Vec<String> {
    let mut lines = Vec::new();
    if !rehearsal.missing.is_empty() {
        lines.push(format!(
            "{} not in this folder ({}): Prisma ignores that",
            pluralize(rehearsal.missing.len(), "applied migration"),
            few(rehearsal.missing.clone())
        ));
    }
    if !rehearsal.changed.is_empty() {
        let names = rehearsal.changed.iter().map(|changed| changed.name.clone()).collect();
        lines.push(format!(
            "{} applied with other content than this folder has ({}): Prisma does not compare them, \
             and runs none of them again",
            pluralize(rehearsal.changed.len(), "migration"),
            few(names)
        ));
    }
    let is_altered = |file: &&FileResult| file.release.is_some() && file.content.is_none();
    let altered: Vec<String> =
        rehearsal.files.iter().filter(is_altered).map(|file| file.name.clone()).collect();
    if !altered.is_empty() {
        lines.push(format!(
            "{} with content that no known release shipped ({}): the predictions are about the releases' content",
            pluralize(altered.len(), "pending file"),
            few(altered)
        ));
    }
    lines
}

/// Milliseconds, for people.
pub fn time(milliseconds: u64) -> String {
    format_duration(Duration::from_millis(milliseconds))
}
