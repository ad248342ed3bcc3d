//! GitLab's code quality report: a flat list of issues, each in a file.

use anyhow::Result;
use serde_json::{Value, json};

use crate::config::to_file_stem;
use crate::report::next::next_steps;
use crate::report::upgrade::{self, UpgradeVerdict};
use crate::report::view::{FindingView, ReportView};
use crate::report::{Detail, json};
use crate::rules::baseline::FindingId;
use crate::rules::location::Location;
use crate::rules::rule::Severity;
use crate::text::escape::escape_control;

/// The findings and what is undecided. GitLab identifies an issue by its fingerprint alone.
pub fn render(outline: &ReportView<'_>) -> Result<String> {
    json::written(&issues(outline))
}

/// The same, not yet as text. In a list of several databases each has issues and paths of its own.
pub fn issues(outline: &ReportView<'_>) -> Vec<Value> {
    let undecided = outline.undecided().map(|(check, reason)| {
        let id = FindingId { code: check.code.clone(), key: "undecided".to_owned() };
        let description = escape_control(&format!("{} is partly undecided: {reason}", check.name));
        issue(&id, "info", &description, Location::Database)
    });
    let mut issues: Vec<Value> =
        of_upgrade(outline).into_iter().chain(outline.new_findings().map(of)).chain(undecided).collect();
    if let Some(name) = &outline.report.target {
        for issue in &mut issues {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let id = FindingId { code: name.clone(), key: text(&issue["fingerprint"]) };
            issue["fingerprint"] = id.fingerprint().into();
            issue["description"] =
                format!("{}: {}", escape_control(name), text(&issue["description"])).into();
            let path = format!("{}/{}", to_file_stem(name), text(&issue["location"]["path"]));
            issue["location"]["path"] = path.into();
        }
    }
    issues
}

/// Returns the issue for an upgrade that does not end well.
fn of_upgrade(outline: &ReportView<'_>) -> Option<Value> {
    let Detail::Preflight { preflight, .. } = &outline.report.detail else { return None };
    let UpgradeVerdict { severity, sentence } = upgrade::verdict(outline.report, preflight);
    let next = next_steps(outline);
    let next = next.iter().map(|step| format!(" ({})", step.command));
    let description = escape_control(&(sentence + &next.collect::<String>()));
    let id = FindingId { code: "preflight".to_owned(), key: preflight.to.to_owned() };
    Some(issue(&id, gitlab_severity(severity?), &description, Location::Database))
}

fn gitlab_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "critical",
        Severity::Warning => "major",
        Severity::Advice => "info",
    }
}

fn of(view: FindingView<'_>) -> Value {
    let finding = view.finding;
    let severity = gitlab_severity(finding.severity);
    let description = format!("{} ({})", view.sentence(), view.next_step());
    issue(&FindingId::from_finding(finding), severity, &description, Location::from_finding(finding))
}

fn issue(id: &FindingId, severity: &str, description: &str, place: Location<'_>) -> Value {
    json!({
        "check_name": id.code,
        "description": description,
        "fingerprint": id.fingerprint(),
        "severity": severity,
        "location": {"path": place.path(), "lines": {"begin": 1}},
    })
}
