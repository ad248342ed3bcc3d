//! Promise 4: all or nothing. Ended at any moment and in any way, the database is as before or as after, and the
//! ledger says which.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::{Connection, PgConnection};

use crate::support::database::{TestDatabase, execute};
use crate::support::fixtures::Fixture;
use crate::support::program::{Run, ended, on, start_on};
use crate::support::state::state;

const FIX: [&str; 5] = ["fix", "EVO101", "--apply", "--allow", "deletes-rows,changes-rows"];

/// How a run ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The program is killed.
    Killed,
    /// Its connection is.
    Disconnected,
    /// Ctrl-C.
    Interrupted,
}

const ENDS: [End; 3] = [End::Killed, End::Disconnected, End::Interrupted];

/// A database large enough that a run takes a while, and the two states it may be in.
struct Patient {
    database: TestDatabase,
    connection: PgConnection,
    before: String,
    after: String,
    /// A session that is none of the program's.
    spared: i32,
}

async fn backend(connection: &mut PgConnection) -> i32 {
    sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(connection).await.expect("a number")
}

impl Patient {
    async fn new() -> Self {
        let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
        let mut connection = database.connect().await;
        execute(
            &mut connection,
            r#"SET session_replication_role = replica;
            INSERT INTO evolution_api."MessageUpdate"
                ("id", "keyId", "remoteJid", "fromMe", "status", "messageId", "instanceId")
                SELECT 'many' || n, 'k', 'jid', true, 'READ', 'gone' || n, 'i1' FROM generate_series(1, 500) AS n;
            SET session_replication_role = origin"#,
        )
        .await;
        let before = state(&mut connection, &["evodoctor"]).await;
        Self { database, connection, before, after: String::new(), spared: 0 }
    }

    fn run(&self, arguments: &[&str]) -> Run {
        on(&self.database.url(), arguments).ends(0)
    }

    /// Whether the database is as after the fix. It must be that, or as before, and the ledger must agree.
    async fn is_fixed(&mut self) -> bool {
        let now = state(&mut self.connection, &["evodoctor"]).await;
        let is_fixed = now == self.after;
        assert!(is_fixed || now == self.before, "the database is neither as before nor as after");
        let history = self.run(&["history", "--format", "json"]).json();
        let runs = history["runs"].as_array().expect("a list");
        let standing = runs.iter().filter(|run| run["undone_at"] == Value::Null).count();
        assert_eq!(standing, usize::from(is_fixed), "the ledger does not tell the truth: {history}");
        is_fixed
    }

    /// The newest run that was not undone.
    fn standing(&self) -> String {
        self.run(&["history", "--format", "json"]).json()["runs"][0]["run"].to_string()
    }

    /// Waits until the server has no other session here: then nothing of ours is at work or holds a lock.
    async fn quiet(&mut self) {
        let others = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND pid NOT IN (pg_backend_pid(), $1)
            AND backend_type = 'client backend'";
        let started = Instant::now();
        let left = async |connection: &mut PgConnection, spared: i32| -> i64 {
            sqlx::query_scalar(others).bind(spared).fetch_one(connection).await.expect("readable")
        };
        while left(&mut self.connection, self.spared).await > 0 {
            assert!(started.elapsed() < Duration::from_secs(10), "a session of ours stays");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(&mut self, mut child: Child, end: End) -> Run {
        match end {
            End::Killed => child.kill().expect("a child"),
            End::Interrupted => {
                // The program may have ended by itself.
                let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).output();
            }
            End::Disconnected => {
                let sql = format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
                     AND pid NOT IN (pg_backend_pid(), {}) AND backend_type = 'client backend'",
                    self.spared
                );
                execute(&mut self.connection, &sql).await;
            }
        }
        let run = tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends");
        self.quiet().await;
        run
    }
}

