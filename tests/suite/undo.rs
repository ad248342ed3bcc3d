//! Promise 5: nothing is lost, and undo restores exactly what was there, or refuses and names the reason.

mod interference;
mod left_rows;
mod orphans;
mod series;

use serde_json::Value;
use sqlx::PgConnection;

use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::state;
use crate::support::fixtures::Fixture;
use crate::support::program::{Run, on};
use crate::support::roles;

const APPLY: [&str; 5] = ["fix", "EVO101", "--apply", "--allow", "deletes-rows,changes-rows"];

/// A database with orphans, whose tables `search_path` finds.
async fn broken() -> (TestDatabase, PgConnection) {
    fixture("EVO101_orphaned_reference").await
}

async fn fixture(stem: &str) -> (TestDatabase, PgConnection) {
    let database = Fixture::read(stem, "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    execute(&mut connection, "SET search_path = evolution_api").await;
    (database, connection)
}

async fn rows(connection: &mut PgConnection) -> String {
    state(connection, &["evodoctor"]).await
}

/// Values that do not all survive a way through jsonb, beside those that do.
const ODD: &str = r#"SET session_replication_role = replica;
    ALTER TABLE "Message" ADD COLUMN "odd_json" json, ADD COLUMN "odd_number" numeric, ADD COLUMN "odd_float" float8,
        ADD COLUMN "odd_time" timestamptz, ADD COLUMN "odd_bytes" bytea, ADD COLUMN "odd_list" jsonb[],
        ADD COLUMN "Odd ""name""" char(5),
        ADD COLUMN "odd_length" integer GENERATED ALWAYS AS (length("messageType")) STORED,
        ADD COLUMN "odd_serial" bigint GENERATED ALWAYS AS IDENTITY;
    INSERT INTO "Message" ("id", "key", "pushName", "participant", "messageType", "message", "contextInfo", "source",
        "messageTimestamp", "instanceId", "odd_json", "odd_number", "odd_float", "odd_time", "odd_bytes", "odd_list",
        "Odd ""name""")
    VALUES
        (E'odd \n''"\\ é 🦀', '{}', '', NULL, 'x', 'null', NULL, 'web', 1, 'gone', '{"b" : 1,  "a":null, "b": 2}', 1.500,
            'NaN', '-infinity', '\x00ff', ARRAY['null'::jsonb, NULL, '{"a": [1, 2]}'], ' a '),
        ('o2', '[]', E'\t{"json": "not json"}\r\n', '(a,"b")', 'conversation', '"null"', 'null', 'ios', -1, 'gone', 'null',
            'NaN', 0.1, '4713-01-01 00:00:00+00 BC', '', '{}', NULL),
        ('o3', '{"n": 12345678901234567890.10}', 'NULL', 'null', '', '[null]', '{"a": null}', 'web', 0, 'gone', '[1,  2]',
            123456789012345678901234567890.0001, '-Infinity', 'infinity', NULL, NULL, '')"#;

#[tokio::test]
async fn odd_values_come_back_exactly() {
    let (database, mut connection) = broken().await;
    execute(&mut connection, ODD).await;
    let before = rows(&mut connection).await;
    on(&database.url(), &APPLY).ends(0);
    let after = rows(&mut connection).await;
    assert!(!after.contains("12345678901234567890.10"), "the rows are still there");
    on(&database.url(), &["undo", "1", "--apply"]).ends(0);
    assert_eq!(rows(&mut connection).await, before);
}

/// Rows that two keys lost are removed once, for the first of them, and come back with what they referred to by either.
#[tokio::test]
async fn rows_removed_by_two_keys_come_back() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let mut connection = database.connect().await;
    let sql = r#"SET search_path = evolution_api;
        SET session_replication_role = replica;
        INSERT INTO "Instance" ("id", "name") VALUES ('i1', 'store');
        INSERT INTO "Message" ("id", "key", "messageType", "message", "source", "messageTimestamp", "instanceId")
            SELECT 'm' || n, '{}', 'conversation', '{}', 'web', n, 'i1' FROM generate_series(1, 40) AS n;
        -- Of the instance alone, of both, of the message alone, of neither.
        INSERT INTO "Media" ("id", "fileName", "type", "mimetype", "messageId", "instanceId")
            SELECT 'd' || n, 'file', 'image', 'image/jpeg',
                CASE WHEN n <= 10 THEN 'm' || n WHEN n > 1430 THEN 'm' || (n - 1400) ELSE 'lost' || n END,
                CASE WHEN n <= 1410 THEN 'gone' ELSE 'i1' END
            FROM generate_series(1, 1440) AS n"#;
    execute(&mut connection, sql).await;
    let before = rows(&mut connection).await;
    let report = on(&database.url(), &[&APPLY[..], &["--format", "json"]].concat()).ends(0).json();
    let removed: Vec<(&str, u64)> = report["fixes"][0]["row_diff"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|diff| (diff["reason"].as_str().expect("text"), diff["count"].as_u64().expect("a number")))
        .collect();
    assert_eq!(
        removed,
        [("Media.instanceId → Instance is gone", 1410), ("Media.messageId → Message is gone", 20)]
    );
    on(&database.url(), &["undo", "1", "--apply"]).ends(0);
    assert_eq!(rows(&mut connection).await, before);
}

