//! Several databases in one run: a table of how each came out, and one document for formats that can hold several.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::ci::{gitlab, sarif};
use super::view::ReportView;
use super::{Report, json as one_json};
use crate::cli::GlobalOptions;
use crate::exit_code::Exit;
use crate::rules::finding::Summary;
use crate::terminal::page::Page;
use crate::text::escape::escape_control;
use crate::text::humanize::pluralize;

/// The result for one database.
pub struct TargetReport<'r> {
    /// Its name in the list.
    pub name: &'r str,
    /// Its own exit code.
    pub exit: Exit,
    /// The duration of its run.
    pub took: Duration,
    /// Its report and the options that it is read with, or why there is none.
    pub outcome: Result<(&'r Report, &'r GlobalOptions), TargetError>,
}

/// Why a database could not be examined.
#[derive(Debug, Clone)]
pub struct TargetError {
    /// The error.
    pub message: String,
    /// The hint, if there is one.
    pub next: Option<String>,
}

/// A line for each database, why some have none, and one line on all.
pub fn table(members: &[TargetReport<'_>], page: Page) -> String {
    let head = ["database", "result", "release", "errors", "warnings", "advice", "undecided", "time"];
    let rows: Vec<Vec<String>> = members.iter().map(row).collect();
    let mut out = page.table(&head, &rows, 0);
    for member in members {
        let Err(obstacle) = &member.outcome else { continue };
        out.push_str(
            &page.wrap(&format!("{}: {}", escape_control(member.name), escape_control(&obstacle.message)), 0),
        );
        if let Some(next) = &obstacle.next {
            out.push_str(&page.wrap(&format!("next: {}", escape_control(next)), 2));
        }
    }
    out + &headline(members) + "\n"
}

fn row(member: &TargetReport<'_>) -> Vec<String> {
    let seconds = format!("{:.1} s", member.took.as_secs_f64());
    let (release, counts) = match &member.outcome {
        Ok((report, _)) => {
            let release =
                report.release.as_ref().map_or_else(|| "unknown".to_owned(), |release| release.describe());
            let Summary { errors, warnings, advice, undecided } = report.summary;
            (release, [errors, warnings, advice, undecided].map(|number| number.to_string()))
        }
        Err(_) => ("-".to_owned(), ["-"; 4].map(str::to_owned)),
    };
    let mut row = vec![member.name.to_owned(), word(member.exit).to_owned(), release];
    row.extend(counts);
    row.push(seconds);
    row
}

fn word(exit: Exit) -> &'static str {
    match exit {
        Exit::Clean => "clean",
        Exit::Findings => "findings",
        Exit::Failed => "not examined",
        Exit::Undecided => "undecided",
    }
}

fn headline(members: &[TargetReport<'_>]) -> String {
    let mut line = pluralize(members.len(), "database");
    for (exit, what) in [
        (Exit::Failed, "not examined"),
        (Exit::Findings, "with findings"),
        (Exit::Undecided, "undecided"),
        (Exit::Clean, "clean"),
    ] {
        let number = members.iter().filter(|member| member.exit == exit).count();
        if number > 0 {
            line.push_str(&format!(", {number} {what}"));
        }
    }
    line
}

/// One JSON document: checks and findings of all, each with its `target`, and under `targets` what else each report says.
pub fn json(command: &'static str, members: &[TargetReport<'_>]) -> Result<String> {
    let (mut checks, mut findings, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    let mut sum = Summary::default();
    for member in members {
        let mut target = json!({
            "name": member.name,
            "exit_code": member.exit.code(),
            "duration_ms": u64::try_from(member.took.as_millis()).unwrap_or(u64::MAX),
            "error": null,
        });
        match &member.outcome {
            Err(obstacle) => target["error"] = json!({"message": obstacle.message, "next": obstacle.next}),
            Ok((report, common)) => {
                let Value::Object(mut document) = one_json::document(&ReportView::new(report, common))?
                else {
                    continue;
                };
                for (field, all) in [("checks", &mut checks), ("findings", &mut findings)] {
                    let Some(Value::Array(items)) = document.remove(field) else { continue };
                    all.extend(items.into_iter().map(|mut item| {
                        item["target"] = member.name.into();
                        item
                    }));
                }
                let Summary { errors, warnings, advice, undecided } = report.summary;
                sum.errors += errors;
                sum.warnings += warnings;
                sum.advice += advice;
                sum.undecided += undecided;
                let others = document
                    .into_iter()
                    .filter(|(name, _)| !["tool", "command", "target", "personal_data"].contains(&&**name));
                for (name, value) in others {
                    target[name] = value;
                }
            }
        }
        targets.push(target);
    }
    let document = json!({
        "tool": Report::tool(),
        "command": command,
        "personal_data": examined(members).find_map(|(report, _)| report.personal_data),
        "database": null,
        "release": null,
        "checks": checks,
        "findings": findings,
        "summary": sum,
        "targets": targets,
    });
    one_json::written(&document)
}

/// One SARIF log with a run for each database that could be examined.
pub fn sarif(members: &[TargetReport<'_>]) -> Result<String> {
    let runs =
        examined(members).map(|(report, common)| sarif::run(&ReportView::new(report, common))).collect();
    one_json::written(&sarif::log(runs))
}

/// One list of GitLab's with the issues of all.
pub fn gitlab(members: &[TargetReport<'_>]) -> Result<String> {
    let issues: Vec<Value> = examined(members)
        .flat_map(|(report, common)| gitlab::issues(&ReportView::new(report, common)))
        .collect();
    one_json::written(&issues)
}

fn examined<'m>(members: &'m [TargetReport<'_>]) -> impl Iterator<Item = (&'m Report, &'m GlobalOptions)> {
    members.iter().filter_map(|member| member.outcome.as_ref().ok().copied())
}
