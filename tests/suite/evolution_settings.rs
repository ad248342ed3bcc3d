//! What `check` says where Evolution's own settings are in hand, or a file of the database is damaged.

use std::fs;

use evodoctor::database::release_schema::create_release_schema;
use evodoctor::database::scratch_server::{ScratchServer, ScratchServerOptions};
use evodoctor::evolution::release::Release;
use serde_json::Value;
use sqlx::ConnectOptions;

use crate::support::cluster::in_memory;
use crate::support::database::{TestDatabase, execute};
use crate::support::program::{Evodoctor, evodoctor};

async fn with_instances(sql: &str) -> TestDatabase {
    use sqlx::Executor;
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let mut connection = database.connect().await;
    connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))).await.expect("the rows go in");
    database
}

const INSTANCES: &str = r#"INSERT INTO evolution_api."Instance" ("id", "name", "connectionStatus", "token", "clientName")
    VALUES ('i1', 'alpha', 'open', 't1', 'evolution_v2'), ('i2', 'beta', 'open', 't2', 'evolution_v2')"#;

fn found(report: &Value) -> Vec<(String, String)> {
    let findings = report["findings"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let ours = findings.filter(|finding| {
        ["EVO405", "EVO745", "EVO746", "EVO727"].contains(&finding["code"].as_str().unwrap())
    });
    ours.map(|finding| (text(&finding["code"]), text(&finding["detail"]))).collect()
}

#[tokio::test]
async fn instances_that_no_server_loads_are_found_with_the_env_file() {
    let database = with_instances(INSTANCES).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".env");
    let url = database.url();
    fs::write(
        &file,
        format!("DATABASE_PROVIDER=postgresql\nDATABASE_CONNECTION_URI='{url}'\nDATABASE_CONNECTION_CLIENT_NAME=evolution_exchange\n"),
    )
    .unwrap();
    let run = evodoctor(&["check", "--format", "json", "--env-file", file.to_str().unwrap()]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let found = found(&run.json());
    let codes: Vec<&str> = found.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(codes, ["EVO405", "EVO745"]);
    assert!(found[0].1.contains("set DATABASE_CONNECTION_CLIENT_NAME=evolution_v2"), "{found:?}");
    assert!(found[1].1.contains("add schema=evolution_api"), "{found:?}");
    // With what they say done, all is well.
    let separator = if url.contains('?') { '&' } else { '?' };
    fs::write(
        &file,
        format!(
            "DATABASE_PROVIDER=postgresql\nDATABASE_CONNECTION_URI='{url}{separator}schema=evolution_api'\n\
             DATABASE_CONNECTION_CLIENT_NAME=evolution_v2\n"
        ),
    )
    .unwrap();
    let run = evodoctor(&["check", "--format", "json", "--env-file", file.to_str().unwrap()]);
    assert_eq!(self::found(&run.json()), []);
}

#[tokio::test]
async fn the_environment_works_like_the_env_file() {
    let database = with_instances(INSTANCES).await;
    let check =
        || Evodoctor::new(["check", "--format", "json"]).env("DATABASE_CONNECTION_URI", database.url());
    assert_eq!(found(&check().run().json()), [], "a connection string alone says nothing of the server");
    let report = check().env("DATABASE_PROVIDER", "postgresql").run().json();
    assert_eq!(found(&report)[0].0, "EVO405");
}

#[tokio::test]
async fn damage_is_an_error_with_what_to_do_first() {
    // The large value's file is exchanged for an empty one, so the row points to pages that are not there.
    let sql = format!(
        r#"{INSTANCES};
        INSERT INTO evolution_api."Chat" ("id", "remoteJid", "instanceId", "labels")
            SELECT 'c1', 'x@s.whatsapp.net', 'i1', pg_catalog.jsonb_agg(pg_catalog.md5(n::text)) FROM pg_catalog.generate_series(1, 2000) AS n;
        UPDATE pg_catalog.pg_class SET relfilenode = (
            SELECT empty.relfilenode FROM pg_catalog.pg_class AS empty
            WHERE empty.oid = (SELECT reltoastrelid FROM pg_catalog.pg_class WHERE oid = 'evolution_api."Template"'::pg_catalog.regclass)
        ) WHERE oid = (SELECT reltoastrelid FROM pg_catalog.pg_class WHERE oid = 'evolution_api."Chat"'::pg_catalog.regclass)"#
    );
    let database = with_instances(&sql).await;
    let run = evodoctor(&[
        "check",
        "--select",
        "EVO102,EVO104,EVO727",
        "--format",
        "json",
        "--database-url",
        &database.url(),
    ]);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    let found = found(&run.json());
    assert_eq!(found.len(), 1, "{}", run.stdout);
    assert!(
        found[0].1.contains("copy its whole data directory") && found[0].1.contains("REINDEX"),
        "{found:?}"
    );
    let checks = run.json()["checks"].clone();
    let undecided = checks.as_array().unwrap().iter().filter(|check| check["outcome"] == "undecided").count();
    assert!(undecided > 0, "what could not be read is not judged: {checks}");
}

/// Access by others: a superuser's name in Evolution's settings, and a line of pg_hba.conf that lets other machines in
/// without a password. A role that may not read that file reports nothing about it.
#[tokio::test]
async fn exposure_is_advice() {
    let binaries = std::env::var_os("EVODOCTOR_TEST_PG_BIN").map(Into::into);
    let options = ScratchServerOptions { binaries, parent: in_memory(), ..ScratchServerOptions::default() };
    let server = ScratchServer::start(options).await.expect("a server starts");
    let mut admin = server.connect_options("postgres").connect().await.expect("it answers");
    for statement in ["CREATE DATABASE evolution", "CREATE ROLE evolution LOGIN"] {
        execute(&mut admin, statement).await;
    }
    let mut connection = server.connect_options("evolution").connect().await.expect("it answers");
    create_release_schema(&mut connection, "evolution_api", Release::newest())
        .await
        .expect("the facts build it");
    let grant = "GRANT USAGE ON SCHEMA evolution_api TO evolution; GRANT SELECT ON ALL TABLES IN SCHEMA evolution_api TO evolution";
    execute(&mut connection, grant).await;

    let folder = tempfile::tempdir().unwrap();
    let exposed = |role: &str| -> Vec<(String, String)> {
        let url = server.url("evolution").replacen("postgres@", &format!("{role}@"), 1);
        let file = folder.path().join(".env");
        fs::write(&file, format!("DATABASE_PROVIDER=postgresql\nDATABASE_CONNECTION_URI='{url}'\n")).unwrap();
        let report = evodoctor(&["check", "--format", "json", "--env-file", file.to_str().unwrap()]).json();
        let findings = report["findings"].as_array().expect("a list").clone();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let is_exposure = |finding: &&Value| finding["code"] == "EVO747" || finding["code"] == "EVO748";
        findings.iter().filter(is_exposure).map(|one| (text(&one["code"]), text(&one["detail"]))).collect()
    };
    let found = exposed("postgres");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0 == "EVO747" && found[0].1.contains("\"postgres\""), "{found:?}");
    assert_eq!(exposed("evolution"), []);

    let rules = server.directory().join("data/pg_hba.conf");
    let text = fs::read_to_string(&rules).expect("readable") + "host all all 0.0.0.0/0 trust\n";
    fs::write(&rules, &text).expect("writable");
    let found = exposed("postgres");
    assert_eq!(found.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>(), ["EVO747", "EVO748"]);
    assert!(found[1].1.contains(&format!("line {}", text.lines().count())), "{found:?}");
    assert_eq!(exposed("evolution"), []);
}
