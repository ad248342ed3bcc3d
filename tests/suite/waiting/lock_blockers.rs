//! Blocking sessions are named, whatever they are, with what to do about them.

use std::time::Duration;

use evodoctor::database::release_schema::create_release_schema;
use evodoctor::database::scratch_server::{ScratchServer, ScratchServerOptions};
use evodoctor::evolution::release::Release;
use sqlx::{ConnectOptions, PgConnection};

use super::{blocker, broken};
use crate::support::database::execute;
use crate::support::program::{ended, on, start_on};
use crate::support::roles;

const ONCE: [&str; 4] = ["fix", "EVO202", "--wait", "0"];

#[tokio::test]
async fn a_prepared_transaction_has_a_name_and_no_process() {
    let (database, _connection) = broken().await;
    // A name is the server's, not the database's.
    let name = format!("{}'s transfer", database.name());
    let quoted = name.replace('\'', "''");
    let (_other, _) = blocker(
        &database,
        &format!(r#"UPDATE "OpenaiCreds" SET "name" = "name"; PREPARE TRANSACTION '{quoted}'"#),
    )
    .await;
    let run = on(&database.url(), &ONCE).ends(2);
    let mut connection = database.connect().await;
    execute(&mut connection, &format!("ROLLBACK PREPARED '{quoted}'")).await;
    run.complains(&[
        &format!("prepared transaction {name:?} (role postgres, prepared since"),
        "holds a lock on OpenaiCreds",
        &format!("ROLLBACK PREPARED '{quoted}'"),
    ]);
    on(&database.url(), &ONCE).ends(1);
}

/// A statement that waits itself blocks all that come after it.
#[tokio::test]
async fn sessions_ahead_in_the_lock_queue_are_named() {
    let (database, mut connection) = broken().await;
    // If only rows change, a reader does not block; a session that waits for that reader does.
    let (_reader, reader) = blocker(&database, r#"SELECT FROM "Message""#).await;
    let mut other = database.connect().await;
    let pid: i32 =
        sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut other).await.expect("a number");
    let alters = tokio::spawn(async move {
        execute(&mut other, r#"ALTER TABLE evolution_api."Message" ALTER COLUMN "participant" SET STATISTICS 200; ALTER TABLE evolution_api."Message" ADD COLUMN "later" text"#).await;
    });
    let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid = $1)";
    while !sqlx::query_scalar::<_, bool>(waits).bind(pid).fetch_one(&mut connection).await.expect("readable")
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let run = on(&database.url(), &["fix", "EVO101", "--wait", "0"]).ends(2);
    run.complains(&[&format!("process {pid} ("), "waits in the queue for Message"]);
    execute(&mut connection, &format!("SELECT pg_terminate_backend({reader})")).await;
    alters.await.expect("it comes through");
}

/// A table that an earlier attempt missed is locked first, by a step that does not need it and with a weaker lock: its
/// holder is named in every attempt.
#[tokio::test]
async fn the_holder_of_a_table_for_a_later_step_is_named() {
    let (database, mut connection) = broken().await;
    let sql = r#"ALTER TABLE evolution_api."Label" DROP CONSTRAINT "Label_instanceId_fkey";
        ALTER TABLE evolution_api."Label" ADD CONSTRAINT "Label_instanceId_fkey" FOREIGN KEY ("instanceId")
            REFERENCES evolution_api."Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE NOT VALID"#;
    execute(&mut connection, sql).await;
    // A reader does not block EVO101, which comes first, but EVO207.
    let (_reader, pid) = blocker(&database, r#"SELECT FROM "Label""#).await;
    let run = on(&database.url(), &["fix", "EVO101", "EVO207", "--wait", "6s"]).ends(2);
    assert!(!run.stderr.contains("another transaction"), "it was taken for gone: {}", run.stderr);
    let who = format!("process {pid} (nightly backup");
    let end = format!("SELECT pg_terminate_backend({pid})");
    run.complains(&["attempt 3 in", "gave up waiting", &who, "holds a lock on Label", &end]);
}

/// What a role without `pg_read_all_stats` cannot see is said.
#[tokio::test]
async fn hidden_session_details_are_reported() {
    let (database, mut connection) = broken().await;
    let role = roles::owner(&mut connection, "evolution_api").await;
    let (_blocker, pid) = blocker(&database, r#"SELECT FROM "OpenaiCreds""#).await;
    on(&database.url_as(&role), &ONCE).ends(2).complains(&[
        &format!("process {pid} (nightly backup, role postgres, role {role} cannot see its state and times"),
        "GRANT pg_read_all_stats",
    ]);
}

/// A server whose autovacuum is at work on a table, slowly.
async fn vacuuming(is_for_wraparound: bool) -> (ScratchServer, PgConnection) {
    let settings = [("autovacuum_naptime", "1s"), ("deadlock_timeout", "1s")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let server = ScratchServer::start(ScratchServerOptions { settings, ..ScratchServerOptions::default() })
        .await
        .expect("it starts");
    let mut connection = server.connect_options("postgres").connect().await.expect("it answers");
    create_release_schema(&mut connection, "public", Release::find("2.3.0").expect("known"))
        .await
        .expect("made");
    execute(
        &mut connection,
        r#"INSERT INTO "Instance" ("id", "name", "updatedAt") VALUES ('i1', 'one', now());
        INSERT INTO "OpenaiCreds" ("id", "name", "apiKey", "updatedAt", "instanceId")
            SELECT n::text, n::text, repeat('k', 200) || n, now(), 'i1' FROM generate_series(1, 5000) AS n;
        ALTER TABLE "OpenaiCreds" SET (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1,
            autovacuum_freeze_max_age = 100000)"#,
    )
    .await;
    if is_for_wraparound {
        execute(
            &mut connection,
            "CREATE PROCEDURE burn() LANGUAGE plpgsql AS $$ BEGIN
                 FOR n IN 1..101000 LOOP PERFORM txid_current(); COMMIT; END LOOP; END $$",
        )
        .await;
        execute(&mut connection, "CALL burn()").await;
    } else {
        execute(&mut connection, r#"DELETE FROM "OpenaiCreds" WHERE "id" <> '1'"#).await;
    }
    let works = r#"SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE relation = '"OpenaiCreds"'::regclass AND backend_type = 'autovacuum worker')"#;
    while !sqlx::query_scalar::<_, bool>(works).fetch_one(&mut connection).await.expect("readable") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (server, connection)
}

/// Autovacuum gives way to who waits for longer than `deadlock_timeout`, which no other attempt does.
#[tokio::test]
async fn autovacuum_yields() {
    let (server, _connection) = vacuuming(false).await;
    let child = start_on(&server.url("postgres"), &["fix", "EVO202", "--apply", "--wait", "20s"]);
    let run = tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends").ends(0);
    run.complains(&["(autovacuum, ", "holds a lock on OpenaiCreds"]);
}

#[tokio::test]
async fn autovacuum_against_wraparound_does_not_yield_and_is_named() {
    let (server, _connection) = vacuuming(true).await;
    on(&server.url("postgres"), &["fix", "EVO202", "--wait", "3s"]).ends(2).complains(&[
        "(autovacuum, which prevents wraparound, ",
        "let autovacuum finish (pg_stat_progress_vacuum shows how far it is)",
    ]);
}