/// An upgrade between the fix and its undo adds columns; the rows come back with the new columns' defaults.
#[tokio::test]
async fn columns_added_since_get_their_default() {
    let (database, mut connection) = broken().await;
    execute(&mut connection, ODD).await;
    let change = r#"ALTER TABLE "Message" ADD COLUMN "later" text DEFAULT 'as new', DROP COLUMN "odd_length",
            ADD COLUMN "odd_length" integer GENERATED ALWAYS AS (length("messageType")) STORED;
        ALTER TABLE "TypebotSetting" ADD COLUMN "later" integer NOT NULL DEFAULT 7"#;
    // What should come out: the same columns on the rows that were never away.
    execute(&mut connection, "SET session_replication_role = origin; BEGIN").await;
    execute(&mut connection, change).await;
    let expected = rows(&mut connection).await;
    execute(&mut connection, "ROLLBACK").await;

    on(&database.url(), &APPLY).ends(0);
    execute(&mut connection, change).await;
    let report = on(&database.url(), &["undo", "1", "--apply", "--format", "json"]).ends(0).json();
    assert!(notes(&report).contains("Message was changed since the run"), "{}", notes(&report));
    assert_eq!(rows(&mut connection).await, expected);
}

fn notes(report: &Value) -> String {
    let fixes = report["fixes"].as_array().expect("a list");
    let notes = fixes.iter().flat_map(|fix| fix["notes"].as_array().expect("a list"));
    notes.map(|note| note.as_str().expect("text")).collect::<Vec<_>>().join("\n")
}

/// Applies a fix, lets `sql` happen, and expects the undo to be refused with these words and nothing changed.
async fn refused(stem: &str, sql: &str, complaints: &[&str]) -> Run {
    let (database, mut connection) = fixture(stem).await;
    let code = &stem[..6];
    on(&database.url(), &["fix", code, "--apply", "--allow", "deletes-rows,changes-rows"]).ends(0);
    execute(&mut connection, sql).await;
    let before = state(&mut connection, &[]).await;
    on(&database.url(), &["undo", "1"]).ends(2).complains(complaints);
    let run = on(&database.url(), &["undo", "1", "--apply"]).ends(2).complains(complaints);
    assert_eq!(state(&mut connection, &[]).await, before, "{stem}");
    let history = on(&database.url(), &["history", "--format", "json"]).ends(0).json();
    assert_eq!(history["runs"][0]["undone_at"], Value::Null, "{stem}");
    run
}

#[tokio::test]
async fn rows_that_violate_the_old_state_are_named() {
    let sql = r#"INSERT INTO "OpenaiCreds" ("id", "name", "apiKey", "updatedAt", "instanceId")
        VALUES ('c3', 'third', 'sk-alpha-000000000001', '2024-10-01', 'i2')"#;
    let said = ["nothing was changed", "c1 of instance alpha, c3 of instance beta hold the same API key"];
    let run = refused("EVO202_openai_api_key_unique_across_instances", sql, &said).await;
    assert!(!run.stderr.contains("sk-alpha-0"), "{}", run.stderr);

    let sql = r#"INSERT INTO "OpenaiCreds" ("id", "name", "apiKey", "updatedAt", "instanceId")
        VALUES ('c3', 'default', 'sk-third-000000000003', '2024-10-01', 'i2')"#;
    let said = ["nothing was changed", "c1 of instance alpha, c3 of instance beta have the same name"];
    refused("EVO203_openai_credential_name_unique_across_instances", sql, &said).await;

    let sql = r#"INSERT INTO "OpenaiSetting" ("id", "openaiCredsId", "instanceId", "updatedAt")
        VALUES ('s2', 'c1', 'i2', '2024-10-01')"#;
    let said = ["nothing was changed", "s1 of instance alpha, s2 of instance beta use the same credential"];
    refused("EVO204_openai_credential_single_setting", sql, &said).await;
}

