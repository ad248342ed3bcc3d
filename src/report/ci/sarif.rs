//! SARIF 2.1.0, for code scanning.
//!
//! SARIF's `fixes` change files, and a database has none. Where a repair is nothing but statements, the finding has it as
//! a fix that writes them to the place that stands for the table; what else a fix runs is in the rule's help.

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::repair::fix;
use crate::report::ci::markdown::fenced;
use crate::report::json;
use crate::report::totals;
use crate::report::view::{CodeGroup, FindingView, ReportView};
use crate::rules::baseline::{BaselineStatus, FindingId};
use crate::rules::location::Location;
use crate::rules::policy::IgnoredFinding;
use crate::rules::registry;
use crate::rules::rule::Severity;
use crate::text::escape::escape_control;

/// The scope of the rules, for readers of a report.
const ABOUT: &str = "https://github.com/EvolutionAPI/evolution-api";

/// One run. Every rule that was looked for is listed, also where it found nothing.
pub fn render(outline: &ReportView<'_>) -> Result<String> {
    json::written(&log(vec![run(outline)]))
}

/// A log of these runs.
pub fn log(runs: Vec<Value>) -> Value {
    json!({"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": runs})
}

/// The run of one database. In a list of several each is a category of its own.
pub fn run(outline: &ReportView<'_>) -> Value {
    let groups = outline.by_code();
    let schema = outline.report.database.as_ref().map(|database| database.schema.as_str());
    let mut results = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        results.extend(group.views.iter().map(|view| result(*view, index, schema)));
        results.extend(group.ignored.iter().map(|ignored| suppressed(outline, ignored, index, schema)));
        results.extend(group.reason().map(|reason| open(group, index, reason)));
    }
    let target = outline.report.target.as_ref().map(|name| escape_control(name) + "/").unwrap_or_default();
    let properties = outline.notice.map(|notice| json!({"personalData": notice}));
    let mut run = json!({
        "tool": {"driver": driver(&groups)},
        "automationDetails": {
            "id": format!("evodoctor/{}/{target}", outline.report.command),
            "description": {"text": literal(&escape_control(&totals::headline(outline)))},
        },
        "invocations": [{"executionSuccessful": true}],
        "columnKind": "unicodeCodePoints",
        "results": results,
    });
    if let Some(properties) = properties {
        run["properties"] = properties;
    }
    run
}

