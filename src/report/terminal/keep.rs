//! What an upgrade destroys and is kept, for people.

use std::time::Duration;

use crate::repair::ledger::AppliedFix;
use crate::terminal::page::Page;
use crate::terminal::style::{GOOD, NAME, paint};
use crate::text::escape::escape_control;
use crate::text::humanize::{format_bytes, format_count, format_estimate, pluralize};
use crate::upgrade::keep::{CODE, KeepReport, LostRows, MeasuredPart};

/// What goes, how much of it there is, and what to type.
pub fn human(keep: &KeepReport, to: &str, page: Page) -> String {
    let mut out = format!("\n{}\n", paint(NAME, "what the upgrade destroys"));
    if !keep.parts.is_empty() {
        let rows: Vec<Vec<String>> = keep.parts.iter().map(row).collect();
        out.push_str(&page.table(&["table", "what goes", "rows", "size", "by"], &rows, 0));
    }
    out.push_str(&page.wrap(&paint(GOOD, sentence(keep)), 0));
    for note in &keep.notes {
        out.push_str(&page.wrap(&escape_control(note), 0));
    }
    match keep.run {
        Some(run) => {
            let what = "after the upgrade: shows what has a place in the newer tables";
            out.push_str(&page.command_hint(&format!("evodoctor undo {run}"), what, 0));
        }
        None if !keep.parts.is_empty() => {
            let command = format!("evodoctor preflight --to {to} --keep --apply");
            out.push_str(&page.command_hint(&command, "copies it into the quarantine", 0));
        }
        None => {}
    }
    out
}

/// All of it in a sentence.
pub(crate) fn sentence(keep: &KeepReport) -> String {
    let time = format_estimate(Duration::from_secs_f64(keep.seconds));
    let size = format_bytes(keep.bytes);
    let rows = pluralize(keep.rows, "row");
    match (keep.run, keep.parts.is_empty()) {
        (Some(run), true) => {
            format!("nothing goes; run {run} remembers what is predicted and how many rows there are")
        }
        (None, true) => "nothing goes".to_owned(),
        (Some(run), false) => format!("kept as run {run}: {rows}, about {size}, in {time}"),
        (None, false) => {
            format!("nothing is kept yet: {rows}, about {size}, would take about {time}; nobody waits for it")
        }
    }
}

/// A part as a row of a table.
pub(crate) fn row(one: &MeasuredPart) -> Vec<String> {
    let what = match &one.part.what {
        LostRows::All => "all rows".to_owned(),
        LostRows::Duplicates { columns } => {
            format!("of rows that are equal in {} all but one", columns.join(" and "))
        }
        LostRows::Values { columns, .. } => format!("values: {}", columns.join(", ")),
    };
    let numbers: Vec<&str> = one.part.migrations.iter().filter_map(|name| name.split('_').next()).collect();
    vec![one.part.table.clone(), what, format_count(one.rows), format_bytes(one.bytes), numbers.join(", ")]
}

/// A fix of a run, as `history` names it; what was kept before an upgrade is none.
pub(crate) fn label(fix: &AppliedFix) -> String {
    let kept = fix.steps.kept.as_ref().filter(|_| fix.code == CODE);
    match kept {
        Some(kept) => {
            let to = kept["to"].as_str().unwrap_or_default();
            let end = if kept["finished"] == true { "" } else { " (not finished)" };
            format!("kept before {to}{end}")
        }
        None => format!("{} v{}", fix.code, fix.version),
    }
}

/// What became of a change, for the line behind it.
pub(crate) fn outcome(command: &str, code: Option<&str>) -> &'static str {
    match (command, code) {
        ("undo", Some(CODE)) => "brought back",
        ("undo", Some("into-schema")) => "laid out",
        ("undo", _) => "undone",
        _ => "applied",
    }
}
