//! From every release, and from between two, to the newest stable one and to the newest: what the upgrade destroys is kept, the
//! upgrade is run, what has a place is brought back, and of everything else each value is laid out as it was.

use std::collections::BTreeMap;

use evodoctor::evolution::release::{Migration, Release};
use evodoctor::evolution::schema::schema as facts;
use evodoctor::upgrade::catalog_state::CatalogState;
use evodoctor::upgrade::keep::derive::what_goes;
use serde_json::{Map, Value, json};
use sqlx::PgConnection;

use super::{CONTACTS_TWICE, SCHEMA, TWICE};
use crate::support::database::{TestDatabase, execute};
use crate::support::migrations::apply;
use crate::support::program::on;
use crate::support::sample_rows::{Contents, contents, fill};
use crate::support::upgrade::upgrade;

/// Tables whose very rows make the upgrade of the first releases fail.
const REFUSING: &[&str] = &["TypebotSession", "OpenaiSession", "OpenaiBot"];

/// What the proof of one upgrade ends with.
struct Proof {
    /// The rows as they are at the end.
    last: Contents,
    /// The tables of the copies.
    kept: Contents,
}

impl Proof {
    /// True if a value is in its place, or in a copy.
    fn has(&self, table: &str, id: &str, column: &str, value: &Value) -> bool {
        let is_it = |rows: &BTreeMap<String, Map<String, Value>>| {
            rows.get(id).and_then(|row| row.get(column)) == Some(value)
        };
        let copies = self.kept.iter().filter(|(name, _)| name.trim_end_matches("_2") == table);
        self.last.get(table).into_iter().chain(copies.map(|(_, rows)| rows)).any(is_it)
    }
}

/// What is pending up to a target.
async fn pending(connection: &mut PgConnection, target: Release) -> Vec<&'static Migration> {
    let applied = r#"SELECT "migration_name" FROM evolution_api."_prisma_migrations""#;
    let applied: Vec<String> = sqlx::query_scalar(applied).fetch_all(connection).await.expect("readable");
    target.migrations().filter(|migration| !applied.contains(&migration.name)).collect()
}

/// True if a value is another after the upgrade, or gone. A null that has become a value was overwritten.
fn is_lost(value: &Value, column: &str, new: Option<&Map<String, Value>>) -> bool {
    match (value, new.and_then(|new| new.get(column))) {
        (Value::Null, now) => now.is_some_and(|now| !now.is_null()),
        (value, now) => now != Some(value),
    }
}

/// Keeps, upgrades and brings back; `None` where nothing goes.
async fn prove(database: &TestDatabase, connection: &mut PgConnection, what: &str) -> Option<Proof> {
    let (stable, newest) = (Release::newest_stable(), Release::newest());
    let before = contents(connection, SCHEMA).await;
    let state = CatalogState::read(connection, SCHEMA).await.expect("readable");
    let parts = what_goes(&state, SCHEMA, &pending(connection, stable).await, stable);
    // The rest of the way destroys nothing, and in the end that is seen.
    assert_eq!(parts, what_goes(&state, SCHEMA, &pending(connection, newest).await, newest), "{what}");
    if parts.is_empty() {
        return None;
    }
    let url = database.url();
    let keep = ["preflight", "--to", stable.version(), "--keep", "--apply", "--fail-on", "never"];
    let run = on(&url, &[&keep[..], &["--format", "json"]].concat()).json();
    assert_eq!(run["preflight"]["keep"]["run"], 1, "{what}: {:#}", run["preflight"]["keep"]);
    upgrade(connection, SCHEMA, stable).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let after = contents(connection, SCHEMA).await;
    on(&url, &["undo", "1", "--into-schema", "kept", "--apply"]).ends(0);
    on(&url, &["undo", "1", "--apply"]).ends(0);
    let proof = Proof { last: contents(connection, SCHEMA).await, kept: contents(connection, "kept").await };

    let mut lost = 0;
    for (table, rows) in &before {
        for (id, old) in rows {
            let new = after.get(table).and_then(|rows| rows.get(id));
            for (column, value) in old.iter().filter(|(column, value)| is_lost(value, column, new)) {
                lost += 1;
                assert!(
                    proof.has(table, id, column, value),
                    "{what}: {table} {id} {column} was {value} and is nowhere"
                );
            }
        }
    }
    assert!(lost > 0, "{what}: nothing was lost, so nothing is proven");
    // What was not lost is as the upgrade left it.
    for (table, rows) in &proof.last {
        assert!(rows.keys().eq(after[table].keys()), "{what}: {table} has other rows");
        for (id, row) in rows {
            let old = before.get(table).and_then(|rows| rows.get(id));
            let changed = row.iter().filter(|(column, value)| after[table][id].get(*column) != Some(value));
            for (column, value) in changed {
                let is_back = old.is_some_and(|old| old.get(column) == Some(value));
                let is_merged =
                    ["Chat", "Contact"].contains(&table.as_str()) && !is_alone(&before[table], id);
                let is_moved = table == "IntegrationSession" && ["botId", "type"].contains(&column.as_str());
                let is_translated = table == "Message" && column == "status" && is_number(old, column);
                assert!(
                    is_back || is_merged || is_moved || is_translated,
                    "{what}: {table} {id} {column} has become {value}"
                );
            }
        }
    }
    // The newest release leaves all of that as it is.
    upgrade(connection, SCHEMA, newest).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let newer = contents(connection, SCHEMA).await;
    assert!(proof.last.iter().all(|(table, rows)| newer.get(table) == Some(rows)), "{what} to {newest}");
    Some(proof)
}