#[tokio::test]
async fn conflicting_rows_are_named() {
    let stem = "EVO101_orphaned_reference";
    // The id of a removed row was used again.
    let sql = r#"INSERT INTO "MessageUpdate" ("id", "keyId", "remoteJid", "fromMe", "status", "messageId", "instanceId")
        VALUES ('u3', 'k', 'jid', true, 'READ', 'm3', 'i1')"#;
    refused(stem, sql, &["a row with the key u3 is in MessageUpdate again"]).await;
    // An emptied column was filled again.
    let sql = r#"UPDATE "Message" SET "sessionId" = 'x1' WHERE "id" = 'm4'"#;
    refused(stem, sql, &["the row m4 of Message has a new value in sessionId"]).await;
    // Something else took the place under a unique index.
    let sql = r#"INSERT INTO "OpenaiCreds" ("id", "name", "apiKey", "updatedAt", "instanceId")
        VALUES ('c9', 'lost', 'sk-lost-0000000000002', '2024-10-01', 'i1')"#;
    let run =
        refused(stem, sql, &["have the same values in a unique index as removed rows of OpenaiCreds"]).await;
    assert!(!run.stderr.contains("sk-lost-0"), "{}", run.stderr);
    // The table lost a column that the rows had.
    let sql = r#"ALTER TABLE "Media" DROP COLUMN "mimetype""#;
    refused(stem, sql, &["Media no longer has the columns", "mimetype"]).await;
    let sql = r#"DROP TABLE "Media""#;
    refused(stem, sql, &["the table \"Media\" does not exist any more"]).await;
}

