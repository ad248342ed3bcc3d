//! The results of rehearsed files, for people.

use crate::cli::GlobalOptions;
use crate::report::words::rehearsal::{NOTICED, directory, few, noticed, said, time, treated};
use crate::text::escape::escape_control;
use crate::upgrade::MigrationOutcome;
use crate::upgrade::rehearsal::{FileResult, MigrationRehearsal};

use super::outcome::style as outcome_style;
use crate::terminal::page::Page;
use crate::terminal::style::{DIM, NAME, PLAIN, paint};
use crate::text::humanize::{format_bytes, pluralize};

/// More files than these are not all listed, unless asked with `-v`.
const LISTED: usize = 10;

/// The files, and then what needs attention.
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
            Some(file) if column == 1 => outcome_style(file.outcome),
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

/// The parts of a file that need attention.
fn notes(file: &FileResult, page: Page) -> String {
    let pairs = said(file);
    if pairs.is_empty() {
        return String::new();
    }
    format!("{}\n{}", paint(NAME, escape_control(&file.name)), page.pairs(&pairs, 2))
}
