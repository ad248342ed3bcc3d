//! What the rehearsed files did, for people.

use std::time::Duration;

use crate::cli::GlobalOptions;
use crate::repair::locks::HeldLock;
use crate::text::escape::escape_control;
use crate::upgrade::MigrationOutcome;
use crate::upgrade::rehearsal::table_snapshot::RowCounts;
use crate::upgrade::rehearsal::{FailedStatement, FileResult, MigrationRehearsal};

use crate::terminal::page::Page;
use crate::terminal::style::{DIM, NAME, PLAIN, paint};
use crate::text::humanize::{self, format_bytes, format_count, pluralize};

/// More files than these are not all listed, unless asked with `-v`.
const LISTED: usize = 10;

/// Tables or locks that a row of the table names.
const NAMED: usize = 3;

/// Below this, in milliseconds, nobody notices a lock.
const NOTICED: u64 = 100;

/// The locks that keep Evolution's own statements waiting.
const BLOCKING: [&str; 4] = ["ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"];

/// The files, and then whatever somebody has to look at.
pub fn human(rehearsal: &MigrationRehearsal, common: &GlobalOptions, page: Page) -> String {
    let how = match rehearsal.committed {
        true => "each committed on a throwaway copy",
        false => "in one transaction that was rolled back",
    };
    let mut out = page.wrap(
        &escape_control(&format!(
            "rehearsed: {} from {}, {how}",
            pluralize(rehearsal.files.len(), "pending file"),
            rehearsal.directory.display()
        )),
        0,
    );
    let is_listed =
        |file: &&FileResult| rehearsal.files.len() <= LISTED || common.verbose > 0 || !is_quiet(file);
    let listed: Vec<&FileResult> = rehearsal.files.iter().filter(is_listed).collect();
    if !listed.is_empty() {
        let rows: Vec<Vec<String>> = listed.iter().map(|file| row(file)).collect();
        let head = ["file", "outcome", "time", "rows", "locks", "written"];
        let style = |row: usize, column: usize| match listed.get(row) {
            Some(file) if column == 1 && !file.reached => DIM,
            Some(file) if column == 1 => crate::report::terminal::preflight::style(file.outcome),
            _ => PLAIN,
        };
        out.push_str(&page.painted_table(&head, &rows, 0, style));
    }
    let others = rehearsal.files.len() - listed.len();
    if others > 0 {
        let verb = if others == 1 { "passes" } else { "pass" };
        out.push_str(&format!("{others} more {verb} as predicted: -v lists them\n"));
    }
    for file in &rehearsal.files {
        out.push_str(&notes(file, page));
    }
    out.extend(directory(rehearsal).iter().map(|line| page.wrap(&escape_control(line), 0)));
    out.push('\n');
    out
}

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
                "{} could not be rehearsed whole",
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

fn is_quiet(file: &FileResult) -> bool {
    file.outcome == MigrationOutcome::Passes
        && file.duration_ms < NOTICED
        && file.differences.is_empty()
        && file.predicted.is_some()
}

fn row(file: &FileResult) -> Vec<String> {
    let outcome = match (file.outcome, file.errors.first()) {
        (MigrationOutcome::Fails, Some(refused)) => {
            format!("FAILS {} line {}", refused.sqlstate.as_deref().unwrap_or_default(), refused.line)
        }
        (MigrationOutcome::Undecided, _) => "in part".to_owned(),
        (MigrationOutcome::LosesData, _) => "loses data".to_owned(),
        _ => "ok".to_owned(),
    };
    let outcome = if file.reached { outcome } else { format!("not reached ({outcome})") };
    let rows = file.rows.iter().map(|(table, rows)| format!("{table}: {}", treated(rows)));
    vec![
        file.name.clone(),
        outcome,
        time(file.duration_ms),
        few(rows.collect()),
        few(noticed(file).collect()),
        format_bytes(file.wal_bytes.max(file.new_file_bytes)),
    ]
}

/// The locks that keep Evolution waiting long enough for somebody to notice.
pub(crate) fn noticed(file: &FileResult) -> impl Iterator<Item = String> + '_ {
    let is_noticed = |lock: &&HeldLock| lock.held_ms >= NOTICED && BLOCKING.contains(&lock.mode.as_str());
    file.locks.iter().filter(is_noticed).map(|lock| {
        let table = lock.table.rsplit('.').next().unwrap_or_default().trim_matches('"');
        format!("{table} {} {}", lock.mode.trim_end_matches("Lock"), time(lock.held_ms))
    })
}

/// What was done to rows of a table, in words.
pub(crate) fn treated(rows: &RowCounts) -> String {
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

fn few(mut parts: Vec<String>) -> String {
    let more = parts.len().saturating_sub(NAMED);
    parts.truncate(NAMED);
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    parts.join("; ")
}

/// What of a file needs a look.
fn notes(file: &FileResult, page: Page) -> String {
    let pairs = said(file);
    if pairs.is_empty() {
        return String::new();
    }
    format!("{}\n{}", paint(NAME, escape_control(&file.name)), page.pairs(&pairs, 2))
}

/// The same, as labels and texts.
pub(crate) fn said(file: &FileResult) -> Vec<(&'static str, String)> {
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
        let text = format!("line {line} commits: if the file fails afterwards, what stands before stays");
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
            "mend what the error names, then rehearse again; do not upgrade before".to_owned(),
        ));
    }
    pairs
}

fn error(refused: &FailedStatement) -> String {
    let sqlstate = refused.sqlstate.as_ref().map(|sqlstate| format!("{sqlstate} ")).unwrap_or_default();
    let detail = refused.detail.as_ref().map(|detail| format!("; {detail}")).unwrap_or_default();
    let kept = refused
        .committed_up_to
        .map(|line| format!("; what stands before the COMMIT in line {line} stays"))
        .unwrap_or_default();
    format!("line {}: {sqlstate}{}{detail}{kept}", refused.line, refused.message)
}

fn meaning(refused: &FailedStatement) -> Option<&'static str> {
    Some(match refused.sqlstate.as_deref()? {
        "42501" => "this role may not do it: rehearse as the role that Evolution connects as",
        "25001" => "Prisma sends the file as one transaction, in which this cannot run: it fails there, too",
        "42P07" | "42701" | "42710" => {
            "what the file makes is there already: prisma db push or somebody's hand made it before"
        }
        "42P01" | "42703" | "42704" => "what the file alters is not there: it was renamed or removed before",
        "2BP01" | "0A000" => {
            "something of yours hangs on what the file drops or alters: drop it before, make it after"
        }
        "23505" => "rows are there twice that have to be unique: merge them before",
        "23502" => "rows lack a value that has to be there",
        "22001" => "a value is longer than the column will be",
        _ => return None,
    })
}

/// What the folder says of the past.
pub(crate) fn directory(rehearsal: &MigrationRehearsal) -> Vec<String> {
    let mut lines = Vec::new();
    if !rehearsal.missing.is_empty() {
        lines.push(format!(
            "{} not in this folder ({}): Prisma does not mind",
            pluralize(rehearsal.missing.len(), "applied migration"),
            few(rehearsal.missing.clone())
        ));
    }
    if !rehearsal.changed.is_empty() {
        let names = rehearsal.changed.iter().map(|changed| changed.name.clone()).collect();
        lines.push(format!(
            "{} applied with other content than this folder has ({}): Prisma does not look, and runs none of it again",
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
pub(crate) fn time(milliseconds: u64) -> String {
    humanize::format_duration(Duration::from_millis(milliseconds))
}
