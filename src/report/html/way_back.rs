//! An older server on these tables: what it lacks, what it does not see, and what it writes in another way.

use maud::{Markup, html};

use crate::report::words::way_back;
use crate::text::humanize::format_count;
use crate::upgrade::way_back::compare::Difference;
use crate::upgrade::way_back::{Verdict, WayBack};

use super::text::{name, prose};

/// The differences, kind by kind, and what is to be known besides.
pub fn section(answer: &WayBack) -> Option<Markup> {
    Some(html! {
        p.lead { (prose(&format!("{}.", way_back::sentence(answer)))) }
        @for (effect, title) in way_back::kinds(answer) {
            @let all: Vec<&Difference> = answer.with_effect(effect).collect();
            @if !all.is_empty() {
                h3 { (prose(&title)) }
                ul.notes {
                    @for one in all {
                        li {
                            (name(&one.object)) ": " (prose(&one.detail))
                            @if one.is_drift { ", in this database only" }
                            @if let Some(rows) = one.rows { " (" (format_count(rows)) " rows)" }
                        }
                    }
                }
            }
        }
        ul.notes { @for note in way_back::ignored(answer).iter().chain(&answer.notes) { li { (prose(note)) } } }
    })
}

/// The answer as a heading.
pub fn heading(answer: &WayBack) -> String {
    match answer.verdict {
        Verdict::Runs => format!("The server of {} runs on these tables", answer.server),
        Verdict::Uncertain => {
            format!("The server of {} may run on these tables; try it first", answer.server)
        }
        Verdict::Fails => format!("The server of {} does not run on these tables", answer.server),
    }
}
