//! What a fix or an undo did, or would do, for a person at a terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cli::Common;
use crate::repair::plan::FixPlan;
use crate::repair::quarantine::RowAction;
use crate::requests::shown::visible;

use super::check::undecided;
use super::layout::Page;
use super::paint::{self, ERROR, GOOD, NAME, WARNING, paint};
use super::rows;
use super::{Change, Report};
use crate::units::{number, time};

pub(super) fn human(report: &Report, change: &Change, common: &Common, page: Page) -> String {
    let mut out = String::new();
    if change.fixes.is_empty() && change.left.is_empty() {
        out.push_str(&paint(GOOD, "nothing to do\n"));
        out.push_str(&undecided(report, page));
        return out;
    }
    if !common.quiet {
        for fix in &change.fixes {
            out.push_str(&one_fix(fix, page));
        }
        for finding in &change.left {
            let what = paint(NAME, format!("{} {}", finding.code, visible(&finding.subject)));
            out.push_str(&page.wrap(&format!("{} {what}", paint(WARNING, "left to you:")), 0));
            out.push_str(&page.wrap(&visible(&finding.detail), 2));
            out.push('\n');
        }
        out.push_str(&undecided(report, page));
    }
    let what = if report.command == "undo" { "undone" } else { "applied" };
    match change.run.id {
        Some(run) if change.run.applied => {
            out.push_str(&paint(GOOD, format!("{what}: run {run}, committed\n")));
        }
        _ if change.fixes.is_empty() => {}
        _ => {
            let plan = &change.plan_hash[..12];
            let how = format!("rehearsed and rolled back: nothing has been changed (plan {plan})");
            out.push_str(&page.wrap(&paint(GOOD, how), 0));
        }
    }
    for next in &change.next {
        let (command, what) = next.split_once("    ").unwrap_or((next, ""));
        out.push_str(&page.next(&format!("{command}{}", common.again()), what, 0));
    }
    out
}

fn one_fix(fix: &FixPlan, page: Page) -> String {
    let hazards = if fix.hazards.is_empty() { "none".to_owned() } else { fix.hazards.join(", ") };
    let mut out = format!("{}\n", paint(NAME, format!("{} {}", fix.code, fix.name)));
    let mut pairs =
        vec![("fix", format!("version {}, {}", fix.version, fix.applicability)), ("hazards", hazards)];
    pairs.extend(fix.notes.iter().map(|note| ("note", note.clone())));
    out.push_str(&page.pairs(&pairs, 2));
    if !fix.row_diff.is_empty() {
        out.push_str(&title("rows"));
        let rows: Vec<Vec<String>> = fix
            .row_diff
            .iter()
            .map(|diff| {
                let action = match diff.action {
                    RowAction::Changed => format!("changed: {}", diff.columns.join(", ")),
                    other => other.as_str().to_owned(),
                };
                vec![diff.table.clone(), action, number(diff.count), diff.reason.clone()]
            })
            .collect();
        let style = |row: usize, column: usize| match fix.row_diff.get(row).map(|diff| diff.action) {
            Some(RowAction::Removed) if column == 1 => paint::REMOVED,
            Some(RowAction::Changed) if column == 1 => paint::CHANGED,
            Some(RowAction::Restored) if column == 1 => paint::ADDED,
            _ => paint::PLAIN,
        };
        out.push_str(&page.painted_table(&["table", "action", "rows", "because"], &rows, 4, style));
        out.extend(fix.row_diff.iter().map(|diff| rows::samples(diff, page, 4)));
    }
    if !fix.schema_diff.is_empty() {
        out.push_str(&title("schema"));
        let painted = |line: &str| format!("    {}\n", paint(paint::diff(line), visible(line)));
        out.extend(fix.schema_diff.lines().map(painted));
    }
    if !fix.statements.is_empty() {
        out.push_str(&title("statements"));
        for statement in &fix.statements {
            out.push_str(&one_statement(statement));
        }
    }
    if !fix.after_commit.is_empty() {
        out.push_str(&title("after the commit, while others read and write"));
        for statement in &fix.after_commit {
            out.push_str(&one_statement(statement));
        }
    }
    if !fix.locks.is_empty() {
        out.push_str(&title("locks"));
        out.push_str(&locks(fix, page));
    }
    out.push('\n');
    out
}

fn title(what: &str) -> String {
    format!("\n  {}\n", paint(NAME, what))
}

/// The locks, those of one mode and as long in one row; the strongest, which keep everybody waiting, first.
fn locks(fix: &FixPlan, page: Page) -> String {
    let mut alike: BTreeMap<(&str, u64), Vec<&str>> = BTreeMap::new();
    for lock in &fix.locks {
        alike.entry((&lock.mode, lock.held_ms)).or_default().push(&lock.table);
    }
    let strongest = |mode: &str| mode == "AccessExclusiveLock";
    let row = |((mode, held_ms), tables): (&(&str, u64), &Vec<&str>)| {
        vec![(*mode).to_owned(), time(Duration::from_millis(*held_ms)), tables.join(", ")]
    };
    let rows: Vec<Vec<String>> = alike.iter().map(row).collect();
    let style = |row: usize, column: usize| match rows.get(row).and_then(|row| row.first()) {
        Some(mode) if column == 0 && strongest(mode) => ERROR,
        _ => paint::PLAIN,
    };
    page.painted_table(&["mode", "held", "tables"], &rows, 4, style)
}

/// A statement in full, or of a long one the first line: the rows it treats stand above.
fn one_statement(statement: &str) -> String {
    const LONG: usize = 6;
    let lines: Vec<&str> = statement.lines().collect();
    if lines.len() > LONG {
        let first = lines.first().copied().unwrap_or_default();
        return format!("    {} …  -- the rows above; in full with --format json\n", visible(first));
    }
    let text = lines.iter().map(|line| format!("    {}", visible(line))).collect::<Vec<_>>().join("\n");
    format!("{text};\n")
}
