//! Promise: a page shows everything to everybody — in the light and in the dark, on a desk, a phone and paper, to the eye,
//! the keyboard and a screen reader, with JavaScript and without — asks no network, and no name in it is more than text.
//!
//! Real Chromium looks at it; `screenshots.mjs` says how. Screenshots and PDFs are in `target/tmp/pages`.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};

use crate::ci_formats::hostile_database;
use crate::support::database::{TestDatabase, execute};
use crate::support::fixtures::Fixture;
use crate::support::program::{Run, evodoctor, on};
use crate::support::roles;

const INSTANCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/logs/fetchInstances.json");

/// Carries out tasks in one browser, and returns what it saw of each.
#[track_caller]
fn look(tasks: &[Value]) -> Vec<Value> {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut node = Command::new("node")
        .arg(format!("{root}/tests/suite/html/screenshots.mjs"))
        .env("PAGES_CACHE", format!("{root}/tests/.cache/pages"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("node is installed by tests/setup.sh");
    let task = json!({"tasks": tasks, "out": concat!(env!("CARGO_TARGET_TMPDIR"), "/pages")});
    node.stdin.take().expect("piped").write_all(task.to_string().as_bytes()).expect("it reads");
    let output = node.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Pages in files, until the value is dropped.
struct Pages(TempDir);

impl Pages {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    fn put(&self, name: &str, run: &Run) -> PathBuf {
        let path = self.0.path().join(format!("{name}.html"));
        fs::write(&path, &run.stdout).expect("writable");
        path
    }
}

fn html(url: &str, arguments: &[&str]) -> Run {
    on(url, &[arguments, &["--format", "html"]].concat())
}

/// Two clients that call by the wrong name for a day.
fn log() -> NamedTempFile {
    let file = NamedTempFile::new().expect("a file");
    let line = |minute: usize| {
        let (address, agent) =
            if minute.is_multiple_of(3) { ("203.0.113.8", "axios/1.7") } else { ("203.0.113.7", "n8n") };
        let name = if minute.is_multiple_of(2) { "ALPHA" } else { "6f1b2c3d-0a4b-4c5d-8e6f-000000000001" };
        let (hour, minute) = (minute / 6, minute % 6 * 10);
        format!(
            "{address} - - [21/Nov/2026:{hour:02}:{minute:02}:00 +0000] \"POST /message/sendText/{name} HTTP/1.1\" 404 1 \"-\" \"{agent}\"\n"
        )
    };
    fs::write(file.path(), (0..144).map(line).collect::<String>()).expect("writable");
    file
}

fn logs(file: &NamedTempFile) -> Run {
    let path = file.path().to_str().expect("UTF-8");
    evodoctor(&["logs", path, "--instances", INSTANCES, "--format", "html"])
}

/// What a page has to be, whatever it shows.
#[track_caller]
fn expect_fine(names: &[&str], seen: &[Value]) {
    for (name, seen) in names.iter().zip(seen) {
        for fault in ["trouble", "violations", "sticks_out", "cut_on_paper", "invalid"] {
            assert_eq!(seen[fault], json!([]), "{name}: {fault}: {seen:#}");
        }
    }
    assert_eq!(names.len(), seen.len());
}

#[track_caller]
fn looks(pages: &Pages, runs: &[(&str, &Run)], thorough: bool) {
    let task = |(name, run): &(&str, &Run)| json!({"what": "looks", "file": pages.put(name, run), "name": name, "thorough": thorough});
    let names: Vec<&str> = runs.iter().map(|(name, _)| *name).collect();
    expect_fine(&names, &look(&runs.iter().map(task).collect::<Vec<_>>()));
}

/// Every failure that is repaired, in one database.
async fn everything() -> TestDatabase {
    Fixture::read("EVO101_orphaned_reference", "everything").database("evolution_api").await
}

#[tokio::test]
async fn a_page_with_findings_is_readable_in_every_theme_and_width() {
    let run = html(&everything().await.url(), &["check"]).ends(1);
    looks(&Pages::new(), &[("check", &run)], true);
}

#[tokio::test]
async fn pages_of_dry_runs_and_clean_and_undecided_checks_are_readable() {
    let fix = html(&everything().await.url(), &["fix"]).ends(1);
    let clean = TestDatabase::new("2.3.7", "evolution_api").await;
    let role = roles::reader(&mut clean.connect().await, "evolution_api").await;
    execute(&mut clean.connect().await, &format!("REVOKE SELECT ON evolution_api.\"Chat\" FROM {role}"))
        .await;
    let undecided = html(&clean.url_as(&role), &["check"]).ends(3);
    let clean = html(&clean.url(), &["check"]).ends(0);
    looks(&Pages::new(), &[("fix", &fix), ("clean", &clean), ("undecided", &undecided)], false);
    assert!(clean.stdout.contains("All is well") && !clean.stdout.contains("g class=\"broken"));
    assert!(undecided.stdout.contains("undecided, never clean"), "{}", undecided.stdout);
}

#[tokio::test]
async fn pages_of_upgrades_logs_and_applied_runs_are_readable() {
    let upgrade = Fixture::read("EVO614_wrong_chat_survives", "bad").database("evolution_api").await;
    let files = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/migrations");
    let preflight = html(&upgrade.url(), &["preflight", "--migrations", files, "--rehearse-on-live"]).ends(1);
    let log = log();
    let logs = logs(&log).ends(1);
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let consent = ["fix", "EVO101", "--apply", "--allow", "deletes-rows,changes-rows"];
    let applied = html(&database.url(), &consent).ends(0);
    let history = html(&database.url(), &["history"]).ends(0);
    let undo = html(&database.url(), &["undo", "1"]).ends(1);
    let credentials =
        Fixture::read("EVO106_foreign_credential_in_use", "bad").database("evolution_api").await;
    let credentials = html(&credentials.url(), &["credentials", "list"]).ends(0);
    assert!(preflight.stdout.contains("What the files did") && preflight.stdout.contains("loses data"));
    assert!(applied.stdout.contains("Run 1 is applied and committed"));
    assert!(history.stdout.contains("evodoctor undo 1") && credentials.stdout.contains("sk-"));
    let pages = [
        ("preflight", &preflight),
        ("logs", &logs),
        ("applied", &applied),
        ("history", &history),
        ("undo", &undo),
        ("credentials", &credentials),
    ];
    looks(&Pages::new(), &pages, false);
}

/// Most of a server's instances have a name that no URL can hold, and every table has a fault besides.
#[tokio::test]
async fn a_page_with_ten_thousand_findings_is_readable() {
    let database = everything().await;
    let sql = "INSERT INTO evolution_api.\"Instance\" (id, name, \"connectionStatus\", token)
        SELECT 'many' || n, 'loja ' || n || '/filial', 'open', 'token of ' || n FROM generate_series(1, 10000) AS n";
    execute(&mut database.connect().await, sql).await;
    let run = html(&database.url(), &["check"]).ends(1);
    assert!(run.stdout.contains("10,000"), "there are fewer");
    let pages = Pages::new();
    let seen = &look(&[json!({"what": "screens", "file": pages.put("many", &run), "name": "many"})])[0];
    for (device, most) in [("desk", 10.0), ("phone", 14.0)] {
        let seen = &seen[device];
        assert!(seen["screens"].as_f64().is_some_and(|screens| screens < most), "{device}: {seen:#}");
        assert_eq!((&seen["sticks_out"], &seen["trouble"]), (&json!([]), &json!([])), "{device}");
    }
}

#[tokio::test]
async fn a_page_is_complete_without_javascript() {
    let database = everything().await;
    let run = html(&database.url(), &["check"]).ends(1);
    let found = on(&database.url(), &["check", "--format", "json"]).json();
    let findings = found["findings"].as_array().expect("a list");
    let file = Pages::new();
    let page = file.put("check", &run);
    let seen = look(&[
        json!({"what": "without_script", "file": page}),
        json!({"what": "use", "file": page, "code": "EVO101", "words": "labels array"}),
        json!({"what": "keyboard", "file": page}),
    ]);

    let (plain, used, keyboard) = (&seen[0], &seen[1], &seen[2]);
    let text = plain["text"].as_str().expect("text");
    for finding in findings {
        let (subject, detail) = (finding["subject"].as_str().unwrap(), finding["detail"].as_str().unwrap());
        assert!(text.contains(subject) && text.contains(detail), "{subject}: {detail}\nnot in\n{text}");
    }
    assert_eq!(plain["controls"], 0, "something that does nothing without JavaScript");
    let unfolds = plain["unfolded"].as_str().unwrap().len() > plain["folded"].as_str().unwrap().len();
    assert!(unfolds && plain["trouble"] == json!([]), "{plain:#}");

    let of = |is: &dyn Fn(&Value) -> bool| findings.iter().filter(|finding| is(finding)).count();
    assert_eq!(used["all"], findings.len());
    let mild = of(&|finding| finding["severity"] != "warning");
    assert_eq!(used["without_warnings"]["shown"], mild);
    assert_eq!(used["without_warnings"]["says"], format!("{mild} of {}", findings.len()));
    assert_eq!(used["without_warnings"]["severities"], json!(["error"]));
    assert_eq!(used["of_code"], json!({"shown": of(&|finding| finding["code"] == "EVO101"), "rules": 1}));
    let texts = used["with_words"]["texts"].as_array().expect("a list");
    let says = |text: &Value| text.as_str().is_some_and(|text| text.to_lowercase().contains("labels"));
    assert!(!texts.is_empty() && texts.len() < findings.len() && texts.iter().all(says), "{texts:?}");
    assert_eq!((&used["none"], &used["folded"]), (&json!(0), &json!(0)));
    assert_ne!(used["light"], used["dark"]);
    assert_eq!(used["dark"], used["dark_again"], "the choice is forgotten");
    assert_eq!(used["copied"], "evodoctor fix --database-url \"$DATABASE_CONNECTION_URI\"");
    assert_eq!(used["trouble"], json!([]));

    assert_eq!(keyboard["wanted"], keyboard["reached"], "the keyboard does not come everywhere");
    assert!(keyboard["wanted"].as_u64() > Some(50), "{keyboard}");
    assert_eq!(keyboard["faint"], json!([]), "what has the focus does not show it");
}

#[tokio::test]
async fn a_hostile_name_runs_no_script() {
    let database = hostile_database().await;
    let more = "INSERT INTO evolution_api.\"Instance\" (id, name, \"connectionStatus\", token) VALUES
            ('i97', '</code></script><script>window.pwned=1</script>', 'open', 'u'),
            ('i98', '\"><img src=x onerror=window.pwned=1>', 'open', 'v');
         CREATE TABLE evolution_api.\"\"\"><svg onload=window.pwned=1>\" (id int, \"instanceId\" text);
         INSERT INTO evolution_api.\"\"\"><svg onload=window.pwned=1>\" VALUES (1, E'gone\\u202e\\u001b[31m');
         ALTER TABLE evolution_api.\"\"\"><svg onload=window.pwned=1>\" ADD FOREIGN KEY (\"instanceId\")
             REFERENCES evolution_api.\"Instance\" (id) NOT VALID;";
    execute(&mut database.connect().await, more).await;
    let pages = Pages::new();
    let names = ["check", "fix"];
    let files = names.map(|name| {
        pages.put(name, &html(&database.url(), &[name, "--fail-on", "advice", "--ignore", "EVO207"]).ends(1))
    });
    let tasks: Vec<Value> = files.iter().map(|file| json!({"what": "hostile", "file": file})).collect();
    for (name, seen) in names.iter().zip(look(&tasks)) {
        assert_eq!((&seen["strangers"], &seen["handlers"]), (&json!([]), &json!([])), "{name}");
        assert_eq!((&seen["ran"], &seen["ran_then"]), (&Value::Null, &Value::Null), "{name}: a script ran");
        assert_eq!(seen["trouble"], json!([]), "{name}");
        let text = seen["text"].as_str().expect("text");
        assert!(text.contains("octocat"), "{name}: {text}");
        if *name == "check" {
            assert!(text.contains("<svg onload=window.pwned=1>"), "{text}");
            assert!(text.contains("\\u{202e}") && text.contains("\\x1b"), "{text}");
        }
        assert!(!text.contains(['\u{202e}', '\u{1b}']), "{name}");
        let refused = seen["refused"].to_string();
        for what in ["script-src", "img-src", "connect-src"] {
            assert!(refused.contains(what) || refused.contains("default-src"), "{name}: {what}: {refused}");
        }
    }
}

#[tokio::test]
async fn a_page_stays_small_and_says_what_it_leaves_out() {
    let file = NamedTempFile::new().expect("a file");
    let line = |number: usize| {
        format!(
            "203.0.113.{} - - [21/Nov/2026:03:59:13 +0000] \"GET /instance/connect/nobody-{number} HTTP/1.1\" 404 1 \"-\" \"n8n\"\n",
            number % 200
        )
    };
    fs::write(file.path(), (0..4_000).map(line).collect::<String>()).expect("writable");
    let run = logs(&file).ends(1);
    assert!(run.stdout.len() < 5_000_000, "{} bytes", run.stdout.len());
    assert!(run.stdout.contains("Not on this page, which would be too large: "), "nothing is said");

    // A row with a megabyte in it.
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let sql =
        "UPDATE evolution_api.\"Message\" SET message = jsonb_build_object('text', repeat('x', 1000000))";
    execute(&mut database.connect().await, sql).await;
    let run = html(&database.url(), &["fix", "EVO101"]).ends(1);
    assert!(run.stdout.len() < 500_000, "{} bytes", run.stdout.len());
    assert!(run.stdout.contains("[more than 120 characters]"), "nothing is said");
}
