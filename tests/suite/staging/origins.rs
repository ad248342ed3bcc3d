//! Where a snapshot may be made from: a standby, a pool, TLS, a role with few rights, a machine without the programs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use evodoctor::database::release_schema::create_release_schema;
use evodoctor::evolution::release::Release;
use serde_json::{Value, json};
use sqlx::ConnectOptions;
use tempfile::TempDir;

use super::{people, take_from};
use crate::connect::pgbouncer::Bouncer;
use crate::connect::tls::{certificates, start_with_tls};
use crate::support::database::execute;
use crate::support::fixtures::Fixture;
use crate::support::program::{Evodoctor, Run};
use crate::support::roles;
use crate::support::standby::Pair;

/// The findings of the snapshot, which has everything that the original has.
#[track_caller]
fn same(run: Run) -> Value {
    let snapshot = run.ends(0).json()["snapshot"].clone();
    assert_eq!(snapshot["differences"], json!([]), "{snapshot}");
    assert_eq!(snapshot["values_found"], 0, "{snapshot}");
    assert!(snapshot["same_findings"].as_u64().is_some_and(|same| same > 0), "{snapshot}");
    snapshot
}

#[tokio::test]
async fn a_standby_gives_the_same_snapshot() {
    let pair = Pair::start(&[]).await;
    let mut primary = pair.connect().await;
    pair.catch_up(&mut primary).await;
    let folder = TempDir::new().unwrap();
    same(take_from(&pair.standby.url("postgres"), &folder.path().join("staging.dump"), &[]));
}

/// pg_dump gives its session an empty search_path before its transaction begins, which a pool would hand on.
#[tokio::test]
async fn a_pool_in_transaction_mode_is_refused_and_one_in_session_mode_is_not() {
    let (database, folder) = (people().await, TempDir::new().unwrap());
    let output = folder.path().join("staging.dump");
    for settings in ["", "ignore_startup_parameters = options"] {
        let Some(bouncer) = Bouncer::start(&database, "transaction", 4, settings) else { return };
        let run = take_from(&bouncer.url(&database), &output, &[]).ends(2);
        run.complains(&["a pooler in transaction mode", "search_path", "connect to Postgres directly"]);
        assert!(!output.exists());
    }
    let Some(bouncer) = Bouncer::start(&database, "session", 6, "") else { return };
    same(take_from(&bouncer.url(&database), &output, &[]));
}

#[tokio::test]
async fn pg_dump_connects_with_the_tls_that_was_asked_for() {
    let files = certificates();
    let hba = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
    let server = start_with_tls(files.path(), "server.pem", "server.key", hba).await;
    let mut admin = server.connect_options("postgres").connect().await.unwrap();
    let fixture = Fixture::read("EVO101_orphaned_reference", "bad");
    let release = Release::find(&fixture.release).unwrap();
    create_release_schema(&mut admin, "evolution_api", release).await.unwrap();
    fixture.fill(&mut admin, "evolution_api").await;
    let folder = TempDir::new().unwrap();
    let ca = files.path().join("ca.pem");
    for (number, parameters) in [
        // Prisma's way, the system's authorities, and a second attempt.
        "sslaccept=strict&sslcert=DIR/ca.pem",
        "sslmode=verify-full",
        "sslmode=allow&sslcert=DIR/other.pem",
    ]
    .into_iter()
    .enumerate()
    {
        let parameters = parameters.replace("DIR", &files.path().display().to_string());
        let url = format!("{}?{parameters}", server.tcp_url("postgres").replace("127.0.0.1", "localhost"));
        let output = folder.path().join(format!("{number}.dump"));
        let arguments = ["snapshot", "--database-url", &url, "--rows", "1", "--format", "json", "--output"];
        let program = Evodoctor::new(arguments).argument(&output);
        same(program.env("SSL_CERT_FILE", &ca).run());
    }
}

