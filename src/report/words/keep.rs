//! The losses of an upgrade, in words.

use std::time::Duration;

use crate::repair::ledger::AppliedFix;
use crate::text::humanize::{format_bytes, format_count, format_estimate, pluralize};
use crate::upgrade::keep::{CODE, KeepReport, LostRows, MeasuredPart};

/// All of it in a sentence.
pub fn sentence(keep: &KeepReport) -> String {
    let time = format_estimate(Duration::from_secs_f64(keep.seconds));
    let size = format_bytes(keep.bytes);
    let rows = pluralize(keep.rows, "row");
    match (keep.run, keep.parts.is_empty()) {
        (Some(run), true) => {
            format!("nothing is lost; run {run} records the prediction and the row counts")
        }
        (None, true) => "nothing is lost".to_owned(),
        (Some(run), false) => format!("kept as run {run}: {rows}, about {size}, in {time}"),
        (None, false) => {
            format!("nothing is kept yet: {rows}, about {size}, would take about {time} and block nothing")
        }
    }
}

/// A part as a row of a table.
pub fn row(one: &MeasuredPart) -> Vec<String> {
    let what = match &one.part.what {
        LostRows::All => "all rows".to_owned(),
        LostRows::Duplicates { columns } => {
            format!("all but one of the rows that are equal in {}", columns.join(" and "))
        }
        LostRows::Values { columns, .. } => format!("values: {}", columns.join(", ")),
    };
    let numbers: Vec<&str> = one.part.migrations.iter().filter_map(|name| name.split('_').next()).collect();
    vec![one.part.table.clone(), what, format_count(one.rows), format_bytes(one.bytes), numbers.join(", ")]
}

/// A fix of a run with its version, as `history` names it; what was kept before an upgrade is none.
pub fn label(fix: &AppliedFix) -> String {
    match fix.code.as_str() {
        CODE => short_label(fix),
        code => format!("{code} v{}", fix.version),
    }
}

/// The same without the version.
pub fn short_label(fix: &AppliedFix) -> String {
    let kept = fix.steps.kept.as_ref().filter(|_| fix.code == CODE);
    match kept {
        Some(kept) => {
            let to = kept["to"].as_str().unwrap_or_default();
            let end = if kept["finished"] == true { "" } else { " (not finished)" };
            format!("kept before {to}{end}")
        }
        None => fix.code.clone(),
    }
}

/// The outcome of a change, for the line after it.
pub fn outcome(command: &str, code: Option<&str>) -> &'static str {
    match (command, code) {
        ("undo", Some(CODE)) => "brought back",
        ("undo", Some("into-schema")) => "written to tables",
        ("undo", _) => "undone",
        _ => "applied",
    }
}
