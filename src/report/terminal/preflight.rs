//! The prediction of an upgrade, for people.

use std::time::Duration;

use crate::cli::GlobalOptions;
use crate::report::words;
use crate::report::words::preflight::{NOTICED, lock, meeting, treated};
use crate::text::escape::escape_control;
use crate::upgrade::{MigrationOutcome, PendingMigration, Preflight};

use super::outcome::style;
use super::{keep, rehearsal, way_back, window};
use crate::terminal::page::Page;
use crate::terminal::style::{COMMAND, DIM, ERROR, GOOD, NAME, PLAIN, WARNING, paint};
use crate::text::humanize::format_estimate;

/// More pending migrations than these are not all listed, unless asked with `-v`.
const LISTED: usize = 10;

/// Tables that a row of the list names.
const TABLES: usize = 3;

/// The pending migrations, our own fixes that meet them, and what to do before.
pub fn human(preflight: &Preflight, common: &GlobalOptions, page: Page) -> String {
    if let Some(answer) = &preflight.way_back {
        return way_back::human(answer, &preflight.before, &preflight.notes, common.verbose > 0, page);
    }
    let mut out = String::new();
    let is_listed =
        |one: &&PendingMigration| preflight.pending.len() <= LISTED || common.verbose > 0 || !is_quiet(one);
    let listed: Vec<&PendingMigration> = preflight.pending.iter().filter(is_listed).collect();
    if !listed.is_empty() {
        let rows: Vec<Vec<String>> = listed.iter().map(|one| row(one)).collect();
        let head = ["migration", "release", "outcome", "what it does", "time"];
        let style = |row: usize, column: usize| match listed.get(row) {
            Some(one) if column == 2 => style(one.outcome),
            _ => PLAIN,
        };
        out.push_str(&page.painted_table(&head, &rows, 0, style));
    }
    let others = preflight.pending.len() - listed.len();
    if others > 0 {
        let text = format!(
            "{} more {} and {} nothing: -v lists them\n",
            others,
            if others == 1 { "passes" } else { "pass" },
            if others == 1 { "blocks" } else { "block" },
        );
        out.push_str(&text);
    }
    if preflight.fixes.is_none() {
        let text =
            "this role may not read evodoctor's ledger: whether an applied fix is in the way is not known";
        out.push_str(&page.wrap(text, 0));
    }
    for one in preflight.fixes.iter().flatten() {
        out.push_str(&page.wrap(&meeting(one), 0));
    }
    for note in &preflight.notes {
        out.push_str(&page.wrap(note, 0));
    }
    if let Some(found) = &preflight.traffic {
        out.push_str(&window::human(found, page));
    }
    match &preflight.keep {
        Some(kept) => out.push_str(&keep::human(kept, preflight.to, common, page)),
        None if preflight.pending.iter().any(|one| one.outcome == MigrationOutcome::LosesData) => {
            let command = format!(
                "evodoctor preflight --to {} --keep{}",
                preflight.to,
                common.live_connection_arguments()
            );
            out.push_str(&page.command_hint(
                &command,
                "shows what goes, and with --apply keeps a copy of it",
                0,
            ));
        }
        None => {}
    }
    if !preflight.before.is_empty() {
        out.push_str(&format!("\n{}\n", paint(NAME, "before the upgrade, in this order")));
        let again = common.live_connection_arguments();
        for line in &preflight.before {
            let style = if line.starts_with('#') { DIM } else { COMMAND };
            let again = if line.starts_with("evodoctor ") { again.as_str() } else { "" };
            out.push_str(&format!("  {}{}\n", paint(style, escape_control(line)), paint(style, again)));
        }
    }
    if !out.is_empty() {
        out.push('\n');
    }
    if let Some(rehearsed) = &preflight.rehearsal {
        out.push_str(&rehearsal::human(rehearsed, common, page));
    }
    out
}

/// The whole answer in a sentence, in the colour of the worst that happens.
pub fn summary(preflight: &Preflight, page: Page) -> String {
    if let Some(answer) = &preflight.way_back {
        return way_back::summary(answer, page);
    }
    let style = match &preflight.rehearsal {
        _ if !preflight.starts => ERROR,
        Some(rehearsal) => verdict(rehearsal.files.iter().map(|file| file.outcome)),
        None => verdict(preflight.pending.iter().map(|one| one.outcome)),
    };
    page.wrap(&paint(style, words::preflight::summary(preflight)), 0)
}

/// Returns the style for all of them together.
fn verdict(outcomes: impl Iterator<Item = MigrationOutcome>) -> anstyle::Style {
    let styles: Vec<_> = outcomes.map(style).collect();
    [ERROR, WARNING].into_iter().find(|bad| styles.contains(bad)).unwrap_or(GOOD)
}

fn is_quiet(one: &PendingMigration) -> bool {
    one.outcome == MigrationOutcome::Passes && one.seconds < NOTICED && one.hazards.is_empty()
}

fn row(one: &PendingMigration) -> Vec<String> {
    let outcome = match one.outcome {
        MigrationOutcome::Fails => format!("FAILS {}", one.sqlstate.as_deref().unwrap_or_default()),
        MigrationOutcome::Passes => "passes".to_owned(),
        MigrationOutcome::Blocks => "blocks".to_owned(),
        MigrationOutcome::LosesData => "loses data".to_owned(),
        MigrationOutcome::GoesAstray => "not done".to_owned(),
        MigrationOutcome::Undecided => "undecided".to_owned(),
    };
    let outcome = if one.reached { outcome } else { format!("not reached ({outcome})") };
    let rows = one.rows.iter().map(treated);
    let mut does: Vec<String> = rows.chain(one.locks.iter().take(TABLES).map(lock)).collect();
    if one.locks.len() > TABLES {
        does.push(format!("and {} more", one.locks.len() - TABLES));
    }
    vec![
        one.name.to_owned(),
        one.release.to_owned(),
        outcome,
        does.join("; "),
        format_estimate(Duration::from_secs_f64(one.seconds)),
    ]
}
