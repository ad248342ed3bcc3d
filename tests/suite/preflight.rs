//! `preflight` as a command: its output, its exit code, and that it blocks nobody.

mod before_upgrade;

use evodoctor::evolution::release::Release;
use evodoctor::upgrade::hazard::{HazardContext, all_hazards};
use serde_json::{Value, json};

use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::state;
use crate::support::fixtures::Fixture;
use crate::support::program::{evodoctor, on};
use crate::support::roles;

fn preflight(url: &str, to: &str, code: i32) -> Value {
    on(url, &["preflight", "--to", to, "--format", "json", "--show-rows"]).ends(code).json()
}

fn pending<'a>(report: &'a Value, number: &str) -> &'a Value {
    let all = report["preflight"]["pending"].as_array().expect("a list");
    all.iter().find(|one| one["name"].as_str().expect("a name").starts_with(number)).expect("it is pending")
}

#[tokio::test]
async fn the_report_predicts_each_migration() {
    let database = Fixture::read("EVO614_wrong_chat_survives", "bad").database("evolution_api").await;
    let report = preflight(&database.url(), "2.3.7", 1);
    assert_eq!(report["command"], "preflight");
    let answer = &report["preflight"];
    assert_eq!(
        (&answer["to"], &answer["applied"], &answer["total"]),
        (&json!("2.3.7"), &json!(56), &json!(57))
    );
    let names: Vec<&String> = answer.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["to", "applied", "total", "starts", "pending", "fixes", "speed", "before"]);
    let one = pending(&report, "20251122003044");
    let names: Vec<&String> = one.as_object().expect("an object").keys().collect();
    let expected =
        ["name", "release", "outcome", "sqlstate", "reached", "locks", "rows", "seconds", "hazards"];
    assert_eq!(names, expected);
    assert_eq!((&one["outcome"], &one["reached"]), (&json!("loses-data"), &json!(true)));
    assert_eq!(one["rows"], json!([{"table": "Chat", "action": "removes-rows", "count": 4}]));
    let lock = &one["locks"][0];
    assert_eq!(
        (&lock["table"], &lock["mode"], &lock["work"]),
        (&json!("Chat"), &json!("SHARE"), &json!("index"))
    );
    assert_eq!(one["hazards"], json!(["EVO614"]));
    assert!(
        answer["before"][0].as_str().expect("a line").starts_with("evodoctor fix EVO614 --to 2.3.7 --apply")
    );

    // The predicate of the finding selects the rows that will be removed.
    let finding = &report["findings"].as_array().expect("a list").iter().find(|f| f["key"] == "Chat.twice");
    let predicate = finding.expect("found")["predicate"].as_str().expect("a predicate").to_owned();
    let sql = format!("SELECT count(*) FROM evolution_api.\"Chat\" WHERE {predicate}");
    let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .fetch_one(&mut database.connect().await)
        .await
        .expect("it can be pasted");
    assert_eq!(count, 4);
}

#[tokio::test]
async fn a_safe_upgrade_is_reported_in_few_lines() {
    let database = TestDatabase::new("2.3.6", "evolution_api").await;
    let run = on(&database.url(), &["preflight", "--to", "v2.3.7"]).ends(0);
    assert!(run.stdout.lines().count() < 24, "{}", run.stdout);
    for text in ["56 of 57 migrations applied", "1 pending", "will succeed", "20251122003044"] {
        assert!(run.stdout.contains(text), "no {text:?} in {}", run.stdout);
    }
    // From the first release on it is the newest stable one's whole history, and still a screen.
    let database = TestDatabase::new("2.0.0-beta", "evolution_api").await;
    let run = on(&database.url(), &["preflight"]).ends(0);
    assert!(run.stdout.lines().count() < 24, "{}", run.stdout);
    assert!(run.stdout.contains("to 2.3.7:"), "{}", run.stdout);
    let run = on(&database.url(), &["preflight", "-v"]).ends(0);
    assert!(run.stdout.contains("20240723200254"), "-v lists every one: {}", run.stdout);
}

