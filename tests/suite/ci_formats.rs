//! Promise: a pipeline learns what is wrong in its own format, and no name, however hostile, is more than text in it.

mod valid_documents;

use std::fs;

use comrak::nodes::NodeValue;
use comrak::{Arena, Options, parse_document};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};

use crate::support::database::{TestDatabase, execute};
use crate::support::fixtures::Fixture;
use crate::support::program::{Evodoctor, Run, evodoctor, on};
use crate::support::roles;

/// Every format that tells findings to a pipeline.
pub const FORMATS: [&str; 5] = ["github", "gitlab", "junit", "sarif", "markdown"];

/// What every format would obey if it were let: percent-encoded for the log below.
const HOSTILE: &str = "%60%7C%3Cimg%20src%3Dx%3E%40octocat%20%5Ba%5D%28http%3A%2F%2Fx.y%29%0A%3A%3Aerror%3A%3A%20%25%E2%80%AE%1B%EF%BF%BE%5D%5D%3E,%60%60%20%3C%2Fdetails%3E%20%2312%20%7Bx%7D%20www.x.y";

/// A log in which these names got 404.
fn log(names: &[&str]) -> NamedTempFile {
    let line = |name: &&str| {
        format!(
            "203.0.113.7 - - [21/Nov/2026:03:59:13 +0000] \"GET /instance/connectionState/{name} HTTP/1.1\" \
             404 12 \"-\" \"n8n\"\n"
        )
    };
    let file = NamedTempFile::new().expect("a file");
    fs::write(file.path(), names.iter().map(line).collect::<String>()).expect("writable");
    file
}

/// What `logs` says of these names; instances are those of the fixture, `alpha` among them.
fn logs(names: &[&str], more: &[&str]) -> Run {
    let log = log(names);
    let instances = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/logs/fetchInstances.json");
    let arguments = ["logs", log.path().to_str().expect("UTF-8"), "--instances", instances];
    evodoctor(&[&arguments[..], more].concat())
}

fn select(codes: &str, format: &'static str) -> [String; 4] {
    ["--select".to_owned(), codes.to_owned(), "--format".to_owned(), format.to_owned()]
}

