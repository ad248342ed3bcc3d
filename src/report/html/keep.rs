//! What an upgrade destroys, and what is kept.

use maud::{Markup, html};

use crate::report::words::keep;
use crate::upgrade::keep::KeepReport;

use super::text::{prose, table};

/// The losses, as a table.
pub fn section(report: &KeepReport) -> Option<Markup> {
    let cells = |cells: Vec<String>| cells.iter().map(|cell| prose(cell)).collect::<Vec<_>>();
    let rows: Vec<Vec<Markup>> = report.parts.iter().map(|one| cells(keep::row(one))).collect();
    Some(html! {
        p.lead { (prose(&format!("{}.", keep::sentence(report)))) }
        @if !rows.is_empty() { (table("What is lost", &["Table", "What is lost", "Rows", "Size", "By"], &rows)) }
        @if !report.notes.is_empty() { ul.notes { @for note in &report.notes { li { (prose(note)) } } } }
    })
}
