//! The JSON that pipelines rest on, field by field as the design has it, and that every report fits the terminal.

use serde_json::Value;

use crate::support::fixtures::Fixture;
use crate::support::program::{Evodoctor, evodoctor};

/// The names of an object's fields, in order.
fn fields(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("{value} is no object")).keys().map(String::as_str).collect()
}

fn holds(value: &Value, names: &[&str]) {
    for name in names {
        assert!(value.get(name).is_some(), "{name} is missing in {value}");
    }
}

const ENVELOPE: &[&str] =
    &["tool", "command", "personal_data", "database", "release", "checks", "findings", "summary"];

#[tokio::test]
async fn check_prints_the_document_of_the_design() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let run = evodoctor(&["check", "--format", "json", "--database-url", &database.url()]);
    assert_eq!(run.code, Some(1));
    let report = run.json();
    assert_eq!(fields(&report), ENVELOPE);
    assert_eq!(fields(&report["tool"]), ["name", "version"]);
    assert_eq!(report["command"], "check");
    assert_eq!(fields(&report["database"]), ["server_version", "schema", "host", "name"]);
    assert_eq!(fields(&report["release"]), ["from", "to", "migrations"]);
    assert_eq!(report["release"]["from"], "2.1.1");
    let pending = report["release"]["migrations"]["pending"].as_array().unwrap();
    assert_eq!((report["release"]["migrations"]["applied"].as_u64(), pending.len()), (Some(42), 17));
    for check in report["checks"].as_array().unwrap() {
        assert_eq!(fields(check), ["code", "name", "outcome", "reason", "duration_ms"]);
        assert!(["clean", "found", "undecided"].contains(&check["outcome"].as_str().unwrap()));
    }
    let finding = &report["findings"][0];
    holds(
        finding,
        &["code", "name", "severity", "subject", "detail", "predicate", "count", "sample", "key", "fix"],
    );
    assert_eq!(fields(&finding["fix"]), ["version", "applicability", "hazards"]);
    assert_eq!(fields(&report["summary"]), ["errors", "warnings", "advice", "undecided"]);
}

#[tokio::test]
async fn fix_adds_the_run_and_per_fix_what_it_does() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let report = evodoctor(&["fix", "EVO101", "--format", "json", "--database-url", &database.url()]).json();
    holds(&report, ENVELOPE);
    assert_eq!(report["run"], serde_json::json!({"id": null, "applied": false}));
    let fix = &report["fixes"][0];
    holds(fix, &["code", "version", "statements", "schema_diff", "row_diff", "locks", "plan_hash"]);
    for diff in fix["row_diff"].as_array().unwrap() {
        holds(diff, &["table", "action", "count", "sample"]);
        holds(&diff["sample"][0], &["before", "after"]);
    }
    for lock in fix["locks"].as_array().unwrap() {
        assert_eq!(fields(lock), ["table", "mode", "held_ms"]);
    }
    assert!(fix["schema_diff"].as_str().unwrap().starts_with("--- a/"), "a unified diff");
}

#[test]
fn logs_add_the_requests() {
    let log = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/logs/nginx-combined.log");
    let instances = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/logs/fetchInstances.json");
    let run = evodoctor(&["logs", log, "--instances", instances, "--format", "json"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let report = run.json();
    holds(&report, ENVELOPE);
    assert!(report["database"].is_null() && report["release"].is_null());
    holds(&report["requests"], &["lines", "parsed", "unparsed", "matched"]);
    holds(&report["findings"][0], &["clients", "endpoints", "statuses", "first", "last", "write_instead"]);
}

#[tokio::test]
async fn results_go_to_stdout_and_everything_else_to_stderr() {
    let database = Fixture::read("EVO201_openai_credential_delete_blocked", "good").database("public").await;
    let url = database.url();
    let run = evodoctor(&["check", "-vv", "--format", "json", "--database-url", &url]);
    run.json();
    assert!(run.stderr.contains("SELECT"), "-vv shows the statements");
    let quiet = evodoctor(&["check", "--quiet", "--fail-on", "never", "--database-url", &url]);
    assert_eq!((quiet.code, quiet.stdout.lines().count()), (Some(0), 1), "{}", quiet.stdout);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let arguments = [
        "check",
        "--format",
        "json",
        "--fail-on",
        "never",
        "--output",
        file.to_str().unwrap(),
        "--database-url",
        &url,
    ];
    let run = evodoctor(&arguments);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(report["command"], "check");
}

/// Lines of prose and tables fit; only SQL and diffs, which are pasted, may be longer.
#[tokio::test]
async fn reports_fit_80_and_200_columns() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    for (columns, most) in [("80", 80), ("200", 200)] {
        let run = Evodoctor::new(["check", "--database-url", &database.url()]).env("COLUMNS", columns).run();
        let widest = run.stdout.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= most, "{widest} columns:\n{}", run.stdout);
        assert!(widest > most / 2, "{columns} columns are there to be used:\n{}", run.stdout);
        let run = Evodoctor::new(["fix", "--database-url", &database.url()]).env("COLUMNS", columns).run();
        let sql = ["TABLE", "INDEX", "CONSTRAINT", "REFERENCES", "--"];
        let is_sql = |line: &&str| sql.iter().any(|word| line.contains(word));
        let prose = run.stdout.lines().filter(|line| !is_sql(line));
        let widest = prose.map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= most, "{widest} columns:\n{}", run.stdout);
    }
}
