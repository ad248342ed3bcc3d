//! Whether an older server runs on these tables, for people.

use crate::report::words::way_back::{ignored, kinds, sentence};
use crate::terminal::page::Page;
use crate::terminal::style::{COMMAND, DIM, ERROR, GOOD, NAME, WARNING, paint};
use crate::text::escape::escape_control;
use crate::text::humanize::format_count;
use crate::upgrade::way_back::compare::Difference;
use crate::upgrade::way_back::{Verdict, WayBack};

/// Differences of one kind that are listed, unless asked with `-v`.
const LISTED: usize = 12;

/// The differences, grouped by kind, and what to do.
pub fn human(answer: &WayBack, before: &[String], notes: &[String], is_verbose: bool, page: Page) -> String {
    let mut out = String::new();
    for (effect, title) in kinds(answer) {
        let all: Vec<&Difference> = answer.with_effect(effect).collect();
        let listed = if is_verbose { all.len() } else { LISTED };
        let rows: Vec<Vec<String>> = all.iter().take(listed).map(|one| row(one)).collect();
        if rows.is_empty() {
            continue;
        }
        out.push_str(&format!("{}\n", paint(NAME, &title)));
        out.push_str(&page.table(&["object", "what is different", "rows"], &rows, 0));
        if all.len() > rows.len() {
            out.push_str(&format!("{} more: -v lists them\n", all.len() - rows.len()));
        }
        out.push('\n');
    }
    for note in ignored(answer).iter().chain(notes).chain(&answer.notes) {
        out.push_str(&page.wrap(&escape_control(note), 0));
    }
    if !before.is_empty() {
        out.push_str(&format!(
            "\n{} (--resolve prints just these)\n",
            paint(NAME, "before the older server starts")
        ));
        for line in before {
            let style = if line.starts_with('#') { DIM } else { COMMAND };
            out.push_str(&format!("  {}\n", paint(style, escape_control(line))));
        }
    }
    out.push('\n');
    out
}

/// A difference as a row of a table.
fn row(one: &Difference) -> Vec<String> {
    let drift = if one.is_drift { " (only in this database)" } else { "" };
    let rows = one.rows.map(format_count).unwrap_or_default();
    vec![one.object.clone(), format!("{}{drift}", one.detail), rows]
}

/// The same for the end of the report.
pub fn summary(answer: &WayBack, page: Page) -> String {
    let style = match answer.verdict {
        Verdict::Runs => GOOD,
        Verdict::Uncertain => WARNING,
        Verdict::Fails => ERROR,
    };
    page.wrap(&paint(style, sentence(answer)), 0)
}