fn is_number(row: Option<&Map<String, Value>>, column: &str) -> bool {
    row.and_then(|row| row.get(column)).is_some_and(Value::is_number)
}

/// True if no other row is of the same contact or chat.
fn is_alone(rows: &BTreeMap<String, Map<String, Value>>, id: &str) -> bool {
    let group = |row: &Map<String, Value>| (row["remoteJid"].clone(), row["instanceId"].clone());
    let own = group(&rows[id]);
    rows.values().filter(|row| group(row) == own).count() == 1
}

/// A database of a release with rows in every table, and with chats and contacts twice where it takes them.
async fn filled(release: Release) -> (TestDatabase, PgConnection) {
    let database = TestDatabase::new(release.version(), SCHEMA).await;
    let mut connection = database.connect().await;
    let is_since = |name: &str| Release::find(name).expect("known") <= release;
    let without = if is_since("2.0.4-rc") { &[] } else { REFUSING };
    fill(&mut connection, SCHEMA, release, without).await;
    let contacts = if is_since("2.0.9") { "" } else { CONTACTS_TWICE };
    execute(&mut connection, &format!("SET search_path = {SCHEMA}; {TWICE}; {contacts}")).await;
    (database, connection)
}

/// Of releases with the same tables, the first.
fn sources(half: usize) -> impl Iterator<Item = Release> {
    let mut sources: Vec<Release> = Vec::new();
    for release in Release::all().filter(|release| *release < Release::newest_stable()) {
        if !sources.iter().any(|other| facts().is_same(*other, release)) {
            sources.push(release);
        }
    }
    sources.into_iter().skip(half).step_by(2)
}

async fn from_releases(half: usize) {
    let mut proven = 0;
    for release in sources(half) {
        let (database, mut connection) = filled(release).await;
        proven += usize::from(prove(&database, &mut connection, release.version()).await.is_some());
    }
    assert!(proven > 6, "{proven} releases");
}

#[tokio::test]
async fn nothing_is_lost_on_the_way_from_a_release() {
    from_releases(0).await;
}

#[tokio::test]
async fn nothing_is_lost_on_the_way_from_the_other_releases() {
    from_releases(1).await;
}

/// Applies the migrations that a rolling image had behind a release.
async fn roll(connection: &mut PgConnection, last: &str) {
    let target = Release::find("2.1.1").expect("known");
    for migration in pending(connection, target).await.into_iter().filter(|one| one.number() <= last) {
        apply(connection, SCHEMA, migration, target).await.expect("it passes");
    }
}

