//! What a fix or an undo did, or would do, for a person at a terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cli::GlobalOptions;
use crate::repair::plan::FixPlan;
use crate::repair::quarantine::RowAction;
use crate::text::escape::escape_control;

use crate::report::terminal::check::undecided;
use crate::report::terminal::{keep, row_diff};
use crate::report::{Change, Report};
use crate::terminal::page::Page;
use crate::terminal::style::{self, ERROR, GOOD, NAME, WARNING, paint};
use crate::text::humanize::{format_count, format_duration};

pub(crate) fn human(report: &Report, change: &Change, common: &GlobalOptions, page: Page) -> String {
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
            let what = paint(NAME, format!("{} {}", finding.code, escape_control(&finding.subject)));
            out.push_str(&page.wrap(&format!("{} {what}", paint(WARNING, "left to you:")), 0));
            out.push_str(&page.wrap(&escape_control(&finding.detail), 2));
            out.push('\n');
        }
        out.push_str(&undecided(report, page));
    }
    let code = change.fixes.first().map(|fix| fix.code.as_str());
    let what = keep::outcome(report.command, code);
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
        out.push_str(&page.command_hint(&format!("{command}{}", common.connection_arguments()), what, 0));
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
                vec![diff.table.clone(), action, format_count(diff.count), diff.reason.clone()]
            })
            .collect();
        let style = |row: usize, column: usize| match fix.row_diff.get(row).map(|diff| diff.action) {
            Some(RowAction::Removed) if column == 1 => style::REMOVED,
            Some(RowAction::Changed) if column == 1 => style::CHANGED,
            Some(RowAction::Restored) if column == 1 => style::ADDED,
            _ => style::PLAIN,
        };
        out.push_str(&page.painted_table(&["table", "action", "rows", "because"], &rows, 4, style));
        out.extend(fix.row_diff.iter().map(|diff| row_diff::render_samples(diff, page, 4)));
    }
    if !fix.schema_diff.is_empty() {
        out.push_str(&title("schema"));
        let painted =
            |line: &str| format!("    {}\n", paint(style::diff_line_style(line), escape_control(line)));
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
        vec![(*mode).to_owned(), format_duration(Duration::from_millis(*held_ms)), tables.join(", ")]
    };
    let rows: Vec<Vec<String>> = alike.iter().map(row).collect();
    let style = |row: usize, column: usize| match rows.get(row).and_then(|row| row.first()) {
        Some(mode) if column == 0 && strongest(mode) => ERROR,
        _ => style::PLAIN,
    };
    page.painted_table(&["mode", "held", "tables"], &rows, 4, style)
}

/// A statement in full, or of a long one the first line: the rows it treats stand above.
fn one_statement(statement: &str) -> String {
    const LONG: usize = 6;
    let lines: Vec<&str> = statement.lines().collect();
    if lines.len() > LONG {
        let first = lines.first().copied().unwrap_or_default();
        return format!("    {} …  -- the rows above; in full with --format json\n", escape_control(first));
    }
    let text =
        lines.iter().map(|line| format!("    {}", escape_control(line))).collect::<Vec<_>>().join("\n");
    format!("{text};\n")
}
