//! Pooled connections are unchanged after every command. No other client may be affected by what evodoctor has set,
//! made or locked in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use sqlx::{Connection, Row};
use tempfile::TempDir;

use super::pgbouncer::{Bouncer, broken, expect_no_lock};
use crate::hostile::all_commands::{assert_same, story, troubled};
use crate::support::database::{TestDatabase, execute};
use crate::support::program::{evodoctor, on, start_on};

/// Every setting, and everything else that a session keeps.
const SESSION: &str = "SELECT pg_catalog.pg_backend_pid() AS pid, pg_catalog.concat_ws(E'\\n',
    (SELECT string_agg(name || ' = ' || setting, E'\\n' ORDER BY name) FROM pg_catalog.pg_settings),
    'evodoctor.run = ' || COALESCE(pg_catalog.current_setting('evodoctor.run', true), ''),
    'prepared: ' || (SELECT count(*) FROM pg_catalog.pg_prepared_statements),
    'cursors: ' || (SELECT count(*) FROM pg_catalog.pg_cursors),
    'role: ' || current_user || ' ' || session_user,
    'temporary: ' || (SELECT count(*) FROM pg_catalog.pg_class WHERE relpersistence = 't'),
    'listens: ' || (SELECT count(*) FROM pg_catalog.pg_listening_channels()),
    'locks: ' || (SELECT count(*) FROM pg_catalog.pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory')
    ) AS session";

/// All of a pool's connections, by the server's process: as many clients at once hold one each.
async fn sessions(bouncer: &Bouncer, database: &TestDatabase, size: u32) -> BTreeMap<i32, String> {
    let mut clients = Vec::new();
    let mut sessions = BTreeMap::new();
    for _ in 0..size {
        let mut client = bouncer.connect(database).await;
        execute(&mut client, "BEGIN").await;
        let row = sqlx::raw_sql(SESSION).fetch_one(&mut client).await.expect("readable");
        // What differs between one transaction and the next is none of the session's.
        sessions.insert(row.get("pid"), row.get("session"));
        clients.push(client);
    }
    for mut client in clients {
        execute(&mut client, "ROLLBACK").await;
        client.close().await.expect("a clean end");
    }
    assert_eq!(sessions.len() as u32, size);
    sessions
}

/// Panics with the lines that differ.
#[track_caller]
fn expect_same(before: &BTreeMap<i32, String>, after: &BTreeMap<i32, String>) {
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>(), "other connections");
    for (pid, was) in before {
        let changed: Vec<_> = was.lines().zip(after[pid].lines()).filter(|(was, is)| was != is).collect();
        assert!(changed.is_empty() && was.len() == after[pid].len(), "process {pid}: {changed:?}");
    }
}

/// Every command, several of them twice, and what each ends with.
fn commands(targets: &str) -> Vec<(Vec<&str>, i32)> {
    let consent = ["--allow", "deletes-rows,changes-rows,limits-undo"];
    vec![
        (vec!["history"], 0),
        (vec!["check", "--jobs", "4"], 1),
        (vec!["check", "--targets", targets], 1),
        (vec!["preflight", "--targets", targets], 0),
        (vec!["preflight", "--to", "2.3.7"], 0),
        (vec!["fix"], 1),
        ([&["fix", "--apply"][..], &consent].concat(), 0),
        (vec!["credentials", "list"], 0),
        (vec!["credentials", "share", "c1", "beta"], 1),
        (vec!["credentials", "share", "c1", "beta", "--apply"], 0),
        (vec!["credentials", "release", "c1"], 1),
        (vec!["history"], 0),
        (vec!["undo", "2", "--apply"], 0),
        (vec!["undo", "1"], 1),
        (vec!["undo", "1", "--apply"], 0),
        ([&["fix", "EVO101", "--batch=1", "--apply"][..], &consent].concat(), 0),
        (vec!["history"], 0),
        (vec!["undo", "3", "--apply"], 0),
        // A refused command leaves nothing behind either.
        (vec!["undo", "77"], 2),
        (vec!["check", "--jobs", "4", "--paranoid"], 1),
    ]
}