/// What the program says must be what is.
fn expect_truth(run: &Run, end: End, done: bool, moment: u32) {
    let told = format!("{end:?} at moment {moment}, done: {done}: {run:?}");
    match (run.code, end) {
        (Some(0), _) => assert!(done, "{told}"),
        // Killed, or interrupted before anything was begun that Ctrl-C would have to undo.
        (None, End::Killed | End::Interrupted) => {}
        (Some(2), End::Interrupted) => {
            assert!(!done, "{told}");
            assert!(run.stderr.contains("nothing has been changed"), "{told}");
        }
        (Some(2), End::Disconnected) => {
            assert!(!done, "{told}");
            assert!(run.stdout.is_empty(), "{told}");
        }
        _ => panic!("{told}"),
    }
    if end == End::Interrupted && done {
        assert_eq!(run.code, Some(0), "{told}");
    }
}

/// Ends runs at `moments` moments spread over the time that a whole run takes.
async fn interrupted(moments: u32, undoing: bool) {
    let mut patient = Patient::new().await;
    let mut started = Instant::now();
    patient.run(&FIX);
    let mut whole = started.elapsed();
    patient.after = state(&mut patient.connection, &["evodoctor"]).await;
    assert!(patient.is_fixed().await);
    started = Instant::now();
    patient.run(&["undo", "1", "--apply"]);
    if undoing {
        whole = started.elapsed();
        patient.run(&FIX);
    }
    let (mut done_by_then, mut undone_by_then) = (0, 0);
    for moment in 0..moments {
        let number = if undoing { patient.standing() } else { String::new() };
        let arguments = if undoing { vec!["undo", &number, "--apply"] } else { FIX.to_vec() };
        let end = ENDS[(moment + moment / 7) as usize % ENDS.len()];
        let child = start_on(&patient.database.url(), &arguments);
        // Seven moments from the start to after the end, three times over, each time with another end.
        let part = moment % 7;
        tokio::time::sleep(whole * part / 5).await;
        let run = patient.end(child, end).await;
        let done = patient.is_fixed().await != undoing;
        expect_truth(&run, end, done, moment);
        if !done {
            undone_by_then += 1;
            if part > 5 {
                // It ought to have been done: the machine is busier by now.
                whole = whole * 3 / 2;
            }
            continue;
        }
        // The next run goes on from there.
        done_by_then += 1;
        if undoing {
            patient.run(&FIX);
        } else {
            let number = patient.standing();
            patient.run(&["undo", &number, "--apply"]);
        }
        assert_eq!(patient.is_fixed().await, undoing);
    }
    assert!(done_by_then > 0 && undone_by_then > moments / 5, "{done_by_then} done, {undone_by_then} not");
    // Nothing of it keeps the next run from working.
    if !undoing {
        patient.run(&FIX);
        assert!(patient.is_fixed().await);
    }
}

#[tokio::test]
async fn a_fix_that_is_cut_off_is_all_or_nothing() {
    interrupted(21, false).await;
}

#[tokio::test]
async fn an_undo_that_is_cut_off_is_all_or_nothing() {
    interrupted(21, true).await;
}

/// The moment that matters most, held still: the rows are treated, and the ledger is about to say so.
#[tokio::test]
async fn rows_and_ledger_are_one() {
    let mut patient = Patient::new().await;
    // Makes the ledger.
    patient.run(&FIX);
    patient.after = state(&mut patient.connection, &["evodoctor"]).await;
    patient.run(&["undo", "1", "--apply"]);
    let waits =
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'evodoctor.run'::regclass)";
    for end in ENDS {
        // It may be read and not written.
        let mut reader = patient.database.connect().await;
        execute(&mut reader, "BEGIN; LOCK TABLE evodoctor.run IN SHARE MODE").await;
        patient.spared = backend(&mut reader).await;
        let child = start_on(&patient.database.url(), &FIX);
        while !sqlx::query_scalar::<_, bool>(waits)
            .fetch_one(&mut patient.connection)
            .await
            .expect("readable")
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let run = patient.end(child, end).await;
        execute(&mut reader, "COMMIT").await;
        reader.close().await.expect("it is ours to close");
        assert_ne!(run.code, Some(0), "{run:?}");
        assert!(!patient.is_fixed().await, "{end:?}");
    }
    patient.run(&FIX);
    assert!(patient.is_fixed().await);
}