/// Tables that came and went between 2.0.10 and 2.1.1: only who ran a rolling image has them.
#[tokio::test]
async fn nothing_is_lost_of_what_only_rolling_images_had() {
    let (database, mut connection) = filled(Release::find("2.0.10").expect("known")).await;
    roll(&mut connection, "20240824161333").await;
    execute(
        &mut connection,
        r#"INSERT INTO "GenericBot" ("id", "apiUrl", "apiKey", "ignoreJids", "triggerValue", "updatedAt", "instanceId")
           VALUES ('g1', 'http://bot', 'key', '["1@g.us"]', '', '2024-08-25', 'Instance 0'), ('g2', NULL, NULL, NULL, NULL, '2024-08-25', 'Instance 1');
           INSERT INTO "GenericBotSetting" ("id", "expire", "botIdFallback", "updatedAt", "instanceId")
           VALUES ('s1', 7, 'g1', '2024-08-25', 'Instance 0')"#,
    )
    .await;
    let proof = prove(&database, &mut connection, "GenericBot").await.expect("it goes");
    assert_eq!(proof.kept["GenericBot"]["g1"]["ignoreJids"], json!(["1@g.us"]));
    assert_eq!(proof.kept["GenericBotSetting"]["s1"]["botIdFallback"], "g1");

    let (database, mut connection) = filled(Release::find("2.1.0").expect("known")).await;
    roll(&mut connection, "20240828140837").await;
    execute(
        &mut connection,
        r#"INSERT INTO is_on_whatsapp ("id", "remote_jid", "name", "jid_options", "updated_at")
           VALUES ('w1', '1@s.whatsapp.net', 'Ada', '1,2', '2024-08-29'), ('w2', '2@s.whatsapp.net', NULL, '', '2024-08-29')"#,
    )
    .await;
    let proof = prove(&database, &mut connection, "is_on_whatsapp").await.expect("it goes");
    assert_eq!(proof.kept["is_on_whatsapp"]["w1"]["name"], "Ada");
    assert_eq!(proof.kept["is_on_whatsapp"]["w2"]["jid_options"], "");
}

/// A status that was null is null again, and each number has its word.
#[tokio::test]
async fn a_status_that_was_null_is_null_again() {
    let (database, mut connection) = filled(Release::find("2.1.2").expect("known")).await;
    execute(
        &mut connection,
        r#"DELETE FROM "_prisma_migrations" WHERE "migration_name" >= '20241006130306';
           UPDATE "Message" SET "status" = NULL;
           ALTER TABLE "Message" ALTER COLUMN "status" TYPE integer USING "status"::integer;
           UPDATE "Message" SET "status" = CASE "id" WHEN 'Message 0' THEN 4 WHEN 'Message 1' THEN 9 END"#,
    )
    .await;
    let proof = prove(&database, &mut connection, "statuses").await.expect("they go");
    let statuses: Vec<&Value> = proof.last["Message"].values().map(|row| &row["status"]).collect();
    // 9 has no word, and is in the copy.
    assert_eq!(statuses, [&json!("READ"), &json!("PENDING"), &Value::Null]);
    assert_eq!(proof.kept["Message"]["Message 1"]["status"], 9);
}

/// The three columns of bots of 2.0.10, whose values 2.1.0 drops: a session that has one silences every bot of its contact without
/// it, and has it again.
#[tokio::test]
async fn a_session_has_its_bot_again() {
    let (database, mut connection) = filled(Release::find("2.0.10").expect("known")).await;
    execute(
        &mut connection,
        r#"UPDATE "IntegrationSession" SET "difyId" = NULL WHERE "id" <> 'IntegrationSession 0';
           UPDATE "IntegrationSession" SET "openaiBotId" = NULL WHERE "id" <> 'IntegrationSession 1';
           UPDATE "IntegrationSession" SET "typebotId" = NULL WHERE "id" <> 'IntegrationSession 2'"#,
    )
    .await;
    let url = database.url();
    let proof = prove(&database, &mut connection, "bots").await.expect("they go");
    let bots =
        proof.last["IntegrationSession"].values().map(|row| (row["botId"].clone(), row["type"].clone()));
    let expected = [("Dify 0", "dify"), ("OpenaiBot 1", "openai"), ("Typebot 2", "typebot")];
    assert!(
        bots.eq(expected.map(|(bot, kind)| (json!(bot), json!(kind)))),
        "{:#?}",
        proof.last["IntegrationSession"]
    );
    let again = on(&url, &["undo", "1", "--format", "json"]).ends(0).json();
    assert_eq!(again["fixes"][0]["row_diff"], json!([]), "it is back already");
    assert!(!again.to_string().contains("IntegrationSession"), "nothing of it stays kept: {again:#}");
}
