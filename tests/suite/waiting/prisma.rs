//! The tool and real migrations: `prisma migrate deploy`, as npm has it, at the same time as a fix.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use sqlx::PgConnection;
use tempfile::TempDir;

use super::two_runs::{GATE, at_the_gate};
use super::{ORPHANS, SHARED_KEY};
use crate::support::database::{TestDatabase, execute};
use crate::support::fixtures::Fixture;
use crate::support::program::{ended, on, start_on};

/// Prisma's packages; `None` where tests/setup.sh has not fetched them.
fn packages() -> Option<PathBuf> {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/.cache/prisma");
    if cache.join("fetched").exists() {
        return Some(cache);
    }
    // Runners hide what a test that passes says, so in CI it does not pass.
    assert!(env::var_os("CI").is_none(), "there is no Prisma; tests/setup.sh fetches it");
    eprintln!("\n*** NOT TESTED: there is no Prisma on this machine; tests/setup.sh fetches it ***\n");
    None
}

/// The first migration that holds a semicolon inside of a statement: there the engine's adapter for JavaScript cuts in two.
const TOO_MUCH: &str = "20250116001415";

/// Starts the upgrade to 2.2.0, with the migrations of the tests.
fn deploy(packages: &Path, database: &TestDatabase) -> (Child, TempDir) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = TempDir::new().expect("a folder");
    for name in ["prisma.config.ts", "schema.prisma"] {
        fs::copy(root.join("tests/suite/waiting/prisma").join(name), folder.path().join(name))
            .expect("a copy");
    }
    std::os::unix::fs::symlink(packages.join("node_modules"), folder.path().join("node_modules"))
        .expect("a link");
    let migrations = folder.path().join("migrations");
    fs::create_dir(&migrations).expect("writable");
    for entry in fs::read_dir(root.join("fixtures/migrations")).expect("readable") {
        let name = entry.expect("readable").file_name();
        let (from, to) = (root.join("fixtures/migrations").join(&name), migrations.join(&name));
        if from.is_file() {
            fs::copy(from, to).expect("a copy");
        } else if name.to_str().expect("UTF-8") < TOO_MUCH {
            fs::create_dir(&to).expect("writable");
            fs::copy(from.join("migration.sql"), to.join("migration.sql")).expect("a copy");
        }
    }
    // The command looks for engines that a server elsewhere has, and uses none of them.
    let unused = folder.path().join("unused");
    fs::write(&unused, "").expect("writable");
    let mut command = Command::new("node");
    command.arg("node_modules/prisma/build/index.js").args(["migrate", "deploy"]).current_dir(folder.path());
    command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default()).env("HOME", folder.path());
    command.env("DATABASE_URL", database.url()).env("MIGRATIONS", &migrations);
    command.env("PRISMA_QUERY_ENGINE_LIBRARY", &unused).env("PRISMA_SCHEMA_ENGINE_BINARY", &unused);
    command.env("CHECKPOINT_DISABLE", "1").env("PRISMA_HIDE_UPDATE_MESSAGE", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    (command.spawn().expect("tests/setup.sh installs node"), folder)
}

/// Waits until Prisma holds its lock, or waits for it.
async fn prisma_has_its_lock(connection: &mut PgConnection, granted: bool) {
    let locks = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND objid = 72707369
                 AND granted = $1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
    let started = Instant::now();
    while !sqlx::query_scalar::<_, bool>(locks)
        .bind(granted)
        .fetch_one(&mut *connection)
        .await
        .expect("readable")
    {
        assert!(started.elapsed() < Duration::from_secs(120), "Prisma does not come as far");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn applied(connection: &mut PgConnection) -> i64 {
    let count = "SELECT count(*) FROM _prisma_migrations WHERE finished_at IS NOT NULL";
    sqlx::query_scalar(count).fetch_one(connection).await.expect("a count")
}

#[tokio::test]
async fn prisma_and_a_fix_exclude_each_other() {
    let Some(packages) = packages() else { return };
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("public").await;
    let mut connection = database.connect().await;
    let before = applied(&mut connection).await;

    // A fix is in the middle of its work: the migrations wait for it, and then run.
    execute(&mut connection, &GATE.replace("evolution_api", "public")).await;
    let fix = start_on(&database.url(), &ORPHANS);
    at_the_gate(&mut connection).await;
    let (deploying, _folder) = deploy(&packages, &database);
    prisma_has_its_lock(&mut connection, false).await;
    assert_eq!(applied(&mut connection).await, before);
    // A session blocks the first pending migration, so that the test can observe it.
    let mut reader = database.connect().await;
    execute(&mut reader, r#"BEGIN; SELECT FROM "Webhook", "Setting", "Typebot""#).await;
    execute(&mut connection, r#"DELETE FROM public.gate"#).await;
    let run = tokio::task::spawn_blocking(|| ended(fix)).await.expect("it ends").ends(0);
    drop(run);

    // Now the migrations are at work: a fix says so, and changes nothing.
    prisma_has_its_lock(&mut connection, true).await;
    on(&database.url(), &SHARED_KEY).ends(2).complains(&[
        "prisma migrate is running on this database",
        "nothing has been changed",
        "next: wait until the server has started",
    ]);
    on(&database.url(), &["undo", "1", "--apply"]).ends(2).complains(&["prisma migrate is running"]);
    execute(&mut reader, "ROLLBACK").await;
    let deployed = tokio::task::spawn_blocking(|| ended(deploying)).await.expect("it ends").ends(0);
    assert!(deployed.stdout.contains("All migrations have been successfully applied"), "{deployed:?}");
    assert!(applied(&mut connection).await > before);
    // What it made is what evodoctor knows, and a fix goes on from there.
    on(&database.url(), &SHARED_KEY).ends(0);
    let report = on(&database.url(), &["check", "--format", "json"]).json();
    assert_eq!(report["release"]["to"], "2.2.0", "{report:#}");
}