async fn leaves_sessions_alone(size: u32) {
    let database = broken().await;
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        r#"SET search_path = evolution_api; SET session_replication_role = replica;
        INSERT INTO "Instance" ("id", "name") VALUES ('i9', 'gamma'), ('i8', 'beta') ON CONFLICT DO NOTHING;
        INSERT INTO "OpenaiCreds" ("id", "name", "apiKey", "updatedAt", "instanceId") VALUES ('c1', 'c', 'k', now(), 'i9')
            ON CONFLICT ("id") DO UPDATE SET "instanceId" = 'i9'"#,
    )
    .await;
    let settings = "server_reset_query =\nmax_client_conn = 40\nquery_wait_timeout = 30";
    let Some(bouncer) = Bouncer::start(&database, "transaction", size, settings) else { return };
    let before = sessions(&bouncer, &database, size).await;
    let url = bouncer.url(&database);
    let folder = TempDir::new().expect("a folder");
    let list = folder.path().join("list");
    let open = url.replace(":x@", "@");
    fs::write(&list, format!("one {open}\ntwo {open}\n")).expect("writable");
    let targets = list.to_str().expect("UTF-8").to_owned();
    let done = tokio::task::spawn_blocking(move || {
        for (arguments, code) in commands(&targets) {
            eprintln!("{arguments:?}");
            let run =
                if arguments.contains(&"--targets") { evodoctor(&arguments) } else { on(&url, &arguments) };
            for text in [&run.stdout, &run.stderr] {
                assert!(!text.contains("prepared statement"), "{text}");
            }
            run.ends(code);
        }
    });
    done.await.expect("each ends as it should");
    expect_same(&before, &sessions(&bouncer, &database, size).await);
    expect_no_lock(&database).await;
}

#[tokio::test]
async fn a_pooled_connection_is_left_unchanged() {
    leaves_sessions_alone(1).await;
}

#[tokio::test]
async fn five_pooled_connections_are_left_unchanged() {
    leaves_sessions_alone(5).await;
}

/// Several at once share what there is, and wait for each other.
#[tokio::test]
async fn parallel_clients_share_a_pool() {
    let database = broken().await;
    let Some(bouncer) = Bouncer::start(&database, "transaction", 5, "server_reset_query =") else { return };
    let before = sessions(&bouncer, &database, 5).await;
    let url = bouncer.url(&database);
    let commands: [&[&str]; 4] =
        [&["check", "--jobs", "4"], &["fix"], &["credentials", "list"], &["history"]];
    let children: Vec<_> =
        commands.iter().cycle().take(8).map(|arguments| start_on(&url, arguments)).collect();
    let runs =
        tokio::task::spawn_blocking(|| children.into_iter().map(crate::support::program::ended).collect());
    let runs: Vec<_> = runs.await.expect("each ends");
    for run in runs {
        // Two rehearsals at once: one says that the other is at work.
        let is_busy = run.stderr.contains("another evodoctor is changing this database");
        assert!(matches!(run.code, Some(0 | 1)) || is_busy, "{run:?}");
    }
    // A client that gives up while it joins, because the pool is full or the work is done, ends inside a transaction:
    // the pooler closes that server connection and opens another.
    let known: BTreeSet<&String> = before.values().collect();
    let after = sessions(&bouncer, &database, 5).await;
    assert!(after.values().all(|session| known.contains(session)), "{known:?}\n{after:?}");
    expect_no_lock(&database).await;
}

/// The previous client of the connection may have left temporary tables in it, with the names of Evolution's tables and
/// of the catalog's.
#[tokio::test]
async fn temporary_tables_of_others_are_not_taken_for_the_real_ones() {
    let (plain, other) = troubled("evolution_api").await;
    drop(other);
    let database = TestDatabase::copy_of(&plain).await;
    let Some(bouncer) = Bouncer::start(&database, "transaction", 1, "server_reset_query =") else { return };
    let mut client = bouncer.connect(&database).await;
    execute(
        &mut client,
        r#"CREATE TEMPORARY TABLE "Instance" (LIKE evolution_api."Instance"); CREATE TEMPORARY TABLE "Message" (id integer);
        CREATE TEMPORARY TABLE "OpenaiCreds" (id integer); CREATE TEMPORARY TABLE "_prisma_migrations" (id integer);
        CREATE TEMPORARY TABLE pg_class (oid oid, relname name); CREATE TEMPORARY TABLE pg_constraint (oid oid);
        CREATE TEMPORARY VIEW pg_settings AS SELECT 'x' AS name; CREATE TEMPORARY TABLE run (run bigint);
        CREATE TEMPORARY TABLE quarantine (run bigint); CREATE TYPE pg_temp.text AS (a integer);
        CREATE FUNCTION pg_temp.now() RETURNS integer LANGUAGE sql AS 'SELECT 1'"#,
    )
    .await;
    let url = bouncer.url(&database);
    let (plain, told) =
        tokio::task::spawn_blocking(move || (story(&plain.url()), story(&url))).await.expect("both end");
    assert_same("temporary tables", &plain, &told);
}
