//! A series of batches is undone batch by batch: others pass between them, and what is cut off is continued.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sqlx::PgConnection;

use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::{seen, text};
use crate::support::fixtures::Fixture;
use crate::support::program::{Talking, ended, on, start_on};

const APPLY: [&str; 6] = ["fix", "EVO101", "--batch=20", "--apply", "--allow", "deletes-rows,changes-rows"];

/// The runs that stand, and the rows that are back: both as of one moment.
const MOMENT: &str = r#"SELECT (SELECT count(*) FROM evodoctor.run WHERE undone_at IS NULL) || ' '
    || (SELECT count(*) FROM evolution_api."MessageUpdate" WHERE "id" LIKE 'many%')"#;

/// A database with hundreds of orphans, repaired in batches; and what it was before.
async fn repaired() -> (TestDatabase, PgConnection, String) {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        r#"SET session_replication_role = replica;
        INSERT INTO evolution_api."MessageUpdate" ("id", "keyId", "remoteJid", "fromMe", "status", "messageId", "instanceId")
            SELECT 'many' || n, 'k', 'jid', true, 'READ', 'gone' || n, 'i1' FROM generate_series(1, 240) AS n;
        SET session_replication_role = origin"#,
    )
    .await;
    let before = seen(&database).await;
    on(&database.url(), &APPLY).ends(0);
    (database, connection, before)
}

async fn moment(connection: &mut PgConnection) -> (usize, usize) {
    let both = text(connection, MOMENT).await;
    let (runs, rows) = both.split_once(' ').expect("two numbers");
    (runs.parse().expect("a number"), rows.parse().expect("a number"))
}

#[tokio::test]
async fn writers_run_between_undone_batches() {
    let (database, mut connection, before) = repaired().await;
    let url = database.url();
    let (runs, rows) = moment(&mut connection).await;
    assert!(runs > 8 && rows == 0, "{runs} runs, {rows} rows");

    // The dry run measures each, and leaves nothing.
    let plan = on(&url, &["undo", "1", "--format", "json"]).ends(1).json();
    let rehearsed = plan["run"]["batches"].as_array().expect("a list").clone();
    assert_eq!(rehearsed.len(), runs, "{}", plan["run"]);
    on(&url, &["undo", "1"])
        .ends(1)
        .says(&[&format!("--apply undoes {runs} runs, the newest first"), "(run "]);
    assert_eq!(moment(&mut connection).await, (runs, 0));

    // A writer on the tables continues, and sees the rows of one batch after the other.
    let child = start_on(&url, &["undo", "1", "--apply", "--format", "json"]);
    let (mut longest, mut moments) = (Duration::ZERO, BTreeSet::new());
    let write = r#"UPDATE evolution_api."MessageUpdate" SET "status" = "status" WHERE "id" = 'u1'"#;
    loop {
        let begun = Instant::now();
        execute(&mut connection, write).await;
        longest = longest.max(begun.elapsed());
        let now = moment(&mut connection).await;
        moments.insert(now);
        if now.0 == 0 {
            break;
        }
    }
    let run = tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends").ends(0);
    let done = run.json();
    let batches = done["run"]["batches"].as_array().expect("a list");
    let locked = |batch: &serde_json::Value| batch["locked_ms"].as_u64().expect("a number");
    println!(
        "{runs} batches: the writer waited {longest:?} at most; locks {} ms at most, {} ms in all",
        batches.iter().map(locked).max().unwrap_or_default(),
        batches.iter().map(locked).sum::<u64>()
    );
    let between = moments.iter().filter(|(standing, _)| (1..runs).contains(standing)).count();
    assert!(between * 2 >= runs, "the writer saw {between} states between {runs} batches: {moments:?}");
    assert!(moments.iter().any(|(_, back)| (1..240).contains(back)), "{moments:?}");
    assert_eq!(batches.len(), runs);
    assert_eq!(batches[0]["run"], runs);
    assert_eq!((done["run"]["id"].as_i64(), done["fixes"].as_array().map(Vec::len)), (Some(1), Some(1)));
    assert_eq!(done["plan_hash"], plan["plan_hash"], "a dry run shows what is done");
    assert_eq!(run.stderr.matches(" is undone: ").count(), runs, "{}", run.stderr);
    assert_eq!(seen(&database).await, before);
}

