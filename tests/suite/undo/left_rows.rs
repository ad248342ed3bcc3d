//! Rows whose parents were deleted since stay in the quarantine, with consent; everything else comes back, and they do once their
//! parents are there again.

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::{seen, state, text};
use crate::support::fixtures::Fixture;
use crate::support::program::on;

/// A credential that settings and bots of two instances use, and what hangs on the bots.
async fn shared_credential() -> TestDatabase {
    let stem = "EVO201_openai_credential_delete_blocked";
    let database = Fixture::read(stem, "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        r#"SET search_path = evolution_api;
        INSERT INTO "OpenaiBot" ("id", "botType", "openaiCredsId", "instanceId", "updatedAt")
        VALUES ('b1', 'assistant', 'c1', 'i1', now()), ('b2', 'assistant', 'c2', 'i2', now()), ('b3', 'assistant', 'c1', 'i2', now());
        INSERT INTO "IntegrationSession" ("id", "sessionId", "remoteJid", "status", "updatedAt", "instanceId", "botId", "type")
        VALUES
            ('s1', 'x', '5511999990001@s.whatsapp.net', 'opened', now(), 'i1', 'b1', 'openai'),
            ('s4', 'x', '5511999990002@s.whatsapp.net', 'closed', now(), 'i2', 'b3', 'openai');
        INSERT INTO "Message" ("id", "key", "messageType", "message", "messageTimestamp", "source", "instanceId", "sessionId")
        VALUES ('m1', '{"id": "x"}', 'conversation', '{}', 1, 'android', 'i1', 's1')"#,
    )
    .await;
    connection.close().await.expect("a clean end");
    database
}

const ALLOW: [&str; 3] = ["--apply", "--allow", "deletes-rows,changes-rows"];

/// What the API does when a credential is deleted.
const DELETE: &str = r#"DELETE FROM evolution_api."OpenaiCreds" WHERE "id" = 'c1'"#;

/// Deletes the credential. Returns what puts it back as it was.
async fn delete_credential(connection: &mut PgConnection) -> String {
    let row = r#"SELECT to_jsonb(c.*)::text FROM evolution_api."OpenaiCreds" AS c WHERE "id" = 'c1'"#;
    let row = text(connection, row).await;
    execute(connection, DELETE).await;
    format!(
        r#"INSERT INTO evolution_api."OpenaiCreds" SELECT (jsonb_populate_record(NULL::evolution_api."OpenaiCreds", '{row}')).*"#
    )
}

fn history(database: &TestDatabase) -> Value {
    on(&database.url(), &["history", "--format", "json"]).ends(0).json()["runs"].clone()
}

/// The dead end of a credential that was released and then deleted, which is what a release is for.
#[tokio::test]
async fn a_deleted_credential_does_not_block_an_older_run() {
    let database = shared_credential().await;
    let never = TestDatabase::copy_of(&database).await;
    let (url, mut connection) = (database.url(), database.connect().await);
    let before = seen(&database).await;
    on(&url, &["fix", "EVO201", "--apply"]).ends(0);
    on(&url, &["fix", "EVO202", "--apply"]).ends(0);
    on(&url, &["credentials", "release", "c1", ALLOW[0], ALLOW[1], ALLOW[2]]).ends(0);
    let put_back = delete_credential(&mut connection).await;
    let gone = state(&mut connection, &[]).await;

    // The dry run and the refusal name the same rows, and what to type.
    on(&url, &["undo", "3"]).ends(1).says(&[
        "blocks-writes, leaves-rows",
        "rows that stay in the quarantine",
        "OpenaiCreds c1 is gone",
        "6 rows stay in the quarantine",
        "evodoctor undo 3 --apply --allow leaves-rows",
        "evodoctor history --prune 3",
    ]);
    let plan = on(&url, &["undo", "3", "--format", "json"]).ends(1).json();
    let fix = &plan["fixes"][0];
    assert_eq!(fix["row_diff"], json!([]), "{plan}");
    let left = |table: &str, reason: &str, rows: &[&str]| {
        let columns: &[&str] = if table == "Message" { &["sessionId"] } else { &[] };
        json!({"table": table, "columns": columns, "reason": reason, "count": rows.len(), "rows": rows})
    };
    let mut told = fix["left_rows"].as_array().expect("a list").clone();
    told.sort_by_key(|left| left.to_string());
    let mut expected = [
        left("OpenaiSetting", "OpenaiCreds c1 is gone", &["s2"]),
        left("OpenaiBot", "OpenaiCreds c1 is gone", &["b1", "b3"]),
        left("IntegrationSession", "OpenaiBot b1, b3 are gone", &["s1", "s4"]),
        left("Message", "IntegrationSession s1 is gone", &["m1"]),
    ];
    expected.sort_by_key(|left| left.to_string());
    assert_eq!(told, expected);
    on(&url, &["undo", "3", "--apply"]).ends(2).complains(&[
        "it is not undone",
        "OpenaiSetting s2: OpenaiCreds c1 is gone",
        "IntegrationSession s1, s4: OpenaiBot b1, b3 are gone",
        "Message (sessionId) m1",
        "evodoctor undo 3 --apply --allow leaves-rows --database-url",
    ]);
    on(&url, &["undo", "2", "--apply"]).ends(2).complains(&["undo the newest first: evodoctor undo 3"]);
    assert_eq!(state(&mut connection, &[]).await, gone);

    let done =
        on(&url, &["undo", "3", "--apply", "--allow", "leaves-rows", "--format", "json"]).ends(0).json();
    assert_eq!((&done["plan_hash"], &done["fixes"][0]["left_rows"]), (&plan["plan_hash"], &fix["left_rows"]));
    assert!(history(&database)[0]["undone_at"].is_string());
    assert_eq!(history(&database)[0]["quarantined"], 6);
    on(&url, &["history"]).ends(0).says(&["without 6 rows"]);
    on(&url, &["check", "--select", "EVO101,EVO102,EVO107"]).ends(0);

    // The older runs are free, and leave what would be there without any of it.
    on(&url, &["undo", "2", "--apply"]).ends(0);
    on(&url, &["undo", "last", "--apply"]).ends(0);
    let without = r#"SET search_path = evolution_api; DELETE FROM "OpenaiSetting"; DELETE FROM "OpenaiBot" WHERE "openaiCredsId" = 'c1';
        DELETE FROM "IntegrationSession"; UPDATE "Message" SET "sessionId" = NULL; DELETE FROM "OpenaiCreds" WHERE "id" = 'c1'"#;
    execute(&mut never.connect().await, without).await;
    assert_eq!(seen(&database).await, seen(&never).await);

    // As long as it is gone there is nothing to do; when it is there again, everything is as it was.
    let nothing = on(&url, &["undo", "3", "--apply"]).ends(0);
    nothing.says(&["OpenaiCreds c1 is gone", "nothing has been changed"]);
    assert_eq!(history(&database)[0]["quarantined"], 6);
    execute(&mut connection, &put_back).await;
    on(&url, &["undo", "3"]).ends(1);
    on(&url, &["undo", "3", "--apply"]).ends(0);
    assert_eq!(seen(&database).await, before);
    assert_eq!(history(&database)[0]["quarantined"], 0);
    on(&url, &["undo", "3"]).ends(2).complains(&["was undone already"]);
}

