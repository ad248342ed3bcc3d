//! What an upgrade destroys can be kept before it: exactly that, byte for byte, and what has a place comes back. That it is found
//! for every pair of releases, `upgrades.rs` compares with what the migrations do; that nothing of it is lost, `pairs.rs`.

mod cut_off;
mod pairs;

use std::collections::BTreeMap;

use evodoctor::evolution::release::Release;
use evodoctor::upgrade::keep::{LostPart, LostRows};
use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, PgConnection, Row};

use crate::support::database::{TestDatabase, execute};
use crate::support::program::on;
use crate::support::roles;
use crate::support::sample_rows::{Contents, contents, fill};
use crate::support::upgrade::upgrade;

const SCHEMA: &str = "evolution_api";

/// Whatever is gone or another after the migrations is in a part, and each part has something that is.
pub fn assert_exactly_what_goes(before: &Contents, after: &Contents, parts: &[LostPart], what: &str) {
    for (table, rows) in before {
        let of_table: Vec<&LostPart> = parts.iter().filter(|part| part.table == *table).collect();
        for (id, old) in rows {
            let new = after.get(table).and_then(|rows| rows.get(id));
            let lost: Vec<&String> = old
                .iter()
                .filter(|(column, value)| {
                    !value.is_null() && new.and_then(|new| new.get(*column)) != Some(value)
                })
                .map(|(column, _)| column)
                .collect();
            for column in lost {
                let is_kept = |part: &&&LostPart| match &part.what {
                    LostRows::All => true,
                    LostRows::Duplicates { columns } => twins(rows, old, columns) > 1,
                    LostRows::Values { columns, .. } => columns.contains(column),
                };
                assert!(
                    of_table.iter().any(|part| is_kept(&part)),
                    "{what}: {table} {id} {column} is not kept"
                );
            }
        }
    }
    for part in parts {
        let Some(rows) = before.get(&part.table).filter(|rows| !rows.is_empty()) else { continue };
        let new = |id: &String| after.get(&part.table).and_then(|rows| rows.get(id));
        let goes = match &part.what {
            LostRows::All => rows.keys().all(|id| new(id).is_none()),
            LostRows::Duplicates { columns } => {
                let twice = rows.iter().filter(|(_, row)| twins(rows, row, columns) > 1);
                let gone = twice.clone().filter(|(id, _)| new(id).is_none()).count();
                twice.count() == 0 || gone > 0
            }
            LostRows::Values { columns, .. } => columns.iter().all(|column| {
                let holds = |row: &Map<String, Value>| row.get(column).is_some_and(|value| !value.is_null());
                let is_lost = |(id, row): (&String, &Map<String, Value>)| {
                    new(id).and_then(|new| new.get(column)) != row.get(column)
                };
                !rows.values().any(holds) || rows.iter().any(is_lost)
            }),
        };
        assert!(goes, "{what}: {part:?} is kept and does not go");
    }
}

fn twins(rows: &BTreeMap<String, Map<String, Value>>, row: &Map<String, Value>, columns: &[String]) -> usize {
    let is_same =
        |other: &&Map<String, Value>| columns.iter().all(|column| other.get(column) == row.get(column));
    rows.values().filter(is_same).count()
}

/// Chats twice, the labels on the newer one, which upstream's migration removes; contacts twice.
const TWICE: &str = r#"
    INSERT INTO "Chat" ("id", "remoteJid", "labels", "createdAt", "updatedAt", "instanceId") VALUES
        ('twice 1', 'twice', NULL, '2024-01-01', NULL, 'Instance 0'),
        ('twice 2', 'twice', '["1", "2"]', '2024-01-01', '2025-01-01', 'Instance 0'),
        ('twice 3', 'twice', '["2", "3"]', '2024-01-01', '2024-06-01', 'Instance 0'),
        ('touched 1', 'touched', NULL, '2024-01-01', NULL, 'Instance 0'),
        ('touched 2', 'touched', '["1"]', '2024-01-01', '2025-01-01', 'Instance 0')"#;

const CONTACTS_TWICE: &str = r#"
    INSERT INTO "Contact" ("id", "remoteJid", "pushName", "profilePicUrl", "createdAt", "updatedAt", "instanceId") VALUES
        ('twice 1', 'twice', NULL, NULL, '2024-01-01', NULL, 'Instance 0'),
        ('twice 2', 'twice', 'Ada', NULL, '2024-01-01', '2025-01-01', 'Instance 0'),
        ('twice 3', 'twice', 'A.', 'http://x', '2024-01-01', '2024-06-01', 'Instance 0')"#;