#[tokio::test]
async fn an_interrupted_undo_is_continued() {
    let (database, mut connection, before) = repaired().await;
    let (runs, _) = moment(&mut connection).await;
    let listening = Talking::listen(start_on(&database.url(), &["undo", "1", "--apply"]));
    let mut listening = listening.once("is undone").await;
    listening.kill();
    listening.end().await;
    let gone = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database()
        AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    while text(&mut connection, gone).await != "0" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (standing, back) = moment(&mut connection).await;
    assert!((1..runs).contains(&standing) && back < 240, "{standing} of {runs} runs, {back} rows");
    // Of what is not rehearsed the rows are counted: the plan is about all that is left.
    let plan = on(&database.url(), &["undo", "1", "--format", "json"]).ends(1).json();
    let restored = plan["fixes"][0]["row_diff"].as_array().expect("a list").iter();
    let restored: i64 = restored
        .filter(|diff| diff["table"] == "MessageUpdate")
        .filter_map(|diff| diff["count"].as_i64())
        .sum();
    let hurried = on(&database.url(), &["undo", "1", "--format", "json", "--max-lock=1ms"]);
    if hurried.code == Some(1) {
        let hurried = hurried.json();
        assert!(
            hurried["run"]["batches"].as_array().is_some_and(|batches| batches.len() <= standing),
            "{hurried}"
        );
        let counted = hurried["fixes"][0]["row_diff"].as_array().expect("a list").iter();
        let counted: i64 = counted
            .filter(|diff| diff["table"] == "MessageUpdate")
            .filter_map(|diff| diff["count"].as_i64())
            .sum();
        assert_eq!(counted, restored);
    }
    on(&database.url(), &["undo", "last", "--apply"]).ends(0);
    assert_eq!(moment(&mut connection).await, (0, 240));
    assert_eq!(seen(&database).await, before);
}

/// Problems of one run are reported before the newest is undone.
#[tokio::test]
async fn a_later_run_on_the_same_tables_is_reported_before_any_undo() {
    let (database, mut connection, _) = repaired().await;
    let missing =
        r#"ALTER TABLE evolution_api."MessageUpdate" DROP CONSTRAINT "MessageUpdate_messageId_fkey""#;
    execute(&mut connection, missing).await;
    on(&database.url(), &["fix", "EVO206", "--apply"]).ends(0);
    let now = moment(&mut connection).await;
    on(&database.url(), &["undo", "1", "--apply"]).ends(2).complains(&["changed the same tables after run"]);
    assert_eq!(moment(&mut connection).await, now);
}

/// The parent of some rows of a series was deleted since: one refusal, one consent, and one command that brings them back later.
#[tokio::test]
async fn rows_of_a_series_stay_and_come_back_together() {
    let database = Fixture::read("EVO103_duplicate_key", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        r#"SET search_path = evolution_api; SET session_replication_role = replica;
        DROP INDEX IF EXISTS "Contact_remoteJid_instanceId_key";
        INSERT INTO "Instance" ("id", "name", "connectionStatus") VALUES ('lost', 'lost', 'open');
        INSERT INTO "Contact" ("id", "remoteJid", "updatedAt", "instanceId")
            SELECT 'many' || n, 'jid' || n % 40, timestamp '2025-01-01' + n * interval '1 hour', CASE n % 4 WHEN 0 THEN 'lost' ELSE 'i1' END
            FROM generate_series(1, 160) AS n;
        SET session_replication_role = origin"#,
    )
    .await;
    let before = seen(&database).await;
    let url = database.url();
    on(&url, &["fix", "EVO103", "--batch=10", "--apply", "--allow", "deletes-rows,changes-rows"]).ends(0);
    let instance = r#"SELECT to_jsonb(i.*)::text FROM "Instance" AS i WHERE "id" = 'lost'"#;
    let contacts = r#"SELECT jsonb_agg(c.*)::text FROM "Contact" AS c WHERE "instanceId" = 'lost'"#;
    let (instance, contacts) = (text(&mut connection, instance).await, text(&mut connection, contacts).await);
    execute(&mut connection, r#"DELETE FROM "Instance" WHERE "id" = 'lost'"#).await;

    let plan = on(&url, &["undo", "1"]).ends(1);
    plan.says(&[
        "Instance lost is gone",
        "30 rows cannot come back",
        "evodoctor undo 1 --apply --allow leaves-rows",
    ]);
    on(&url, &["undo", "1", "--apply"]).ends(2).complains(&[
        "Contact",
        "Instance lost is gone",
        "evodoctor undo 1 --apply",
    ]);
    let done = on(&url, &["undo", "1", "--apply", "--allow", "leaves-rows"]).ends(0);
    assert_eq!(done.stdout.matches("cannot come back").count(), 1, "{}", done.stdout);
    on(&url, &["history"]).ends(0).says(&["without 30 rows"]);
    on(&url, &["undo", "1", "--apply"]).ends(0);
    on(&url, &["undo", "1"]).ends(0).says(&["30 rows cannot come back"]);

    execute(
        &mut connection,
        &format!(
            r#"INSERT INTO "Instance" SELECT (jsonb_populate_record(NULL::"Instance", '{instance}')).*;
            INSERT INTO "Contact" SELECT (jsonb_populate_recordset(NULL::"Contact", '{contacts}')).*"#
        ),
    )
    .await;
    on(&url, &["undo", "1", "--apply"]).ends(0);
    assert_eq!(seen(&database).await, before);
}