/// An emptied row that was deleted since cannot be filled; the rest comes back, and it is said.
#[tokio::test]
async fn a_deleted_changed_row_is_reported() {
    let (database, mut connection) = broken().await;
    on(&database.url(), &APPLY).ends(0);
    execute(&mut connection, r#"DELETE FROM "Message" WHERE "id" = 'm4'"#).await;
    let report = on(&database.url(), &["undo", "1", "--apply", "--format", "json"]).ends(0).json();
    assert!(
        notes(&report).contains("of the 1 changed rows of Message, 1 were deleted since"),
        "{}",
        notes(&report)
    );
}

#[tokio::test]
async fn only_the_newest_run_on_a_table_can_be_undone() {
    let (database, mut connection) = broken().await;
    let url = database.url();
    let before = rows(&mut connection).await;
    on(&url, &["fix", "EVO202", "--apply"]).ends(0);
    on(&url, &["fix", "EVO203", "--apply"]).ends(0);
    on(&url, &["fix", "EVO204", "--apply"]).ends(0);
    let all = state(&mut connection, &[]).await;
    on(&url, &["undo", "1", "--apply"])
        .ends(2)
        .complains(&["run 2 changed the same tables after run 1", "evodoctor undo 2"]);
    on(&url, &["undo", "99", "--apply"]).ends(2).complains(&["there is no run 99"]);
    assert_eq!(state(&mut connection, &[]).await, all);
    // Run 3 is on another table and blocks nothing.
    for run in ["2", "1", "3"] {
        on(&url, &["undo", run, "--apply"]).ends(0);
        on(&url, &["undo", run, "--apply"]).ends(2).complains(&["was undone already"]);
    }
    assert_eq!(rows(&mut connection).await, before);
    // Numbers are not used again, and what was undone can be done again.
    let report = on(&url, &["fix", "EVO202", "--apply", "--format", "json"]).ends(0).json();
    assert_eq!(report["run"]["id"], 4);
}

/// The tables' owner is not a superuser: rows come back, and the constraint is then NOT VALID.
#[tokio::test]
async fn an_owner_gets_the_rows_back_with_a_not_valid_constraint() {
    let (database, mut connection) = broken().await;
    let role = roles::owner(&mut connection, "evolution_api").await;
    let url = database.url_as(&role);
    let before = rows(&mut connection).await;

    let plan = on(&url, &["fix", "EVO101", "--format", "json"]).ends(1).json();
    assert!(notes(&plan).contains("leaves their constraint NOT VALID"), "{}", notes(&plan));
    assert!(plan["fixes"][0]["hazards"].as_array().unwrap().contains(&"limits-undo".into()), "{plan}");
    on(&url, &APPLY).ends(2).complains(&["limits-undo", "--allow limits-undo"]);
    let consented = ["fix", "EVO101", "--apply", "--allow", "deletes-rows,changes-rows,limits-undo"];
    on(&url, &consented).ends(0);
    on(&url, &["check", "--select", "EVO101"]).ends(0);
    let report = on(&url, &["undo", "1", "--format", "json"]).ends(1).json();
    assert!(notes(&report).contains("it is NOT VALID now"), "{}", notes(&report));
    on(&url, &["undo", "1", "--apply"]).ends(0);

    // Every row is back; in the catalog nothing differs but the claim of the constraints.
    let after = rows(&mut connection).await;
    let honest = |text: &str| -> Vec<String> {
        let mut lines: Vec<String> = text.lines().map(|l| l.replace(" NOT VALID false", " true")).collect();
        lines.sort();
        lines
    };
    assert_ne!(after, before);
    assert_eq!(honest(&after), honest(&before));
    // It can be fixed again, and then the undo is exact.
    on(&url, &APPLY).ends(0);
    on(&url, &["undo", "2", "--apply"]).ends(0);
    assert_eq!(rows(&mut connection).await, after);
}

/// Rows that evodoctor could not put back must not go silently.
#[tokio::test]
async fn dependent_rows_in_other_schemas_block_the_fix() {
    // A table of another application, in a schema of its own.
    let elsewhere = r#"CREATE SCHEMA crm; CREATE TABLE crm.ticket ("id" text PRIMARY KEY,
            "message" text REFERENCES "Message" ("id") ON DELETE CASCADE);
        INSERT INTO crm.ticket VALUES ('t1', 'm3'), ('t2', 'm1')"#;
    // A table without a primary key beside Evolution's.
    let beside = r#"CREATE TABLE "note" ("text" text, "message" text REFERENCES "Message" ("id") ON DELETE CASCADE);
        INSERT INTO "note" VALUES ('kept', 'm3'), ('lost', 'm1')"#;
    for (sql, named, harmless) in [
        (elsewhere, "1 rows of crm.ticket", r#"DELETE FROM crm.ticket WHERE "message" = 'm1'"#),
        (beside, "1 rows of evolution_api.note", r#"DELETE FROM "note" WHERE "message" = 'm1'"#),
    ] {
        let (database, mut connection) = broken().await;
        execute(&mut connection, sql).await;
        let before = state(&mut connection, &[]).await;
        let url = database.url();
        on(&url, &["fix", "EVO101"]).ends(1).says(&["left to you", named]);
        assert_eq!(state(&mut connection, &[]).await, before);
        // What hangs on other rows is treated, and comes back.
        on(&url, &APPLY).ends(1).says(&["left to you", named, "evodoctor cannot restore them"]);
        on(&url, &["undo", "1", "--apply"]).ends(0);
        assert_eq!(state(&mut connection, &["evodoctor"]).await, before);
        // Without that row the table itself blocks nothing, and undo is exact.
        execute(&mut connection, harmless).await;
        let before = rows(&mut connection).await;
        on(&url, &APPLY).ends(0);
        on(&url, &["undo", "2", "--apply"]).ends(0);
        assert_eq!(rows(&mut connection).await, before);
    }
}

/// A user's own table with a primary key is treated like Evolution's.
#[tokio::test]
async fn rows_of_a_users_table_are_kept_too() {
    let (database, mut connection) = broken().await;
    execute(
        &mut connection,
        r#"CREATE TABLE "note" ("part" integer, "id" uuid, "message" text REFERENCES "Message" ("id") ON DELETE CASCADE,
            PRIMARY KEY ("id", "part"));
        INSERT INTO "note" VALUES (1, '00000000-0000-0000-0000-000000000001', 'm1'),
            (2, '00000000-0000-0000-0000-000000000001', 'm3')"#,
    )
    .await;
    let before = rows(&mut connection).await;
    let report = on(&database.url(), &["fix", "EVO101", "--format", "json"]).ends(1).json();
    let diffs = report["fixes"][0]["row_diff"].as_array().expect("a list");
    assert!(diffs.iter().any(|diff| diff["table"] == "note" && diff["count"] == 1), "{diffs:?}");
    on(&database.url(), &APPLY).ends(0);
    on(&database.url(), &["undo", "1", "--apply"]).ends(0);
    assert_eq!(rows(&mut connection).await, before);
}
