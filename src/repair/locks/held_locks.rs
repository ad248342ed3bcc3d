//! The locks that a change collects, how long it blocks writers by them, and when that limit is reached.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::{LockMode, MODES};
use crate::database::ident::SqlFragment;
use crate::database::lock_deadline::Deadline;
use crate::database::query::{query_file, sqlstate};
use crate::database::sql_file::Variables;

/// A lock that a change held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldLock {
    /// The table, with its schema.
    pub table: String,
    /// Postgres's name of the mode, such as `AccessExclusiveLock`: the strongest one held.
    pub mode: String,
    /// From when it first kept writers waiting (or, if it never did, from when it was first seen) until the transaction ended, in
    /// milliseconds.
    pub held_ms: u64,
}

/// The error when a change has blocked writers for too long.
#[derive(Debug, Clone, thiserror::Error)]
#[error("writers of {table} would have to wait for longer than {limit:?}")]
pub struct LockedTooLong {
    /// The table that was locked first.
    pub table: String,
    /// The limit.
    pub limit: Duration,
    /// The fix that was being carried out, where it is known.
    pub code: Option<String>,
    /// The number of rows that were to be treated by then.
    pub rows: u64,
    /// About how long it would take in all; not known before the first row is treated.
    pub estimate: Option<Duration>,
}

fn strength(mode: &str) -> usize {
    MODES.iter().position(|known| *known == mode).unwrap_or(MODES.len())
}

/// True if a mode blocks writers, who take ROW EXCLUSIVE.
fn blocks_writers(mode: &str) -> bool {
    strength(mode) >= strength("ShareLock")
}

#[derive(Debug, Clone)]
struct HeldTable {
    mode: String,
    since: Instant,
    step: usize,
}

/// Records which locks the transaction collects: for each table the strongest, since when, and in which step it came.
#[derive(Debug, Default)]
pub struct LockWatch {
    held: BTreeMap<String, HeldTable>,
    step: usize,
    limit: Option<Duration>,
    /// The time that others had waited before it began to watch.
    waited: Duration,
    deadline: Option<Deadline>,
    /// The table that first kept writers waiting, and since when.
    first: Option<(String, Instant)>,
    rows: u64,
    treated: u64,
}

/// The locks held at a savepoint: rolling back to it releases the later ones.
#[derive(Debug)]
pub struct HeldAtSavepoint {
    held: BTreeMap<String, HeldTable>,
    step: usize,
    is_waited_for: bool,
    rows: u64,
    treated: u64,
}

impl LockWatch {
    /// The locks held at a savepoint.
    pub fn savepoint(&self) -> HeldAtSavepoint {
        HeldAtSavepoint {
            held: self.held.clone(),
            step: self.step,
            is_waited_for: self.first.is_some(),
            rows: self.rows,
            treated: self.treated,
        }
    }

    /// The transaction rolled back to a savepoint, which released later locks.
    pub fn roll_back_to(&mut self, savepoint: HeldAtSavepoint) {
        self.held = savepoint.held;
        self.step = savepoint.step;
        self.rows = savepoint.rows;
        self.treated = savepoint.treated;
        if !savepoint.is_waited_for {
            self.first = None;
            self.deadline = None;
        }
    }

    /// Ends the statements of the transaction when writers have waited for so long.
    pub fn limited(limit: Option<Duration>) -> Self {
        Self::limited_after(limit, Duration::ZERO)
    }

    /// The same, in a transaction that others have waited for already.
    pub fn limited_after(limit: Option<Duration>, waited: Duration) -> Self {
        Self { limit, waited, ..Self::default() }
    }

    /// The next fix begins.
    pub fn next_fix(&mut self) {
        self.step += 1;
    }

    /// Records the locks held now. Those of mere reading are left out.
    pub async fn record_locks(&mut self, connection: &mut PgConnection) -> Result<()> {
        self.record_locks_since(connection, Instant::now()).await
    }

    /// The same, with new locks held since the start of the statement that took them, however long it ran.
    pub async fn record_locks_since(&mut self, connection: &mut PgConnection, since: Instant) -> Result<()> {
        for row in query_file(connection, "sql/catalog/locks.sql", &Variables::default()).await? {
            let (table, mode): (String, String) = (row.try_get("table_name")?, row.try_get("mode")?);
            if blocks_writers(&mode) {
                self.begin(&table);
            }
            self.note(table, mode, since);
        }
        Ok(())
    }

    /// Records locks that a dry run does without and that the change itself takes here.
    pub fn expect(&mut self, schema: &str, tables: &[String], mode: LockMode) {
        for table in tables {
            self.note(shown(schema, table), mode.as_pg_locks().to_owned(), Instant::now());
        }
    }

    /// Rows that a server may be writing are locked from here on.
    pub fn expect_row_locks(&mut self, schema: &str, table: &str) {
        self.begin(&shown(schema, table));
    }