#[tokio::test]
async fn migrations_after_a_failure_are_examined_too() {
    let database = Fixture::read("EVO602_object_is_missing", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        r#"CREATE VIEW evolution_api."tokens" AS SELECT "token" FROM evolution_api."Instance""#,
    )
    .await;
    let report = preflight(&database.url(), "2.4.0-rc1", 1);
    let first = pending(&report, "20250516012152");
    assert_eq!(
        (&first["outcome"], &first["sqlstate"], &first["reached"]),
        (&json!("fails"), &json!("42704"), &json!(true))
    );
    let later = pending(&report, "20251216143054");
    assert_eq!(
        (&later["outcome"], &later["sqlstate"], &later["reached"]),
        (&json!("fails"), &json!("0A000"), &json!(false))
    );
    let run = on(&database.url(), &["preflight", "--to", "2.4.0-rc1"]).ends(1);
    assert!(run.stdout.contains("FAILS with 42704") && run.stdout.contains("view tokens"), "{}", run.stdout);
}

#[tokio::test]
async fn a_release_that_is_reached_has_nothing_pending() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let report = preflight(&database.url(), "2.3.7", 0);
    assert_eq!(report["preflight"]["pending"], json!([]));
    // 2.3.0 to 2.3.3 are one range.
    let database = TestDatabase::new("2.3.3", "evolution_api").await;
    let report = preflight(&database.url(), "2.3.2", 0);
    assert_eq!(report["preflight"]["pending"], json!([]));
}

#[tokio::test]
async fn bad_input_gets_a_hint() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let url = database.url();
    on(&url, &["preflight", "--to", "2.3.77"]).ends(2).complains(&[
        "2.3.77",
        "did you mean 2.3.7?",
        "2.4.0-rc2",
    ]);
    on(&url, &["preflight", "--to", "latest"]).ends(2).complains(&["no release latest", "2.0.0-beta"]);
    on(&url, &["preflight", "--select", "EVO699"]).ends(2).complains(&["no code EVO699"]);
}

#[tokio::test]
async fn every_format_begins_with_the_verdict() {
    let database = Fixture::read("EVO602_object_is_missing", "bad").database("evolution_api").await;
    let told =
        |format| on(&database.url(), &["preflight", "--to", "2.3.7", "--format", format]).ends(1).stdout;
    let verdict = "the upgrade to 2.3.7 fails, and the server then does not start";
    assert!(told("human").starts_with(&format!("verdict   {verdict}")), "{}", told("human"));
    assert!(
        told("github").starts_with(&format!("::error title=upgrade to 2.3.7::{verdict}")),
        "{}",
        told("github")
    );
    assert!(told("markdown").contains(&format!("\n**{verdict}")), "{}", told("markdown"));
    assert!(told("gitlab").contains(&format!("\"description\": \"{verdict}")), "{}", told("gitlab"));
    assert!(told("sarif").contains(&format!("\"text\": \"{verdict}")), "{}", told("sarif"));
    let xml = told("junit");
    let case = xml.find("<testcase name=\"upgrade to 2.3.7\"").expect("a case of its own");
    assert_eq!(xml.find("<testcase"), Some(case), "{xml}");
    assert!(xml.contains(&format!("message=\"{verdict}")), "{xml}");
    assert!(!told("html").contains("\\x1b["), "{}", told("html"));

    let well = TestDatabase::new("2.3.6", "evolution_api").await;
    on(&well.url(), &["preflight", "--to", "2.3.7"]).ends(0).says(&[
        "verdict the upgrade to 2.3.7 succeeds",
        "next: docker pull evoapicloud/evolution-api:v2.3.7",
    ]);
    assert!(
        on(&well.url(), &["preflight", "--to", "2.3.7", "--format", "github"])
            .ends(0)
            .stdout
            .starts_with("::notice title=upgrade to 2.3.7::the upgrade to 2.3.7 succeeds")
    );
}

