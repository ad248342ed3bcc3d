//! Rows that referred to nothing before they were removed come back as they were, right after the fix and under whatever key.

use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::{seen, text};
use crate::support::program::on;

/// Updates whose message is gone by both of their references, sessions and messages likewise.
const BROKEN: &str = r#"SET session_replication_role = replica;
    INSERT INTO evolution_api."Instance" ("id", "name") VALUES ('i1', 'alpha');
    INSERT INTO evolution_api."MessageUpdate" ("id", "keyId", "remoteJid", "fromMe", "status", "messageId", "instanceId")
        SELECT 'u' || n, 'lost' || n, 'jid', true, 'READ', 'lost' || n, CASE WHEN n % 3 = 0 THEN 'gone' ELSE 'i1' END
        FROM generate_series(1, 30) AS n;
    INSERT INTO evolution_api."IntegrationSession"
        ("id", "sessionId", "remoteJid", "status", "awaitUser", "instanceId", "botId", "type", "updatedAt")
        SELECT 's' || n, n || '', 'jid' || n, 'opened', false, CASE WHEN n % 3 = 0 THEN 'gone' ELSE 'i1' END, 'bot', 'typebot', now()
        FROM generate_series(1, 30) AS n;
    INSERT INTO evolution_api."Message"
        ("id", "key", "messageType", "message", "source", "messageTimestamp", "instanceId", "sessionId")
        SELECT 'm' || n, '{"id": "x"}', 'conversation', '{}', 'web', n, 'i1', 's' || n FROM generate_series(1, 30) AS n;
    SET session_replication_role = origin;"#;

/// The keys of the rows as a database may have them: claiming to be valid, NOT VALID, deferred, or not there.
const KEYS: [&str; 4] = [
    "SELECT 1",
    r#"ALTER TABLE evolution_api."MessageUpdate" DROP CONSTRAINT "MessageUpdate_messageId_fkey",
        ADD CONSTRAINT "MessageUpdate_messageId_fkey" FOREIGN KEY ("messageId") REFERENCES evolution_api."Message" ("id")
        ON DELETE CASCADE ON UPDATE CASCADE NOT VALID;
    ALTER TABLE evolution_api."IntegrationSession" DROP CONSTRAINT "IntegrationSession_instanceId_fkey",
        ADD CONSTRAINT "IntegrationSession_instanceId_fkey" FOREIGN KEY ("instanceId") REFERENCES evolution_api."Instance" ("id")
        ON DELETE CASCADE ON UPDATE CASCADE NOT VALID"#,
    r#"ALTER TABLE evolution_api."MessageUpdate" DROP CONSTRAINT "MessageUpdate_messageId_fkey",
        ADD CONSTRAINT "MessageUpdate_messageId_fkey" FOREIGN KEY ("messageId") REFERENCES evolution_api."Message" ("id")
        ON DELETE CASCADE ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED NOT VALID;
    ALTER TABLE evolution_api."Message" DROP CONSTRAINT "Message_sessionId_fkey",
        ADD CONSTRAINT "Message_sessionId_fkey" FOREIGN KEY ("sessionId") REFERENCES evolution_api."IntegrationSession" ("id")
        ON DELETE SET NULL ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED"#,
    r#"ALTER TABLE evolution_api."MessageUpdate" DROP CONSTRAINT "MessageUpdate_messageId_fkey",
        DROP CONSTRAINT "MessageUpdate_instanceId_fkey";
    ALTER TABLE evolution_api."IntegrationSession" DROP CONSTRAINT "IntegrationSession_instanceId_fkey""#,
];

async fn database(keys: &str) -> TestDatabase {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let mut connection = database.connect().await;
    execute(&mut connection, BROKEN).await;
    execute(&mut connection, keys).await;
    database
}

#[tokio::test]
async fn a_former_orphan_comes_back_as_one() {
    for keys in KEYS {
        let database = database(keys).await;
        let before = seen(&database).await;
        for codes in [&["EVO102"][..], &["EVO107"], &["EVO101"], &["EVO101", "EVO102", "EVO107"]] {
            let apply = ["--apply", "--allow", "deletes-rows,changes-rows"];
            let arguments: Vec<&str> = ["fix"].iter().chain(codes).chain(&apply).copied().collect();
            on(&database.url(), &arguments).ends(0);
            assert_ne!(seen(&database).await, before, "{codes:?} did nothing, so this shows nothing");
            // All that undo needs of rows is in the ledger: what an older version of these fixes removed comes back, too.
            let older = "UPDATE evodoctor.applied_fix SET version = 2, checksum = 'of version 2' WHERE code IN ('EVO102', 'EVO107')";
            execute(&mut database.connect().await, older).await;
            let run = on(&database.url(), &["history", "--format", "json"]).ends(0).json()["runs"][0]["run"]
                .to_string();
            on(&database.url(), &["undo", &run, "--apply"]).ends(0);
            let now = seen(&database).await;
            assert!(now == before, "undo of {codes:?} left something else under\n{keys}");
        }
    }
}

/// A series of batches over rows that hang on two missing rows is undone as one.
#[tokio::test]
async fn batches_over_rows_of_two_missing_parents_come_back() {
    for (keys, code) in [
        (KEYS[0], "EVO101"),
        (KEYS[1], "EVO101"),
        (KEYS[3], "EVO101"),
        (KEYS[0], "EVO102"),
        (KEYS[1], "EVO107"),
    ] {
        let database = database(keys).await;
        let before = seen(&database).await;
        on(&database.url(), &["fix", code, "--batch=7", "--apply", "--allow", "deletes-rows,changes-rows"])
            .ends(0);
        on(&database.url(), &["check", "--select", code]).ends(0);
        let runs = on(&database.url(), &["history", "--format", "json"]).ends(0).json()["runs"].clone();
        assert!(runs.as_array().expect("a list").len() > 2, "so few batches show nothing");
        on(&database.url(), &["undo", "1", "--apply"]).ends(0);
        assert!(
            seen(&database).await == before,
            "undo of {code} in batches left something else under\n{keys}"
        );
    }
}

/// A parent that went after the fix is another matter: the row did not refer to nothing before.
#[tokio::test]
async fn a_deleted_parent_needs_consent() {
    let database = database(KEYS[0]).await;
    let mut connection = database.connect().await;
    on(&database.url(), &["fix", "EVO102", "--apply", "--allow", "deletes-rows,changes-rows"]).ends(0);
    let remove =
        r#"DELETE FROM evolution_api."Message"; DELETE FROM evolution_api."Instance" WHERE "id" = 'i1'"#;
    execute(&mut connection, remove).await;
    let before = seen(&database).await;
    on(&database.url(), &["undo", "1", "--apply"]).ends(2).complains(&[
        "Instance gone, i1 are gone",
        "undo the rest, and leave these rows in the quarantine: evodoctor undo 1 --apply --allow leaves-rows",
    ]);
    assert_eq!(seen(&database).await, before);
    // With consent the run is over, and nothing is an orphan that was none.
    on(&database.url(), &["undo", "1", "--apply", "--allow", "leaves-rows"]).ends(0);
    let foreign = r#"SELECT count(*)::text FROM evolution_api."MessageUpdate" WHERE "instanceId" = 'i1'"#;
    assert_eq!(text(&mut connection, foreign).await, "0");
}
