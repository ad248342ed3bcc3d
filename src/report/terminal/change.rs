//! The changes of a fix or an undo, for a person at a terminal: first each fix in short, then a table of all of them,
//! what they come to, and what to type. `-v` shows statements, locks and more rows.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cli::GlobalOptions;
use crate::repair::plan::FixPlan;
use crate::repair::quarantine::{LeftRows, RowAction, RowDiff};
use crate::text::escape::escape_control;

use crate::report::next::next_steps;
use crate::report::terminal::check::{note, undecided};
use crate::report::terminal::row_diff;
use crate::report::totals::{change_totals, schema_changes, waits};
use crate::report::view::ReportView;
use crate::report::{Change, totals, words};
use crate::rules::registry;
use crate::terminal::page::{NO_NUMBER, Page};
use crate::terminal::style::{self, ERROR, GOOD, NAME, WARNING, paint};
use crate::text::humanize::{format_count, format_duration};

/// Rows of a table of rows that are shown without `-v`.
const MOST_ROWS: usize = 8;

/// Places of one code left to a person that are listed without `-v`.
const MOST_LEFT: usize = 3;

pub(crate) fn human(outline: &ReportView<'_>, change: &Change, common: &GlobalOptions, page: Page) -> String {
    let report = outline.report;
    let mut out = String::new();
    if change.fixes.is_empty() && change.left.is_empty() {
        out.push_str(&undecided(outline, page));
        out.push_str(&paint(GOOD, "nothing to do\n"));
        return out;
    }
    let is_full = common.verbose > 0;
    if !common.quiet {
        out.extend(change.fixes.iter().map(|fix| one_fix(fix, is_full, change.run.applied, page)));
        out.push_str(&left_to_you(change, is_full, page));
        out.push_str(&undecided(outline, page));
        if change.fixes.len() > 1 {
            out.push_str(&table(&change.fixes, page));
            out.push('\n');
        }
    }
    let totals = change_totals(report.command, change);
    out.push_str(&page.wrap(&paint(NAME, totals), 0));
    let code = change.fixes.first().map(|fix| fix.code.as_str());
    let what = words::keep::outcome(report.command, code);
    match change.run.id {
        Some(run) if change.run.applied => {
            out.push_str(&paint(GOOD, format!("{what}: run {run}, committed\n")));
        }
        _ if change.fixes.is_empty() => {}
        _ => {
            let plan = &change.plan_hash[..12];
            let how = format!("dry run, rolled back: nothing has been changed (plan {plan})");
            out.push_str(&page.wrap(&paint(GOOD, how), 0));
        }
    }
    let steps = next_steps(outline);
    for step in &steps {
        out.push_str(&page.command_hint(&step.command, &step.what, 0));
    }
    if !common.quiet {
        out.push_str(&note(outline, &steps, page));
    }
    out
}

/// The findings left to a person, grouped by code.
fn left_to_you(change: &Change, is_full: bool, page: Page) -> String {
    let mut out = String::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let most = if is_full { usize::MAX } else { MOST_LEFT };
    for finding in &change.left {
        let number = counts.entry(&finding.code).or_default();
        *number += 1;
        if *number > most {
            continue;
        }
        let what = paint(NAME, format!("{} {}", finding.code, escape_control(&finding.subject)));
        out.push_str(&page.wrap(&format!("{} {what}", paint(WARNING, "left to you:")), 0));
        out.push_str(&page.wrap(&escape_control(&finding.detail), 2));
        out.push('\n');
    }
    for (code, number) in counts.into_iter().filter(|(_, number)| *number > most) {
        let more = format_count(number - most);
        out.push_str(&format!("… and {more} more of {code}: -v shows them all\n\n"));
    }
    out
}

/// The fixes, a row for each, in the order in which they are run.
fn table(fixes: &[FixPlan], page: Page) -> String {
    let number = |number: i64| if number == 0 { NO_NUMBER.to_owned() } else { format_count(number) };
    let rows: Vec<Vec<String>> = fixes
        .iter()
        .map(|fix| {
            let rows = |is_meant: fn(RowAction) -> bool| -> i64 {
                fix.row_diff.iter().filter(|diff| is_meant(diff.action)).map(|diff| diff.count).sum()
            };
            let title = registry::find_rule(&fix.code).map_or(fix.name.as_str(), |rule| &rule.title);
            let longest = fix.locks.iter().map(|lock| lock.held_ms).max();
            let removed = number(rows(|action| action == RowAction::Removed));
            let others = number(rows(|action| action != RowAction::Removed));
            vec![
                fix.code.clone(),
                title.to_owned(),
                removed,
                others,
                number(i64::try_from(schema_changes(fix)).unwrap_or(i64::MAX)),
                longest.map_or_else(
                    || NO_NUMBER.to_owned(),
                    |held| format_duration(Duration::from_millis(held)),
                ),
            ]
        })
        .collect();
    let restores = fixes.iter().flat_map(|fix| &fix.row_diff).any(|diff| diff.action == RowAction::Restored);
    let others = if restores { "restored" } else { "changed" };
    let head = ["fix", "problem", "removed", others, "schema", "locks"];
    page.plain_table(&head, &rows, 0, |_, _| style::PLAIN)
}

