//! What a fix or an undo did, or would do, for a person at a terminal.

use serde_json::Value;

use crate::cli::Common;
use crate::repair::plan::FixPlan;
use crate::repair::quarantine::RowAction;
use crate::requests::shown::visible;

use super::human::undecided;
use super::layout::Page;
use super::{Change, Report};

pub(super) fn human(report: &Report, change: &Change, common: &Common, page: Page) -> String {
    let mut out = String::new();
    if change.fixes.is_empty() && change.left.is_empty() {
        out.push_str("nothing to do\n");
        out.push_str(&undecided(report, page));
        return out;
    }
    if !common.quiet {
        for fix in &change.fixes {
            out.push_str(&one_fix(fix, page));
        }
        for finding in &change.left {
            out.push_str(&format!("left to you: {} {}\n", finding.code, visible(&finding.subject)));
            out.push_str(&page.wrap(&visible(&finding.detail), 2));
            out.push('\n');
        }
        out.push_str(&undecided(report, page));
    }
    let what = if report.command == "undo" { "undone" } else { "applied" };
    match change.run.id {
        Some(run) if change.run.applied => out.push_str(&format!("{what}: run {run}, committed\n")),
        _ if change.fixes.is_empty() => {}
        _ => {
            let how = format!(
                "rehearsed and rolled back: nothing has been changed (plan {})\n",
                &change.plan_hash[..12]
            );
            out.push_str(&page.wrap(&how, 0));
        }
    }
    for next in &change.next {
        out.push_str(&page.wrap(&format!("next: {next}"), 0));
    }
    out
}

fn one_fix(fix: &FixPlan, page: Page) -> String {
    let hazards = if fix.hazards.is_empty() { "none".to_owned() } else { fix.hazards.join(", ") };
    let mut out = format!("{} {}\n", fix.code, fix.name);
    out.push_str(&page.pairs(
        &[("fix", format!("version {}, {}", fix.version, fix.applicability)), ("hazards", hazards)],
        2,
    ));
    for note in &fix.notes {
        out.push_str(&page.pairs(&[("note   ", note.clone())], 2));
    }
    if !fix.row_diff.is_empty() {
        out.push_str("\n  rows\n");
        let rows: Vec<Vec<String>> = fix
            .row_diff
            .iter()
            .map(|diff| {
                let action = match diff.action {
                    RowAction::Changed => format!("changed: {}", diff.columns.join(", ")),
                    other => other.as_str().to_owned(),
                };
                vec![diff.table.clone(), action, diff.count.to_string(), diff.reason.clone()]
            })
            .collect();
        out.push_str(&page.table(&["table", "action", "rows", "because"], &rows, 4));
        out.push_str(&row_samples(fix, page));
    }
    if !fix.schema_diff.is_empty() {
        out.push_str("\n  schema\n");
        out.push_str(
            &fix.schema_diff.lines().map(|line| format!("    {}\n", visible(line))).collect::<String>(),
        );
    }
    if !fix.statements.is_empty() {
        out.push_str("\n  statements\n");
        for statement in &fix.statements {
            out.push_str(&one_statement(statement));
        }
    }
    if !fix.locks.is_empty() {
        out.push_str("\n  locks\n");
        let rows: Vec<Vec<String>> = fix
            .locks
            .iter()
            .map(|l| vec![l.table.clone(), l.mode.clone(), format!("{} ms", l.held_ms)])
            .collect();
        out.push_str(&page.table(&["table", "mode", "held"], &rows, 4));
    }
    out.push('\n');
    out
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

/// A row before as `-`, after as `+`, cut to one line each.
fn row_samples(fix: &FixPlan, page: Page) -> String {
    let mut out = String::new();
    for diff in &fix.row_diff {
        for sample in diff.sample.iter().take(2) {
            for (sign, row) in [('-', &sample.before), ('+', &sample.after)] {
                if row.is_null() {
                    continue;
                }
                let row = compact(row, diff.action, &diff.columns).to_string();
                let room = page.width.saturating_sub(8 + diff.table.chars().count());
                out.push_str(&format!("    {sign} {} {}\n", diff.table, fitted(&visible(&row), room)));
            }
        }
    }
    out
}

/// Of a changed row the id and what changed, of any other what is not null.
fn compact(row: &Value, action: RowAction, changed: &[String]) -> Value {
    let Value::Object(fields) = row else { return row.clone() };
    let tells = |name: &String, value: &Value| match action {
        RowAction::Changed => name == "id" || changed.contains(name),
        RowAction::Removed | RowAction::Restored => !value.is_null(),
    };
    fields.iter().filter(|(name, value)| tells(name, value)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn fitted(text: &str, width: usize) -> String {
    match text.char_indices().nth(width.saturating_sub(1)) {
        Some((at, _)) if text.chars().count() > width => format!("{}…", &text[..at]),
        _ => text.to_owned(),
    }
}
