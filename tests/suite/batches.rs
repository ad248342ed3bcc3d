//! `fix EVO101 --batch`: many short transactions end where one long one does, can be cut off anywhere and continued,
//! and are undone together.

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sqlx::{Connection, PgConnection};

use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::{seen, text};
use crate::support::fixtures::Fixture;
use crate::support::program::{Evodoctor, ended, on, start_on};

const ALLOW: [&str; 3] = ["--apply", "--allow", "deletes-rows,changes-rows"];

const BATCHES: [&str; 6] = ["fix", "EVO101", "--batch=20", ALLOW[0], ALLOW[1], ALLOW[2]];

const AT_ONCE: [&str; 5] = ["fix", "EVO101", ALLOW[0], ALLOW[1], ALLOW[2]];

/// What the quarantine holds, whichever run brought it: a line for each row.
async fn kept(connection: &mut PgConnection) -> Vec<String> {
    let relations = "SELECT COALESCE(string_agg(DISTINCT relation, ' '), '') FROM evodoctor.quarantine_entry";
    let mut lines = Vec::new();
    for relation in text(connection, relations).await.split_whitespace() {
        let rows = format!(
            "SELECT COALESCE(string_agg((to_jsonb(kept.*) - 'evodoctor run')::text, E'\\n'), '') FROM evodoctor.{relation} AS kept"
        );
        lines.extend(text(connection, &rows).await.lines().map(str::to_owned));
    }
    lines.sort();
    lines
}

/// How many rows of `MessageUpdate` that [`broken`] made are kept.
async fn kept_updates(connection: &mut PgConnection) -> usize {
    let is_one = |line: &&String| line.contains("\"id\": \"many") || line.contains("\"id\": \"hangs");
    kept(connection).await.iter().filter(is_one).count()
}

/// A database with some hundred orphans, some of them with rows that hang on them.
async fn broken() -> TestDatabase {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        r#"SET session_replication_role = replica;
        INSERT INTO evolution_api."MessageUpdate"
            ("id", "keyId", "remoteJid", "fromMe", "status", "messageId", "instanceId")
            SELECT 'many' || n, 'k', 'jid', true, 'READ', 'gone' || n, 'i1' FROM generate_series(1, 300) AS n;
        INSERT INTO evolution_api."Message" ("id", "key", "messageType", "message", "source", "messageTimestamp", "instanceId")
            SELECT 'lost' || n, '{"id": null}', 'conversation', 'null', 'android', n, 'nowhere' FROM generate_series(1, 100) AS n;
        INSERT INTO evolution_api."MessageUpdate"
            ("id", "keyId", "remoteJid", "fromMe", "status", "messageId", "instanceId")
            SELECT 'hangs' || n, 'k', 'jid', true, 'READ', 'lost' || n, 'i1' FROM generate_series(1, 100) AS n"#,
    )
    .await;
    connection.close().await.expect("a clean end");
    database
}

/// The runs of the ledger that stand, newest first.
fn standing(database: &TestDatabase) -> Vec<serde_json::Value> {
    let history = on(&database.url(), &["history", "--format", "json"]).ends(0).json();
    let runs = history["runs"].as_array().expect("a list");
    runs.iter().filter(|run| run["undone_at"].is_null()).cloned().collect()
}

