//! What an upgrade will do, for people.

use std::time::Duration;

use crate::cli::GlobalOptions;
use crate::report::upgrade::{NOTICED, longest, treated};
use crate::text::escape::escape_control;
use crate::upgrade::fix_conflicts::FixConflict;
use crate::upgrade::locks::MigrationLock;
use crate::upgrade::read_speed::TableWork;
use crate::upgrade::{MigrationOutcome, PendingMigration, Preflight};

use super::{keep, way_back, window};
use crate::terminal::page::Page;
use crate::terminal::style::{COMMAND, DIM, ERROR, GOOD, NAME, PLAIN, WARNING, paint};
use crate::text::humanize::{format_bytes, format_estimate, pluralize};

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
            "{} more {}, and {} nobody waiting: -v lists them\n",
            others,
            if others == 1 { "passes" } else { "pass" },
            if others == 1 { "keeps" } else { "keep" },
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
        Some(kept) => out.push_str(&keep::human(kept, preflight.to, page)),
        None if preflight.pending.iter().any(|one| one.outcome == MigrationOutcome::LosesData) => {
            let command = format!("evodoctor preflight --to {} --keep", preflight.to);
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
    if let Some(rehearsal) = &preflight.rehearsal {
        out.push_str(&crate::report::terminal::rehearsal::human(rehearsal, common, page));
    }
    out
}

/// How an applied fix and a pending migration get along.
pub(crate) fn meeting(meeting: &FixConflict) -> String {
    let what = match (meeting.recorded, meeting.compatible) {
        (true, _) => "did beforehand, and recorded, what would have been done by",
        (false, true) => "is compatible with",
        (false, false) => "has to be undone before",
    };
    format!("the fix {} of run {} {what} {}", meeting.code, meeting.run, meeting.migration)
}

/// The whole answer in a sentence.
pub fn summary(preflight: &Preflight, page: Page) -> String {
    if let Some(answer) = &preflight.way_back {
        return way_back::summary(answer, page);
    }
    let Preflight { to, applied, total, pending, .. } = preflight;
    if let Some(rehearsal) = preflight.rehearsal.as_ref().filter(|_| preflight.starts) {
        let worst = rehearsal.files.iter().map(|file| file.outcome);
        return page
            .wrap(&paint(verdict(worst), crate::report::terminal::rehearsal::summary(rehearsal, to)), 0);
    }
    let mut parts = vec![format!("to {to}: {applied} of {} applied", pluralize(*total, "migration"))];
    parts.push(format!("{} pending", pending.len()));
    let fails = pending.iter().find(|one| one.outcome == MigrationOutcome::Fails);
    let has = |outcome| pending.iter().any(|one| one.outcome == outcome);
    if !preflight.starts {
        parts.push("Prisma will not start".to_owned());
    } else if let Some(one) = fails {
        let sqlstate = one.sqlstate.as_deref().unwrap_or("an error");
        parts.push(format!("{} FAILS with {sqlstate}", one.name));
    } else if has(MigrationOutcome::Undecided) {
        parts.push("whether they succeed could not be found out".to_owned());
    } else if !pending.is_empty() {
        parts.push("will succeed".to_owned());
    }
    if !preflight.notes.is_empty() && preflight.notes.iter().any(|note| note.contains("LICENSE_REQUIRED")) {
        parts.push("then every route answers 503 until it is activated".to_owned());
    }
    if has(MigrationOutcome::GoesAstray) {
        parts.push("one is recorded without being done".to_owned());
    }
    if has(MigrationOutcome::LosesData) {
        let kept = preflight.keep.as_ref().and_then(|keep| keep.run);
        parts.push(
            kept.map_or("data is lost".to_owned(), |run| format!("data goes, and is kept by run {run}")),
        );
    }
    parts.extend(longest(preflight).map(|lock| {
        format!(
            "blocks {} on \"{}\" ({}) about {}",
            lock.mode.blocks(),
            lock.table,
            format_bytes(lock.bytes),
            format_estimate(Duration::from_secs_f64(lock.seconds))
        )
    }));
    if let Some(speed) = preflight.speed.as_ref().filter(|speed| speed.table.is_some()) {
        #[expect(clippy::cast_possible_truncation, reason = "for people")]
        let rate = format_bytes(speed.bytes_per_second as i64);
        parts.push(format!("times are estimates from {rate} read in a second"));
    }
    let verdict = if preflight.starts { verdict(pending.iter().map(|one| one.outcome)) } else { ERROR };
    page.wrap(&paint(verdict, parts.join("; ")), 0)
}

/// How an outcome looks.
pub(crate) fn style(outcome: MigrationOutcome) -> anstyle::Style {
    match outcome {
        MigrationOutcome::Fails | MigrationOutcome::LosesData => ERROR,
        MigrationOutcome::GoesAstray | MigrationOutcome::Undecided | MigrationOutcome::Blocks => WARNING,
        MigrationOutcome::Passes => PLAIN,
    }
}

/// How all of them together look.
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
        MigrationOutcome::GoesAstray => "goes astray".to_owned(),
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

/// Whom a lock keeps waiting, on what, and what is done meanwhile.
pub(crate) fn lock(lock: &MigrationLock) -> String {
    let work = match lock.work {
        TableWork::Catalog => "",
        TableWork::Scan => ", read",
        TableWork::Index => ", indexed",
        TableWork::Update => ", updated",
        TableWork::Rewrite => ", rewritten",
    };
    format!("blocks {} on {} ({}{work})", lock.mode.blocks(), lock.table, format_bytes(lock.bytes))
}