#[tokio::test]
async fn a_role_that_may_only_read_is_enough() {
    let (database, folder) = (people().await, TempDir::new().unwrap());
    let output = folder.path().join("staging.dump");
    let mut connection = database.connect().await;
    let role = roles::reader(&mut connection, "evolution_api").await;
    let reader = database.url_as(&role);
    same(take_from(&reader, &output, &[]));

    // A table that is not Evolution's stays out, and that is said.
    execute(&mut connection, &format!("REVOKE ALL ON evolution_api.crm_notes FROM {role}")).await;
    let snapshot = take_from(&reader, &output, &["--rows", "1"]).ends(1).json()["snapshot"].clone();
    assert_eq!(snapshot["left_out"], json!([r#"table "crm_notes": this role may not read it"#]));
    let differences = snapshot["differences"].as_array().unwrap();
    assert!(differences.len() == 1 && differences[0].as_str().unwrap().starts_with("EVO206"), "{snapshot}");
    fs::remove_file(&output).unwrap();

    // Grants on columns are enough for reading, and too little for pg_dump.
    let revoke = format!(
        r#"REVOKE SELECT ON evolution_api."OpenaiCreds", evolution_api."Chat" FROM {role};
           GRANT SELECT ("id", "instanceId") ON evolution_api."Chat" TO {role}"#
    );
    execute(&mut connection, &revoke).await;
    let grant =
        format!(r#"GRANT SELECT ON "evolution_api"."Chat", "evolution_api"."OpenaiCreds" TO "{role}""#);
    let run = take_from(&reader, &output, &[]).ends(2);
    let run = run.complains(&[&role, r#""Chat", "OpenaiCreds""#, &format!("next: {grant}")]);
    assert!(!output.exists(), "{run:?}");
}

/// A session that waits for an ACCESS EXCLUSIVE lock waits for the snapshot. pg_dump would wait behind it, for ever,
/// and all others too.
#[tokio::test]
async fn a_snapshot_does_not_deadlock_with_a_lock_waiter() {
    let (database, folder) = (people().await, TempDir::new().unwrap());
    let output = folder.path().join("staging.dump");
    let mut other = database.connect().await;
    execute(&mut other, "BEGIN; LOCK TABLE evolution_api.crm_notes IN ACCESS EXCLUSIVE MODE").await;
    let run = take_from(&database.url(), &output, &["--select", "EVO101"]).ends(2);
    run.complains(&[
        "structure of schema",
        "ACCESS EXCLUSIVE",
        "run it again when that session has finished",
    ]);
    execute(&mut other, "ROLLBACK").await;
    assert!(!output.exists());
}

#[tokio::test]
async fn programs_that_are_missing_or_too_old_are_named_before_any_work() {
    let (database, folder) = (people().await, TempDir::new().unwrap());
    let output = folder.path().join("staging.dump");
    let take = |programs: &Path| {
        let url = database.url();
        let arguments = ["snapshot", "--database-url", &url, "--output"];
        Evodoctor::new(arguments).argument(&output).env("EVODOCTOR_PG_BIN", programs).run().ends(2)
    };
    let programs = folder.path().join("programs");
    fs::create_dir(&programs).unwrap();
    take(&programs).complains(&["EVODOCTOR_PG_BIN is set", "holds no initdb and postgres"]);
    let write = |name: &str| {
        fs::write(programs.join(name), "#!/bin/sh\necho 'postgres (PostgreSQL) 11.22 (Debian 11.22-1)'\n")
            .unwrap();
        fs::set_permissions(programs.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    };
    write("initdb");
    write("postgres");
    write("pg_restore");
    take(&programs).complains(&["pg_dump is not installed beside the server programs", "next: "]);
    write("pg_dump");
    let run = take(&programs);
    let run =
        run.complains(&["the server is PostgreSQL 1", "the newest pg_dump on this machine is 11", "next: "]);
    assert!(!run.stderr.contains("comes from"), "{run:?}");
    assert!(!output.exists());
}
