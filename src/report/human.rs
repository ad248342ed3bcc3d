//! For the terminal: what is wrong, what it means, what to type next.

use serde_json::Value;

use crate::cli::Common;
use crate::examine::finding::{Finding, Outcome};
use crate::examine::rule::Severity;
use crate::repair::ledger::Run;
use crate::requests::shown::visible;
use crate::rules;

use super::layout::{Page, count};
use super::outline::{Outline, next};
use super::{Detail, Report, change, logs};

/// The report as text for a page.
pub fn render(outline: &Outline<'_>, common: &Common, page: Page) -> String {
    let report = outline.report;
    let news: Vec<&Finding> = outline.news().map(|told| told.finding).collect();
    let mut out = String::new();
    if let Detail::Preflight { preflight, resolve: true } = &report.detail {
        return super::preflight::resolve(preflight);
    }
    if !common.quiet {
        out.push_str(&heading(report, page));
    }
    match &report.detail {
        Detail::Check {} => {
            if !common.quiet {
                out.push_str(&findings(&news, page));
                out.push_str(&undecided(report, page));
            }
            out.push_str(&format!("{}\n", outline.headline()));
            if !common.quiet {
                out.push_str(&next_after_check(&news, common, page));
            }
        }
        Detail::Preflight { preflight, .. } => {
            if !common.quiet {
                out.push_str(&findings(&news, page));
                out.push_str(&undecided(report, page));
                out.push_str(&super::preflight::human(preflight, common, page));
            }
            out.push_str(&super::preflight::summary(preflight, page));
        }
        Detail::Change(change) => out.push_str(&change::human(report, change, common, page)),
        Detail::Credentials { credentials } => out.push_str(&self::credentials(credentials, page)),
        Detail::Logs(read) => out.push_str(&logs::human(read, &report.findings, page.width)),
        Detail::History { runs } => out.push_str(&history(runs, page)),
    }
    for line in outline.compared().into_iter().chain(outline.decisions()) {
        out.push_str(&page.wrap(&line, 0));
    }
    out
}