#[tokio::test]
async fn batches_give_the_result_of_one_transaction_and_are_undone_together() {
    let database = broken().await;
    let other = TestDatabase::copy_of(&database).await;
    let before = seen(&database).await;

    let dry = on(&database.url(), &BATCHES[..3]).ends(1);
    assert!(dry.stdout.contains("the others are counted and not run"), "{}", dry.stdout);
    assert_eq!(seen(&database).await, before);

    on(&other.url(), &AT_ONCE).ends(0);
    let run = on(&database.url(), &BATCHES).ends(0);
    assert_eq!(seen(&database).await, seen(&other).await, "{}", run.stderr);
    let (mut one, mut many) = (other.connect().await, database.connect().await);
    assert_eq!(kept(&mut many).await, kept(&mut one).await);
    let runs = standing(&database);
    assert!(runs.len() > 5, "{} runs", runs.len());
    // On a narrow terminal the whole series is a line.
    let url = database.url();
    let human = Evodoctor::new(["history", "--database-url", &url]).env("COLUMNS", "80").run().ends(0).stdout;
    let table: Vec<&str> = human.lines().skip_while(|line| !line.starts_with("run ")).collect();
    assert!(
        table[1].starts_with("1 to ") && table[1].contains("EVO101 (") && table[2].starts_with("the schema"),
        "{human}"
    );
    assert!(table.iter().all(|line| line.starts_with("next: ") || line.chars().count() <= 80), "{human}");
    assert!(runs.iter().all(|run| run["series"] == 1), "{runs:?}");
    on(&database.url(), &["check", "--select", "EVO101"]).ends(0);

    // A single batch that others followed is not undone by itself; the first one stands for the series.
    on(&database.url(), &["undo", "2", "--apply"]).ends(2).complains(&["undo the newest first"]);
    on(&database.url(), &["undo", "1"]).ends(1);
    on(&database.url(), &["undo", "1", "--apply"]).ends(0);
    assert_eq!(seen(&database).await, before);
    assert_eq!(standing(&database), Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn interrupted_batches_are_continued() {
    let database = broken().await;
    let other = TestDatabase::copy_of(&database).await;
    on(&other.url(), &AT_ONCE).ends(0);
    let after = seen(&other).await;
    let third = TestDatabase::copy_of(&database).await;
    let started = Instant::now();
    on(&third.url(), &["fix", "EVO101", "--batch=5", ALLOW[0], ALLOW[1], ALLOW[2]]).ends(0);
    let whole = started.elapsed();
    let mut connection = database.connect().await;
    let mut committed = 0;
    for cut in 0..6 {
        let mut child =
            start_on(&database.url(), &["fix", "EVO101", "--batch=5", ALLOW[0], ALLOW[1], ALLOW[2]]);
        tokio::time::sleep(whole.mul_f64(rand::random_range(0.1..0.7))).await;
        if cut % 2 == 0 {
            child.kill().expect("a child");
        } else {
            let sql =
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
                AND application_name = 'evodoctor'";
            execute(&mut connection, sql).await;
        }
        tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends");
        let gone = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database()
            AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
        while text(&mut connection, gone).await != "0" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // What the ledger says is what is: nothing is gone that is not kept.
        let runs = standing(&database);
        committed = committed.max(runs.len());
        let there =
            r#"SELECT count(*)::text FROM evolution_api."MessageUpdate" WHERE "id" ~ '^(many|hangs)'"#;
        let left: usize = text(&mut connection, there).await.parse().expect("a number");
        let kept = match runs.is_empty() {
            true => 0,
            false => kept_updates(&mut connection).await,
        };
        assert_eq!(left + kept, 400, "after cut {cut}");
    }
    assert!(committed > 0, "never did a batch come through, so this shows nothing");
    on(&database.url(), &BATCHES).ends(0);
    // Where the end came before the constraint, that is EVO206's to find.
    on(&database.url(), &["fix", "EVO206", "EVO207", "--apply"]);
    let now = seen(&database).await;
    assert_eq!(now, after);
}

#[tokio::test]
async fn batches_need_consent_and_only_some_codes_have_them() {
    let database = broken().await;
    let before = seen(&database).await;
    on(&database.url(), &["fix", "EVO101", "--batch", "--apply"]).ends(2).complains(&[
        "hazards without consent",
        "--allow",
        "nothing has been changed",
    ]);
    on(&database.url(), &["fix", "EVO104", "--batch"])
        .ends(2)
        .complains(&["EVO101, EVO102, EVO103, EVO107, EVO108"]);
    on(&database.url(), &["fix", "EVO101", "EVO103", "--batch"]).ends(2).complains(&["one code at a time"]);
    assert_eq!(seen(&database).await, before);
    let mut connection = database.connect().await;
    assert_eq!(text(&mut connection, "SELECT (to_regnamespace('evodoctor') IS NULL)::text").await, "true");
}

/// A ledger of format 1 is read as it is, and brought up to date by the next run; what it kept can still be undone.
#[tokio::test]
async fn an_old_ledger_is_migrated() {
    let database = broken().await;
    let before = seen(&database).await;
    on(&database.url(), &AT_ONCE).ends(0);
    let mut connection = database.connect().await;
    execute(&mut connection, include_str!("../../fixtures/ledger/format_1.sql")).await;
    assert_eq!(standing(&database).len(), 1);
    on(&database.url(), &["undo", "1", "--apply"]).ends(0);
    assert_eq!(seen(&database).await, before);
    on(&database.url(), &BATCHES).ends(0);
    let comment = "SELECT obj_description('evodoctor'::regnamespace, 'pg_namespace')";
    assert_eq!(text(&mut connection, comment).await, "evodoctor ledger, format 3");
    on(&database.url(), &["undo", "2", "--apply"]).ends(0);
    assert_eq!(seen(&database).await, before);
}

/// A database in which hundreds of contacts and chats are there several times, with different things known of each.
async fn doubled() -> TestDatabase {
    let database = Fixture::read("EVO103_duplicate_key", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        r#"SET search_path = evolution_api; SET session_replication_role = replica;
        DROP INDEX IF EXISTS "Contact_remoteJid_instanceId_key", "Chat_instanceId_remoteJid_key";
        INSERT INTO "Contact" ("id", "remoteJid", "pushName", "profilePicUrl", "updatedAt", "instanceId")
            SELECT 'many' || n, 'jid' || n % 150, CASE WHEN n % 3 = 0 THEN 'name ' || n END, CASE WHEN n % 4 = 0 THEN 'pic ' || n END,
                CASE WHEN n % 2 = 0 THEN timestamp '2025-01-01' + n * interval '1 hour' END, 'i1'
            FROM generate_series(1, 500) AS n;
        INSERT INTO "Chat" ("id", "remoteJid", "labels", "updatedAt", "instanceId")
            SELECT 'many' || n, 'jid' || n % 70, jsonb_build_array((n % 5)::text), timestamp '2025-01-01' + n * interval '1 hour', 'i1'
            FROM generate_series(1, 200) AS n"#,
    )
    .await;
    connection.close().await.expect("a clean end");
    database
}

const MERGES: [&str; 6] = ["fix", "EVO103", "--batch=20", ALLOW[0], ALLOW[1], ALLOW[2]];

#[tokio::test]
async fn batched_merges_give_the_result_of_one_transaction_and_are_undone_together() {
    let database = doubled().await;
    let other = TestDatabase::copy_of(&database).await;
    let before = seen(&database).await;
    let dry = on(&database.url(), &MERGES[..3]).ends(1);
    assert!(dry.stdout.contains("evodoctor fix EVO103 --batch=20 --apply"), "{}", dry.stdout);
    assert_eq!(seen(&database).await, before);

    on(&other.url(), &["fix", "EVO103", ALLOW[0], ALLOW[1], ALLOW[2]]).ends(0);
    let run = on(&database.url(), &MERGES).ends(0);
    assert_eq!(seen(&database).await, seen(&other).await, "{}", run.stderr);
    let (mut one, mut many) = (other.connect().await, database.connect().await);
    assert_eq!(kept(&mut many).await, kept(&mut one).await);
    let runs = standing(&database);
    assert!(runs.len() > 5 && runs.iter().all(|run| run["series"] == 1), "{runs:?}");
    on(&database.url(), &["check", "--select", "EVO103"]).ends(0);
    // All that undo needs of rows is in the ledger: an older version of the fix can be undone, too.
    execute(&mut many, "UPDATE evodoctor.applied_fix SET version = 1, checksum = 'of another version'").await;
    on(&database.url(), &["undo", "1", "--apply"]).ends(0);
    assert_eq!(seen(&database).await, before);
}

/// Without a code, batches take what `fix` takes: not what is ignored, or counts for less than `--fail-on`.
#[tokio::test]
async fn ignored_findings_are_fixed_only_when_named() {
    let database = broken().await;
    let folder = tempfile::tempdir().expect("a folder");
    let ignored = "[[ignore]]\ncode = \"EVO101\"\nreason = \"known, see the ticket\"\n";
    std::fs::write(folder.path().join("evodoctor.toml"), ignored).expect("writable");
    let url = database.url();
    let run = |arguments: &[&str]| {
        let all = arguments.iter().copied().chain(["--database-url", &url]);
        Evodoctor::new(all).within(folder.path()).run()
    };
    assert!(run(&["fix", "--batch"]).ends(0).stdout.contains("nothing to do"));
    run(&["fix", "EVO101", "--batch"]).ends(1);
    for arguments in [["fix", "--batch", "--ignore=EVO101"], ["fix", "--batch", "--fail-on=never"]] {
        assert!(on(&url, &arguments).ends(0).stdout.contains("nothing to do"), "{arguments:?}");
    }
    on(&url, &["fix", "--batch"]).ends(1);
}

#[tokio::test]
async fn interrupted_merges_are_continued() {
    let database = doubled().await;
    let other = TestDatabase::copy_of(&database).await;
    on(&other.url(), &["fix", "EVO103", ALLOW[0], ALLOW[1], ALLOW[2]]).ends(0);
    let after = seen(&other).await;
    let before = seen(&database).await;
    for cut in 1..5u32 {
        let mut child =
            start_on(&database.url(), &["fix", "EVO103", "--batch=3", ALLOW[0], ALLOW[1], ALLOW[2]]);
        let (mut connection, wanted) = (database.connect().await, i64::from(cut) * 3);
        let runs = "SELECT CASE WHEN to_regclass('evodoctor.run') IS NULL THEN 0
            ELSE (xpath('/row/n/text()', query_to_xml('SELECT count(*) AS n FROM evodoctor.run', false, true, '')))[1]::text::bigint END";
        loop {
            let count: i64 = sqlx::query_scalar(runs).fetch_one(&mut connection).await.expect("a number");
            if count >= wanted || child.try_wait().expect("a child").is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        child.kill().expect("a child");
        tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends");
    }
    assert!(standing(&database).len() > 5);
    on(&database.url(), &MERGES).ends(0);
    assert_eq!(seen(&database).await, after);
    // Each start is a series of its own; the newest is undone first.
    loop {
        let runs = standing(&database);
        let Some(newest) = runs.first() else { break };
        on(&database.url(), &["undo", &newest["series"].to_string(), "--apply"]).ends(0);
    }
    assert_eq!(seen(&database).await, before);
}

#[tokio::test]
async fn ctrl_c_stops_between_batches() {
    let database = doubled().await;
    let mut connection = database.connect().await;
    let child = start_on(&database.url(), &["fix", "EVO103", "--batch=1", ALLOW[0], ALLOW[1], ALLOW[2]]);
    while text(&mut connection, "SELECT (to_regclass('evodoctor.run') IS NULL)::text").await == "true" {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let told = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(told.expect("kill is there").success());
    let run = tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends").ends(2);
    run.complains(&["not finished: ", "committed", "interrupted", "run the same command again to continue"]);
    assert!(!standing(&database).is_empty());
    on(&database.url(), &MERGES).ends(0);
    on(&database.url(), &["check", "--select", "EVO103"]).ends(0);
}

/// Dozens of moments during batches and during their undo: never is a row neither there nor kept, and what the ledger
/// says can be undone and continued.
#[tokio::test]
async fn killed_batches_and_undos_leave_whole_batches() {
    let database = broken().await;
    let before = seen(&database).await;
    let (mut connection, mut chance) = (database.connect().await, SmallRng::seed_from_u64(20_261_125));
    let (mut grown, mut undone) = (0, 0);
    for number in 0..24 {
        // On a busy machine everything takes longer, also until the first batch.
        let begun = Instant::now();
        let runs = standing(&database);
        let longest = Duration::from_millis(900).max(begun.elapsed() * 6);
        let series = runs.first().map(|run| run["series"].to_string());
        let (size, backwards) = (format!("--batch={}", chance.random_range(1..30)), chance.random_bool(0.3));
        let arguments = match &series {
            Some(series) if backwards => vec!["undo", series, "--apply"],
            _ => vec!["fix", "EVO101", &size, ALLOW[0], ALLOW[1], ALLOW[2]],
        };
        let mut child = start_on(&database.url(), &arguments);
        tokio::time::sleep(longest.mul_f64(chance.random_range(0.0..1.0))).await;
        child.kill().expect("a child");
        tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends");
        let gone = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database()
            AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
        while text(&mut connection, gone).await != "0" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let now = standing(&database);
        grown += usize::from(now.len() > runs.len());
        undone += usize::from(now.len() < runs.len());
        let there =
            r#"SELECT count(*)::text FROM evolution_api."MessageUpdate" WHERE "id" ~ '^(many|hangs)'"#;
        let left: usize = text(&mut connection, there).await.parse().expect("a number");
        let kept: i64 = now.iter().map(|run| run["quarantined"].as_i64().expect("a number")).sum();
        let kept_here = match kept {
            0 => 0,
            _ => kept_updates(&mut connection).await,
        };
        assert_eq!(left + kept_here, 400, "moment {number}, {arguments:?}");
    }
    assert!(grown > 3 && undone > 0, "{grown} grew, {undone} were undone: this shows too little");
    while let Some(newest) = standing(&database).first() {
        on(&database.url(), &["undo", &newest["series"].to_string(), "--apply"]).ends(0);
    }
    assert_eq!(seen(&database).await, before);
}