async fn rows(connection: &mut PgConnection, sql: &str) -> Vec<Value> {
    let sql = format!("SELECT pg_catalog.to_jsonb(found) FROM ({sql}) AS found");
    let rows =
        sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_all(connection).await.expect("readable");
    rows.iter().map(|row| row.get(0)).collect()
}

async fn row(connection: &mut PgConnection, sql: &str) -> Value {
    rows(connection, sql).await.first().cloned().unwrap_or_default()
}

/// Sessions of three kinds, which message belonged to which, contacts and chats that are there twice.
#[tokio::test]
async fn what_an_upgrade_destroys_is_kept_and_comes_back_where_it_has_a_place() {
    let release = Release::find("2.0.9-rc").expect("known");
    let database = TestDatabase::new(release.version(), SCHEMA).await;
    let url = database.url();
    let mut connection = database.connect().await;
    fill(&mut connection, SCHEMA, release, &[]).await;
    execute(&mut connection, &format!("SET search_path = {SCHEMA}; {TWICE}; {CONTACTS_TWICE}")).await;
    let before = contents(&mut connection, SCHEMA).await;

    // Counting leaves nothing behind.
    let report = on(&url, &["preflight", "--to", "2.3.7", "--keep", "--format", "json"]).ends(1).json();
    let keep = &report["preflight"]["keep"];
    let parts = |keep: &Value| -> Vec<(String, i64)> {
        let all = keep["parts"].as_array().expect("a list").iter();
        let one = |part: &Value| {
            (part["table"].as_str().expect("a name").to_owned(), part["rows"].as_i64().expect("a count"))
        };
        all.map(one).collect()
    };
    let expected = [
        ("Chat", 5),
        ("Contact", 3),
        ("DifySession", 3),
        ("Message", 3),
        ("OpenaiSession", 3),
        ("TypebotSession", 3),
    ];
    assert_eq!(parts(keep), expected.map(|(table, rows)| (table.to_owned(), rows)));
    assert_eq!(keep["run"], Value::Null);
    assert!(keep["bytes"].as_i64() > Some(0) && keep["seconds"].as_f64() > Some(0.0), "{keep}");
    let ours = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = 'evodoctor'";
    assert!(rows(&mut connection, ours).await.is_empty());
    on(&url, &["preflight", "--to", "2.3.7"]).ends(1).says(&["next: evodoctor preflight --to 2.3.7 --keep"]);

    // In batches of two rows.
    on(&url, &["preflight", "--to", "2.3.7", "--keep", "--apply", "--batch", "2"]).ends(1).says(&[
        "kept as run 1: 20 rows",
        "data is dropped, and run 1 keeps it",
        "next: evodoctor undo 1",
    ]);
    on(&url, &["history"]).ends(0).says(&["kept before 2.3.7"]);
    assert_eq!(contents(&mut connection, SCHEMA).await, before, "Evolution's own rows stay as they are");
    on(&url, &["undo", "1"]).ends(0).says(&["none of them is missing yet"]);
    let outcome = || on(&url, &["check", "--format", "json", "--fail-on", "never"]).json()["upgrade"].clone();
    assert_eq!(outcome(), Value::Null, "the upgrade is still to come");

    let target = Release::find("2.3.7").expect("known");
    upgrade(&mut connection, SCHEMA, target).await.expect("the upgrade passes");
    let upgraded = outcome();
    let fewer: Vec<&str> = upgraded["fewer"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["table"].as_str())
        .collect();
    assert_eq!(fewer, ["Chat", "Contact", "DifySession", "OpenaiSession", "TypebotSession"]);
    assert_eq!((&upgraded["succeeded"], &upgraded["as_predicted"]), (&json!(true), &json!(true)));
    on(&url, &["check", "--fail-on", "never"]).ends(0).says(&[
        "upgrade to 2.3.7 succeeded (before: 2.0.8-rc to 2.0.9-rc), no migration failed; rows as predicted: Chat 8 → 5, Contact 6 → 4",
        "left to do: evodoctor undo 1",
    ]);
    // One chat was used since: what is in it stays.
    execute(
        &mut connection,
        r#"UPDATE "Chat" SET "labels" = '["9"]', "updatedAt" = '2026-01-01' WHERE "remoteJid" = 'touched'"#,
    )
    .await;

    // Byte for byte, in tables of their own.
    on(&url, &["undo", "1", "--into-schema", "kept"]).ends(1);
    on(&url, &["undo", "1", "--into-schema", "kept", "--apply"])
        .ends(0)
        .says(&["written to tables: run 1", "kept.Message"]);
    on(&url, &["undo", "1", "--into-schema", "kept", "--apply"]).ends(2).complains(&["exists already"]);
    on(&url, &["undo", "1", "--into-schema", SCHEMA, "--apply"]).ends(2).complains(&["exists already"]);
    for (table, count) in expected {
        let laid = rows(&mut connection, &format!(r#"SELECT * FROM "kept"."{table}""#)).await;
        assert_eq!(laid.len(), usize::try_from(count).expect("a count"), "{table}");
        for row in laid {
            let id = row["id"].as_str().expect("an id");
            for (column, value) in row.as_object().expect("a row") {
                assert_eq!(Some(value), before[table][id].get(column), "{table} {id} {column}");
            }
        }
    }

    // The right one of two chats, with the labels of all; what cannot come back is named.
    let chat = r#"SELECT "labels", "updatedAt" FROM "Chat" WHERE "remoteJid" = 'twice'"#;
    assert_eq!(
        row(&mut connection, chat).await,
        json!({"labels": null, "updatedAt": null}),
        "upstream keeps the wrong one"
    );
    let dry = on(&url, &["undo", "1"]).ends(1);
    let dry = dry.says(&[
        "TypebotSession: the table does not exist any more; 3 rows stay kept",
        "Message.typebotSessionId: the column is gone",
    ]);
    drop(dry);
    assert_eq!(row(&mut connection, chat).await["labels"], Value::Null, "a dry run writes nothing");
    on(&url, &["undo", "1", "--apply"]).ends(0).says(&["brought back: run 1"]);
    assert_eq!(
        row(&mut connection, chat).await,
        json!({"labels": ["1", "2", "3"], "updatedAt": "2025-01-01T00:00:00"})
    );
    let touched = r#"SELECT "labels" FROM "Chat" WHERE "remoteJid" = 'touched'"#;
    assert_eq!(row(&mut connection, touched).await["labels"], json!(["9"]));
    let contact = r#"SELECT "pushName", "profilePicUrl" FROM "Contact" WHERE "remoteJid" = 'twice'"#;
    assert_eq!(row(&mut connection, contact).await, json!({"pushName": "Ada", "profilePicUrl": "http://x"}));

    // Rows that go for another reason are not what was predicted.
    execute(&mut connection, r#"DELETE FROM "Webhook""#).await;
    let outcome = outcome();
    assert_eq!(outcome["as_predicted"], false);
    on(&url, &["check", "--fail-on", "never"])
        .says(&["FEWER rows than predicted", "Webhook 3 → 0 (0 predicted to go)"]);

    // Once more there is nothing to do, and the rest is still there.
    let again = on(&url, &["undo", "1", "--apply", "--format", "json"]).ends(0).json();
    assert_eq!(again["fixes"][0]["row_diff"], json!([]));
    assert_eq!(rows(&mut connection, "SELECT * FROM \"evodoctor\".\"quarantine_1_1\"").await.len(), 5);
}

/// A rolling image between the migrations of 2.1.2: the status is a number, and 2.2.0 makes every message pending.
#[tokio::test]
async fn every_unchanged_status_is_restored() {
    let database = TestDatabase::new("2.1.2", SCHEMA).await;
    let url = database.url();
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        r#"SET search_path = evolution_api;
           DELETE FROM "_prisma_migrations" WHERE "migration_name" >= '20241006130306';
           ALTER TABLE "Message" ALTER COLUMN "status" TYPE integer USING "status"::integer;
           INSERT INTO "Instance" ("id", "name") VALUES ('i', 'alpha');
           INSERT INTO "Message" ("id", "key", "messageType", "message", "source", "messageTimestamp", "instanceId", "status")
           SELECT 'm' || n, '{}', 'x', '{}', 'web', 1, 'i', CASE n % 8 WHEN 6 THEN NULL WHEN 7 THEN 9 ELSE n % 8 END
           FROM generate_series(0, 79) AS n"#,
    )
    .await;
    let kept =
        on(&url, &["preflight", "--to", "2.2.0", "--keep", "--apply", "--batch", "7", "--format", "json"])
            .ends(0)
            .json();
    assert_eq!(kept["preflight"]["keep"]["rows"], 80, "null is overwritten, too");
    let count = r#"SELECT count(*) AS n, count(DISTINCT "id") AS ids FROM "evodoctor"."quarantine_1_1""#;
    assert_eq!(
        row(&mut connection, count).await,
        json!({"n": 80, "ids": 80}),
        "no row is missed between batches, or there twice"
    );
    upgrade(&mut connection, SCHEMA, Release::find("2.2.0").expect("known"))
        .await
        .expect("the upgrade passes");
    let statuses = r#"SELECT "status", count(*) AS n FROM "Message" GROUP BY 1 ORDER BY 1"#;
    assert_eq!(rows(&mut connection, statuses).await, [json!({"status": "PENDING", "n": 80})]);
    // The newer server has heard of one since: it was kept as ERROR.
    execute(&mut connection, r#"UPDATE "Message" SET "status" = 'PLAYED' WHERE "id" = 'm0'"#).await;
    on(&url, &["undo", "1"]).ends(1).says(&["10 values do not exist in the newer release"]);
    on(&url, &["undo", "1", "--apply"]).ends(0);
    let by_status: Vec<Value> = rows(&mut connection, statuses).await;
    let expected = [
        ("DELIVERY_ACK", 10),
        ("ERROR", 9),
        ("PENDING", 20),
        ("PLAYED", 11),
        ("READ", 10),
        ("SERVER_ACK", 10),
    ];
    let expected = expected.map(|(status, n)| json!({"status": status, "n": n}));
    let of_null = json!({"status": null, "n": 10});
    assert_eq!(by_status, expected.into_iter().chain([of_null]).collect::<Vec<_>>());
}

/// An interrupted run, and one for an upgrade that was never run, are let go by the next one. The owner of the tables needs no more
/// rights than that.
#[tokio::test]
async fn an_interrupted_or_unused_run_is_replaced() {
    let database = TestDatabase::new("2.0.10", SCHEMA).await;
    let mut connection = database.connect().await;
    fill(&mut connection, SCHEMA, Release::find("2.0.10").expect("known"), &[]).await;
    let url = database.url_as(&roles::owner(&mut connection, SCHEMA).await);
    let keep = ["preflight", "--to", "2.1.0", "--keep", "--apply", "--batch", "1"];
    // Without `--keep` the loss counts; what is kept is not a loss.
    on(&url, &["preflight", "--to", "2.1.0"]).ends(1);
    on(&url, &keep).ends(0).says(&["and run 1 keeps it", "data is dropped, and run 1 keeps it"]);
    execute(
        &mut connection,
        r#"UPDATE "evodoctor"."applied_fix" SET "steps" = pg_catalog.jsonb_set("steps", '{kept,finished}', 'false')"#,
    )
    .await;
    on(&url, &["history"]).ends(0).says(&["kept before", "finished)"]);
    on(&url, &keep).ends(0).says(&["kept as run 2"]);
    on(&url, &keep).ends(0).says(&["kept as run 3"]);
    let runs = on(&url, &["history", "--format", "json"]).ends(0).json();
    let of_run =
        |at: usize| (runs["runs"][at]["quarantined"].clone(), runs["runs"][at]["undone_at"].is_null());
    assert_eq!([of_run(0), of_run(1), of_run(2)], [(json!(3), true), (json!(0), false), (json!(0), false)]);
    on(&url, &["undo", "1"]).ends(2).complains(&["run 1 was undone already"]);
    // The upgrade goes on as if nothing were there.
    assert!(upgrade(&mut connection, SCHEMA, Release::find("2.1.0").expect("known")).await.is_ok());
    on(&url, &["undo", "3", "--apply"]).ends(0).says(&["IntegrationSession.openaiBotId: the column is gone"]);
    on(&url, &["undo", "3", "--into-schema", "kept", "--apply"]).ends(0);
    on(&url, &["preflight", "--to", "2.1.0", "--apply"]).ends(2).complains(&["--keep"]);
}

/// Where nothing goes, the run remembers what there was, and the next check says that the upgrade succeeded.
#[tokio::test]
async fn an_upgrade_without_losses_is_reported_too() {
    let database = TestDatabase::new("2.3.7", SCHEMA).await;
    let url = database.url();
    let mut connection = database.connect().await;
    fill(&mut connection, SCHEMA, Release::find("2.3.7").expect("known"), &[]).await;
    on(&url, &["preflight", "--to", "2.4.0-rc2", "--keep", "--apply", "--fail-on", "never"])
        .ends(0)
        .says(&["nothing is lost; run 1"]);
    upgrade(&mut connection, SCHEMA, Release::find("2.4.0-rc2").expect("known"))
        .await
        .expect("the upgrade passes");
    let told = "upgrade to 2.4.0-rc2 succeeded (before: 2.3.7), no migration failed; rows as predicted: \
                none missing in 36 other tables; left to do: nothing";
    on(&url, &["check", "--fail-on", "never"]).ends(0).says(&[told]);
    on(&url, &["undo", "1", "--apply"]).ends(0);
    let report = on(&url, &["check", "--fail-on", "never", "--format", "json"]).ends(0).json();
    assert_eq!(report["upgrade"], Value::Null, "who has let go of the run has seen enough");
}
