//! `fix --online` gives the result of the fix in one transaction, does not block reads and writes while it builds,
//! names its blockers, can be interrupted anywhere and continued, and is undone like any run.

mod load;
mod moments;
mod statements;

use std::process::Command;
use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection};

use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::{seen, text};
use crate::support::fixtures::Fixture;
use crate::support::program::{Run, Talking, ended, on, start_on};

const ALLOW: &str = "deletes-rows,changes-rows,limits-undo";

const CHAT: [&str; 6] = ["fix", "EVO205", "--online", "--apply", "--allow", ALLOW];

const INDEX: &str = "Chat_instanceId_remoteJid_evodoctor_key";

/// A database without the index of chats, and with chats that are there twice.
async fn without_index() -> TestDatabase {
    Fixture::read("EVO205_chat_index_missing", "bad").database("evolution_api").await
}

/// A session with a snapshot that a build has to wait for before it can end.
async fn reader(database: &TestDatabase, of: &str) -> PgConnection {
    let mut reader = database.connect().await;
    execute(&mut reader, "SET application_name = 'monthly report'; BEGIN ISOLATION LEVEL REPEATABLE READ")
        .await;
    let sql = format!("SELECT count(*)::text FROM evolution_api.\"{of}\"");
    text(&mut reader, &sql).await;
    reader
}