    /// So many rows are going to be treated.
    pub fn expect_rows(&mut self, rows: u64) {
        self.rows += rows;
    }

    /// So many of them are.
    pub fn treated(&mut self, rows: u64) {
        self.treated += rows;
    }

    fn note(&mut self, table: String, mode: String, since: Instant) {
        let Some(held) = self.held.get_mut(&table) else {
            if strength(&mode) > strength("AccessShareLock") {
                self.held.insert(table, HeldTable { mode, since, step: self.step });
            }
            return;
        };
        if strength(&mode) <= strength(&held.mode) {
            return;
        }
        // What was held before let writers through: their waiting begins here.
        if blocks_writers(&mode) && !blocks_writers(&held.mode) {
            *held = HeldTable { mode, since, step: self.step };
        } else {
            held.mode = mode;
        }
    }

    fn begin(&mut self, table: &str) {
        if self.first.is_none() {
            self.first = Some((table.to_owned(), Instant::now()));
            self.deadline = self.limit.map(|limit| Deadline::start(limit.saturating_sub(self.waited)));
        }
    }

    /// Converts the server's error when the time is over: the reason is the limit, not the statement.
    pub fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        let is_up = self.deadline.as_ref().is_some_and(|deadline| {
            // The server's clock may be a moment ahead of ours.
            std::thread::sleep(Duration::from_millis(5));
            deadline.has_passed()
        });
        let ended = |cause: &sqlx::Error| sqlstate(cause).as_deref() == Some("57014");
        let was_ended = error.chain().filter_map(|cause| cause.downcast_ref::<sqlx::Error>()).any(ended);
        match (&self.first, self.limit) {
            (Some((table, since)), Some(limit)) if is_up && was_ended => {
                let share = self.rows as f64 / self.treated as f64;
                let estimate = (self.treated > 0 && share > 1.0).then(|| since.elapsed().mul_f64(share));
                LockedTooLong { table: table.clone(), limit, code: None, rows: self.rows, estimate }.into()
            }
            _ => error,
        }
    }

    /// Since when writers are kept waiting.
    pub fn locked_since(&self) -> Option<Instant> {
        self.first.as_ref().map(|(_, since)| *since)
    }

    /// Returns the time that writers have been kept waiting so far.
    pub fn locked_for(&self) -> Duration {
        self.first.as_ref().map(|(_, since)| since.elapsed()).unwrap_or_default()
    }

    /// The tables whose locks came before a turn.
    pub fn held_before(&self, step: usize) -> Vec<String> {
        let before = self.held.iter().filter(|(_, held)| held.step < step);
        before.map(|(table, _)| table.clone()).collect()
    }

    /// The locks that came in a step (from 1), held up to now: every lock stays until the transaction ends.
    pub fn held(&self, step: usize) -> Vec<HeldLock> {
        self.held
            .iter()
            .filter(|(_, held)| held.step == step)
            .map(|(table, held)| HeldLock {
                table: table.clone(),
                mode: held.mode.clone(),
                held_ms: u64::try_from(held.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            })
            .collect()
    }
}

/// A table as `format('%I.%I')` writes it, which `sql/catalog/locks.sql` does.
fn shown(schema: &str, table: &str) -> String {
    let one = |name: &str| {
        let is_plain = name
            .chars()
            .enumerate()
            .all(|(at, c)| c == '_' || c.is_ascii_lowercase() || (at > 0 && c.is_ascii_digit()));
        if is_plain { name.to_owned() } else { SqlFragment::ident(name).to_string() }
    };
    format!("{}.{}", one(schema), one(table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_mode_since_writers_had_to_wait() {
        let mut watch = LockWatch::default();
        watch.next_fix();
        watch.note("t".into(), "RowExclusiveLock".into(), Instant::now());
        std::thread::sleep(Duration::from_millis(20));
        watch.next_fix();
        let blocked = Instant::now();
        watch.note("t".into(), "ShareRowExclusiveLock".into(), blocked);
        std::thread::sleep(Duration::from_millis(20));
        watch.next_fix();
        watch.note("t".into(), "AccessExclusiveLock".into(), Instant::now());
        watch.note("t".into(), "RowShareLock".into(), Instant::now());
        let held = watch.held(2);
        assert_eq!(held.len(), 1, "in the turn in which writers had to wait");
        assert_eq!(held[0].mode, "AccessExclusiveLock");
        assert!(
            u128::from(held[0].held_ms) + 1 >= 20
                && u128::from(held[0].held_ms) <= blocked.elapsed().as_millis()
        );
        assert_eq!((watch.held(1), watch.held(3)), (vec![], vec![]));
    }

    #[test]
    fn names_are_written_as_the_server_does() {
        assert_eq!(shown("evolution_api", "Message"), "evolution_api.\"Message\"");
        assert_eq!(shown("e-1", "a1_b"), "\"e-1\".a1_b");
    }
}
