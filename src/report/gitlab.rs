//! GitLab's code quality report: a flat list of issues, each in a file.

use anyhow::Result;
use serde_json::{Value, json};

use super::json;
use super::outline::{Outline, Told, next};
use crate::config::file_stem;
use crate::examine::baseline::Id;
use crate::examine::place::Place;
use crate::examine::rule::Severity;
use crate::requests::shown::visible;

/// The findings and what is undecided. GitLab tells one issue from another by its fingerprint alone.
///
/// # Errors
/// Never in practice: all of it can be written as JSON.
pub fn render(outline: &Outline<'_>) -> Result<String> {
    json::written(&issues(outline))
}

/// The same, not yet as text. In a list of several databases each has issues and paths of its own.
pub fn issues(outline: &Outline<'_>) -> Vec<Value> {
    let undecided = outline.undecided().map(|(check, reason)| {
        let id = Id { code: check.code.clone(), key: "undecided".to_owned() };
        let description = visible(&format!("{} could not look everywhere: {reason}", check.name));
        issue(&id, "info", &description, Place::Database)
    });
    let mut issues: Vec<Value> = outline.news().map(of).chain(undecided).collect();
    if let Some(name) = &outline.report.target {
        for issue in &mut issues {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let id = Id { code: name.clone(), key: text(&issue["fingerprint"]) };
            issue["fingerprint"] = id.fingerprint().into();
            issue["description"] = format!("{}: {}", visible(name), text(&issue["description"])).into();
            let path = format!("{}/{}", file_stem(name), text(&issue["location"]["path"]));
            issue["location"]["path"] = path.into();
        }
    }
    issues
}

fn of(told: Told<'_>) -> Value {
    let finding = told.finding;
    let severity = match finding.severity {
        Severity::Error => "critical",
        Severity::Warning => "major",
        Severity::Advice => "info",
    };
    let description = format!("{} ({})", told.sentence(), next(finding));
    issue(&Id::of(finding), severity, &description, Place::of(finding))
}

fn issue(id: &Id, severity: &str, description: &str, place: Place<'_>) -> Value {
    json!({
        "check_name": id.code,
        "description": description,
        "fingerprint": id.fingerprint(),
        "severity": severity,
        "location": {"path": place.path(), "lines": {"begin": 1}},
    })
}
