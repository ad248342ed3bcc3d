//! The losses of an upgrade, for people.

use crate::cli::GlobalOptions;
use crate::report::words::keep::{row, sentence};
use crate::terminal::page::Page;
use crate::terminal::style::{GOOD, NAME, paint};
use crate::text::escape::escape_control;
use crate::upgrade::keep::KeepReport;

/// The losses, with their size, and what to type.
pub fn human(keep: &KeepReport, to: &str, common: &GlobalOptions, page: Page) -> String {
    let again = common.live_connection_arguments();
    let mut out = format!("\n{}\n", paint(NAME, "what the upgrade destroys"));
    if !keep.parts.is_empty() {
        let rows: Vec<Vec<String>> = keep.parts.iter().map(row).collect();
        out.push_str(&page.table(&["table", "what is lost", "rows", "size", "by"], &rows, 0));
    }
    out.push_str(&page.wrap(&paint(GOOD, sentence(keep)), 0));
    for note in &keep.notes {
        out.push_str(&page.wrap(&escape_control(note), 0));
    }
    match keep.run {
        Some(run) => {
            let what = "after the upgrade: shows what fits into the newer tables";
            out.push_str(&page.command_hint(&format!("evodoctor undo {run}{again}"), what, 0));
        }
        None if !keep.parts.is_empty() => {
            let command = format!("evodoctor preflight --to {to} --keep --apply{again}");
            out.push_str(&page.command_hint(&command, "copies it into the quarantine", 0));
        }
        None => {}
    }
    out
}
