//! Promise: what is known does not fail, what is new or has grown does, and a baseline holds nothing that a row holds.

use std::fs;
use std::path::{Path, PathBuf};

use evodoctor::checks::check::all_checks;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};
use tempfile::TempDir;

use crate::ci_formats::FORMATS;
use crate::support::database::{TestDatabase, execute};
use crate::support::fixtures::Fixture;
use crate::support::program::{Run, evodoctor, on};

/// A database with orphans, and its baseline.
async fn known() -> (TestDatabase, TempDir, PathBuf) {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("baseline.json");
    on(&database.url(), &["check", "--write-baseline", text(&file)]).ends(0).complains(&["in the baseline"]);
    (database, folder, file)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn check(database: &TestDatabase, file: &Path, more: &[&str]) -> Run {
    on(&database.url(), &[&["check", "--baseline", text(file)], more].concat())
}

fn orphan(id: &str) -> String {
    format!(
        "SET session_replication_role = replica;
         INSERT INTO evolution_api.\"Label\" (id, \"labelId\", name, color, \"updatedAt\", \"instanceId\")
             VALUES ('{id}', '{id}', 'x', '1', now(), 'nobody')"
    )
}

#[tokio::test]
async fn known_findings_pass_and_grown_findings_fail() {
    let (database, _folder, file) = known().await;
    let run = check(&database, &file, &[]).ends(0);
    assert!(
        run.stdout.contains("nothing new; ")
            && run.stdout.contains(" known (")
            && !run.stdout.contains("error EVO101"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains(" known, 0 new, 0 grown"), "{}", run.stdout);
    for format in FORMATS.iter().chain(&["json"]) {
        check(&database, &file, &["--select", "EVO101", "--format", format])
            .ends(0)
            .complains(&["known, 0 new, 0 grown"]);
    }
    assert_eq!(check(&database, &file, &["--select", "EVO101", "--format", "gitlab"]).json(), json!([]));

    let mut connection = database.connect().await;
    execute(&mut connection, &orphan("l98")).await;
    let first = check(&database, &file, &["--select", "EVO101", "--format", "json"]).ends(1).json();
    let standing = |report: &Value, standing: &str| {
        let findings = report["findings"].as_array().expect("a list").iter();
        findings.filter(|finding| finding["baseline"] == standing).count()
    };
    assert_eq!(standing(&first, "new") + standing(&first, "grown"), 1, "{first:#}");
    check(&database, &file, &["--select", "EVO101", "--write-baseline", text(&file)]).ends(0);
    execute(&mut connection, &orphan("l99")).await;
    let second = check(&database, &file, &["--select", "EVO101", "--format", "json"]).ends(1).json();
    assert_eq!((standing(&second, "new"), standing(&second, "grown")), (0, 1));
    let human = check(&database, &file, &["--select", "EVO101"]).ends(1).stdout;
    assert!(human.contains("Label.instanceId") && human.contains("0 new, 1 grown"), "{human}");
    assert!(human.contains(" (was ") && human.contains(", now "), "{human}");
    let sarif = check(&database, &file, &["--select", "EVO101", "--format", "sarif"]).json();
    let states: Vec<&Value> =
        sarif["runs"][0]["results"].as_array().expect("a list").iter().map(|r| &r["baselineState"]).collect();
    assert!(states.contains(&&json!("updated")) && states.contains(&&json!("unchanged")), "{states:?}");
}

#[tokio::test]
async fn gone_findings_are_listed_for_checks_that_ran() {
    let (database, _folder, file) = known().await;
    on(&database.url(), &["fix", "EVO101", "--apply", "--allow", "deletes-rows,changes-rows"]).ends(0);
    let run = check(&database, &file, &["--format", "github"]).ends(0);
    run.complains(&["gone: EVO101 "]);
    let other = check(&database, &file, &["--select", "EVO201", "--format", "json"]).json();
    assert_eq!(other["baseline"]["gone"], json!([]), "nobody looked");
    // If a part is written again, the rest is kept.
    let before = fs::read_to_string(&file).expect("readable");
    check(&database, &file, &["--select", "EVO104", "--write-baseline", text(&file)]).ends(0);
    assert_eq!(fs::read_to_string(&file).expect("readable"), before);
    check(&database, &file, &["--write-baseline", text(&file)]).ends(0);
    assert!(!fs::read_to_string(&file).expect("readable").contains("EVO101"));
}

#[tokio::test]
async fn a_baseline_is_sorted_lines_and_the_same_each_time() {
    let (database, folder, file) = known().await;
    let again = folder.path().join("again.json");
    on(&database.url(), &["check", "--write-baseline", text(&again)]).ends(0);
    let lines = fs::read_to_string(&file).expect("readable");
    assert_eq!(lines, fs::read_to_string(again).expect("readable"));
    let findings: Vec<&str> = lines.lines().filter(|line| line.contains("\"code\"")).collect();
    let mut sorted = findings.clone();
    sorted.sort_unstable();
    assert_eq!(findings, sorted);
    assert!(findings[0].starts_with("    {\"code\":\"EVO101\",\"key\":\""), "{lines}");
}

/// Ids, names and numbers of instances are what a row holds that a key could hold.
#[tokio::test]
async fn a_baseline_holds_no_row_data() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("baseline.json");
    for check in all_checks() {
        let database = Fixture::read(&check.stem, "bad").database("evolution_api").await;
        on(&database.url(), &["check", "--select", &check.rule.code, "--write-baseline", text(&file)])
            .ends(0);
        let document: Value =
            serde_json::from_str(&fs::read_to_string(&file).expect("readable")).expect("JSON");
        let sql = "SELECT COALESCE(array_agg(t), '{}') FROM (SELECT unnest(ARRAY[id, name, number, token]) AS t \
                   FROM evolution_api.\"Instance\") AS texts WHERE t <> ''";
        let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut database.connect().await).await;
        let held: Vec<String> = row.map(|row| row.get(0)).unwrap_or_default();
        for line in document["findings"].as_array().expect("a list") {
            let key = line["key"].as_str().expect("text");
            let words: Vec<&str> = key.split([' ', '.', '+']).collect();
            for text in &held {
                assert!(!words.contains(&text.as_str()), "{}: {key:?} holds {text:?}", check.stem);
            }
        }
    }
}