/// The program, and the rules of these groups.
pub fn driver(groups: &[CodeGroup<'_>]) -> Value {
    json!({
        "name": env!("CARGO_PKG_NAME"),
        "semanticVersion": env!("CARGO_PKG_VERSION"),
        "informationUri": ABOUT,
        "rules": groups.iter().map(descriptor).collect::<Vec<_>>(),
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "note",
    }
}

fn descriptor(group: &CodeGroup<'_>) -> Value {
    let Some(rule) = registry::find_rule(group.code) else {
        return json!({"id": group.code, "name": group.name});
    };
    json!({
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.why_and_next()},
        "helpUri": ABOUT,
        "defaultConfiguration": {"level": level(rule.severity)},
        "help": help(&rule.code, &rule.why_and_next()),
    })
}

/// Why it matters, and what the fix runs.
fn help(code: &str, why: &str) -> Value {
    let explain = format!("evodoctor explain {code}");
    let Some(fix) = fix::find_fix(code) else {
        return json!({"text": format!("{why}\n\nnext: {explain}"), "markdown": format!("{why}\n\nnext: `{explain}`")});
    };
    let hazards = if fix.hazards.is_empty() { "none".to_owned() } else { fix.hazards.join(", ") };
    let what = format!("Fix (version {}, {}), hazards: {hazards}.", fix.version, fix.applicability);
    let runs = fix.up.iter().filter(|statement| !statement.starts_with("SELECT"));
    let sql: String = runs.map(|statement| format!("\n{}", fenced("sql", statement))).collect();
    let next = format!("evodoctor fix {code}");
    json!({
        "text": format!("{why}\n\n{what}\n\nnext: {next}, or {explain}"),
        "markdown": format!("{why}\n\n{what}\n{sql}\nnext: `{next}`, or `{explain}`"),
    })
}

fn result(view: FindingView<'_>, index: usize, schema: Option<&str>) -> Value {
    let finding = view.finding;
    let mut result =
        common(&FindingId::from_finding(finding), index, location(Location::from_finding(finding), schema));
    result.insert("level".to_owned(), level(finding.severity).into());
    let text = format!("{} (next: {})", view.sentence(), view.next_step());
    result.insert("message".to_owned(), json!({"text": literal(&text)}));
    let properties =
        json!({"count": finding.count, "predicate": finding.predicate, "sample": finding.sample});
    result.insert("properties".to_owned(), properties);
    if let Some(statements) = fix::suggestion(finding, schema) {
        let sql: String = statements.iter().map(|statement| format!("{};\n", statement.trim_end())).collect();
        result.insert(
            "fixes".to_owned(),
            json!([suggested(&sql, Location::from_finding(finding), &finding.code)]),
        );
    }
    if let Some(status) = view.baseline_status {
        let state = match status {
            BaselineStatus::New => "new",
            BaselineStatus::Grown => "updated",
            BaselineStatus::Known => "unchanged",
        };
        result.insert("baselineState".to_owned(), state.into());
    }
    if view.baseline_status == Some(BaselineStatus::Known) {
        let known = json!([{"kind": "external", "justification": "in the baseline already"}]);
        result.insert("suppressions".to_owned(), known);
    }
    result.into()
}

/// A finding that is ignored, with the reason: code scanning keeps it closed.
fn suppressed(
    outline: &ReportView<'_>,
    ignored: &IgnoredFinding,
    index: usize,
    schema: Option<&str>,
) -> Value {
    let view = outline.ignored_view(ignored);
    let mut result = result(view, index, schema);
    let reason = escape_control(&ignored.ignored.reason);
    result["suppressions"] = json!([{"kind": "external", "status": "accepted", "justification": reason}]);
    result
}

/// Statements as SARIF's fix: put in where the finding is.
fn suggested(sql: &str, place: Location<'_>, code: &str) -> Value {
    let start = json!({"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1});
    let text = format!("evodoctor fix {code} shows this in a dry run, and with --apply runs it");
    json!({
        "description": {"text": text},
        "artifactChanges": [{
            "artifactLocation": {"uri": place.path()},
            "replacements": [{"deletedRegion": start, "insertedContent": {"text": sql}}],
        }],
    })
}

/// An undecided check: SARIF calls it open, neither found nor passed.
fn open(group: &CodeGroup<'_>, index: usize, reason: &str) -> Value {
    let id = FindingId { code: group.code.to_owned(), key: "undecided".to_owned() };
    let mut result = common(&id, index, location(Location::Database, None));
    result.insert("kind".to_owned(), "open".into());
    result.insert("level".to_owned(), "none".into());
    let text = escape_control(&format!("partly undecided: {reason}"));
    result.insert("message".to_owned(), json!({"text": literal(&text)}));
    result.into()
}

/// A message that has neither links nor placeholders, whatever it holds.
pub fn literal(text: &str) -> String {
    text.replace('[', "\\[").replace(']', "\\]").replace('{', "{{").replace('}', "}}")
}

fn common(id: &FindingId, index: usize, location: Value) -> Map<String, Value> {
    Map::from_iter([
        ("ruleId".to_owned(), id.code.as_str().into()),
        ("ruleIndex".to_owned(), index.into()),
        ("locations".to_owned(), json!([location])),
        (
            "partialFingerprints".to_owned(),
            json!({
                "evodoctorKey/v1": id.fingerprint(),
                // What code scanning compares; there is no line to take it from.
                "primaryLocationLineHash": format!("{}:1", &id.fingerprint()[..16]),
            }),
        ),
    ])
}

/// A path, because code scanning shows nothing without one, and what it really is.
fn location(place: Location<'_>, schema: Option<&str>) -> Value {
    let mut location = json!({
        "physicalLocation": {"artifactLocation": {"uri": place.path()}, "region": {"startLine": 1}},
    });
    if let Some((name, kind)) = place.name() {
        let full =
            schema.map_or_else(|| name.to_owned(), |schema| format!("{}.{name}", escape_control(schema)));
        location["logicalLocations"] = json!([{"name": name, "fullyQualifiedName": full, "kind": kind}]);
    }
    location
}
