//! A server that speaks another language: nothing rests on the words of its messages.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use evodoctor::database::release_schema::create_release_schema;
use evodoctor::database::scratch_server::{ScratchServer, ScratchServerOptions, binaries};
use evodoctor::evolution::release::Release;
use sqlx::{ConnectOptions, PgConnection};
use tempfile::TempDir;

use crate::hostile::all_commands::{assert_same, fill, story, troubled};
use crate::support::database::execute;
use crate::support::program::{ended, on, start_on};
use crate::support::roles;

const HBA: &str = "local all peer peer\nlocal all all trust\n";

/// A server that speaks German, and the folder with its language. `None` where its build has no other language than English,
/// as those from npm.
async fn german() -> Option<(ScratchServer, TempDir)> {
    if std::env::var_os("EVODOCTOR_TEST_PG_BIN").is_some() {
        return None;
    }
    let folder = TempDir::new().expect("a folder for a language");
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("ours");
    open(folder.path());
    let made = Command::new("localedef")
        .args(["-i", "de_DE", "-f", "UTF-8"])
        .arg(folder.path().join("de_DE.UTF-8"))
        .output()
        .expect("localedef is there; tests/setup.sh installs locales");
    assert!(folder.path().join("de_DE.UTF-8").exists(), "{made:?}");
    let programs = binaries::find_binaries().expect("a server");
    for (name, language) in
        [("initdb", String::new()), ("postgres", format!("LOCPATH='{}' ", folder.path().display()))]
    {
        let path = folder.path().join(name);
        let script = format!("#!/bin/sh\n{language}exec '{}/{name}' \"$@\"\n", programs.display());
        fs::write(&path, script).expect("writable");
        open(&path);
    }
    let settings = [("lc_messages", "de_DE.UTF-8"), ("hba_file", "pg_hba_of_the_test.conf")];
    let options = ScratchServerOptions {
        binaries: Some(folder.path().to_owned()),
        settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        files: vec![("pg_hba_of_the_test.conf".to_owned(), HBA.into())],
        ..ScratchServerOptions::default()
    };
    Some((ScratchServer::start(options).await.expect("a server"), folder))
}

async fn filled(server: &ScratchServer) -> PgConnection {
    let mut connection = server.connect_options("postgres").connect().await.expect("it answers");
    let release = Release::find("2.1.1").expect("known");
    create_release_schema(&mut connection, "evolution_api", release).await.expect("built");
    fill(&mut connection, "evolution_api").await;
    connection
}

#[tokio::test]
async fn a_server_in_german_changes_nothing() {
    let Some((server, _folder)) = german().await else { return };
    let mut connection = filled(&server).await;
    let error = sqlx::raw_sql("SELECT FROM nirgends").execute(&mut connection).await.unwrap_err();
    assert!(error.to_string().contains("existiert nicht"), "it speaks no German: {error}");
    let url = server.url("postgres");

    // A role that is let in nowhere, and one that is not the system's user.
    on(&url.replace("postgres@", "nobody_here@"), &["check"]).ends(2).complains(&["may log in"]);
    execute(&mut connection, "CREATE ROLE peer LOGIN").await;
    on(&url.replace("postgres@", "peer@"), &["check"]).ends(2).complains(&["run as the system user peer"]);

    // Rows that are hidden, and a table that is closed.
    let reader = roles::reader(&mut connection, "evolution_api").await;
    let reader_url = url.replace("postgres@", &format!("{reader}@"));
    execute(&mut connection, r#"ALTER TABLE evolution_api."Session" ENABLE ROW LEVEL SECURITY"#).await;
    execute(&mut connection, &format!(r#"REVOKE SELECT ON evolution_api."Chat" FROM {reader}"#)).await;
    let report = on(&reader_url, &["check", "--format", "json"]).json();
    let orphans = report["checks"][0]["reason"].as_str().expect("a reason").to_owned();
    assert!(orphans.contains("row-level security would hide rows"), "{orphans}");
    assert!(orphans.contains(r#"GRANT SELECT ON "evolution_api"."Chat""#), "{orphans}");
    execute(&mut connection, r#"ALTER TABLE evolution_api."Session" DISABLE ROW LEVEL SECURITY"#).await;

    // A lock of another session, and a statement that is too slow.
    let mut blocker = server.connect_options("postgres").connect().await.expect("it answers");
    execute(&mut blocker, r#"BEGIN; LOCK TABLE evolution_api."OpenaiCreds" IN ACCESS EXCLUSIVE MODE"#).await;
    on(&url, &["fix", "EVO202", "--wait", "1s"]).ends(2).complains(&["gave up waiting", "process"]);
    let limited = format!("{url}&options=-c%20statement_timeout%3D300");
    let report = on(&limited, &["check", "--select", "EVO202", "--format", "json"]).ends(3).json();
    let reason = report["checks"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("statement_timeout"), "{reason}");
    execute(&mut blocker, "ROLLBACK").await;

    // A session that an administrator ends.
    execute(&mut blocker, r#"BEGIN; LOCK TABLE evolution_api."Message" IN ACCESS EXCLUSIVE MODE"#).await;
    let child = start_on(&url, &["check"]);
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE application_name = 'evodoctor' AND wait_event_type = 'Lock'";
    let started = Instant::now();
    while sqlx::query_scalar::<_, i64>(end).fetch_one(&mut connection).await.expect("a count") == 0 {
        assert!(started.elapsed() < Duration::from_secs(30), "it never waits");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let run = tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends");
    run.ends(2).complains(&["the server ended the connection", "57P01"]);
    execute(&mut blocker, "ROLLBACK").await;

    let (plain, other) = troubled("evolution_api").await;
    drop(other);
    assert_same("a server in German", &story(&plain.url()), &story(&url));
}
