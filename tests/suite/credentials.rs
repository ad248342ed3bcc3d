//! `evodoctor credentials`: how two instances use one key, and how a credential is deleted without cascading blindly.

use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};

use crate::support::database_dump::state;
use crate::support::fixtures::Fixture;
use crate::support::program::{Run, evodoctor};

async fn one(connection: &mut PgConnection, sql: &str) -> String {
    sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(connection).await.expect(sql).get(0)
}

/// Two instances; the settings of beta hold the credential of alpha.
async fn database() -> crate::support::database::TestDatabase {
    Fixture::read("EVO201_openai_credential_delete_blocked", "bad").database("evolution_api").await
}

fn credentials(arguments: &[&str], url: &str) -> Run {
    let mut all = vec!["credentials"];
    all.extend(arguments);
    all.extend(["--database-url", url]);
    evodoctor(&all)
}

#[tokio::test]
async fn the_list_shows_who_holds_what_and_no_key() {
    let database = database().await;
    let run = credentials(&["list"], &database.url());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("setting of beta (another instance)"), "{}", run.stdout);
    assert!(!run.stdout.contains("sk-alpha-000000000001"), "{}", run.stdout);
    let report = credentials(&["list", "--format", "json"], &database.url()).json();
    assert_eq!(report["credentials"][0]["holders"][0]["instance"], "beta");
    assert_eq!(report["credentials"][0]["apiKey"], "sk-a…01");
}

#[tokio::test]
async fn sharing_needs_the_fix_and_says_so_then_works_and_is_undone() {
    let database = database().await;
    let url = database.url();
    let mut connection = database.connect().await;
    let before = state(&mut connection, &[]).await;
    let run = credentials(&["share", "c1", "beta", "--apply"], &url);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("evodoctor fix EVO202") && run.stderr.contains("EVO203"), "{}", run.stderr);
    assert_eq!(state(&mut connection, &[]).await, before);

    assert_eq!(evodoctor(&["fix", "EVO202", "--apply", "--database-url", &url]).code, Some(0));
    let fixed = state(&mut connection, &["evodoctor"]).await;
    let share = ["share", "c1", "beta", "--name", "shared"];
    let dry = credentials(&share, &url);
    assert_eq!(dry.code, Some(1), "{}", dry.stderr);
    assert_eq!(state(&mut connection, &["evodoctor"]).await, fixed, "a dry run is dry");
    let run = credentials(&["share", "c1", "beta", "--name", "shared", "--apply"], &url);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let sql = "SELECT count(DISTINCT \"instanceId\")::text FROM evolution_api.\"OpenaiCreds\" WHERE \"apiKey\" = 'sk-alpha-000000000001'";
    assert_eq!(one(&mut connection, sql).await, "2", "both instances have the key");
    let run = credentials(&["share", "c1", "beta", "--apply"], &url);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("has this key already"), "{}", run.stderr);

    let run = evodoctor(&["undo", "2", "--apply", "--database-url", &url]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(state(&mut connection, &["evodoctor"]).await, fixed);
}

#[tokio::test]
async fn undoing_a_share_in_use_is_refused() {
    let database = database().await;
    let url = database.url();
    assert_eq!(evodoctor(&["fix", "EVO202", "EVO203", "--apply", "--database-url", &url]).code, Some(0));
    assert_eq!(credentials(&["share", "c1", "beta", "--apply"], &url).code, Some(0));
    let mut connection = database.connect().await;
    let sql = "UPDATE evolution_api.\"OpenaiSetting\" SET \"openaiCredsId\" = (SELECT id FROM evolution_api.\"OpenaiCreds\" WHERE \"instanceId\" = 'i2' AND name = 'default')";
    connection.execute(sql).await.unwrap();
    let before = state(&mut connection, &[]).await;
    let run = evodoctor(&["undo", "2", "--apply", "--database-url", &url]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("setting s2 of instance beta"), "{}", run.stderr);
    assert_eq!(state(&mut connection, &[]).await, before);
}

