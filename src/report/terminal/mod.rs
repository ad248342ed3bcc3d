//! For the terminal: what is wrong, what it means, what to type next.

pub mod change;
pub mod check;
pub mod explain;
pub mod keep;
pub mod logs;
mod outcome;
pub mod preflight;
pub mod prune;
pub mod rehearsal;
pub mod row_diff;
mod snapshot;
pub mod sparkline;
pub mod way_back;
pub mod window;

use serde_json::Value;

use crate::cli::GlobalOptions;
use crate::repair::ledger::AppliedRun;
use crate::repair::prune::LedgerStorage;
use crate::rules::finding::Finding;

use super::resolve_script::resolve_script;
use super::view::ReportView;
use super::{Detail, upgrade, words};
use crate::terminal::page::Page;
use crate::terminal::style::PLAIN;
use crate::text::humanize::{format_bytes, format_count, pluralize};

/// The report as text for a page.
pub fn render(outline: &ReportView<'_>, common: &GlobalOptions, page: Page) -> String {
    let report = outline.report;
    let mut out = String::new();
    if let Detail::Preflight { preflight, resolve: true } = &report.detail {
        return resolve_script(outline, preflight);
    }
    if !common.quiet {
        out.push_str(&heading(outline, common, page));
        out.push_str(&check::missing_grants(outline, page));
    }
    match &report.detail {
        Detail::Check {} => {
            if !common.quiet {
                out.push_str(&check::findings(outline, common, page));
                out.push_str(&check::undecided(outline, page));
            }
            out.push_str(&check::headline(outline, page));
            if !common.quiet {
                out.push_str(&check::next_step(outline, common, page));
            }
        }
        Detail::Preflight { preflight, .. } => {
            if !common.quiet {
                out.push_str(&check::findings(outline, common, page));
                out.push_str(&check::undecided(outline, page));
                out.push_str(&preflight::human(preflight, common, page));
            }
            out.push_str(&preflight::summary(preflight, page));
            if !common.quiet {
                out.push_str(&check::next_step(outline, common, page));
            }
        }
        Detail::Change(change) => out.push_str(&change::human(outline, change, common, page)),
        Detail::Credentials { credentials } if common.quiet => out.push_str(&held(credentials)),
        Detail::Credentials { credentials } => out.push_str(&self::credentials(credentials, common, page)),
        Detail::Logs(read) => {
            let news: Vec<&Finding> = outline.new_findings().map(|view| view.finding).collect();
            match common.quiet {
                true => out.push_str(&logs::summary(read, &report.findings, page)),
                false => out.push_str(&logs::human(read, &report.findings, &news, page)),
            }
        }
        Detail::Snapshot { snapshot } => {
            out.push_str(&snapshot::human(snapshot, common, page));
            if !common.quiet {
                out.push_str(&check::next_step(outline, common, page));
            }
        }
        Detail::History { runs, prune: None, .. } if common.quiet => out.push_str(&undone(runs)),
        Detail::History { runs, storage, prune } => {
            if !common.quiet {
                out.push_str(&history(runs, storage, common, page));
            }
            if let Some(plan) = prune {
                let again = plan.again.as_ref().map(|again| again.clone() + &common.connection_arguments());
                out.push_str(&self::prune::human(plan, again.as_deref(), page));
            }
        }
    }
    for line in outline.baseline_summary().into_iter().chain(outline.policy_notes()) {
        out.push_str(&page.wrap(&line, 0));
    }
    out
}