#[tokio::test]
async fn select_and_ignore_filter_findings_not_outcomes() {
    let database = Fixture::read("EVO601_object_exists_already", "bad").database("evolution_api").await;
    let url = database.url();
    let report =
        on(&url, &["preflight", "--to", "2.2.1", "--ignore", "EVO601", "--format", "json"]).ends(0).json();
    assert_eq!(report["findings"], json!([]));
    assert_eq!(pending(&report, "20241007164026")["outcome"], "fails");
    on(&url, &["preflight", "--to", "2.2.1", "--select", "EVO614"]).ends(0);
    on(&url, &["preflight", "--to", "2.2.1", "--fail-on", "never"]).ends(0);
}

#[tokio::test]
async fn a_role_that_may_only_select_is_enough_and_nothing_changes() {
    let database = Fixture::read("EVO608_contact_cleanup", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    let role = roles::reader(&mut connection, "evolution_api").await;
    let before = state(&mut connection, &[]).await;
    let mine = preflight(&database.url_as(&role), "2.3.7", 1);
    let powerful = preflight(&database.url(), "2.3.7", 1);
    assert_eq!(mine["findings"], powerful["findings"]);
    assert_eq!(state(&mut connection, &[]).await, before);

    // Only the owner may read the ledger.
    assert_eq!(powerful["preflight"]["fixes"], json!([]));
    on(&database.url(), &["fix", "EVO103", "--apply", "--allow", "deletes-rows,changes-rows"]).ends(0);
    let mine = preflight(&database.url_as(&role), "2.3.7", 0);
    assert_eq!(mine["preflight"]["fixes"], Value::Null);
    execute(&mut connection, &format!("GRANT USAGE ON SCHEMA evodoctor TO {role}")).await;
    let mine = preflight(&database.url_as(&role), "2.3.7", 0);
    assert_eq!(mine["preflight"]["fixes"], Value::Null);

    execute(&mut connection, &format!(r#"REVOKE SELECT ON evolution_api."Contact" FROM {role}"#)).await;
    let report = preflight(&database.url_as(&role), "2.3.7", 3);
    assert_eq!(pending(&report, "20240811183328")["outcome"], "undecided");
    assert_eq!(pending(&report, "20240813003116")["outcome"], "passes");
}

/// It ends although everybody else is kept from all but reading: it needs no lock that a reader does not.
#[tokio::test]
async fn preflight_takes_only_reader_locks() {
    let database = Fixture::read("EVO608_contact_cleanup", "quadratic").database("evolution_api").await;
    let mut connection = database.connect().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('evolution_api.%I', relname) FROM pg_class
         WHERE relnamespace = 'evolution_api'::regnamespace AND relkind = 'r'",
    )
    .fetch_all(&mut connection)
    .await
    .expect("readable");
    // EXCLUSIVE lets ACCESS SHARE through, and nothing else.
    execute(&mut connection, &format!("BEGIN; LOCK TABLE {} IN EXCLUSIVE MODE", tables.join(", "))).await;
    preflight(&database.url(), "2.4.0-rc2", 1);
    execute(&mut connection, "ROLLBACK").await;
}

/// What the role may not see of the largest table is undecided, and nothing else: how fast it is read is then not known.
#[tokio::test]
async fn a_table_whose_rows_are_hidden_is_undecided() {
    let database = TestDatabase::new("2.1.1", "evolution_api").await;
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        r#"INSERT INTO evolution_api."Instance" ("id", "name") VALUES ('i1', 'one');
        INSERT INTO evolution_api."Message" ("id", "key", "messageType", "message", "source", "messageTimestamp", "instanceId")
            SELECT n, '{}', 'conversation', pg_catalog.jsonb_build_object('text', repeat(md5(n::text), 40)), 'web', 1, 'i1'
            FROM generate_series(1, 4000) AS n"#,
    )
    .await;
    let role = roles::reader(&mut connection, "evolution_api").await;
    let url = database.url_as(&role);
    let speed = |report: &Value| report["preflight"]["speed"]["table"].clone();
    assert_eq!(speed(&preflight(&url, "2.3.7", 0)), "Message");
    execute(&mut connection, r#"ALTER TABLE evolution_api."Message" ENABLE ROW LEVEL SECURITY"#).await;
    let report = preflight(&url, "2.3.7", 3);
    assert_eq!(speed(&report), Value::Null);
    assert_eq!(pending(&report, "20241006130306")["outcome"], "undecided");
    assert_eq!(pending(&report, "20251122003044")["outcome"], "passes");
    execute(&mut connection, r#"BEGIN; LOCK TABLE evolution_api."Message" IN ACCESS EXCLUSIVE MODE"#).await;
    on(&url, &["preflight"]).ends(2).complains(&["lock timeout", "holds a lock that blocks this"]);
}

/// How long a lock is held depends on the server: the hazard is reported.
#[tokio::test]
async fn long_locks_are_found_and_short_ones_are_not() {
    let database = TestDatabase::new("2.1.1", "evolution_api").await;
    let mut connection = database.connect().await;
    execute(&mut connection, "BEGIN").await;
    let lock = |table: &str, blocks: &str, seconds: f64| {
        json!({"number": "20241017144950", "table": table, "blocks": blocks, "bytes": 1_200_000_000_i64,
               "work": "index", "seconds": seconds})
    };
    let locks =
        [lock("Message", "writes", 40.2), lock("Chat", "writes", 4.9), lock("Contact", "nobody", 60.0)];
    let target = Release::find("2.2.0").expect("known");
    let known = HazardContext { obstacles: json!([]), locks: json!(locks), done: json!([]), target };
    let hazard = all_hazards().iter().find(|hazard| hazard.rule.code == "EVO604").expect("it is there");
    let catalog =
        evodoctor::database::catalog::Catalog::read(&mut connection, "evolution_api").await.unwrap();
    let scope = evodoctor::checks::context::CheckContext::new(&catalog, None, "postgres");
    let (_, found) = hazard.run(&mut connection, &scope, &known).await.expect("it runs");
    let details: Vec<&str> = found.iter().map(|one| one.finding.detail.as_str()).collect();
    assert_eq!(details, ["migration 20241017144950 blocks writes on Message (1144 MB) for about 41 s"]);
}

#[test]
fn hazards_are_explained() {
    for hazard in all_hazards() {
        let run = evodoctor(&["explain", &hazard.rule.code]).ends(0);
        assert!(run.stdout.contains(&hazard.rule.name) && run.stdout.contains("preflight"), "{}", run.stdout);
    }
    let run = evodoctor(&["explain", "index \"Media_fileName_key\" does not exist"]).ends(0);
    assert!(run.stdout.contains("EVO602"), "{}", run.stdout);
}

/// From 2.4 on the tables are not all: the verdict ends with the licence, and it counts as a warning.
#[tokio::test]
async fn a_release_with_activation_is_reported() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let url = database.url();
    let report = preflight(&url, "2.4.0", 1);
    assert_eq!(report["preflight"]["to"], "2.4.0-rc2");
    let notes = report["preflight"]["notes"].to_string();
    assert!(
        notes.contains("of 2.4.0 only release candidates are known") && notes.contains("LICENSE_REQUIRED"),
        "{notes}"
    );
    let finding = &report["findings"][0];
    assert_eq!((&finding["code"], &finding["severity"]), (&json!("EVO731"), &json!("warning")));
    let run = on(&url, &["preflight", "--to", "2.4.0"]).ends(1);
    for text in ["will succeed", "answers 503", "/manager", "newest stable release is 2.3.7"] {
        let unbroken = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(unbroken.contains(text), "no {text:?} in {}", run.stdout);
    }
    on(&url, &["preflight", "--to", "2.4.0", "--ignore", "EVO731"]).ends(0);
    on(&url, &["preflight", "--to", "2.4.0", "--fail-on", "error"]).ends(0);
    // Without `--to` the newest stable release is meant, which this database has already.
    let run = on(&url, &["preflight"]).ends(0);
    assert!(run.stdout.contains("to 2.3.7:"), "{}", run.stdout);
    let newer = TestDatabase::new("2.4.0-rc2", "evolution_api").await;
    on(&newer.url(), &["preflight"]).ends(0);
}
