//! Fixes that run in one transaction stay so; indexes of others are left alone; every long statement can be cancelled.

use std::process::Command;
use std::time::{Duration, Instant};

use sqlx::PgConnection;

use super::{ALLOW, CHAT, INDEX, is_valid, reader, seen, text, unfinished, until_it_waits, without_index};
use crate::support::database::{TestDatabase, execute};
use crate::support::fixtures::Fixture;
use crate::support::program::{Run, Talking, ended, on, start_on};

/// Ends as one transaction does, and is undone: everything at once.
#[tokio::test]
async fn all_fixes_online_give_the_result_of_one_transaction() {
    let database = Fixture::read("EVO101_orphaned_reference", "everything").database("we\"ird").await;
    let other = TestDatabase::copy_of(&database).await;
    let before = seen(&database).await;
    on(&other.url(), &["fix", "--apply", "--allow", ALLOW]).ends(0);
    let run = on(&database.url(), &["fix", "--online", "--apply", "--allow", ALLOW]).ends(0);
    assert_eq!(seen(&database).await, seen(&other).await, "{}", run.stderr);
    on(&database.url(), &["check"]).ends(0);
    on(&database.url(), &["undo", "1", "--apply"]).ends(0);
    assert_eq!(seen(&database).await, before);
}

/// If one index replaces another, there is no moment without one of them.
#[tokio::test]
async fn an_index_is_replaced_in_one_transaction() {
    for (stem, code) in [
        ("EVO202_openai_api_key_unique_across_instances", "EVO202"),
        ("EVO203_openai_credential_name_unique_across_instances", "EVO203"),
        ("EVO204_openai_credential_single_setting", "EVO204"),
    ] {
        let database = Fixture::read(stem, "bad").database("evolution_api").await;
        let before = seen(&database).await;
        let dry = on(&database.url(), &["fix", code, "--online", "--format", "json"]).ends(1).json();
        let fix = &dry["fixes"][0];
        assert!(fix["after_commit"].is_null(), "{code}: {fix:#}");
        assert!(fix["notes"].to_string().contains("one index replaces another"), "{code}: {fix:#}");
        on(&database.url(), &["fix", code, "--online", "--apply", "--allow", ALLOW]).ends(0);
        on(&database.url(), &["undo", "1", "--apply"]).ends(0);
        assert_eq!(seen(&database).await, before, "{code}");
    }
}

/// An index of the same name that belongs to another role is not taken for the missing one, and survives the undo.
#[tokio::test]
async fn an_index_with_the_same_name_is_not_dropped() {
    let database = Fixture::read("EVO206_schema_drift", "bad").database("evolution_api").await;
    let dry = on(&database.url(), &["fix", "EVO206", "--online", "--format", "json"]).ends(1).json();
    let later = dry["fixes"][0]["after_commit"].as_array().expect("a list").clone();
    let build = later.iter().filter_map(|sql| sql.as_str()).find(|sql| sql.starts_with("CREATE INDEX"));
    let name = build.expect("an index is missing").split('"').nth(1).expect("its name").to_owned();
    let mut connection = database.connect().await;
    execute(&mut connection, &format!("CREATE INDEX \"{name}\" ON evolution_api.\"Template\" (\"name\")"))
        .await;
    let before = seen(&database).await;
    on(&database.url(), &["fix", "EVO206", "--online", "--apply"]).ends(1).says(&[
        "left to you: EVO206",
        "already exists",
        &name,
    ]);
    // It is as it was, and what else was missing goes again.
    on(&database.url(), &["undo", "1", "--apply"]).ends(0);
    assert_eq!(seen(&database).await, before);
}