fn told(names: &[&str], codes: &str, format: &'static str) -> Run {
    let options = select(codes, format);
    logs(names, &options.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn each_format_shows_a_small_report() {
    let told = |format| told(&["Alpha", "Alpha"], "EVO501,EVO502", format).ends(1).stdout;
    assert_eq!(
        told("github"),
        "::warning title=EVO502 instance-name-letter-case::Alpha: \"Alpha\" differs from \"alpha\" only in letter case; \
         names are case-sensitive.%0Anext: evodoctor explain EVO502\n\
         1 problem (1 warning); 2 checks\n"
    );
    let issues: Value = serde_json::from_str(&told("gitlab")).expect("JSON");
    assert_eq!(
        issues,
        json!([{
            "check_name": "EVO502",
            "description": "Alpha: \"Alpha\" differs from \"alpha\" only in letter case; names are case-sensitive. (evodoctor explain EVO502)",
            "fingerprint": "6978eef366c26b1d6273bded9d83745552916d5d6d0eba733227cab0f0bef0c4",
            "severity": "major",
            "location": {"path": "requests", "lines": {"begin": 1}}
        }])
    );
    assert_eq!(
        told("junit"),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites tests=\"2\" failures=\"1\" errors=\"0\" time=\"0.000\">\n  \
           <testsuite name=\"evodoctor logs\" tests=\"2\" failures=\"1\" errors=\"0\" time=\"0.000\" skipped=\"0\">\n    \
             <testcase name=\"EVO502 instance-name-letter-case\" classname=\"evodoctor.logs\" time=\"0.000\">\n      \
               <failure type=\"warning\" message=\"1 finding\">warning Alpha: &quot;Alpha&quot; differs from \
               &quot;alpha&quot; only in letter case; names are case-sensitive.\n  next: evodoctor explain EVO502</failure>\n    \
             </testcase>\n    \
             <testcase name=\"EVO501 instance-id-as-name\" classname=\"evodoctor.logs\" time=\"0.000\">\n    \
             </testcase>\n  \
           </testsuite>\n\
         </testsuites>\n"
    );
    assert_eq!(
        told("markdown"),
        "<!-- evodoctor logs -->\n\
         ### evodoctor logs\n\n\
         **1 problem (1 warning); 2 checks**\n\n\
         | severity | code | problem | places | rows | fix |\n\
         |---|---|---|--:|--:|---|\n\
         | warning | EVO502 | instance name letter case | 1 | 2 | left to you |\n\n\
         Next: `evodoctor explain EVO502`\n\n\
         <details><summary>warning EVO502 instance-name-letter-case: 1 finding</summary>\n\n\
         A client writes an instance's name in different letter case\n\n\
         - `Alpha`: \"Alpha\" differs from \"alpha\" only in letter case; names are case-sensitive.\n\n\
         next: `evodoctor explain EVO502`\n\n\
         </details>\n\n"
    );
    let sarif: Value = serde_json::from_str(&told("sarif")).expect("JSON");
    let run = &sarif["runs"][0];
    let rules: Vec<&Value> =
        run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|r| &r["id"]).collect();
    assert_eq!(rules, ["EVO502", "EVO501"], "what was found comes first");
    let result = &run["results"][0];
    assert_eq!(
        (&result["ruleId"], &result["ruleIndex"], &result["level"]),
        (&json!("EVO502"), &json!(0), &json!("warning"))
    );
    assert_eq!(result["partialFingerprints"]["evodoctorKey/v1"], issues[0]["fingerprint"]);
}

#[test]
fn a_clean_run_says_so_in_every_format() {
    let told = |format| {
        let options = select("EVO501,EVO502", format);
        logs(&["gone"], &options.iter().map(String::as_str).collect::<Vec<_>>()).ends(0).stdout
    };
    assert_eq!(told("github"), "clean: 2 checks, nothing found\n");
    assert_eq!(told("gitlab"), "[]\n");
    assert!(told("junit").contains("tests=\"2\" failures=\"0\" errors=\"0\""));
    let marker = "<!-- evodoctor logs -->\n";
    assert_eq!(
        told("markdown"),
        format!("{marker}### evodoctor logs\n\n**clean: 2 checks, nothing found**\n\n")
    );
    let sarif: Value = serde_json::from_str(&told("sarif")).expect("JSON");
    assert_eq!(sarif["runs"][0]["results"], json!([]));
    assert_eq!(sarif["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap().len(), 2);
}

/// The runner obeys every line that begins with `::`, so each must be one of ours.
#[test]
fn a_hostile_name_gives_github_no_command() {
    let run = told(&[HOSTILE], "EVO506", "github").ends(1);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", run.stdout);
    assert!(lines[0].starts_with("::warning title=EVO506 unknown-instance-name::`|<img"), "{}", lines[0]);
    assert!(lines[0].contains("\\n::error:: %25\\u{202e}\\x1b"), "{}", lines[0]);
}

/// GitHub's own parser of Markdown sees text and code in it, and of HTML only what folds.
#[track_caller]
fn is_tame(markdown: &str) {
    let mut options = Options::default();
    let extension = &mut options.extension;
    (extension.autolink, extension.table, extension.strikethrough, extension.tasklist) =
        (true, true, true, true);
    (extension.footnotes, extension.alerts, extension.math_dollars) = (true, true, true);
    let arena = Arena::new();
    for node in parse_document(&arena, markdown, &options).descendants() {
        match &node.data.borrow().value {
            NodeValue::Document | NodeValue::Heading(_) | NodeValue::Paragraph | NodeValue::Strong => {}
            NodeValue::List(_)
            | NodeValue::Item(_)
            | NodeValue::Code(_)
            | NodeValue::CodeBlock(_)
            | NodeValue::SoftBreak => {}
            NodeValue::Text(text) => {
                let odd = ['@', '#', '<', '`', '[', '|', '$', '\u{202e}'];
                assert!(
                    !text.contains(odd) && !text.contains("www."),
                    "{text:?} is more than text in\n{markdown}"
                );
            }
            NodeValue::Table(_) | NodeValue::TableRow(_) | NodeValue::TableCell => {}
            NodeValue::HtmlBlock(html) => {
                let html = html.literal.trim();
                let is_ours = html == "</details>"
                    || (html.starts_with("<!-- evodoctor ") && html.matches('<').count() == 1)
                    || (html.starts_with("<details><summary>") && html.matches('<').count() == 3);
                assert!(is_ours, "{html:?} in\n{markdown}");
            }
            other => panic!("{other:?} in\n{markdown}"),
        }
    }
}

#[tokio::test]
async fn a_hostile_name_is_text_in_a_comment() {
    let markdown =
        told(&[HOSTILE, "a%60b", "%60", "%20", "@octocat"], "EVO503,EVO506", "markdown").ends(1).stdout;
    assert!(markdown.contains("@octocat") && markdown.contains("<img src=x>"), "{markdown}");
    is_tame(&markdown);

    let database = hostile_database().await;
    for command in ["check", "fix"] {
        let run = on(&database.url(), &[command, "--format", "markdown", "--fail-on", "advice"]).ends(1);
        assert!(run.stdout.contains("<details>") && run.stdout.contains("octocat"), "{}", run.stdout);
        is_tame(&run.stdout);
    }
}

/// A database in which names of instances, labels, columns and triggers are hostile.
pub async fn hostile_database() -> TestDatabase {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let hostile =
        "`|<img src=x>@octocat [a](http://x.y)\n::error:: %\u{202e}\u{1b}\u{fffe}]]>,`` </details> #12 $x$";
    let sql = format!(
        "INSERT INTO evolution_api.\"Instance\" (id, name, \"connectionStatus\", token) VALUES ('i99', E'{hostile}', 'open', 't');
         ALTER TABLE evolution_api.\"Chat\" ADD COLUMN \"{hostile}\" text;
         ALTER TABLE evolution_api.\"Instance\" ADD COLUMN \"a```b\" text;
         CREATE FUNCTION evolution_api.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER \"<b>@octocat\" BEFORE INSERT ON evolution_api.\"Chat\" EXECUTE FUNCTION evolution_api.f();"
    );
    execute(&mut database.connect().await, &sql).await;
    database
}

#[tokio::test]
async fn the_exit_code_is_the_same_whatever_the_format() {
    let bad = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let good = TestDatabase::new("2.3.7", "evolution_api").await;
    let role = roles::reader(&mut good.connect().await, "evolution_api").await;
    execute(&mut good.connect().await, &format!("REVOKE SELECT ON evolution_api.\"Chat\" FROM {role}")).await;
    let undecided = good.url_as(&role);
    for format in ["human", "json", "html"].iter().chain(&FORMATS) {
        let ends = |url: &str, arguments: &[&str], code| {
            on(url, &[arguments, &["--select", "EVO101,EVO104", "--format", format]].concat()).ends(code);
        };
        ends(&bad.url(), &["check"], 1);
        ends(&bad.url(), &["check", "--fail-on", "never"], 0);
        ends(&bad.url(), &["fix"], 1);
        ends(&good.url(), &["check"], 0);
        ends(&good.url(), &["fix"], 0);
        ends(&undecided, &["check"], 3);
        ends("postgresql://nobody@127.0.0.1:1/x", &["check"], 2);
    }
}

#[tokio::test]
async fn undecided_checks_are_reported_and_never_clean() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let mut connection = database.connect().await;
    let role = roles::reader(&mut connection, "evolution_api").await;
    execute(&mut connection, &format!("REVOKE SELECT ON evolution_api.\"Chat\" FROM {role}")).await;
    let told = |format| {
        on(&database.url_as(&role), &["check", "--select", "EVO104", "--format", format]).ends(3).stdout
    };
    let why = "may not read it";
    // The GRANTs are at the top of each report, once, and not in the reasons.
    let grant = format!("GRANT SELECT ON \"evolution_api\".\"Chat\" TO \"{role}\";");
    let github = told("github");
    let (first, others) = github.split_once('\n').expect("lines");
    assert!(
        first.starts_with("::warning title=missing rights::") && first.ends_with(&grant.replace(',', "%2C")),
        "{github}"
    );
    assert!(others.starts_with("::warning title=EVO104 undecided::role ") && !others.contains("GRANT"));
    for format in ["human", "markdown", "html"] {
        let text = told(format).replace("&quot;", "\"");
        let (above, below) = text.split_once(&grant).unwrap_or_else(|| panic!("{format}: {text}"));
        assert!(
            above.contains("This role lacks rights") && !above.contains("labels-no-array"),
            "{format}: {text}"
        );
        assert!(below.contains("EVO104") && !below.contains("GRANT"), "{format}: {text}");
    }
    let document: Value = serde_json::from_str(&told("json")).expect("JSON");
    assert_eq!(document["missing_grants"], serde_json::json!([grant]));
    let issues: Value = serde_json::from_str(&told("gitlab")).expect("JSON");
    assert!(issues[0]["description"].as_str().unwrap().contains(why), "{issues}");
    let xml = told("junit");
    assert!(
        xml.contains("skipped=\"1\"") && xml.contains("<skipped message=\"role ") && xml.contains(why),
        "{xml}"
    );
    let sarif: Value = serde_json::from_str(&told("sarif")).expect("JSON");
    assert_eq!(sarif["runs"][0]["results"][0]["kind"], "open");
    assert!(told("markdown").contains("undecided EVO104 labels-no-array"));
}

#[tokio::test]
async fn a_dry_run_shows_pending_changes_and_an_applied_run_what_is_left() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let url = database.url();
    let found = on(&url, &["check", "--select", "EVO101", "--format", "json"]).json();
    let found = found["findings"].as_array().expect("a list").len();
    let pending = on(&url, &["fix", "EVO101", "--format", "gitlab"]).ends(1).json();
    assert_eq!(pending.as_array().expect("a list").len(), found);
    let run = on(&url, &["fix", "EVO101", "--format", "markdown"]).ends(1);
    assert!(
        run.stdout.contains("what the fix of EVO101") && run.stdout.contains("```diff"),
        "{}",
        run.stdout
    );
    let consent = ["fix", "EVO101", "--apply", "--allow", "deletes-rows,changes-rows", "--format", "github"];
    let applied = on(&url, &consent).ends(0).stdout;
    assert!(applied.starts_with("applied: run 1, 1 fix: 7 rows removed, 2 changed"), "{applied}");
}

/// Where a repair is nothing but statements, code scanning has them beside the finding; they run as they are.
#[tokio::test]
async fn the_sql_of_a_fix_is_suggested_if_it_is_complete() {
    let database =
        Fixture::read("EVO201_openai_credential_delete_blocked", "bad").database("evolution_api").await;
    let url = database.url();
    let told = |codes| {
        let sarif = on(&url, &["check", "--select", codes, "--format", "sarif"]).json();
        sarif["runs"][0]["results"].as_array().expect("a list").clone()
    };
    let results = told("EVO201");
    let change = &results[0]["fixes"][0]["artifactChanges"][0];
    assert_eq!(change["artifactLocation"]["uri"], "database/OpenaiSetting");
    let sql = change["replacements"][0]["insertedContent"]["text"].as_str().expect("SQL");
    assert!(
        sql.starts_with("ALTER TABLE \"evolution_api\".\"OpenaiSetting\"") && !sql.contains("SELECT"),
        "{sql}"
    );
    execute(&mut database.connect().await, sql).await;
    assert!(told("EVO201").is_empty());

    // Rows that go to the quarantine are more than statements.
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let sarif = on(&database.url(), &["check", "--select", "EVO101", "--format", "sarif"]).json();
    assert_eq!(sarif["runs"][0]["results"][0]["fixes"], Value::Null);
}

/// GitHub drops the eleventh annotation of a level without a word: findings of one code share one, and what is left out is
/// counted.
#[tokio::test]
async fn more_annotations_than_github_shows_are_counted() {
    let names: Vec<String> = (0..12).map(|number| format!("nobody-has-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let folder = TempDir::new().expect("a folder");
    let summary = folder.path().join("summary.md");
    fs::write(&summary, "before\n").expect("writable");
    let log = log(&names);
    let arguments = ["logs", log.path().to_str().expect("UTF-8"), "--format", "github"];
    let run = Evodoctor::new(arguments).env("GITHUB_STEP_SUMMARY", &summary).run().ends(1);
    let warnings = |run: &Run| run.stdout.lines().filter(|line| line.starts_with("::warning")).count();
    assert_eq!(warnings(&run), 1, "{}", run.stdout);
    assert!(run.stdout.contains("%0A… and 9 more%0Anext: "), "{}", run.stdout);
    let text = fs::read_to_string(&summary).expect("written");
    assert!(text.starts_with("before\n<!-- evodoctor logs -->\n### evodoctor logs\n"), "{text}");
    assert!(names.iter().all(|name| text.contains(name)), "{text}");

    // A summary that cannot be written changes nothing.
    let run = Evodoctor::new(arguments).env("GITHUB_STEP_SUMMARY", folder.path()).run().ends(1);
    run.complains(&["the step's summary", "cannot be written"]);

    let database = Fixture::read("EVO101_orphaned_reference", "everything").database("evolution_api").await;
    let run = on(&database.url(), &["check", "--format", "github"]).ends(1);
    assert!(run.stdout.starts_with("::error title=EVO301 failed-migration::"), "{}", run.stdout);
    assert_eq!(warnings(&run), 10, "{}", run.stdout);
    assert!(run.stdout.contains(" more; the step's summary lists them\n"), "{}", run.stdout);
}

/// What a pipeline reads after a run that failed is about that run, and says so in its own format.
#[test]
fn a_run_that_fails_leaves_a_report_that_says_so() {
    let folder = TempDir::new().expect("a folder");
    for format in ["human", "json", "html", "gitlab", "junit", "sarif", "markdown"] {
        let file = folder.path().join(format);
        fs::write(&file, "yesterday's").expect("writable");
        let output = file.to_str().expect("UTF-8");
        on("postgresql://nobody@127.0.0.1:1/x", &["check", "--format", format, "--output", output]).ends(2);
        let text = fs::read_to_string(&file).expect("a report");
        assert!(text.contains("no server listens on 127.0.0.1:1"), "{format}: {text}");
        assert!(!text.contains("yesterday"), "{format}: {text}");
        let json = || serde_json::from_str::<Value>(&text).expect("JSON");
        match format {
            "json" => assert!(json()["error"]["next"].is_string(), "{text}"),
            "sarif" => assert_eq!(json()["runs"][0]["invocations"][0]["executionSuccessful"], false),
            "gitlab" => assert_eq!(json()[0]["severity"], "blocker"),
            "junit" => {
                assert!(text.contains("errors=\"1\"") && text.contains("<error type=\"error\""), "{text}")
            }
            _ => {}
        }
    }
}

#[test]
fn an_error_is_an_annotation_too() {
    let run = on("postgresql://nobody@127.0.0.1:1/x", &["check", "--format", "github"]).ends(2);
    assert_eq!(run.stdout, "");
    let annotation = run.stderr.lines().find(|line| line.starts_with("::error title=evodoctor::"));
    assert!(annotation.is_some_and(|line| line.contains("%0Anext: ")), "{}", run.stderr);
}

#[test]
fn a_command_without_findings_says_which_formats_it_has() {
    for command in [&["history"][..], &["undo", "1"], &["credentials", "list"], &["explain", "EVO101"]] {
        for format in FORMATS {
            let run = evodoctor(&[command, &["--format", format]].concat()).ends(2);
            run.complains(&[command[0], format, "--format human or --format json"]);
        }
    }
}
