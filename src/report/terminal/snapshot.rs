//! `snapshot`: what is in the file, whether the same is found in it, and what it is for.

use std::fmt::Write;

use crate::cli::GlobalOptions;
use crate::staging::StagingSnapshot;
use crate::terminal::page::Page;
use crate::text::humanize::{format_bytes, format_count, pluralize};

/// The result, and the next command.
pub fn human(snapshot: &StagingSnapshot, common: &GlobalOptions, page: Page) -> String {
    let mut out = String::new();
    if !common.quiet {
        let rows = match snapshot.rows_per_table {
            None => String::new(),
            Some(rows) => format!(" ({} of each table, and those that a finding names)", format_count(rows)),
        };
        let content = format!(
            "{}, {} in {}{rows}",
            format_bytes(i64::try_from(snapshot.bytes).unwrap_or(i64::MAX)),
            pluralize(snapshot.rows, "row"),
            pluralize(snapshot.tables, "table")
        );
        let values = format!(
            "{} of {} values of the original are in it",
            format_count(snapshot.values_found),
            format_count(snapshot.values_looked_for)
        );
        out.push_str(
            &page.pairs(&[("snapshot", snapshot.file.clone()), ("content", content), ("values", values)], 0),
        );
        list(&mut out, "not in it:", &snapshot.left_out, page);
        list(
            &mut out,
            "not carried over (about the server, roles, other schemas or the size of tables):",
            &snapshot.not_carried,
            page,
        );
        list(&mut out, "found in one of them only, or with another count:", &snapshot.differences, page);
        out.push('\n');
    }
    let verdict = match snapshot.differences.len() {
        0 => format!("the same is found in the snapshot: {}", pluralize(snapshot.same_findings, "finding")),
        count => format!(
            "{} the same in the snapshot, {} of other codes or counts",
            pluralize(snapshot.same_findings, "finding"),
            pluralize(count, "difference")
        ),
    };
    out.push_str(&page.wrap(&verdict, 0));
    out
}

fn list(out: &mut String, title: &str, lines: &[String], page: Page) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{title}");
    for line in lines {
        out.push_str(&page.wrap(&format!("- {line}"), 2));
    }
}