fn one_fix(fix: &FixPlan, is_full: bool, is_over: bool, page: Page) -> String {
    let hazards = if fix.hazards.is_empty() { "none".to_owned() } else { fix.hazards.join(", ") };
    let mut out = format!("{}\n", paint(NAME, format!("{} {}", fix.code, fix.name)));
    let mut pairs =
        vec![("fix", format!("version {}, {}", fix.version, fix.applicability)), ("hazards", hazards)];
    if let Some(waits) = waits(std::slice::from_ref(fix), is_over).filter(|_| !is_full) {
        pairs.push(("locks", waits));
    }
    pairs.extend(fix.notes.iter().map(|note| ("note", note.clone())));
    out.push_str(&page.pairs(&pairs, 2));
    if !fix.row_diff.is_empty() {
        out.push_str(&rows(fix, is_full, page));
    }
    if !fix.left_rows.is_empty() {
        out.push_str(&title("rows that stay in the quarantine"));
        out.push_str(&left_rows(fix, page));
    }
    if !fix.schema_diff.is_empty() {
        out.push_str(&title("schema"));
        // A line of DDL is longer than most pages; it is broken between words, and what follows is indented.
        out.extend(
            fix.schema_diff.lines().filter(|line| is_full || is_change(line)).map(|line| {
                page.wrap_hanging(&paint(style::diff_line_style(line), escape_control(line)), 4, 8)
            }),
        );
    }
    if !fix.statements.is_empty() && is_full {
        out.push_str(&title("statements"));
        out.extend(fix.statements.iter().map(|statement| one_statement(statement)));
    }
    if !fix.after_commit.is_empty() {
        out.push_str(&title("after the commit, without blocking reads and writes"));
        out.extend(fix.after_commit.iter().map(|statement| one_statement(statement)));
    }
    if !fix.locks.is_empty() && is_full {
        out.push_str(&title("locks"));
        out.push_str(&locks(fix, page));
    }
    out.push('\n');
    out
}

/// True if a line of a diff says more than that something stays: what stays is shown with `-v`.
fn is_change(line: &str) -> bool {
    !line.starts_with(' ')
}

/// The changes to rows: a table, and an example of each kind.
fn rows(fix: &FixPlan, is_full: bool, page: Page) -> String {
    let mut out = title("rows");
    let most = if is_full { usize::MAX } else { MOST_ROWS };
    let shown: Vec<&RowDiff> = fix.row_diff.iter().take(most).collect();
    let rows: Vec<Vec<String>> = shown
        .iter()
        .map(|diff| {
            let action = match diff.action {
                RowAction::Changed => format!("changed: {}", diff.columns.join(", ")),
                other => other.as_str().to_owned(),
            };
            vec![diff.table.clone(), action, format_count(diff.count), diff.reason.clone()]
        })
        .collect();
    let style = |row: usize, column: usize| match shown.get(row).map(|diff| diff.action) {
        Some(RowAction::Removed) if column == 1 => style::REMOVED,
        Some(RowAction::Changed) if column == 1 => style::CHANGED,
        Some(RowAction::Restored) if column == 1 => style::ADDED,
        _ => style::PLAIN,
    };
    out.push_str(&page.plain_table(&["table", "action", "rows", "because"], &rows, 4, style));
    if fix.row_diff.len() > most {
        out.push_str(&format!("    … and {} more: -v shows them all\n", fix.row_diff.len() - most));
    }
    let mut shown: Vec<(RowAction, &[String])> = Vec::new();
    for diff in &fix.row_diff {
        let kind = (diff.action, diff.columns.as_slice());
        if is_full || !shown.contains(&kind) {
            shown.push(kind);
            out.push_str(&row_diff::render_samples(diff, is_full, page, 4));
        }
    }
    out
}

/// Rows that undo cannot bring back: a table.
fn left_rows(fix: &FixPlan, page: Page) -> String {
    let row = |left: &LeftRows| {
        vec![left.whole_table(), format_count(left.count), left.reason.clone(), left.named()]
    };
    let rows: Vec<Vec<String>> = fix.left_rows.iter().map(row).collect();
    page.plain_table(&["table", "rows", "because", "which"], &rows, 4, |_, _| style::PLAIN)
}

fn title(what: &str) -> String {
    format!("\n  {}\n", paint(NAME, what))
}

/// The locks, those of one mode and as long in one row; the strongest, which keep everybody waiting, first.
fn locks(fix: &FixPlan, page: Page) -> String {
    let mut alike: BTreeMap<(&str, u64), Vec<String>> = BTreeMap::new();
    for lock in &fix.locks {
        alike.entry((&lock.mode, lock.held_ms)).or_default().push(totals::bare(&lock.table));
    }
    let strongest = |mode: &str| mode == "AccessExclusiveLock";
    let row = |((mode, held_ms), tables): (&(&str, u64), &Vec<String>)| {
        vec![(*mode).to_owned(), format_duration(Duration::from_millis(*held_ms)), tables.join(", ")]
    };
    let rows: Vec<Vec<String>> = alike.iter().map(row).collect();
    let style = |row: usize, column: usize| match rows.get(row).and_then(|row| row.first()) {
        Some(mode) if column == 0 && strongest(mode) => ERROR,
        _ => style::PLAIN,
    };
    page.painted_table(&["mode", "held", "tables"], &rows, 4, style)
}

/// A statement in full.
fn one_statement(statement: &str) -> String {
    let lines: Vec<String> = statement.lines().map(|line| format!("    {}", escape_control(line))).collect();
    format!("{};\n", lines.join("\n"))
}
