//! Promise 8: a dry run blocks others only within its limit, and what a plan says of its locks is how long others wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::Connection;
use tokio::task::JoinHandle;

use super::support::database::{TestDatabase, execute};
use super::support::database_dump::seen;
use super::support::fixtures::Fixture;
use super::support::program::{Evodoctor, Run, on};

/// Orphans in each of four tables.
const ORPHANS: u32 = 80_000;

/// The default limit of a dry run.
const BOUND: Duration = Duration::from_secs(2);

/// Rows of an instance that is gone, beside some of one that is there; the keys claim to be valid.
async fn orphans(rows: u32) -> TestDatabase {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let mut connection = database.connect().await;
    let fill = r#"SET session_replication_role = replica;
        INSERT INTO evolution_api."Instance" ("id", "name") VALUES ('i1', 'alpha');
        INSERT INTO evolution_api."Message" ("id", "key", "messageType", "message", "source", "messageTimestamp", "instanceId")
            SELECT 'm' || n, jsonb_build_object('id', 'k' || n), 'conversation', '{"conversation": "hello"}', 'web', n, 'gone'
            FROM generate_series(1, :rows) AS n;
        INSERT INTO evolution_api."MessageUpdate" ("id", "keyId", "remoteJid", "fromMe", "status", "messageId", "instanceId")
            SELECT 'u' || n, 'k' || n, 'jid', true, 'READ', 'm' || n, 'gone' FROM generate_series(1, :rows) AS n;
        INSERT INTO evolution_api."Contact" ("id", "remoteJid", "instanceId")
            SELECT 'c' || n, n || '@s.whatsapp.net', 'gone' FROM generate_series(1, :rows) AS n;
        INSERT INTO evolution_api."Chat" ("id", "remoteJid", "instanceId", "updatedAt")
            SELECT 'h' || n, n || '@s.whatsapp.net', 'gone', now() FROM generate_series(1, :rows) AS n;
        INSERT INTO evolution_api."Chat" ("id", "remoteJid", "instanceId", "updatedAt")
            SELECT 'live' || n, 'live' || n, 'i1', now() FROM generate_series(1, 100) AS n"#;
    execute(&mut connection, &fill.replace(":rows", &rows.to_string())).await;
    execute(&mut connection, "ANALYZE").await;
    connection.close().await.expect("a clean end");
    database
}

/// Sessions that write all the time, each into one table, until they are stopped; and the longest time that one write
/// took.
struct Writers {
    is_over: Arc<AtomicBool>,
    writing: Vec<JoinHandle<(Duration, u32)>>,
}

impl Writers {
    async fn start(database: &TestDatabase) -> Self {
        let statements = [
            r#"INSERT INTO evolution_api."Message" ("id", "key", "messageType", "message", "source", "messageTimestamp", "instanceId")
                VALUES (gen_random_uuid()::text, '{"id": "x"}', 'conversation', '{}', 'web', 1, 'i1')"#,
            r#"UPDATE evolution_api."Chat" SET "updatedAt" = now() WHERE "id" = 'live' || (1 + floor(random() * 100))"#,
            r#"INSERT INTO evolution_api."Contact" ("id", "remoteJid", "instanceId")
                VALUES (gen_random_uuid()::text, gen_random_uuid()::text, 'i1')"#,
        ];
        let is_over = Arc::new(AtomicBool::new(false));
        let mut writing = Vec::new();
        for statement in statements {
            let (mut connection, is_over) = (database.connect().await, Arc::clone(&is_over));
            writing.push(tokio::spawn(async move {
                let (mut longest, mut written) = (Duration::ZERO, 0);
                while !is_over.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    execute(&mut connection, statement).await;
                    longest = longest.max(begun.elapsed());
                    written += 1;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                (longest, written)
            }));
        }
        Self { is_over, writing }
    }

    /// Ends them. The longest wait of all, and of each.
    async fn end(self) -> Vec<Duration> {
        self.is_over.store(true, Ordering::Relaxed);
        let mut waits = Vec::new();
        for writing in self.writing {
            let (longest, written) = writing.await.expect("it ends");
            assert!(written > 10, "so few writes show nothing: {written}");
            waits.push(longest);
        }
        waits
    }
}