#[tokio::test]
async fn a_released_credential_can_be_deleted() {
    for to in [None, Some("c2")] {
        let database = database().await;
        let url = database.url();
        let mut connection = database.connect().await;
        let before = state(&mut connection, &[]).await;
        let delete = "DELETE FROM evolution_api.\"OpenaiCreds\" WHERE id = 'c1'";
        assert!(connection.execute(delete).await.is_err(), "the setting holds it");
        let mut arguments = vec!["release", "c1", "--apply"];
        arguments.extend(to.iter().flat_map(|to| ["--to", to]));
        let refused = credentials(&arguments, &url);
        assert_eq!(refused.code, Some(2), "{}", refused.stdout);
        let hazard = if to.is_some() { "changes-rows" } else { "deletes-rows" };
        assert!(refused.stderr.contains(hazard), "{}", refused.stderr);
        assert_eq!(state(&mut connection, &[]).await, before);

        arguments.extend(["--allow", hazard]);
        let run = credentials(&arguments, &url);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let sql = "SELECT COALESCE((SELECT \"openaiCredsId\" FROM evolution_api.\"OpenaiSetting\"), 'none')";
        assert_eq!(one(&mut connection, sql).await, to.unwrap_or("none"));
        let run = evodoctor(&["undo", "1", "--apply", "--database-url", &url]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert_eq!(state(&mut connection, &["evodoctor"]).await, before);
    }
}

/// The server never ends a session whose bot is gone, and an open one keeps every other bot from its contact.
#[tokio::test]
async fn a_released_bot_s_sessions_go_with_it() {
    let database = database().await;
    let url = database.url();
    let mut connection = database.connect().await;
    connection
        .execute(
            r#"SET search_path = evolution_api;
            INSERT INTO "OpenaiBot" ("id", "botType", "openaiCredsId", "instanceId", "updatedAt")
            VALUES ('b1', 'assistant', 'c1', 'i1', now()), ('b2', 'assistant', 'c2', 'i2', now()), ('b3', 'assistant', 'c1', 'i2', now());
            INSERT INTO "IntegrationSession" ("id", "sessionId", "remoteJid", "status", "updatedAt", "instanceId", "botId", "type")
            VALUES
                ('s1', 'x', '5511999990001@s.whatsapp.net', 'opened', now(), 'i1', 'b1', 'openai'),
                ('s2', 'x', '5511999990001@s.whatsapp.net', 'opened', now(), 'i2', 'b2', 'openai'),
                ('s3', 'x', '5511999990002@s.whatsapp.net', 'closed', now(), 'i2', 'b3', 'openai');
            INSERT INTO "Message" ("id", "key", "messageType", "message", "messageTimestamp", "source", "instanceId", "sessionId")
            VALUES ('m1', '{"id": "x"}', 'conversation', '{}', 1, 'android', 'i1', 's1');"#,
        )
        .await
        .unwrap();
    let before = state(&mut connection, &[]).await;
    let release = credentials(&["release", "c1", "--apply", "--allow", "deletes-rows,changes-rows"], &url);
    assert_eq!(release.code, Some(0), "{}", release.stderr);
    for told in ["instance alpha loses the bot b1", "instance beta loses its OpenAI settings and the bot b3"]
    {
        assert!(release.stdout.contains(told), "{}", release.stdout);
    }
    let left = "SELECT string_agg(id, ',') FROM evolution_api.\"IntegrationSession\"";
    assert_eq!(one(&mut connection, left).await, "s2");
    let checked = evodoctor(&["check", "--select", "EVO102,EVO107", "--database-url", &url]);
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);
    assert_eq!(evodoctor(&["undo", "1", "--apply", "--database-url", &url]).code, Some(0));
    assert_eq!(state(&mut connection, &["evodoctor"]).await, before);
}

#[tokio::test]
async fn a_foreign_credential_replaces_only_on_request() {
    let database = database().await;
    let url = database.url();
    let mut connection = database.connect().await;
    let sql = "UPDATE evolution_api.\"OpenaiSetting\" SET \"instanceId\" = 'i1'";
    connection.execute(sql).await.unwrap();
    let refused = credentials(&["release", "c1", "--to", "c2", "--apply", "--allow", "changes-rows"], &url);
    assert_eq!(refused.code, Some(2), "{}", refused.stdout);
    for told in ["c2 is of instance beta, and instance alpha would use it", "EVO106", "--across-instances"] {
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
    }
    let consented =
        ["release", "c1", "--to", "c2", "--across-instances", "--apply", "--allow", "changes-rows"];
    let run = credentials(&consented, &url);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stdout.contains("alpha uses credential c2 from then on, in its OpenAI settings"),
        "{}",
        run.stdout
    );
}

/// The name is taken in the instance: said before anything is tried, with the way out.
#[tokio::test]
async fn a_taken_name_is_refused_with_a_hint() {
    let database = database().await;
    let url = database.url();
    assert_eq!(evodoctor(&["fix", "EVO202", "EVO203", "--apply", "--database-url", &url]).code, Some(0));
    let run = credentials(&["share", "c1", "beta", "--name", "other"], &url);
    assert_eq!(run.code, Some(2), "{}", run.stdout);
    assert!(
        run.stderr.contains("with the name other already") && run.stderr.contains("--name"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("INSERT"), "{}", run.stderr);
}

#[tokio::test]
async fn missing_credentials_and_instances_are_named() {
    let database = database().await;
    for (arguments, named) in [
        (["share", "c9", "beta"].as_slice(), "no credential c9"),
        (&["share", "c1", "gamma"], "no instance with the name gamma"),
        (&["release", "c9"], "no credential c9"),
        (&["release", "c1", "--to", "c9"], "no credential c9"),
        (&["release", "c1", "--to", "c1"], "names the same one"),
    ] {
        let run = credentials(arguments, &database.url());
        assert_eq!(run.code, Some(2), "{arguments:?}");
        assert!(run.stderr.contains(named), "{arguments:?}: {}", run.stderr);
    }
}
