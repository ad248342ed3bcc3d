//! A standby that follows a primary: it is examined, and never changed; and where it has to choose between a query and what it
//! is to replay, what is lost with the query is undecided and not clean.

use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::ConnectOptions;

use crate::support::database::execute;
use crate::support::program::{Run, Talking, ended, on, start_on};
use crate::support::standby::Pair;

#[tokio::test]
async fn a_standby_can_be_checked_and_not_changed() {
    let pair = Pair::start(&[]).await;
    let url = pair.standby.url("postgres");
    // A run that the primary has applied is known there.
    on(&pair.primary.url("postgres"), &["fix", "EVO202", "--apply"]).ends(0);
    let mut primary = pair.connect().await;
    pair.catch_up(&mut primary).await;
    let report = on(&url, &["check", "--format", "json"]).ends(1).json();
    assert_eq!(report["summary"]["undecided"], 0, "{report}");
    let runs = on(&url, &["history", "--format", "json"]).ends(0).json();
    assert_eq!(runs["runs"][0]["run"], 1, "{runs}");
    on(&url, &["credentials", "list"]).ends(0);
    let report = on(&url, &["preflight", "--format", "json"]).ends(0).json();
    assert_eq!(report["summary"]["undecided"], 0, "{report}");
    let consent = ["fix", "--apply", "--allow", "deletes-rows,changes-rows"];
    for arguments in [
        &["fix"][..],
        &consent,
        &["fix", "EVO101", "--batch", "--apply", "--allow", "deletes-rows"],
        &["undo", "1"],
        &["undo", "1", "--apply"],
        &["credentials", "share", "c1", "beta"],
        &["credentials", "share", "c1", "beta", "--apply"],
        &["credentials", "release", "c1", "--apply"],
    ] {
        on(&url, arguments).ends(2).complains(&["standby", "connect to the primary"]);
    }
}

/// How an examination ends that the standby has to end: while it reads, and with several connections.
#[tokio::test]
async fn a_recovery_conflict_makes_checks_undecided() {
    let pair = Pair::start(&[("max_standby_streaming_delay", "0"), ("autovacuum", "off")]).await;
    let mut primary = pair.connect().await;
    // A reader of chats that never ends.
    execute(
        &mut primary,
        r#"ALTER TABLE evolution_api."Chat" RENAME TO "Chats";
        CREATE VIEW evolution_api."Chat" AS SELECT chats.* FROM evolution_api."Chats" AS chats, pg_sleep(600);
        CREATE TABLE evolution_api."Other" AS SELECT number FROM generate_series(1, 1000) AS number"#,
    )
    .await;
    pair.catch_up(&mut primary).await;
    for (arguments, conflict) in [
        (&["check", "--jobs", "1"][..], r#"DELETE FROM evolution_api."Other" WHERE number % 2 = 0"#),
        (&["check", "--jobs", "3"], r#"DELETE FROM evolution_api."Other" WHERE number % 3 = 0"#),
        (&["check", "--jobs", "1"], r#"ALTER TABLE evolution_api."Instance" ADD COLUMN "more" integer"#),
        (&["preflight", "--to", "2.4.0-rc2"], r#"DELETE FROM evolution_api."Other""#),
        (
            &["preflight", "--to", "2.4.0-rc2"],
            r#"ALTER TABLE evolution_api."Chats" ADD COLUMN "more" integer"#,
        ),
    ] {
        let run = interrupted(&pair, &[arguments, &["--format", "json"]].concat(), conflict).await;
        assert!(!run.stderr.contains("panicked"), "{run:?}");
        // Orphans were found before, or they were not: never is all of it clean.
        assert!(matches!(run.code, Some(1 | 3)), "{arguments:?}: {run:?}");
        let report = run.json();
        let undecided = report["checks"].as_array().expect("a list").iter();
        let undecided: Vec<&Value> = undecided.filter(|check| check["reason"].is_string()).collect();
        assert!(!undecided.is_empty(), "{report:#}");
        let reason =
            undecided.iter().map(|check| check["reason"].as_str().expect("text")).collect::<String>();
        for part in ["to replay", "hot_standby_feedback", "max_standby_streaming_delay", "ask the primary"] {
            assert!(reason.contains(part), "{reason}");
        }
        if arguments[0] == "preflight" {
            // What could not be asked is undecided for the migrations that it is about, and no other.
            let is = |wanted: &'static str| move |one: &&Value| one["outcome"] == wanted;
            let pending = report["preflight"]["pending"].as_array().expect("a list");
            assert!(pending.iter().any(|one| is("undecided")(&one)), "{report:#}");
            assert!(pending.iter().any(|one| is("passes")(&one)), "{report:#}");
        }
    }
    // With feedback the primary keeps what is still looked at; without a conflict nothing is ended.
    execute(
        &mut primary,
        r#"DROP VIEW evolution_api."Chat"; ALTER TABLE evolution_api."Chats" RENAME TO "Chat""#,
    )
    .await;
    pair.catch_up(&mut primary).await;
    let report = on(&pair.standby.url("postgres"), &["check", "--format", "json"]).ends(1).json();
    assert_eq!(report["summary"]["undecided"], 0, "{report:#}");
}

/// Runs the program on the standby; once it reads chats, the primary does what cannot be replayed under its eyes.
async fn interrupted(pair: &Pair, arguments: &[&str], conflict: &str) -> Run {
    let mut primary = pair.connect().await;
    let mut standby = pair.standby.connect_options("postgres").connect().await.expect("it answers");
    let child = start_on(&pair.standby.url("postgres"), arguments);
    let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    let started = Instant::now();
    while sqlx::query_scalar::<_, i64>(sleeps).fetch_one(&mut standby).await.expect("a count") == 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "nobody reads chats");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    execute(&mut primary, conflict).await;
    execute(&mut primary, r#"VACUUM evolution_api."Other""#).await;
    tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends")
}

/// Batches wait for a standby that does not follow, and say so.
#[tokio::test]
async fn batches_wait_for_a_stopped_standby() {
    let pair = Pair::start(&[]).await;
    let mut primary = pair.connect().await;
    pair.catch_up(&mut primary).await;
    let mut standby = pair.standby.connect_options("postgres").connect().await.expect("it answers");
    execute(&mut standby, "SELECT pg_wal_replay_pause()").await;
    // More than batches let a standby lack.
    execute(
        &mut primary,
        "CREATE TABLE evolution_api.\"Ballast\" AS SELECT repeat(md5(n::text), 60) AS text FROM generate_series(1, 60000) AS n;
         DROP TABLE evolution_api.\"Ballast\"",
    )
    .await;
    let url = pair.primary.url("postgres");
    let arguments = ["fix", "EVO101", "--batch", "--apply", "--allow", "deletes-rows,changes-rows"];
    let talking = Talking::listen(start_on(&url, &arguments)).once("waiting: a standby is ").await;
    let runs: bool = sqlx::query_scalar("SELECT to_regclass('evodoctor.run') IS NOT NULL")
        .fetch_one(&mut primary)
        .await
        .expect("readable");
    assert!(!runs, "a batch was committed while the standby stood still");
    execute(&mut standby, "SELECT pg_wal_replay_resume()").await;
    talking.end().await.ends(0);
    on(&url, &["check", "--select", "EVO101"]).ends(0);
}
