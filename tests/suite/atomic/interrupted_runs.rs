//! The database that runs are cut off on, and the two states it may be in.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::state;
use crate::support::fixtures::Fixture;
use crate::support::killable_server::Mortal;
use crate::support::program::{Run, on};
use crate::support::wire_proxy::Wire;

pub const FIX: [&str; 5] = ["fix", "EVO101", "--apply", "--allow", "deletes-rows,changes-rows"];
const SCHEMA: &str = "evolution_api";

/// Where it lives.
pub enum Home {
    /// On the server that all tests share.
    Shared(TestDatabase),
    /// On one of its own, which may be killed.
    Own(Mortal),
}

pub struct Patient {
    pub home: Home,
    pub wire: Wire,
    pub connection: PgConnection,
    pub before: String,
    pub after: String,
    /// How many messages a fix and an undo are, through the wire.
    pub messages: (u64, u64),
    /// A session that is none of the program's.
    pub spared: i32,
}

impl Patient {
    /// A database with orphans, which was repaired and undone, so that there is a ledger.
    pub async fn new(is_mortal: bool, rows: u32) -> Self {
        let fixture = Fixture::read("EVO101_orphaned_reference", "bad");
        let (home, mut connection) = if is_mortal {
            let server = Mortal::start().await;
            let mut connection = server.connect("postgres").await;
            let release = evodoctor::evolution::release::Release::find(&fixture.release).expect("known");
            evodoctor::database::release_schema::create_release_schema(&mut connection, SCHEMA, release)
                .await
                .expect("made");
            fixture.fill(&mut connection, SCHEMA).await;
            (Home::Own(server), connection)
        } else {
            let database = fixture.database(SCHEMA).await;
            let connection = database.connect().await;
            (Home::Shared(database), connection)
        };
        let many = format!(
            r#"SET session_replication_role = replica;
            INSERT INTO evolution_api."MessageUpdate"
                ("id", "keyId", "remoteJid", "fromMe", "status", "messageId", "instanceId")
                SELECT 'many' || n, 'k', 'jid', true, 'READ', 'gone' || n, 'i1' FROM generate_series(1, {rows}) AS n;
            SET session_replication_role = origin"#
        );
        execute(&mut connection, &many).await;
        let before = state(&mut connection, &["evodoctor"]).await;
        let wire = Wire::to(socket(&home));
        let mut patient =
            Self { home, wire, connection, before, after: String::new(), messages: (0, 0), spared: 0 };
        patient.run(&FIX);
        patient.after = state(&mut patient.connection, &["evodoctor"]).await;
        assert!(patient.is_fixed().await);
        patient.run(&["undo", "1", "--apply"]);
        // Now that there is a ledger, every fix is like this one.
        patient.wire.disarm();
        patient.run(&FIX);
        patient.messages.0 = patient.wire.count();
        patient.wire.disarm();
        patient.run(&["undo", "2", "--apply"]);
        patient.messages.1 = patient.wire.count();
        assert!(!patient.is_fixed().await);
        execute(&mut patient.connection, "CHECKPOINT").await;
        patient
    }

    /// The connection string through the wire.
    pub fn url(&self) -> String {
        match &self.home {
            Home::Shared(database) => self.wire.url(database.name()),
            Home::Own(_) => self.wire.url("postgres"),
        }
    }

    /// How to connect without the wire.
    pub fn options(&self) -> PgConnectOptions {
        match &self.home {
            Home::Shared(database) => database.options(),
            Home::Own(server) => server.options("postgres"),
        }
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        on(&self.url(), arguments).ends(0)
    }

    /// True if the database is as after the fix. It must be that, or as before, and the ledger must agree.
    pub async fn is_fixed(&mut self) -> bool {
        let now = state(&mut self.connection, &["evodoctor"]).await;
        let is_fixed = now == self.after;
        assert!(is_fixed || now == self.before, "the database is neither as before nor as after");
        let (standing, kept): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM evodoctor.run WHERE undone_at IS NULL),
                    (SELECT count(DISTINCT run) FROM evodoctor.quarantine_entry)",
        )
        .fetch_one(&mut self.connection)
        .await
        .expect("the ledger stays");
        assert_eq!(
            (standing, kept),
            (i64::from(is_fixed), i64::from(is_fixed)),
            "the ledger does not tell the truth"
        );
        is_fixed
    }

    /// The newest run.
    pub async fn newest(&mut self) -> String {
        let newest = "SELECT max(run)::text FROM evodoctor.run";
        sqlx::query_scalar(newest).fetch_one(&mut self.connection).await.expect("readable")
    }

    /// The sessions that are none of the test's own.
    pub fn others(&self) -> String {
        format!(
            "datname = current_database() AND pid NOT IN (pg_backend_pid(), {}) AND backend_type = 'client backend'",
            self.spared
        )
    }

    /// Waits until the server has no other session here: then nothing of ours is at work or holds a lock.
    pub async fn quiet(&mut self) {
        let left = format!("SELECT count(*) FROM pg_stat_activity WHERE {}", self.others());
        let started = Instant::now();
        loop {
            let left: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(left.clone()))
                .fetch_one(&mut self.connection)
                .await
                .expect("readable");
            if left == 0 {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "a session of ours stays");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// After the server's end: connects again.
    pub async fn revive(&mut self) {
        let Home::Own(server) = &mut self.home else { return };
        server.start_again().await;
        let fresh = server.connect("postgres").await;
        let old = std::mem::replace(&mut self.connection, fresh);
        drop(old.close_hard().await);
    }
}

fn socket(home: &Home) -> PathBuf {
    match home {
        Home::Shared(database) => database.socket(),
        Home::Own(server) => server.socket(),
    }
}
