//! Which locks a change gathers, and how long it holds each.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use serde::Serialize;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::MODES;
use crate::database::run::rows;
use crate::database::script::Variables;

/// A lock that a change held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldLock {
    /// The table, with its schema.
    pub table: String,
    /// Postgres's name of the mode, such as `AccessExclusiveLock`: the strongest one held.
    pub mode: String,
    /// From when it was first seen until the transaction ended, in milliseconds.
    pub held_ms: u64,
}

fn strength(mode: &str) -> usize {
    MODES.iter().position(|known| *known == mode).unwrap_or(MODES.len())
}

/// Watches which locks the transaction gathers: per table the strongest, since when, and in which turn it came.
#[derive(Debug, Default)]
pub struct LockWatch {
    strongest: BTreeMap<String, (String, Instant, usize)>,
    turn: usize,
}

impl LockWatch {
    /// The next fix begins.
    pub fn next_turn(&mut self) {
        self.turn += 1;
    }

    /// Notes the locks held now. Those that come with merely looking are left out.
    pub async fn look(&mut self, connection: &mut PgConnection) -> Result<()> {
        self.look_since(connection, Instant::now()).await
    }

    /// The same, with new ones held since a moment: that of the statement which took them, however long it ran.
    pub async fn look_since(&mut self, connection: &mut PgConnection, since: Instant) -> Result<()> {
        for row in rows(connection, "sql/catalog/locks.sql", &Variables::default()).await? {
            let (table, mode): (String, String) = (row.try_get("table_name")?, row.try_get("mode")?);
            let known =
                self.strongest.get(&table).map_or(strength("AccessShareLock"), |(m, _, _)| strength(m));
            if strength(&mode) > known {
                self.strongest.insert(table, (mode, since, self.turn));
            }
        }
        Ok(())
    }

    /// What came in a turn (from 1), and is held up to now: every lock stays until the transaction ends.
    pub fn held(&self, turn: usize) -> Vec<HeldLock> {
        self.strongest
            .iter()
            .filter(|(_, (_, _, of))| *of == turn)
            .map(|(table, (mode, since, _))| HeldLock {
                table: table.clone(),
                mode: mode.clone(),
                held_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
            })
            .collect()
    }
}
