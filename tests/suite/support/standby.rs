//! A primary and a standby that follows it by streaming, both of a test's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use evodoctor::database::release_schema::create_release_schema;
use evodoctor::database::scratch_server::{ScratchServer, ScratchServerOptions};
use evodoctor::evolution::release::Release;
use sqlx::{ConnectOptions, PgConnection};
use tempfile::TempDir;

use super::database::execute;
use super::fixtures::Fixture;

/// The two, with orphans in the schema `evolution_api` of the database `postgres`.
pub struct Pair {
    /// Takes changes.
    pub primary: ScratchServer,
    /// Follows.
    pub standby: ScratchServer,
    _folder: TempDir,
}

impl Pair {
    /// Starts them: the standby is a copy of the idle primary's files, with these settings.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let binaries = std::env::var_os("EVODOCTOR_TEST_PG_BIN").map(PathBuf::from);
        let options = ScratchServerOptions { binaries, ..ScratchServerOptions::default() };
        let primary = ScratchServer::start(options).await.expect("a primary");
        let mut connection = primary.connect_options("postgres").connect().await.expect("it answers");
        let fixture = Fixture::read("EVO101_orphaned_reference", "bad");
        let release = Release::find(&fixture.release).expect("known");
        create_release_schema(&mut connection, "evolution_api", release).await.expect("built");
        fixture.fill(&mut connection, "evolution_api").await;
        execute(&mut connection, "CHECKPOINT").await;
        let programs: String = sqlx::query_scalar("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
            .fetch_one(&mut connection)
            .await
            .expect("a superuser may ask");

        // The programs that the second server is told to use: its `initdb` copies the primary.
        let folder = TempDir::new().expect("a folder for two scripts");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        let copy = format!(
            "data=${{1#--pgdata=}} && cp -R '{}/data' \"$data\" && rm -f \"$data/postmaster.pid\" && \
             : >\"$data/standby.signal\" && chmod 700 \"$data\"",
            primary.directory().display()
        );
        write_program(&folder.path().join("initdb"), &copy);
        write_program(&folder.path().join("postgres"), &format!("exec '{programs}/postgres' \"$@\""));
        let follows = format!("host={} port=5432 user=postgres", primary.directory().display());
        let settings = settings.iter().copied().chain([("primary_conninfo", follows.as_str())]);
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let binaries = Some(folder.path().to_owned());
        let options = ScratchServerOptions { binaries, settings, ..ScratchServerOptions::default() };
        let standby = ScratchServer::start(options).await.expect("a standby");
        Self { primary, standby, _folder: folder }
    }

    /// A connection to the primary.
    pub async fn connect(&self) -> PgConnection {
        self.primary.connect_options("postgres").connect().await.expect("it answers")
    }

    /// Waits until the standby has replayed what the primary has written so far.
    pub async fn catch_up(&self, connection: &mut PgConnection) {
        let written = "SELECT pg_current_wal_insert_lsn()::text";
        let written: String = sqlx::query_scalar(written).fetch_one(connection).await.expect("a place");
        let mut standby = self.standby.connect_options("postgres").connect().await.expect("it answers");
        let is_there = "SELECT COALESCE(pg_last_wal_replay_lsn() >= $1::pg_lsn, false)";
        let started = Instant::now();
        loop {
            let there = sqlx::query_scalar::<_, bool>(is_there).bind(&written).fetch_one(&mut standby).await;
            if there.expect("readable") {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "the standby does not follow");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn write_program(path: &Path, body: &str) {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).expect("writable");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("ours");
}