fn heading(outline: &ReportView<'_>, common: &GlobalOptions, page: Page) -> String {
    let report = outline.report;
    let mut lines = Vec::new();
    if let Some(notice) = outline.notice {
        lines.push(("rows", notice.to_owned()));
    }
    if let Detail::Preflight { preflight, .. } = &report.detail {
        lines.push(("verdict", upgrade::verdict(report, preflight).sentence));
    }
    if let Some(name) = &report.target {
        lines.push(("target", name.clone()));
    }
    let restore = report.database.as_ref().and_then(|database| database.restore.as_ref());
    if let Some(database) = &report.database {
        // What is behind the number is the package's.
        let version = match common.verbose {
            0 => database.server_version.split(' ').next().unwrap_or_default(),
            _ => &database.server_version,
        };
        lines.push((
            "database",
            format!(
                "{} on {}, schema {}, PostgreSQL {version}",
                database.name, database.host, database.schema
            ),
        ));
    }
    if let Some(release) = &report.release {
        let migrations = &release.migrations;
        let mut text = format!(
            "{} ({} applied, {} pending",
            release.describe(),
            pluralize(migrations.applied, "migration"),
            migrations.pending.len()
        );
        if !migrations.failed.is_empty() {
            text.push_str(&format!(", FAILED: {}", migrations.failed.join(", ")));
        }
        if !migrations.unknown.is_empty() {
            text.push_str(&format!(", {} unknown to this evodoctor", migrations.unknown.len()));
        }
        text.push(')');
        lines.push(("release", text));
        match migrations.reissued.as_slice() {
            [_, _, ..] if common.verbose == 0 => {
                let text = format!(
                    "{} as another release had them: -v names them",
                    pluralize(migrations.reissued.len(), "migration")
                );
                lines.push(("content", text));
            }
            few => lines.extend(few.iter().map(|content| ("content", content.clone()))),
        }
    } else if let Some(database) = &report.database {
        let why = match database.is_history_hidden {
            true => "this role may not read _prisma_migrations",
            false => "there is no _prisma_migrations table",
        };
        lines.push(("release", format!("unknown: {why}")));
    }
    lines.extend(report.upgrade.iter().map(|outcome| ("upgrade", words::after_upgrade::sentence(outcome))));
    if let Some(config) = &report.config {
        let environment = config.environment.as_ref().map(|name| format!(", environment {name}"));
        lines.push(("settings", config.file.clone() + &environment.unwrap_or_default()));
    }
    lines.extend(restore.iter().flat_map(|restore| restore.lines()));
    if matches!(report.detail, Detail::Check {}) {
        lines.extend(check::lead(outline));
    }
    let complaints = restore.map(|restore| restore.complaints(page)).unwrap_or_default();
    if lines.is_empty() { complaints } else { page.pairs(&lines, 0) + "\n" + &complaints }
}

/// Returns the number of credentials, in a line.
fn held(credentials: &[Value]) -> String {
    let is_foreign = |holder: &Value| holder["is_foreign"] == true;
    let of_others =
        |credential: &&Value| credential["holders"].as_array().is_some_and(|all| all.iter().any(is_foreign));
    let foreign = credentials.iter().filter(of_others).count();
    format!("{}, {foreign} held by another instance\n", pluralize(credentials.len(), "credential"))
}

fn credentials(credentials: &[Value], common: &GlobalOptions, page: Page) -> String {
    if credentials.is_empty() {
        return "there is no OpenAI credential\n".to_owned();
    }
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let holder = |holder: &Value| {
        let foreign = if holder["is_foreign"] == true { " (another instance)" } else { "" };
        format!("{} of {}{foreign}", text(&holder["kind"]), text(&holder["instance"]))
    };
    let rows: Vec<Vec<String>> = credentials
        .iter()
        .map(|credential| {
            let holders = credential["holders"].as_array().map(Vec::as_slice).unwrap_or_default();
            let holders: Vec<String> = holders.iter().map(holder).collect();
            let holders = if holders.is_empty() { "nothing".to_owned() } else { holders.join(", ") };
            let mut row: Vec<String> =
                ["id", "name", "instance", "apiKey"].iter().map(|field| text(&credential[*field])).collect();
            row.push(holders);
            row
        })
        .collect();
    let again = common.connection_arguments();
    let share = format!("evodoctor credentials share CREDENTIAL INSTANCE{again}");
    let release = format!("evodoctor credentials release CREDENTIAL{again}");
    page.table(&["credential", "name", "instance", "key", "held by"], &rows, 0)
        + &page.command_hint(&share, "gives an instance a copy of a credential", 0)
        + &page.command_hint(&release, "releases a credential from everything that uses it", 0)
}

/// Returns the number of runs, in a line.
fn undone(runs: &[AppliedRun]) -> String {
    let undone = runs.iter().filter(|run| run.undone_at.is_some()).count();
    format!("{}, {undone} undone\n", pluralize(runs.len(), "run"))
}

