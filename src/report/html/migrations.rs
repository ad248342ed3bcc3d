//! An upgrade: the pending migrations with what each costs as a bar, and what their files did where they were run.

use std::time::Duration;

use maud::{Markup, html};

use crate::report::words::{preflight, rehearsal};
use crate::text::humanize;
use crate::upgrade::rehearsal::{FileResult, MigrationRehearsal};
use crate::upgrade::{MigrationOutcome, PendingMigration, Preflight};

use super::text::{counted, name, prose};

/// The parts of a bar.
const PARTS: f64 = 1000.0;

/// The pending migrations, and our own fixes that meet them.
pub fn pending(preflight: &Preflight) -> Option<Markup> {
    let Preflight { pending, to, applied, total, .. } = preflight;
    let longest = pending.iter().map(|one| one.seconds).fold(0.0, f64::max);
    let in_all: f64 = pending.iter().map(|one| one.seconds).sum();
    Some(html! {
        p.lead {
            (applied) " of " (total) " migrations of " (to) " are applied, " (pending.len()) " pending"
            @if !pending.is_empty() { ", together " @if in_all >= 1.0 { "about " } (humanize::format_estimate(Duration::from_secs_f64(in_all))) ". A bar is the time that one takes, beside the longest" }
            "."
            @if let Some(speed) = preflight.speed.as_ref().filter(|speed| speed.table.is_some()) {
                " Times are estimates from " (size(speed.bytes_per_second)) " read in a second."
            }
        }
        @if !pending.is_empty() { ol.migrations { @for one in pending { (migration(one, longest)) } } }
        @if preflight.fixes.is_none() {
            p.left-out { "This role may not read evodoctor's ledger: whether an applied fix is in the way is not known." }
        }
        @if preflight.fixes.iter().flatten().next().is_some() {
            ul.notes { @for meeting in preflight.fixes.iter().flatten() { li { (prose(&preflight::meeting(meeting))) } } }
        }
    })
}

#[expect(clippy::cast_possible_truncation, reason = "for people")]
fn size(bytes: f64) -> String {
    humanize::format_bytes(bytes as i64)
}

/// A word for how it ends, and the colour of the word.
fn outcome(outcome: MigrationOutcome, sqlstate: Option<&str>) -> (&'static str, String) {
    match outcome {
        MigrationOutcome::Fails => ("error", format!("fails {}", sqlstate.unwrap_or_default())),
        MigrationOutcome::Passes => ("good", "passes".to_owned()),
        MigrationOutcome::Blocks => ("warning", "blocks".to_owned()),
        MigrationOutcome::LosesData => ("error", "loses data".to_owned()),
        MigrationOutcome::GoesAstray => ("warning", "not done".to_owned()),
        MigrationOutcome::Undecided => ("open", "undecided".to_owned()),
    }
}

fn bar(share: f64, class: &str) -> Markup {
    let width = if share > 0.0 { (share * PARTS).clamp(8.0, PARTS).round() } else { 0.0 };
    html! {
        svg.bar viewBox="0 0 1000 12" preserveAspectRatio="none" aria-hidden="true" {
            rect.track width="1000" height="12" {}
            @if width > 0.0 { rect.fill.(class) width=(width) height="12" {} }
        }
    }
}

fn migration(one: &PendingMigration, longest: f64) -> Markup {
    let (class, word) = outcome(one.outcome, one.sqlstate.as_deref());
    let colour = if one.outcome == MigrationOutcome::Passes { "" } else { class };
    let share = if longest > 0.0 { one.seconds / longest } else { 0.0 };
    html! {
        li.unreached[!one.reached] {
            div {
                h3 { (name(one.name)) }
                p.tags {
                    span.tag.(class) { (word) }
                    @if !one.reached { span.tag.known { "not reached" } }
                    span.aside { "since " (one.release) }
                    @for code in &one.hazards { a href={ "#" (code) } { code { (code) } } }
                }
                @if !one.rows.is_empty() || !one.locks.is_empty() {
                    ul.does {
                        @for rows in &one.rows {
                            li { strong { (rows.action.replace('-', " ")) ": " (counted(rows.count.unsigned_abs(), "row")) } " of " (name(&rows.table)) }
                        }
                        @for lock in one.locks.iter().take(3) { li { (prose(&preflight::lock(lock))) } }
                        @if one.locks.len() > 3 { li { "and " (one.locks.len() - 3) " more tables" } }
                    }
                }
            }
            div.cost { strong { (humanize::format_estimate(Duration::from_secs_f64(one.seconds))) } @if longest > 0.0 { (bar(share, colour)) } }
        }
    }
}

/// The results of the files that were run.
pub fn rehearsed(rehearsal: &MigrationRehearsal) -> Option<Markup> {
    let how = match rehearsal.committed {
        true => "each committed on a throwaway copy",
        false => "in one transaction that was rolled back",
    };
    let longest = rehearsal.files.iter().map(|file| file.duration_ms).max().unwrap_or(0);
    Some(html! {
        p.lead {
            (counted(rehearsal.files.len() as u64, "pending file")) " from " (name(&rehearsal.directory.display().to_string())) ", " (how)
            ". A bar is the time that one took, beside the longest."
        }
        @if !rehearsal.files.is_empty() { ol.migrations { @for one in &rehearsal.files { (file(one, longest)) } } }
        @let said = rehearsal::directory(rehearsal);
        @if !said.is_empty() { ul.notes { @for line in &said { li { (prose(line)) } } } }
    })
}

fn file(file: &FileResult, longest: u64) -> Markup {
    let sqlstate = file.errors.first().and_then(|refused| refused.sqlstate.as_deref());
    let (class, word) = outcome(file.outcome, sqlstate);
    let colour = if file.outcome == MigrationOutcome::Passes { "" } else { class };
    #[expect(clippy::cast_precision_loss, reason = "a bar")]
    let share = if longest > 0 { file.duration_ms as f64 / longest as f64 } else { 0.0 };
    let said = rehearsal::said(file);
    html! {
        li.unreached[!file.reached] {
            div {
                h3 { (name(&file.name)) }
                p.tags {
                    span.tag.(class) { (word) }
                    @if !file.reached { span.tag.known { "not reached" } }
                    span.aside {
                        @if let Some(release) = file.release { "since " (release) ", " } @else { "of no known release, " }
                        (counted(file.statements as u64, "statement")) ", " (humanize::format_bytes(file.wal_bytes.max(file.new_file_bytes))) " written"
                    }
                }
                ul.does {
                    @for (table, rows) in &file.rows { li { strong { (rehearsal::treated(rows)) } " in " (name(table)) } }
                    @for lock in rehearsal::noticed(file).take(3) { li { (prose(&lock)) } }
                    @for (label, text) in &said { li { strong { (label) } " " (prose(text)) } }
                }
            }
            div.cost { strong { (rehearsal::time(file.duration_ms)) } (bar(share, colour)) }
        }
    }
}