/// A build that continues on the server after its program was killed is awaited, not started again.
#[tokio::test]
async fn a_build_of_a_terminated_program_is_awaited() {
    let database = without_index().await;
    let mut connection = database.connect().await;
    let mut reader = reader(&database, "Media").await;
    let mut killed = start_on(&database.url(), &CHAT.into_iter().chain(["--wait", "1m"]).collect::<Vec<_>>());
    let builder = until_it_waits(&mut connection).await;
    killed.kill().expect("a child");
    tokio::task::spawn_blocking(|| ended(killed)).await.expect("it ends");
    on(&database.url(), &["check", "--select", "EVO308"]).ends(1);
    let child = start_on(&database.url(), &["fix", "--online", "--apply", "--allow", ALLOW, "--wait", "1m"]);
    let talking = Talking::listen(child).once("for a terminated evodoctor").await;
    execute(&mut reader, "COMMIT").await;
    let run = talking.end().await.ends(0);
    let run = run.complains(&[&format!(
        "waiting for process {builder}, which still runs it for a terminated evodoctor"
    )]);
    assert!(!run.stderr.contains("removed what an earlier run"), "{}", run.stderr);
    assert_eq!(is_valid(&mut connection).await, Some(true));
    assert_eq!(unfinished(&database), 0);
    on(&database.url(), &["check", "--select", "EVO308"]).ends(0);
}

/// Undo cancels such a build: it is not needed any more.
#[tokio::test]
async fn a_build_of_a_terminated_program_is_cancelled_by_undo() {
    let database = without_index().await;
    let before = seen(&database).await;
    let mut connection = database.connect().await;
    let mut reader = reader(&database, "Media").await;
    let mut killed = start_on(&database.url(), &CHAT.into_iter().chain(["--wait", "1m"]).collect::<Vec<_>>());
    until_it_waits(&mut connection).await;
    killed.kill().expect("a child");
    tokio::task::spawn_blocking(|| ended(killed)).await.expect("it ends");
    on(&database.url(), &["undo", "1", "--apply"]).ends(0);
    execute(&mut reader, "COMMIT").await;
    assert_eq!(seen(&database).await, before);
    assert_eq!(
        text(&mut connection, &format!("SELECT count(*)::text FROM pg_class WHERE relname = '{INDEX}'"))
            .await,
        "0"
    );
}

async fn interrupted(
    database: &TestDatabase,
    arguments: &[&str],
    connection: &mut PgConnection,
    until: &str,
) -> Run {
    let child = start_on(&database.url(), arguments);
    for _ in 0..600 {
        if text(connection, until).await == "true" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let told = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(told.expect("kill is there").success());
    let since = Instant::now();
    let run = tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends").ends(2);
    eprintln!("it ended after {:?}", since.elapsed());
    run
}

/// Ctrl-C ends a validation, too, and waiting for the table of one: nothing of it is left.
#[tokio::test]
async fn ctrl_c_cancels_a_validation() {
    let database = Fixture::read("EVO207_key_not_validated", "bad").database("evolution_api").await;
    let before = seen(&database).await;
    let mut connection = database.connect().await;
    let mut vacuum = database.connect().await;
    // As it is where the program ended before the validations: they are waited for alone.
    on(&database.url(), &["fix", "EVO207", "--online", "--apply"]).ends(0);
    let sql =
        r#"UPDATE evodoctor.applied_fix SET "steps" = replace("steps"::text, '"done"', '"open"')::jsonb"#;
    execute(&mut connection, sql).await;
    let first = r#"SELECT format('%I.%I', 'evolution_api', "steps" -> 'later' -> 0 ->> 'table') FROM evodoctor.applied_fix"#;
    let table = text(&mut connection, first).await;
    execute(&mut vacuum, &format!("BEGIN; LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE")).await;
    let waits = "SELECT (count(*) > 0)::text FROM pg_stat_activity WHERE datname = current_database()
        AND query ~ 'VALIDATE CONSTRAINT' AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()";
    let arguments = ["fix", "EVO207", "--online", "--apply", "--wait", "10m"];
    let run = interrupted(&database, &arguments, &mut connection, waits).await;
    run.complains(&[
        "interrupted",
        "run 1 is committed, but this is not done yet: the validation of foreign key",
        "continues it",
    ]);
    execute(&mut vacuum, "COMMIT").await;
    on(&database.url(), &["check", "--select", "EVO308"]).ends(1);
    on(&database.url(), &["fix", "EVO207", "--online", "--apply"]).ends(0);
    assert_eq!(unfinished(&database), 0);
    on(&database.url(), &["check", "--select", "EVO207,EVO308"]).ends(0);
    on(&database.url(), &["undo", "1", "--apply"]).ends(0);
    assert_eq!(seen(&database).await, before);
}
