//! Runs and credentials: a table each.

use maud::{Markup, html};
use serde_json::Value;

use crate::repair::ledger::AppliedRun;
use crate::repair::prune::{LedgerStorage, PrunePlan};
use crate::report::words;
use crate::text::humanize::format_bytes;

use super::text::{counted, name, prose, table, value};

/// The applied runs.
pub fn runs(runs: &[AppliedRun], storage: &LedgerStorage, prune: Option<&PrunePlan>) -> Option<Markup> {
    let row = |run: &AppliedRun| {
        vec![
            html! { strong { (run.run) } },
            html! { time datetime=(run.applied_at) { (words::runs::minute(&run.applied_at)) } },
            html! { @for fix in &run.fixes { span.number { code { (words::keep::label(fix)) } } " " } },
            html! {
                (counted(run.quarantined.unsigned_abs(), "row"))
                @if run.kept_bytes > 0 { ", " (format_bytes(run.kept_bytes)) }
            },
            prose(&words::runs::ended(run, words::runs::minute)),
            name(&run.applied_by),
            name(&run.target_schema),
        ]
    };
    let head = ["Run", "Applied (UTC)", "Fixes", "Kept", "Undone (UTC)", "By", "Schema"];
    let rows: Vec<Vec<Markup>> = runs.iter().map(row).collect();
    let notes = prune.map(words::runs::lines).unwrap_or_default();
    (!rows.is_empty()).then(|| {
        html! {
            p { (prose(&words::runs::storage(storage))) }
            @for note in &notes { p { strong { (prose(note)) } } }
            (table("Applied runs", &head, &rows))
        }
    })
}

/// OpenAI credentials, and what holds each.
pub fn credentials(credentials: &[Value]) -> Option<Markup> {
    let holder = |holder: &Value| {
        html! {
            li {
                (value(&holder["kind"])) " of " strong { (value(&holder["instance"])) }
                @if holder["is_foreign"] == true { " " span.tag.warning { "another instance" } }
            }
        }
    };
    let row = |credential: &Value| {
        let holders = credential["holders"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut row: Vec<Markup> =
            ["id", "name", "instance", "apiKey"].iter().map(|field| value(&credential[*field])).collect();
        row.push(html! {
            @if holders.is_empty() { "nothing" } @else { ul { @for one in holders { (holder(one)) } } }
        });
        row
    };
    let rows: Vec<Vec<Markup>> = credentials.iter().map(row).collect();
    (!rows.is_empty())
        .then(|| table("OpenAI credentials", &["Credential", "Name", "Instance", "Key", "Held by"], &rows))
}