fn heading(report: &Report, page: Page) -> String {
    let mut lines = Vec::new();
    if let Some(name) = &report.target {
        lines.push(("target", name.clone()));
    }
    let restore = report.database.as_ref().and_then(|database| database.restore.as_ref());
    if let Some(database) = &report.database {
        lines.push((
            "database",
            format!(
                "{} on {}, schema {}, PostgreSQL {}",
                database.name, database.host, database.schema, database.server_version
            ),
        ));
    }
    if let Some(release) = &report.release {
        let migrations = &release.migrations;
        let mut text = format!(
            "{} ({} applied, {} pending",
            release.words(),
            count(migrations.applied, "migration"),
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
        lines.extend(migrations.reissued.iter().map(|content| ("content", content.clone())));
    } else if report.database.is_some() {
        lines.push(("release", "unknown: there is no _prisma_migrations table".to_owned()));
    }
    if let Some(config) = &report.config {
        let environment = config.environment.as_ref().map(|name| format!(", environment {name}"));
        lines.push(("settings", config.file.clone() + &environment.unwrap_or_default()));
    }
    lines.extend(restore.iter().flat_map(|restore| restore.lines()));
    let complaints = restore.map(|restore| restore.complaints(page)).unwrap_or_default();
    if lines.is_empty() { complaints } else { page.pairs(&lines, 0) + "\n" + &complaints }
}

fn findings(findings: &[&Finding], page: Page) -> String {
    let mut out = String::new();
    let mut last_code = "";
    for finding in findings {
        if finding.code != last_code {
            out.push_str(&format!("{} {} {}\n", finding.severity, finding.code, finding.name));
            if let Some(rule) = rules::find(&finding.code) {
                out.push_str(&page.wrap(&rule.summary, 2));
            }
            last_code = &finding.code;
        }
        out.push_str(&one_finding(finding, page));
        let is_last = findings.iter().rposition(|f| f.code == finding.code)
            == findings.iter().position(|f| std::ptr::eq(*f, *finding));
        if is_last {
            out.push_str(&format!("  next: {}\n\n", next(finding)));
        }
    }
    out
}

fn one_finding(finding: &Finding, page: Page) -> String {
    let mut pairs = vec![("found", finding.detail.clone())];
    if let Some(first) = finding.sample.first() {
        let more = finding.sample.len() - 1;
        let more = if more == 0 { String::new() } else { format!(" and {more} more in --format json") };
        pairs.push(("example", format!("{first}{more}")));
    }
    if let Some(predicate) = &finding.predicate {
        pairs.push(("where", predicate.clone()));
    }
    format!("  {}\n{}", visible(&finding.subject), page.pairs(&pairs, 4))
}

/// The checks that could not be decided, and why.
pub(super) fn undecided(report: &Report, page: Page) -> String {
    let mut out = String::new();
    for check in &report.checks {
        let Some(reason) = &check.reason else { continue };
        let how = if check.outcome == Outcome::Undecided { "undecided" } else { "partly undecided" };
        out.push_str(&format!("{how} {} {}\n", check.code, check.name));
        out.push_str(&page.wrap(reason, 2));
        out.push('\n');
    }
    out
}

fn next_after_check(findings: &[&Finding], common: &Common, page: Page) -> String {
    let fixable = findings.iter().any(|finding| {
        common.fail_on.counts(finding.severity)
            && finding.fix.as_ref().is_some_and(|fix| fix.applicability.to_string() != "manual")
    });
    if fixable {
        page.wrap(
            "next: evodoctor fix    rehearses every repair in a transaction, shows the diff, and rolls back",
            0,
        )
    } else if findings.iter().all(|finding| finding.severity == Severity::Advice) && !findings.is_empty() {
        page.wrap("Advice needs no action. To repair one anyway, name it: evodoctor fix CODE", 0)
    } else {
        String::new()
    }
}

fn credentials(credentials: &[Value], page: Page) -> String {
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
    page.table(&["credential", "name", "instance", "key", "held by"], &rows, 0)
        + "next: evodoctor credentials share CREDENTIAL INSTANCE, or release CREDENTIAL\n"
}

/// Whether and when a run was undone, or why it cannot be.
pub(super) fn ended(run: &Run) -> String {
    match (&run.undone_at, &run.closed_at) {
        (Some(undone), _) => undone.clone(),
        (None, Some(closed)) => format!("closed {closed}"),
        (None, None) if run.superseded_by.is_empty() => "no".to_owned(),
        (None, None) => format!("superseded by {}", run.superseded_by.join(", ")),
    }
}

fn history(runs: &[Run], page: Page) -> String {
    if runs.is_empty() {
        return "no run has been applied to this database\n".to_owned();
    }
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            vec![
                run.run.to_string(),
                run.applied_at.clone(),
                run.applied_by.clone(),
                run.target_schema.clone(),
                run.fixes
                    .iter()
                    .map(|fix| format!("{} v{}", fix.code, fix.version))
                    .collect::<Vec<_>>()
                    .join(", ")
                    + &run.series.map(|first| format!(" (batches of {first})")).unwrap_or_default(),
                run.quarantined.to_string(),
                ended(run),
            ]
        })
        .collect();
    let head = ["run", "applied", "by", "schema", "fixes", "rows kept", "undone"];
    let mut out = page.table(&head, &rows, 0);
    if runs.iter().any(|run| !run.superseded_by.is_empty()) {
        out.push_str("next: evodoctor fix EVO307    closes what an upgrade has superseded\n");
    }
    let can_be_undone =
        |run: &&Run| run.undone_at.is_none() && run.closed_at.is_none() && run.superseded_by.is_empty();
    if let Some(newest) = runs.iter().find(can_be_undone) {
        out.push_str(&format!(
            "next: evodoctor undo {}    shows what undoing {} would do\n",
            newest.series.unwrap_or(newest.run),
            if newest.series.is_some() { "the newest series of batches" } else { "the newest run" }
        ));
    }
    out
}
