//! Two that change one database at the same time: one works, the other says who is busy.

use std::io::{BufRead, BufReader};

use evodoctor::database::ident::SqlFragment;
use evodoctor::evolution::release::Release;
use std::time::Duration;

use sqlx::PgConnection;

use super::{ORPHANS, SHARED_KEY, blocker, broken};
use crate::support::database::execute;
use crate::support::database_dump::state;
use crate::support::program::{ended, on, start_on};

/// Holds a change still in the middle: a trigger that waits until the gate is open, which no `lock_timeout` ends.
pub const GATE: &str = r#"CREATE TABLE public.gate AS SELECT 1 AS shut;
    CREATE FUNCTION public.wait_at_the_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        WHILE EXISTS (SELECT FROM public.gate) LOOP PERFORM pg_sleep(0.02); END LOOP;
        RETURN NULL; END $$;
    CREATE TRIGGER gate AFTER DELETE ON evolution_api."Message" EXECUTE FUNCTION public.wait_at_the_gate()"#;

/// The backend that waits at the gate.
pub async fn at_the_gate(connection: &mut PgConnection) -> i32 {
    let sleeps =
        "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
    loop {
        match sqlx::query_scalar(sleeps).fetch_optional(&mut *connection).await.expect("readable") {
            Some(pid) => return pid,
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

#[tokio::test]
async fn two_fixes_at_once_exclude_each_other() {
    let (database, mut connection) = broken().await;
    execute(&mut connection, GATE).await;
    let first = start_on(&database.url(), &ORPHANS);
    let pid = at_the_gate(&mut connection).await;
    for arguments in [&["fix", "EVO203", "--apply"][..], &["fix"], &["undo", "1"]] {
        on(&database.url(), arguments).ends(2).complains(&[
            "another evodoctor is changing this database",
            &format!("process {pid} (evodoctor, role postgres, active, transaction since"),
            "nothing has been changed",
        ]);
    }
    // A reader blocks nobody.
    for arguments in [&["check"][..], &["credentials", "list"], &["history"], &["preflight"]] {
        let run = on(&database.url(), arguments);
        assert!(matches!(run.code, Some(0 | 1)), "{run:?}");
    }
    execute(&mut connection, "DELETE FROM public.gate").await;
    tokio::task::spawn_blocking(|| ended(first)).await.expect("it ends").ends(0);
    let history = on(&database.url(), &["history", "--format", "json"]).ends(0).json();
    assert_eq!(history["runs"].as_array().expect("a list").len(), 1);
}

/// Many at once, with nothing that keeps them apart but the program itself.
#[tokio::test]
async fn many_fixes_at_once_run_once_or_give_a_reason() {
    let (database, _connection) = broken().await;
    let codes = ["EVO201", "EVO202", "EVO203", "EVO204", "EVO202", "EVO203"];
    let url = database.url();
    let children: Vec<_> = codes.iter().map(|code| start_on(&url, &["fix", code, "--apply"])).collect();
    let mut applied = Vec::new();
    for (child, code) in children.into_iter().zip(codes) {
        let run = tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends");
        match run.code {
            Some(0) if run.stdout.contains("committed") => applied.push(code),
            Some(0) => assert!(run.stdout.contains("nothing to do"), "{run:?}"),
            _ => drop(run.ends(2).complains(&["another evodoctor is changing", "nothing has been changed"])),
        }
    }
    let distinct = applied.iter().collect::<std::collections::BTreeSet<_>>().len();
    assert_eq!(distinct, applied.len(), "{applied:?}");
    assert!(!applied.is_empty());
    let history = on(&url, &["history", "--format", "json"]).ends(0).json();
    assert_eq!(history["runs"].as_array().expect("a list").len(), applied.len(), "{history}");
}

/// Prisma holds its lock as a session, and its session is idle between the statements of its migrations.
#[tokio::test]
async fn prismas_migrations_go_first() {
    let (database, mut connection) = broken().await;
    on(&database.url(), &["fix", "EVO203", "--apply"]).ends(0);
    let before = state(&mut connection, &[]).await;
    let (mut prisma, pid) = blocker(&database, "SELECT pg_advisory_lock(72707369); COMMIT").await;
    for arguments in [&SHARED_KEY[..], &["fix"], &["undo", "1", "--apply"]] {
        on(&database.url(), arguments).ends(2).complains(&[
            "prisma migrate is running on this database",
            &format!("process {pid} (nightly backup, role postgres, idle, query since"),
            "nothing has been changed",
        ]);
    }
    assert_eq!(state(&mut connection, &[]).await, before);
    on(&database.url(), &["check"]).ends(1);
    on(&database.url(), &["preflight"]).ends(0);
    execute(&mut prisma, "SELECT pg_advisory_unlock(72707369)").await;
    on(&database.url(), &SHARED_KEY).ends(0);
    // It leaves none behind itself, not even one that it only tried.
    let locks: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .fetch_one(&mut connection)
    .await
    .expect("readable");
    assert_eq!(locks, 0);
}

/// Migrations that run between two attempts change what was planned: that is seen, not gone over.
#[tokio::test]
async fn migrations_run_in_between_are_detected() {
    let (database, mut connection) = broken().await;
    let (_blocker, _) = blocker(&database, r#"LOCK TABLE "OpenaiCreds" IN ACCESS EXCLUSIVE MODE"#).await;
    let mut child = start_on(&database.url(), &SHARED_KEY);
    let stderr = child.stderr.take().expect("piped");
    let mut lines = BufReader::new(stderr).lines();
    assert!(lines.any(|line| line.expect("text").contains("waiting:")), "it never waited");
    // What Prisma writes when it has done with the next release.
    let target = Release::find("2.3.7").expect("known");
    for migration in target.migrations() {
        let row = format!(
            "INSERT INTO evolution_api._prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count)
             SELECT md5(random()::text), {}, {name}, now(), 1
             WHERE NOT EXISTS (SELECT FROM evolution_api._prisma_migrations WHERE migration_name = {name})",
            SqlFragment::literal(migration.checksum_in(target).unwrap_or_default()),
            name = SqlFragment::literal(&migration.name)
        );
        execute(&mut connection, &row).await;
    }
    let told: String = lines.map(|line| line.expect("text") + "\n").collect();
    assert_eq!(child.wait().expect("it ends").code(), Some(2), "{told}");
    for part in ["migrations have run on this database since", "2.3.7 now", "next: run it again"] {
        assert!(told.contains(part), "{told}");
    }
}
