//! A staging snapshot: it identifies nobody, and has the same findings.

mod origins;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::dumps::{Dumps, snapshot as on_dump};
use crate::support::cluster::in_memory;
use crate::support::database::TestDatabase;
use crate::support::fixtures::Fixture;
use crate::support::program::{Evodoctor, Run};

/// Values that identify people in the test's rows: each in another column, and none of them may appear.
const MARKS: &[&str] = &[
    "5511987654321",
    "5521912345678",
    "Maria Aparecida Quixadá",
    "Olá, meu CPF é 123.456.789-09",
    "hooks.quixeramobim.example",
    "sk-proj-quixada0123456789",
    "Rua das Acácias 1234",
    "B6D711FCDE4D4FD5936544120E713976",
];

/// Rows with a mark in everything that a person or an operator has written.
const PEOPLE: &str = r#"
INSERT INTO :"schema"."Instance" ("id", "name", "connectionStatus", "token", "number", "ownerJid", "profileName", "profilePicUrl")
VALUES ('0e7c3b1a-6d0c-4b6e-8a57-1f9e5e3f0a11', 'Quixadá Vendas', 'open', 'B6D711FCDE4D4FD5936544120E713976', '5511987654321',
    '5511987654321:7@s.whatsapp.net', 'Maria Aparecida Quixadá', 'https://hooks.quixeramobim.example/p.jpg');
INSERT INTO :"schema"."Contact" ("id", "remoteJid", "pushName", "instanceId", "updatedAt")
SELECT 'contact' || number, (5521912345678 + number)::text || '@s.whatsapp.net', 'Maria Aparecida Quixadá', '0e7c3b1a-6d0c-4b6e-8a57-1f9e5e3f0a11', now()
FROM generate_series(0, 30) AS number;
INSERT INTO :"schema"."Webhook" ("id", "url", "headers", "events", "updatedAt", "instanceId")
VALUES ('webhook1', 'https://hooks.quixeramobim.example/x?token=sk-proj-quixada0123456789', '{"authorization": "sk-proj-quixada0123456789"}', '["MESSAGES_UPSERT"]', now(),
    '0e7c3b1a-6d0c-4b6e-8a57-1f9e5e3f0a11');
INSERT INTO :"schema"."OpenaiCreds" ("id", "name", "apiKey", "updatedAt", "instanceId")
VALUES ('creds1', 'Quixadá', 'sk-proj-quixada0123456789', now(), '0e7c3b1a-6d0c-4b6e-8a57-1f9e5e3f0a11');
INSERT INTO :"schema"."Session" ("id", "sessionId", "creds")
VALUES ('session1', '0e7c3b1a-6d0c-4b6e-8a57-1f9e5e3f0a11', '{"noiseKey": {"private": "sk-proj-quixada0123456789"}, "me": {"id": "5511987654321:7@s.whatsapp.net"}}');
INSERT INTO :"schema"."Message" ("id", "key", "pushName", "messageType", "message", "source", "messageTimestamp", "instanceId")
SELECT
    'message' || number,
    jsonb_build_object('id', '3EB0' || number, 'fromMe', false, 'remoteJid', (5521912345678 + number)::text || '@s.whatsapp.net'),
    'Maria Aparecida Quixadá', 'conversation',
    jsonb_build_object('conversation', 'Olá, meu CPF é 123.456.789-09', 'location', 'Rua das Acácias 1234', 'phone', 5521912345678),
    'ios', 1700000000 + number, '0e7c3b1a-6d0c-4b6e-8a57-1f9e5e3f0a11'
FROM generate_series(0, 499) AS number;
CREATE TABLE :"schema"."crm_notes" ("id" serial PRIMARY KEY, "note" text, "tags" text[], "seen_from" inet, "photo" bytea);
INSERT INTO :"schema"."crm_notes" ("note", "tags", "seen_from", "photo")
VALUES ('Maria Aparecida Quixadá, Rua das Acácias 1234', ARRAY['5511987654321', NULL], '10.1.2.3', 'Rua das Acácias 1234');
ALTER TABLE :"schema"."Message" DISABLE TRIGGER ALL;
INSERT INTO :"schema"."Message" ("id", "key", "messageType", "message", "source", "messageTimestamp", "instanceId")
SELECT 'lost' || number, '{"id": "X", "remoteJid": "5511987654321@s.whatsapp.net"}', 'conversation', '{}', 'ios', 1700000000, 'instance-that-is-gone'
FROM generate_series(1, 40) AS number;
ALTER TABLE :"schema"."Message" ENABLE TRIGGER ALL;
"#;

async fn people() -> TestDatabase {
    Fixture::parse(&format!("-- release: 2.3.7\n{PEOPLE}")).database("evolution_api").await
}

/// Makes a snapshot of a database.
fn take(database: &TestDatabase, output: &Path, more: &[&str]) -> Run {
    take_from(&database.url(), output, more)
}

/// Makes a snapshot of what is at a connection string.
fn take_from(url: &str, output: &Path, more: &[&str]) -> Run {
    let output = output.to_str().unwrap();
    let arguments = ["snapshot", "--database-url", url, "--output", output, "--format", "json"];
    let program = Evodoctor::new(arguments.iter().chain(more).copied());
    program.env("TMPDIR", in_memory().unwrap_or_else(std::env::temp_dir)).run()
}