/// The runs of one series of batches together, newest first as they come.
fn series(runs: &[AppliedRun]) -> Vec<Vec<&AppliedRun>> {
    let mut all: Vec<Vec<&AppliedRun>> = Vec::new();
    for run in runs {
        let is_same = |one: &&mut Vec<&AppliedRun>| run.series.is_some() && one[0].series == run.series;
        match all.last_mut().filter(is_same) {
            Some(known) => known.push(run),
            None => all.push(vec![run]),
        }
    }
    all
}

fn history_row(runs: &[&AppliedRun], is_full: bool) -> Vec<String> {
    let (newest, oldest) = (runs[0], runs[runs.len() - 1]);
    let number = match runs.len() {
        1 => newest.run.to_string(),
        _ => format!("{} to {}", oldest.run, newest.run),
    };
    let mut fixes: Vec<String> = Vec::new();
    for fix in runs.iter().flat_map(|run| &run.fixes) {
        let fix = if is_full { words::keep::label(fix) } else { words::keep::short_label(fix) };
        if !fixes.contains(&fix) {
            fixes.push(fix);
        }
    }
    let batches = newest.series.map(|first| match runs.len() {
        1 => format!(" (batches of {first})"),
        number => format!(" ({})", pluralize(number, "batch").replace("batchs", "batches")),
    });
    let unfinished = runs.iter().any(|run| !run.unfinished.is_empty());
    let shown = if is_full { words::runs::minute } else { words::runs::day };
    let undone: Vec<String> = runs.iter().map(|run| words::runs::ended(run, shown)).collect();
    let is_one = undone.iter().all(|one| *one == undone[0]);
    // The batches of a series are undone one after the other: the last one ends it.
    let over: Option<Vec<&str>> = runs.iter().map(|run| run.undone_at.as_deref()).collect();
    let ended = match over.and_then(|over| over.into_iter().max()) {
        Some(last) => words::runs::undone_at(&shown(last), runs),
        None if is_one => undone[0].clone(),
        None => "in part".to_owned(),
    };
    vec![
        number,
        words::runs::minute(&newest.applied_at),
        newest.applied_by.clone(),
        fixes.join(", ") + &batches.unwrap_or_default() + if unfinished { " (not finished)" } else { "" },
        kept(runs),
        ended,
    ]
}

/// The number of rows that are kept, and how much room they take.
fn kept(runs: &[&AppliedRun]) -> String {
    let rows = format_count(runs.iter().map(|run| run.quarantined).sum::<i64>());
    match runs.iter().map(|run| run.kept_bytes).sum::<i64>() {
        0 => rows,
        bytes => format!("{rows}, {}", format_bytes(bytes)),
    }
}

fn history(runs: &[AppliedRun], storage: &LedgerStorage, common: &GlobalOptions, page: Page) -> String {
    if runs.is_empty() {
        return "no run has been applied to this database\n".to_owned();
    }
    let rows: Vec<Vec<String>> =
        series(runs).iter().map(|runs| history_row(runs, common.verbose > 0)).collect();
    let head = ["run", "applied (UTC)", "by", "fixes", "rows kept", "undone"];
    let table = page.plain_table(&head, &rows, 0, |_, _| PLAIN);
    let mut out = table + &page.wrap(&words::runs::storage(storage), 0);
    if runs.iter().any(|run| !run.superseded_by.is_empty()) {
        out.push_str(&page.command_hint(
            &format!("evodoctor fix EVO307{}", common.connection_arguments()),
            "closes what an upgrade has superseded",
            0,
        ));
    }
    if runs.iter().any(|run| !run.unfinished.is_empty()) {
        let command = format!("evodoctor fix --online --apply{}", common.connection_arguments());
        out.push_str(&page.command_hint(&command, "continues what is not finished", 0));
    }
    if let Some(newest) = runs.iter().find(|run| run.can_be_undone()) {
        let command = format!(
            "evodoctor undo {}{}",
            newest.series.unwrap_or(newest.run),
            common.connection_arguments()
        );
        let newest = if newest.series.is_some() { "the newest series of batches" } else { "the newest run" };
        out.push_str(&page.command_hint(&command, &format!("shows what undoing {newest} would do"), 0));
    }
    out
}