/// A released setting that uses another credential keeps it.
#[tokio::test]
async fn a_changed_row_keeps_its_new_value_if_the_old_one_is_an_orphan() {
    let database = shared_credential().await;
    let (url, mut connection) = (database.url(), database.connect().await);
    let release = ["credentials", "release", "c1", "--to", "c2", "--across-instances"];
    on(&url, &[&release[..], &ALLOW].concat()).ends(0);
    let released = seen(&database).await;
    let put_back = delete_credential(&mut connection).await;
    on(&url, &["undo", "1", "--apply"])
        .ends(2)
        .complains(&["OpenaiSetting (openaiCredsId) s2: OpenaiCreds c1 is gone"]);
    on(&url, &["undo", "1", "--apply", "--allow", "leaves-rows"]).ends(0);
    execute(&mut connection, &put_back).await;
    assert_eq!(seen(&database).await, released);
    // A value that was changed since is not overwritten.
    let change = r#"UPDATE evolution_api."OpenaiSetting" SET "openaiCredsId" = 'c1'"#;
    execute(&mut connection, change).await;
    on(&url, &["undo", "1", "--apply"]).ends(2).complains(&["the row s2 of OpenaiSetting has a new value"]);
    execute(&mut connection, r#"UPDATE evolution_api."OpenaiSetting" SET "openaiCredsId" = 'c2'"#).await;
    on(&url, &["undo", "1", "--apply"]).ends(0);
    let held = r#"SELECT string_agg("openaiCredsId", ',') FROM evolution_api."OpenaiSetting""#;
    assert_eq!(text(&mut connection, held).await, "c1");
}

/// An instance that was deleted after orphans were treated: its rows stay away, all others come back, the orphans as orphans.
#[tokio::test]
async fn only_rows_without_their_parent_stay_in_the_quarantine() {
    let stem = "EVO101_orphaned_reference";
    let database = Fixture::read(stem, "bad").database("evolution_api").await;
    let never = TestDatabase::copy_of(&database).await;
    let url = database.url();
    on(&url, &["fix", "EVO101", ALLOW[0], ALLOW[1], ALLOW[2]]).ends(0);
    let delete = r#"DELETE FROM evolution_api."Instance" WHERE "id" = 'i2'"#;
    let mut connection = database.connect().await;
    execute(&mut connection, delete).await;
    execute(&mut never.connect().await, delete).await;

    on(&url, &["undo", "1", "--apply"]).ends(2).complains(&["OpenaiSetting", "Instance i2 is gone"]);
    let done =
        on(&url, &["undo", "1", "--apply", "--allow", "leaves-rows", "--format", "json"]).ends(0).json();
    assert_eq!(seen(&database).await, seen(&never).await, "{}", done["fixes"][0]["left_rows"]);
    let left = done["fixes"][0]["left_rows"].as_array().expect("a list").clone();
    let count: i64 = left.iter().map(|left| left["count"].as_i64().expect("a number")).sum();
    assert_eq!(history(&database)[0]["quarantined"], count);

    // What stays can be laid out, and dropped.
    on(&url, &["undo", "1", "--into-schema", "kept", "--apply"]).ends(0);
    assert_eq!(text(&mut connection, r#"SELECT count(*)::text FROM kept."OpenaiSetting""#).await, "1");
    on(&url, &["history", "--prune", "1"]).ends(1).says(&["--apply --allow deletes-rows"]);
    on(&url, &["history", "--prune", "1", "--apply", "--allow", "deletes-rows"]).ends(0);
    let tables = r"SELECT count(*)::text FROM pg_tables WHERE schemaname = 'evodoctor' AND tablename LIKE 'quarantine\_1\_%'";
    assert_eq!(text(&mut connection, tables).await, "0");
    on(&url, &["undo", "1"]).ends(2).complains(&["was undone already"]);
}