#[test]
fn an_invalid_baseline_is_refused_before_any_work() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("baseline.json");
    let refuses = |content: &str, words: &[&str]| {
        fs::write(&file, content).expect("writable");
        on("postgresql://nobody@127.0.0.1:1/x", &["check", "--baseline", text(&file)])
            .ends(2)
            .complains(words);
    };
    refuses("no JSON", &["is not a baseline", "--write-baseline"]);
    refuses("{\"findings\": []}", &["is not a baseline"]);
    refuses("{\"evodoctor_baseline\": 1, \"findings\": [{\"code\": 7}]}", &["is not a baseline"]);
    refuses("{\"evodoctor_baseline\": 2, \"findings\": []}", &["of format 2", "knows format 1"]);
    fs::remove_file(&file).expect("there");
    let run = on("postgresql://nobody@127.0.0.1:1/x", &["check", "--baseline", text(&file)]).ends(2);
    run.complains(&["cannot be read"]);
    for command in [&["fix"][..], &["history"], &["undo", "1"]] {
        let arguments = [command, &["--write-baseline", text(&file)]].concat();
        evodoctor(&arguments).ends(2).complains(&["does not use a baseline"]);
        assert!(!file.exists());
    }
}

#[test]
fn logs_have_baselines_without_what_clients_wrote() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("baseline.json");
    let log = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/logs/nginx-combined.log");
    let instances = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/logs/fetchInstances.json");
    let logs = |more: &[&str]| evodoctor(&[&["logs", log, "--instances", instances], more].concat());
    logs(&["--write-baseline", text(&file)]).ends(0);
    let written = fs::read_to_string(&file).expect("readable");
    assert!(
        written.contains("EVO505") && !written.contains("5511999990000") && !written.contains("Alpha"),
        "{written}"
    );
    logs(&["--baseline", text(&file)]).ends(0);
    logs(&["--baseline", text(&file), "--fail-on", "advice", "--format", "github"]).ends(0);
}
