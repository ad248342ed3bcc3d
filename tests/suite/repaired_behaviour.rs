//! The repairs as users meet them: in what the tables accept and refuse afterwards.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::state;
use crate::support::program::on;

/// Two instances; the credential of alpha is used by both instances' settings where the release lets them.
async fn database(release: &str) -> (TestDatabase, PgConnection) {
    let database = TestDatabase::new(release, "evolution_api").await;
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        r#"SET search_path = evolution_api;
        INSERT INTO "Instance" ("id", "name", "connectionStatus")
            VALUES ('i1', 'alpha', 'open'), ('i2', 'beta', 'open');
        INSERT INTO "OpenaiCreds" ("id", "name", "apiKey", "updatedAt", "instanceId") VALUES
            ('c1', 'default', 'sk-alpha-000000000001', '2024-10-01', 'i1'),
            ('c2', 'other', 'sk-beta-0000000000002', '2024-10-01', 'i2');
        INSERT INTO "OpenaiSetting" ("id", "openaiCredsId", "instanceId", "updatedAt")
            VALUES ('s2', 'c1', 'i2', '2024-10-01')"#,
    )
    .await;
    (database, connection)
}

/// The SQLSTATE that the server answers with; `None` on success.
async fn refusal(connection: &mut PgConnection, sql: &str) -> Option<String> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await;
    let error = done.err()?;
    Some(error.as_database_error().expect("the server's word").code().expect("a code").into_owned())
}

fn credential(id: &str, name: &str, key: &str, instance: &str) -> String {
    format!(
        r#"INSERT INTO "OpenaiCreds" ("id", "name", "apiKey", "updatedAt", "instanceId")
        VALUES ('{id}', '{name}', '{key}', '2024-10-01', '{instance}')"#
    )
}

fn notes(report: &serde_json::Value) -> String {
    let notes = report["fixes"][0]["notes"].as_array().expect("a list");
    notes.iter().map(|note| note.as_str().expect("text")).collect::<Vec<_>>().join("\n")
}

const DELETE: &str = r#"DELETE FROM "OpenaiCreds" WHERE "id" = 'c1'"#;
const SAME_KEY: &str = "sk-alpha-000000000001";

#[tokio::test]
async fn a_credential_in_use_can_be_deleted_and_takes_what_the_plan_said() {
    for release in ["2.1.1", "2.3.7"] {
        let (database, mut connection) = database(release).await;
        let refused = refusal(&mut connection, DELETE).await;
        // A state of its own since PostgreSQL 18: restrict_violation.
        assert!(matches!(refused.as_deref(), Some("23503" | "23001")), "{release}: {refused:?}");
        let report = on(&database.url(), &["fix", "EVO201", "--apply", "--format", "json"]).ends(0).json();
        let notes = notes(&report);
        assert!(notes.contains("deleting credential c1 (default, of instance alpha)"), "{notes}");
        assert!(notes.contains("also removes, of instance beta, the OpenAI settings"), "{notes}");
        assert!(!notes.contains("credential c2"), "{notes}");
        assert!(notes.contains("answers 200"), "{notes}");

        let before = state(&mut connection, &["evodoctor"]).await;
        assert_eq!(refusal(&mut connection, DELETE).await, None);
        let after = state(&mut connection, &["evodoctor"]).await;
        let gone: Vec<&str> = before.lines().filter(|line| !after.contains(line)).collect();
        assert_eq!(gone.len(), 2, "only the credential and the setting that the plan named: {gone:?}");
        assert!(gone.iter().any(|line| line.contains("OpenaiSetting") && line.contains("s2")), "{gone:?}");
    }
}

#[tokio::test]
async fn a_second_instance_can_use_the_same_key() {
    let (database, mut connection) = database("2.1.1").await;
    let second = credential("c3", "third", SAME_KEY, "i2");
    assert_eq!(refusal(&mut connection, &second).await.as_deref(), Some("23505"));
    on(&database.url(), &["fix", "EVO202", "--apply"]).ends(0);
    assert_eq!(refusal(&mut connection, &second).await, None);
    let twice = credential("c4", "fourth", SAME_KEY, "i2");
    assert_eq!(refusal(&mut connection, &twice).await.as_deref(), Some("23505"));
    // The other constraint is unchanged.
    let name = credential("c5", "default", "sk-new-00000000000005", "i2");
    assert_eq!(refusal(&mut connection, &name).await.as_deref(), Some("23505"));
}

#[tokio::test]
async fn a_second_instance_can_use_the_same_name() {
    let (database, mut connection) = database("2.1.1").await;
    let second = credential("c3", "default", "sk-new-00000000000003", "i2");
    assert_eq!(refusal(&mut connection, &second).await.as_deref(), Some("23505"));
    on(&database.url(), &["fix", "EVO203", "--apply"]).ends(0);
    assert_eq!(refusal(&mut connection, &second).await, None);
    let twice = credential("c4", "default", "sk-new-00000000000004", "i2");
    assert_eq!(refusal(&mut connection, &twice).await.as_deref(), Some("23505"));
    let key = credential("c5", "fifth", SAME_KEY, "i2");
    assert_eq!(refusal(&mut connection, &key).await.as_deref(), Some("23505"));
}

#[tokio::test]
async fn two_settings_can_share_a_credential() {
    let (database, mut connection) = database("2.1.1").await;
    let second = r#"INSERT INTO "OpenaiSetting" ("id", "openaiCredsId", "instanceId", "updatedAt")
        VALUES ('s1', 'c1', 'i1', '2024-10-01')"#;
    assert_eq!(refusal(&mut connection, second).await.as_deref(), Some("23505"));
    on(&database.url(), &["fix", "EVO204", "--apply"]).ends(0);
    assert_eq!(refusal(&mut connection, second).await, None);
    // One instance still has one row of settings.
    let twice = second.replace("'s1', 'c1'", "'s3', 'c2'");
    assert_eq!(refusal(&mut connection, &twice).await.as_deref(), Some("23505"));
}

/// The plan says what the API of this release does afterwards, so that nobody expects anything else.
#[tokio::test]
async fn the_plan_describes_the_detected_release() {
    let expected = [
        ("EVO202", "2.1.1", "answers 201", "still answers 400"),
        ("EVO202", "2.3.7", "still answers 400", "answers 201"),
        ("EVO203", "2.1.1", "answers 201", "answers 400"),
        ("EVO203", "2.3.7", "answers 201", "answers 400"),
        ("EVO204", "2.1.1", "200", "P2011"),
        ("EVO204", "2.3.7", "still answers 500", "(200"),
    ];
    for release in ["2.1.1", "2.3.7"] {
        let (database, _connection) = database(release).await;
        for (code, _, says, not) in expected.iter().filter(|(_, of, _, _)| *of == release) {
            let report = on(&database.url(), &["fix", code, "--format", "json"]).ends(1).json();
            let notes = notes(&report);
            assert!(notes.contains(says) && !notes.contains(not), "{code} on {release}: {notes}");
        }
    }
}