/// Waits until the build waits for another session.
async fn until_it_waits(connection: &mut PgConnection) -> i32 {
    let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query ~ 'CONCURRENTLY'
        AND pid <> pg_backend_pid() AND state = 'active' AND wait_event_type = 'Lock' AND wait_event = 'virtualxid'";
    for _ in 0..600 {
        if let Some(pid) = sqlx::query_scalar(sql).fetch_optional(&mut *connection).await.expect("readable") {
            return pid;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never waited");
}

async fn is_valid(connection: &mut PgConnection) -> Option<bool> {
    let sql = format!(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('evolution_api.\"{INDEX}\"')"
    );
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_optional(connection).await.expect("readable")
}

fn unfinished(database: &TestDatabase) -> usize {
    let history = on(&database.url(), &["history", "--format", "json"]).ends(0).json();
    let runs = history["runs"].as_array().expect("a list").clone();
    runs.iter().map(|run| run["unfinished"].as_array().expect("a list").len()).sum()
}

#[tokio::test]
async fn online_gives_the_result_of_one_transaction_and_is_undone() {
    for (stem, name, code) in [
        ("EVO101_orphaned_reference", "bad", "EVO101"),
        ("EVO205_chat_index_missing", "bad", "EVO205"),
        ("EVO206_schema_drift", "bad", "EVO206"),
        ("EVO207_key_not_validated", "bad", "EVO207"),
        ("EVO208_invalid_index", "bad", "EVO208"),
    ] {
        let database = Fixture::read(stem, name).database("we\"ird").await;
        let other = TestDatabase::copy_of(&database).await;
        let before = seen(&database).await;
        let at_once = on(&other.url(), &["fix", code, "--apply", "--allow", ALLOW]).ends(0);

        let dry = on(&database.url(), &["fix", code, "--online", "--format", "json"]).ends(1).json();
        assert_eq!(seen(&database).await, before, "{code}");
        let later = dry["fixes"][0]["after_commit"].as_array().expect(code).clone();
        assert!(!later.is_empty(), "{code}: {dry:#}");
        let is_gentle = |sql: &str| sql.contains(" CONCURRENTLY ") || sql.contains("VALIDATE CONSTRAINT");
        assert!(later.iter().all(|sql| is_gentle(sql.as_str().expect("text"))), "{later:?}");

        let run = on(&database.url(), &["fix", code, "--online", "--apply", "--allow", ALLOW]).ends(0);
        assert_eq!(seen(&database).await, seen(&other).await, "{code}\n{}\n{}", run.stderr, at_once.stdout);
        assert_eq!(unfinished(&database), 0, "{code}");
        on(&database.url(), &["undo", "1", "--apply"]).ends(0);
        assert_eq!(seen(&database).await, before, "{code}");
    }
}

#[tokio::test]
async fn a_build_does_not_block_others_and_names_its_blockers() {
    let database = without_index().await;
    let mut writer = database.connect().await;
    // A table that the fix has nothing to do with: what counts is the snapshot.
    let mut reader = reader(&database, "Media").await;
    let pid = text(&mut reader, "SELECT pg_backend_pid()::text").await;
    let child = start_on(&database.url(), &CHAT.into_iter().chain(["--wait", "1m"]).collect::<Vec<_>>());
    let talking = Talking::listen(child);
    let builder = until_it_waits(&mut writer).await;
    execute(
        &mut writer,
        r#"SET lock_timeout = '2s'; INSERT INTO evolution_api."Chat" ("id", "remoteJid", "instanceId") VALUES ('new', 'n@s', 'i1');
        UPDATE evolution_api."Chat" SET "unreadMessages" = 1 WHERE "id" = 'new'"#,
    )
    .await;
    let strongest = format!(
        "SELECT string_agg(DISTINCT mode, ',') FROM pg_locks WHERE granted AND locktype = 'relation' AND pid = {builder}
         AND relation = 'evolution_api.\"Chat\"'::regclass"
    );
    assert_eq!(text(&mut writer, &strongest).await, "ShareUpdateExclusiveLock");
    // No other change begins in the meantime.
    on(&database.url(), &["fix", "EVO205", "--wait", "0"])
        .ends(2)
        .complains(&["another evodoctor is changing"]);
    assert_eq!(unfinished(&database), 1);
    let human = on(&database.url(), &["history"]).ends(0).stdout;
    assert!(human.contains("not finished") && human.contains("evodoctor fix --online --apply"), "{human}");
    let talking = talking.once(&format!("waits for process {pid} (")).await;
    execute(&mut reader, "COMMIT").await;
    let run = talking.end().await.ends(0);
    run.complains(&[
        &format!("waits for process {pid} (monthly report, role postgres, "),
        "reads and writes are not blocked",
    ]);
    assert_eq!(is_valid(&mut writer).await, Some(true));
    assert_eq!(unfinished(&database), 0);
    on(&database.url(), &["check", "--select", "EVO205,EVO208,EVO103"]).ends(0);
}

#[tokio::test]
async fn online_gives_up_after_wait_and_is_continued() {
    let database = without_index().await;
    let before = seen(&database).await;
    let mut connection = database.connect().await;
    // With a lock on the table itself, not even the unfinished index can be dropped.
    for table in ["Media", "Chat"] {
        let mut reader = reader(&database, table).await;
        let run = on(&database.url(), &CHAT.into_iter().chain(["--wait", "1s"]).collect::<Vec<_>>()).ends(2);
        let number = if table == "Media" { 1 } else { 2 };
        let left = format!("run {number} is committed, but this is not done yet: the build of index");
        run.complains(&[
            "waited too long for process",
            &left,
            "evodoctor fix --online --apply --database-url \"$DATABASE_CONNECTION_URI\" continues it",
        ]);
        let expected = if table == "Media" { None } else { Some(false) };
        assert_eq!(is_valid(&mut connection).await, expected, "{table}");
        assert_eq!(unfinished(&database), 1);
        execute(&mut reader, "COMMIT").await;
        // A half-finished run can be undone.
        on(&database.url(), &["undo", &number.to_string(), "--apply"]).ends(0);
        assert_eq!(seen(&database).await, before, "{table}");
    }
    let mut reader = reader(&database, "Chat").await;
    on(&database.url(), &CHAT.into_iter().chain(["--wait", "0"]).collect::<Vec<_>>()).ends(2);
    execute(&mut reader, "COMMIT").await;
    on(&database.url(), &["fix", "EVO205", "--online"]).complains(&["run 3 is not finished"]);
    on(&database.url(), &["fix", "--online", "--apply"]).complains(&["run 3 is not finished; continuing it"]);
    assert_eq!(is_valid(&mut connection).await, Some(true));
    assert_eq!(unfinished(&database), 0);
    on(&database.url(), &["undo", "3", "--apply"]).ends(0);
    assert_eq!(seen(&database).await, before);
}

/// How the tool or its session ends in the middle.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Interrupted,
    Killed,
    SessionEnded,
}

#[tokio::test]
async fn an_interrupted_online_run_is_continued() {
    let reference = without_index().await;
    let whole = TestDatabase::copy_of(&reference).await;
    on(&whole.url(), &["fix", "EVO205", "--apply", "--allow", ALLOW]).ends(0);
    let after = seen(&whole).await;
    for cut in [Cut::Interrupted, Cut::Killed, Cut::SessionEnded] {
        let database = TestDatabase::copy_of(&reference).await;
        let mut connection = database.connect().await;
        let mut reader = reader(&database, "Media").await;
        let mut child =
            start_on(&database.url(), &CHAT.into_iter().chain(["--wait", "1m"]).collect::<Vec<_>>());
        let builder = until_it_waits(&mut connection).await;
        match cut {
            Cut::Interrupted => {
                let told = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
                assert!(told.expect("kill is there").success());
            }
            Cut::Killed => child.kill().expect("a child"),
            Cut::SessionEnded => {
                execute(&mut connection, &format!("SELECT pg_terminate_backend({builder})")).await;
            }
        }
        let run: Run = tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends");
        assert_ne!(run.code, Some(0), "{cut:?}");
        if matches!(cut, Cut::Interrupted) {
            run.complains(&["interrupted", "run 1 is committed, but this is not done yet:", "continues it"]);
        }
        assert_eq!(unfinished(&database), 1, "{cut:?}");
        execute(&mut reader, "COMMIT").await;
        let again =
            on(&database.url(), &CHAT.into_iter().chain(["--wait", "1m"]).collect::<Vec<_>>()).ends(0);
        assert_eq!(seen(&database).await, after, "{cut:?}\n{}", again.stderr);
        assert_eq!(unfinished(&database), 0);
        on(&database.url(), &["undo", "1", "--apply"]).ends(0);
        assert_eq!(seen(&database).await, seen(&reference).await, "{cut:?}");
    }
}

#[tokio::test]
async fn duplicates_written_during_a_build_are_merged_by_the_next_run() {
    let database = without_index().await;
    let mut connection = database.connect().await;
    let mut reader = reader(&database, "Media").await;
    on(&database.url(), &CHAT.into_iter().chain(["--wait", "0"]).collect::<Vec<_>>()).ends(2);
    execute(&mut reader, "COMMIT").await;
    // Should the table not have been free: what is left keeps duplicates out already.
    execute(&mut connection, &format!("DROP INDEX IF EXISTS evolution_api.\"{INDEX}\"")).await;
    execute(
        &mut connection,
        r#"INSERT INTO evolution_api."Chat" ("id", "remoteJid", "instanceId") VALUES ('d1', 'd@s', 'i1'), ('d2', 'd@s', 'i1')"#,
    )
    .await;
    let run = on(&database.url(), &CHAT).ends(0);
    run.complains(&["is not done: duplicate rows were written since"]);
    assert_eq!(is_valid(&mut connection).await, Some(true));
    assert_eq!(unfinished(&database), 0);
    let twins = r#"SELECT count(*)::text FROM evolution_api."Chat" WHERE "remoteJid" = 'd@s'"#;
    assert_eq!(text(&mut connection, twins).await, "1");
}

#[tokio::test]
async fn timeouts_and_indivisible_fixes_are_refused_online() {
    let database = without_index().await;
    let before = seen(&database).await;
    let mut connection = database.connect().await;
    let name = text(&mut connection, "SELECT current_database()::text").await;
    execute(&mut connection, &format!("ALTER DATABASE \"{name}\" SET statement_timeout = '30s'")).await;
    on(&database.url(), &CHAT).ends(2).complains(&["statement_timeout = 30s", "nothing has been changed"]);
    execute(&mut connection, &format!("ALTER DATABASE \"{name}\" RESET statement_timeout")).await;
    on(&database.url(), &["fix", "EVO601", "--online"]).ends(2).complains(&["does not run --online"]);
    on(&database.url(), &["fix", "--online", "--batch"]).ends(2).complains(&["cannot be used with"]);
    assert_eq!(seen(&database).await, before);
}