/// Runs the program while others go on.
async fn beside(url: String, arguments: &[&'static str]) -> Run {
    let arguments = arguments.to_vec();
    tokio::task::spawn_blocking(move || on(&url, &arguments)).await.expect("it ends")
}

/// A dry run that only changes rows blocks nobody, however many rows. One that builds an index or a key does, and ends
/// at the limit if somebody waits.
#[tokio::test]
async fn no_dry_run_blocks_writers_beyond_the_limit() {
    let database = orphans(ORPHANS).await;
    let rows =
        &["fix", "EVO101", "EVO102", "EVO103", "EVO104", "EVO107", "EVO108", "EVO109", "--format", "json"];
    let everything = &["fix", "--format", "json"];
    for (arguments, may_be_refused) in [(&rows[..], false), (&everything[..], true)] {
        let writers = Writers::start(&database).await;
        let run = beside(database.url(), arguments).await;
        let waits = writers.end().await;
        println!("{arguments:?} ends with {:?}; the longest waits: {waits:?}", run.code);
        match run.code {
            Some(2) if may_be_refused => _ = run.complains(&["would have to wait for longer than 2s"]),
            _ => {
                let report = run.ends(1).json();
                let treated = report["fixes"].as_array().expect("a list").iter();
                let removed: i64 = treated.filter_map(|fix| fix["timing"]["rows"].as_i64()).sum();
                assert!(
                    removed >= 4 * i64::from(ORPHANS),
                    "only {removed} rows were treated: this shows nothing"
                );
            }
        }
        // A machine that does ten things at once lets everybody wait for a moment of its own.
        let longest = waits.into_iter().max().expect("three");
        assert!(longest < BOUND + Duration::from_millis(500), "a writer waited for {longest:?}");
    }
}

/// A key that is missing has to be put in place under a lock. What the plan says of it is what a writer waits for.
#[tokio::test]
async fn a_plan_says_how_long_writers_wait() {
    let database = orphans(20_000).await;
    let mut connection = database.connect().await;
    let drop = r#"ALTER TABLE evolution_api."Contact" DROP CONSTRAINT "Contact_instanceId_fkey""#;
    execute(&mut connection, drop).await;
    let writers = Writers::start(&database).await;
    let arguments = &[
        "fix",
        "EVO101",
        "--apply",
        "--allow",
        "deletes-rows,changes-rows",
        "--format",
        "json",
        "--wait",
        "2m",
    ];
    let run = beside(database.url(), arguments).await.ends(0);
    let waits = writers.end().await;
    let plan = run.json();
    for (table, waited) in ["Message", "Chat", "Contact"].into_iter().zip(waits) {
        let name = format!("evolution_api.\"{table}\"");
        let locks = plan["fixes"][0]["locks"].as_array().expect("a list");
        let lock = locks.iter().find(|lock| lock["table"] == name.as_str()).expect("it was locked");
        assert_eq!(lock["mode"], "ShareRowExclusiveLock", "{table}");
        let held = Duration::from_millis(lock["held_ms"].as_u64().expect("a number"));
        println!("{table}: {held:?} in the plan, {waited:?} waited");
        // The commit comes after the plan; and a writer may come a moment after the lock.
        assert!(
            waited < held.mul_f64(1.3) + Duration::from_millis(700),
            "{table}: {waited:?}, and not {held:?}"
        );
        assert!(
            held < waited.mul_f64(1.3) + Duration::from_millis(700),
            "{table}: {held:?}, and not {waited:?}"
        );
    }
}

#[tokio::test]
async fn a_too_short_limit_ends_a_dry_run_with_alternatives() {
    let database = Fixture::read("EVO103_duplicate_key", "bad").database("evolution_api").await;
    let before = seen(&database).await;
    let run = on(&database.url(), &["fix", "EVO103", "EVO205", "--max-lock", "1ms"]).ends(2);
    let run = run.complains(&["would have to wait for longer than 1ms", "nothing has been changed"]);
    run.complains(&["--batch", "--snapshot FILE", "--max-lock"]);
    assert_eq!(seen(&database).await, before);
}

/// Without consent nothing is locked: a writer in a transaction, whom the lock would have to wait for, is not even met.
#[tokio::test]
async fn missing_consent_is_refused_before_the_first_lock() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let mut writer = database.connect().await;
    let write = r#"BEGIN; UPDATE evolution_api."Instance" SET "updatedAt" = now() WHERE "id" = 'i1'"#;
    execute(&mut writer, write).await;
    let before = Instant::now();
    let run =
        Evodoctor::new(["fix", "--apply", "--wait", "0", "--database-url", &database.url()]).run().ends(2);
    run.complains(&["hazards without consent: deletes-rows, changes-rows", "nothing has been changed"]);
    println!("refused after {:?}", before.elapsed());
    on(&database.url(), &["fix", "EVO101", "--apply", "--wait", "0", "--allow", "deletes-rows,changes-rows"])
        .ends(2)
        .complains(&["gave up waiting for a lock"]);
    execute(&mut writer, "ROLLBACK").await;
}
