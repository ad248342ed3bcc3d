//! Duplicates are merged, not deleted, and the index that labels need survives an upgrade.

use sqlx::{PgConnection, Row};

use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::state;
use crate::support::fixtures::Fixture;
use crate::support::program::evodoctor;

const UPSERT: &str = r#"INSERT INTO public."Chat" ("id", "remoteJid", "instanceId", "labels")
    VALUES ('new', '5511999990001@s.whatsapp.net', 'i1', '["9"]')
    ON CONFLICT ("instanceId", "remoteJid") DO UPDATE SET "labels" = EXCLUDED."labels""#;

async fn fixed(stem: &str, name: &str) -> (TestDatabase, PgConnection) {
    let database = Fixture::read(stem, name).database("public").await;
    let run = evodoctor(&[
        "fix",
        &stem[..6],
        "--apply",
        "--allow",
        "deletes-rows,changes-rows",
        "--database-url",
        &database.url(),
    ]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let connection = database.connect().await;
    (database, connection)
}

async fn texts(connection: &mut PgConnection, sql: &'static str) -> Vec<String> {
    let rows = sqlx::query(sql).fetch_all(connection).await.expect("it runs");
    rows.iter().map(|row| row.get(0)).collect()
}

/// F2: the row with the newest "updatedAt" stays, not the one that never had any; it gets what the others know.
#[tokio::test]
async fn the_newest_row_stays_and_takes_over_what_it_lacks() {
    let (_database, mut connection) = fixed("EVO103_duplicate_key", "bad").await;
    let chats = texts(
        &mut connection,
        r#"SELECT concat_ws(' ', "id", "labels"::text, "name", "unreadMessages"::text) FROM public."Chat" ORDER BY "id""#,
    )
    .await;
    assert_eq!(
        chats,
        [r#"c2 ["3", "1", "2"] O'Neill "ü"\ 0"#, "c5 Ana 0", r#"d1 ["1"] Ana 1"#],
        "labels united, the newest name that is one, the newest unread count"
    );
    let contacts = texts(
        &mut connection,
        r#"SELECT concat_ws(' ', "id", "pushName", "profilePicUrl") FROM public."Contact" ORDER BY "id""#,
    )
    .await;
    assert_eq!(contacts, ["k2 new https://example.org/old.jpg", "k3 new"]);
    let labels = texts(&mut connection, r#"SELECT "id" FROM public."Label" ORDER BY "id""#).await;
    assert_eq!(labels, ["l2", "l3", "l4"]);
}

/// F1: with the fix the upsert works, and upstream's later index of its own name can be built beside.
#[tokio::test]
async fn the_chat_index_does_not_block_an_upgrade() {
    let (database, mut connection) = fixed("EVO205_chat_index_missing", "bad").await;
    execute(&mut connection, UPSERT).await;
    let upstreams =
        r#"CREATE UNIQUE INDEX "Chat_instanceId_remoteJid_key" ON public."Chat" ("instanceId", "remoteJid")"#;
    execute(&mut connection, upstreams).await;
    execute(&mut connection, UPSERT).await;
    let sql = r#"SELECT "labels"::text FROM public."Chat" WHERE "id" = 'c2'"#;
    assert_eq!(texts(&mut connection, sql).await, [r#"["9"]"#]);
    let check =
        ["check", "--select", "EVO103,EVO205", "--fail-on", "advice", "--database-url", &database.url()];
    assert_eq!(evodoctor(&check).code, Some(0));
}

/// Where upstream's migration is done, it does not come again, and its name is the right one.
#[tokio::test]
async fn a_dropped_chat_index_returns_under_its_own_name() {
    let (_database, mut connection) = fixed("EVO205_chat_index_missing", "dropped").await;
    execute(&mut connection, UPSERT).await;
    let sql =
        "SELECT indexname::text FROM pg_indexes WHERE tablename = 'Chat' AND indexdef ~ 'UNIQUE' ORDER BY 1";
    assert_eq!(texts(&mut connection, sql).await, ["Chat_instanceId_remoteJid_key", "Chat_pkey"]);
}

/// An index that was built on duplicates and failed: one run merges them and rebuilds it, and undo takes both back.
#[tokio::test]
async fn duplicates_under_an_invalid_index_are_merged_and_the_index_rebuilt() {
    let database = TestDatabase::new("2.3.7", "public").await;
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        r#"UPDATE pg_index SET indisvalid = false, indisready = false
               WHERE indexrelid = 'public."Chat_instanceId_remoteJid_key"'::regclass;
           INSERT INTO public."Instance" ("id", "name") VALUES ('i1', 'alpha');
           INSERT INTO public."Chat" ("id", "remoteJid", "instanceId", "updatedAt")
               SELECT n::text, (n / 2)::text, 'i1', '2025-01-01'::timestamp + n * interval '1 day'
               FROM generate_series(1, 2000) AS n"#,
    )
    .await;
    let url = database.url();
    let before = state(&mut connection, &[]).await;
    let run =
        evodoctor(&["fix", "--apply", "--allow", "deletes-rows", "--format", "json", "--database-url", &url]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let report = run.json();
    let codes: Vec<&str> =
        report["fixes"].as_array().unwrap().iter().map(|fix| fix["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["EVO103", "EVO208"]);
    assert_eq!(evodoctor(&["check", "--database-url", &url]).code, Some(0));
    let run = evodoctor(&["undo", "1", "--apply", "--database-url", &url]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert_eq!(state(&mut connection, &["evodoctor"]).await, before);
}

/// An index that is corrupt hides duplicates from everybody who trusts it.
#[tokio::test]
async fn paranoid_mode_finds_duplicates_that_a_corrupt_index_hides() {
    let database = TestDatabase::new("2.3.7", "public").await;
    let mut connection = database.connect().await;
    // A plain index that is then declared unique, as a change of the collation leaves one.
    execute(
        &mut connection,
        r#"DROP INDEX public."Chat_instanceId_remoteJid_key";
        CREATE INDEX "Chat_instanceId_remoteJid_key" ON public."Chat" ("instanceId", "remoteJid");
        INSERT INTO public."Instance" ("id", "name", "connectionStatus") VALUES ('i1', 'alpha', 'open');
        INSERT INTO public."Setting" ("id", "updatedAt", "instanceId") VALUES ('s1', now(), 'i1');
        INSERT INTO public."Chat" ("id", "remoteJid", "instanceId") VALUES ('c1', 'a', 'i1'), ('c2', 'a', 'i1');
        UPDATE pg_index SET indisunique = true WHERE indexrelid = 'public."Chat_instanceId_remoteJid_key"'::regclass"#,
    )
    .await;
    let url = database.url();
    let trusting = evodoctor(&["check", "--select", "EVO103", "--database-url", &url]);
    assert_eq!(trusting.code, Some(0), "{}", trusting.stdout);
    let run = evodoctor(&["check", "--paranoid", "--select", "EVO103", "--database-url", &url]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("claims to be valid and is corrupt"), "{}", run.stdout);
}
