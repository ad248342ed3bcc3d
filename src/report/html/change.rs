//! The changes of fixes, done or planned: rows, tables, statements, locks.

use maud::{Markup, html};
use serde_json::Value;

use crate::repair::plan::FixPlan;
use crate::repair::quarantine::{RowAction, RowDiff, RowSample};
use crate::report::Change;
use crate::report::json_diff::diff_paths;

use super::PageBudget;
use super::findings::columns;
use super::text::{block, counted, grouped, lines, name, plain, prose, table, value};

/// Changed paths of a row that are shown.
const MOST_PATHS: usize = 40;

/// Every fix, in the order in which they are run.
pub fn section(change: &Change, budget: &mut PageBudget) -> Option<Markup> {
    if change.fixes.is_empty() {
        return None;
    }
    let mut shown = Vec::new();
    for fix in &change.fixes {
        let markup = one(fix);
        if !budget.has_room_for(&markup) {
            break;
        }
        shown.push(markup);
    }
    let missing = change.fixes.len() - shown.len();
    Some(html! {
        p.lead { "Plan " code { (short(&change.plan_hash)) } ". --apply does exactly this, or refuses." }
        @for markup in &shown { (markup) }
        @if missing > 0 {
            p.left-out { (missing) " more would make this page too large; " code { "--format json" } " has them." }
        }
    })
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

fn one(fix: &FixPlan) -> Markup {
    html! {
        section.change aria-label=(plain(&format!("{} {}", fix.code, fix.name))) {
            header {
                h3 { code { (fix.code) } " " (fix.name) }
                p.tags {
                    span.aside { "version " (fix.version) ", " (fix.applicability) ", plan " code { (short(&fix.plan_hash)) } }
                    @for hazard in &fix.hazards { span.tag.warning { (hazard) } }
                }
            }
            @if !fix.notes.is_empty() { ul.notes { @for note in &fix.notes { li { (prose(note)) } } } }
            @for diff in &fix.row_diff { (rows(diff)) }
            @if !fix.schema_diff.is_empty() {
                h4 { "Schema" }
                pre.diff tabindex="0" role="group" aria-label={ "Schema changes of " (fix.code) } {
                    @for line in lines(&fix.schema_diff).lines() { span.(kind(line)) { (line) } }
                }
            }
            @if !fix.left_rows.is_empty() {
                h4 { "Rows that stay in the quarantine" }
                @let rows: Vec<Vec<Markup>> = fix.left_rows.iter().map(|left| vec![
                    name(&left.whole_table()), html! { (grouped(left.count.unsigned_abs())) }, prose(&left.reason), prose(&left.named()),
                ]).collect();
                (table(&format!("Rows that {} leaves", fix.code), &["Table", "Rows", "Because", "Which"], &rows))
            }
            @if !fix.statements.is_empty() {
                details {
                    summary { (counted(fix.statements.len() as u64, "statement")) }
                    @for (nth, statement) in fix.statements.iter().enumerate() {
                        (block(statement, &format!("Statement {} of {}", nth + 1, fix.code)))
                    }
                }
            }
            @if !fix.after_commit.is_empty() {
                h4 { "After the commit, without blocking reads and writes" }
                @for (nth, statement) in fix.after_commit.iter().enumerate() {
                    (block(statement, &format!("Statement {} after the commit of {}", nth + 1, fix.code)))
                }
            }
            @if !fix.locks.is_empty() {
                details {
                    summary { (counted(fix.locks.len() as u64, "lock")) }
                    @let rows: Vec<Vec<Markup>> = fix.locks.iter().map(|lock| vec![
                        name(&lock.table), html! { (lock.mode) }, html! { (grouped(lock.held_ms)) " ms" },
                    ]).collect();
                    (table(&format!("Locks of {}", fix.code), &["Table", "Mode", "Held"], &rows))
                }
            }
        }
    }
}

fn kind(line: &str) -> &'static str {
    match line.as_bytes() {
        [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] | [b'@', ..] => "hunk",
        [b'+', ..] => "add",
        [b'-', ..] => "del",
        _ => "same",
    }
}

fn rows(diff: &RowDiff) -> Markup {
    html! {
        h4 {
            (counted(diff.count.unsigned_abs(), "row")) " of " (name(&diff.table)) " "
            (diff.action.as_str())
            @if !diff.columns.is_empty() { ": " (diff.columns.iter().map(|column| plain(column)).collect::<Vec<_>>().join(", ")) }
        }
        p.aside { (prose(&diff.reason)) }
        @if !diff.sample.is_empty() {
            @match diff.action {
                RowAction::Changed => (changed(diff)),
                RowAction::Removed => (whole(diff, "gone", "−", |sample| &sample.before)),
                RowAction::Restored => (whole(diff, "back", "+", |sample| &sample.after)),
            }
            @if diff.count.unsigned_abs() > diff.sample.len() as u64 {
                p.aside { "and " (counted(diff.count.unsigned_abs() - diff.sample.len() as u64, "more row")) }
            }
        }
    }
}

/// Rows that go or come, all of them.
fn whole(diff: &RowDiff, class: &str, sign: &str, row: impl Fn(&RowSample) -> &Value) -> Markup {
    let columns = columns(diff.sample.iter().map(&row));
    html! {
        div.scroll tabindex="0" role="group" aria-label={ "Rows of " (plain(&diff.table)) ", " (plain(&diff.reason)) } {
            table {
                thead { tr { td {} @for column in &columns { th scope="col" { (plain(column)) } } } }
                tbody {
                    @for sample in &diff.sample {
                        tr.(class) { td.sign { (sign) } @for column in &columns { td { (value(&row(sample)[*column])) } } }
                    }
                }
            }
        }
    }
}

/// Of rows that are changed what is another, before and after.
fn changed(diff: &RowDiff) -> Markup {
    let cell = |value_there: &Option<Value>| match value_there {
        Some(there) => value(there),
        None => html! { span.null { "nothing" } },
    };
    html! {
        div.scroll tabindex="0" role="group" aria-label={ "Changed rows of " (plain(&diff.table)) ", " (plain(&diff.reason)) } {
            table {
                thead { tr { th scope="col" { "Row" } th scope="col" { "Where" } th scope="col" { "Before" } th scope="col" { "After" } } }
                tbody {
                    @for sample in &diff.sample {
                        @let paths = diff_paths(&sample.before, &sample.after);
                        @for (nth, path) in paths.iter().take(MOST_PATHS).enumerate() {
                            tr {
                                @if nth == 0 { th scope="row" rowspan=(paths.len().min(MOST_PATHS)) { (value(&sample.before["id"])) } }
                                td { (name(&path.path)) }
                                td.before { (cell(&path.before)) }
                                td.after { (cell(&path.after)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