/// Everything that a dump holds, as text.
fn text_of(dump: &Path) -> String {
    let output = Command::new("pg_restore").arg("--file=-").arg(dump).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Code and count of every finding, without what a dump does not carry.
fn found(run: &Run) -> Vec<(String, i64)> {
    let report = run.json();
    let findings = report["findings"].as_array().unwrap().iter();
    let mut found: Vec<(String, i64)> = findings
        .map(|finding| (finding["code"].as_str().unwrap().to_owned(), finding["count"].as_i64().unwrap()))
        .collect();
    found.sort();
    found
}

fn path(dumps: &Dumps) -> PathBuf {
    dumps.path("staging.dump")
}

#[tokio::test]
async fn a_snapshot_identifies_nobody() {
    let (database, dumps) = (people().await, Dumps::new());
    let run = take(&database, &path(&dumps), &[]).ends(0);
    let snapshot = run.json()["snapshot"].clone();
    assert_eq!(snapshot["values_found"], 0, "{snapshot}");
    assert!(snapshot["values_looked_for"].as_u64().unwrap() > 500, "{snapshot}");
    assert_eq!(snapshot["differences"], serde_json::json!([]), "{snapshot}");
    let left_out = snapshot["left_out"].to_string();
    assert!(left_out.contains("crm_notes.seen_from") && left_out.contains("inet"), "{left_out}");
    let mode = fs::metadata(path(&dumps)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let text = text_of(&path(&dumps));
    assert!(text.contains("COPY evolution_api.\"Message\""), "the dump has rows");
    for mark in MARKS {
        assert!(!text.contains(mark), "{mark:?} is in the snapshot");
        // As hexadecimal digits, in which bytea is written.
        let hex: String = mark.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(!text.contains(&hex), "{mark:?} is in the snapshot, in hexadecimal digits");
    }
    // Values without personal data stay.
    for kept in ["conversation", "MESSAGES_UPSERT", "@s.whatsapp.net", "20240609181238_init", "https://"] {
        assert!(text.contains(kept), "{kept:?} is not in the snapshot");
    }
    let live = Evodoctor::new(["check", "--format", "json", "--database-url", &database.url()]).run();
    let copy = on_dump(&path(&dumps), &["check", "--format", "json"]);
    assert_eq!(found(&copy), found(&live));
    assert!(found(&live).contains(&("EVO101".to_owned(), 40)), "{:?}", found(&live));
}

#[tokio::test]
async fn a_partial_snapshot_has_the_same_findings() {
    let (database, dumps) = (people().await, Dumps::new());
    let run = take(&database, &path(&dumps), &["--rows", "5"]).ends(0);
    let snapshot = run.json()["snapshot"].clone();
    assert_eq!(snapshot["differences"], serde_json::json!([]), "{snapshot}");
    let rows = snapshot["rows"].as_u64().unwrap();
    // 45 messages at most, of 540; the history is a table like others.
    assert!((40..150).contains(&rows), "{snapshot}");
    let copy = on_dump(&path(&dumps), &["check", "--format", "json", "--select", "EVO101"]);
    assert_eq!(found(&copy), [("EVO101".to_owned(), 40)]);
}

#[tokio::test]
async fn broken_data_stays_broken_in_a_snapshot() {
    for stem in [
        "EVO101_orphaned_reference",
        "EVO103_duplicate_key",
        "EVO112_contact_in_two_chats",
        "EVO402_confusable_instance_names",
    ] {
        let (database, dumps) = (Fixture::read(stem, "bad").database("evolution_api").await, Dumps::new());
        let run = take(&database, &path(&dumps), &[]).ends(0);
        let snapshot = run.json()["snapshot"].clone();
        assert!(snapshot["same_findings"].as_u64().unwrap() > 0, "{stem}: {snapshot}");
        assert_eq!(snapshot["values_found"], 0, "{stem}: {snapshot}");
    }
}

#[tokio::test]
async fn a_dump_can_become_a_snapshot() {
    let (database, dumps) = (people().await, Dumps::new());
    let dump = dumps.dump(&database, "original.dump", &["--format=custom"]);
    let output = path(&dumps);
    let run = on_dump(&dump, &["snapshot", "--output", output.to_str().unwrap()]).ends(0);
    let run = run.says(&["0 of ", "the same is found in the snapshot", "next: evodoctor check --snapshot "]);
    drop(run);
    let text = text_of(&output);
    assert!(MARKS.iter().all(|mark| !text.contains(mark)));
}

#[tokio::test]
async fn a_failed_snapshot_leaves_no_file() {
    let (database, dumps) = (people().await, Dumps::new());
    let mut connection = database.connect().await;
    let sql = r#"ALTER TABLE "evolution_api"."crm_notes" ALTER COLUMN "seen_from" SET NOT NULL"#;
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.unwrap();
    connection.close().await.unwrap();
    take(&database, &path(&dumps), &[]).ends(2).complains(&["crm_notes", "inet", "DROP NOT NULL"]);
    assert!(!path(&dumps).exists());
    let folder = dumps.path("");
    take(&database, &folder, &[]).ends(2).complains(&["--output"]);
    let url = database.url();
    Evodoctor::new(["snapshot", "--database-url", &url]).run().ends(2).complains(&["--output staging.dump"]);
    let left: Vec<_> = fs::read_dir(&folder).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
