//! The sessions that block a change, in words that say what to do about them.

use std::time::Duration;

use anyhow::Result;
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::LockTimeout;
use crate::database::ident::SqlFragment;
use crate::database::query::{self, execute, query_file};
use crate::database::sql_file::Variables;
use crate::text::escape::escape_control;
use crate::text::humanize;

/// One blocking session, or one prepared transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    /// The server process; a prepared transaction has none.
    pub pid: Option<i32>,
    /// The name of a prepared transaction.
    pub prepared: Option<String>,
    /// True if it holds the lock; otherwise it waits in the queue for it, ahead of us.
    pub holds: bool,
    /// The tables it is about, by name.
    pub tables: Vec<String>,
    /// True if it is a worker of autovacuum.
    pub is_autovacuum: bool,
    /// True if that worker does not yield to others.
    pub prevents_wraparound: bool,
    /// After how long a worker of autovacuum yields, in milliseconds.
    pub deadlock_timeout_ms: i64,
    role: Option<String>,
    application: Option<String>,
    client: Option<String>,
    state: Option<String>,
    transaction: StartedAt,
    query: StartedAt,
    /// The role that asks, where it may not see everything of this session.
    hidden_from: Option<String>,
}

/// A moment, and how many seconds ago that was.
#[derive(Debug, Clone, PartialEq, Eq)]
struct StartedAt(Option<(String, i64)>);

impl StartedAt {
    fn read(row: &PgRow, moment: &str, seconds: &str) -> sqlx::Result<Self> {
        let moment: Option<String> = row.try_get(moment)?;
        let seconds: Option<i64> = row.try_get(seconds)?;
        Ok(Self(moment.zip(seconds)))
    }

    fn describe(&self, what: &str) -> Option<String> {
        let (moment, seconds) = self.0.as_ref()?;
        Some(format!(
            "{what} since {moment}, {}",
            humanize::format_duration(Duration::from_secs(u64::try_from(*seconds).unwrap_or_default()))
        ))
    }
}

impl Blocker {
    /// Reads a row with the columns of `sql/catalog/blockers.sql`.
    ///
    /// # Errors
    /// When a column is missing or of another type.
    pub fn read(row: &PgRow) -> sqlx::Result<Self> {
        let asking: String = row.try_get("asking")?;
        Ok(Self {
            pid: row.try_get("pid")?,
            prepared: row.try_get("prepared")?,
            holds: row.try_get("holds")?,
            tables: row.try_get("tables")?,
            is_autovacuum: row.try_get("is_autovacuum")?,
            prevents_wraparound: row.try_get("prevents_wraparound")?,
            deadlock_timeout_ms: row.try_get("deadlock_timeout_ms")?,
            role: row.try_get("role")?,
            application: row.try_get("application")?,
            client: row.try_get("client")?,
            state: row.try_get("state")?,
            transaction: StartedAt::read(row, "since", "since_seconds")?,
            query: StartedAt::read(row, "query_since", "query_seconds")?,
            hidden_from: row.try_get::<bool, _>("is_hidden")?.then_some(asking),
        })
    }

    /// The session: the process, its application, role, state, and since when its transaction and its query run.
    pub fn describe(&self) -> String {
        let application = match (&self.application, self.is_autovacuum) {
            (_, true) if self.prevents_wraparound => Some("autovacuum, which prevents wraparound".to_owned()),
            (_, true) => Some("autovacuum".to_owned()),
            (None, _) if self.pid.is_some() => Some("unnamed application".to_owned()),
            (name, _) => name.clone(),
        };
        let transaction = if self.prepared.is_some() { "prepared" } else { "transaction" };
        let details = [
            application,
            self.role.as_ref().map(|role| format!("role {role}")),
            self.client.as_ref().map(|client| format!("from {client}")),
            self.state.clone(),
            self.transaction.describe(transaction),
            self.query.describe("query"),
            self.hidden_from.as_ref().map(|role| {
                format!("role {role} cannot see its state and times without GRANT pg_read_all_stats")
            }),
        ];
        let details = details.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let name = match (&self.pid, &self.prepared) {
            (Some(pid), _) => format!("process {pid}"),
            (None, Some(name)) => format!("prepared transaction {name:?}"),
            (None, None) => "a prepared transaction".to_owned(),
        };
        escape_control(&format!("{name} ({details})"))
    }

    /// The same, with its lock on the tables.
    pub fn describe_with_locks(&self) -> String {
        const SHOWN: usize = 3;
        let mut tables = self.tables.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        if self.tables.len() > SHOWN {
            tables.push_str(&format!(" and {} more", self.tables.len() - SHOWN));
        }
        let does = if self.holds { "holds a lock on" } else { "waits in the queue for" };
        format!("{} {does} {}", self.describe(), escape_control(&tables))
    }

    /// What to do about it.
    fn way_out(&self) -> String {
        match (&self.pid, &self.prepared) {
            (None, Some(name)) => {
                let name = SqlFragment::literal(name);
                format!(
                    "ask its owner for COMMIT PREPARED {name} or ROLLBACK PREPARED {name}; \
                     until then it keeps its locks, even after a restart"
                )
            }
            (None, None) => "end the prepared transaction: pg_prepared_xacts lists it".to_owned(),
            (Some(_), _) if self.is_autovacuum => {
                "let autovacuum finish (pg_stat_progress_vacuum shows how far it is), then try again"
                    .to_owned()
            }
            (Some(pid), _) => {
                format!(
                    "wait until it ends, or end it if its owner agrees: SELECT pg_terminate_backend({pid})"
                )
            }
        }
    }
}

/// Every session that blocks the given tables; those that hold a lock first, the oldest first. Empty if they have ended
/// since.
pub async fn blockers(connection: &mut PgConnection, timeout: &LockTimeout) -> Result<Vec<Blocker>> {
    let found = among(connection, timeout).await?;
    if found.is_empty() && !timeout.is_sure && !timeout.tables.is_empty() {
        return among(connection, &LockTimeout::somewhere(&timeout.schema)).await;
    }
    Ok(found)
}

async fn among(connection: &mut PgConnection, timeout: &LockTimeout) -> Result<Vec<Blocker>> {
    let variables = Variables::for_schema(&timeout.schema)
        .text("tables", serde_json::to_string(&timeout.tables)?)
        .text("modes", serde_json::to_string(timeout.mode.conflicts())?);
    // In a transaction: outside of one a pooler may send each message of a query to another server.
    query::begin_transaction(connection, "BEGIN READ ONLY").await?;
    let found = query_file(connection, "sql/catalog/blockers.sql", &variables).await?;
    execute(connection, "ROLLBACK".into()).await?;
    Ok(found.iter().map(Blocker::read).collect::<Result<_, _>>()?)
}

/// The holders of an advisory lock, in the open transaction: one phrase for each, or that they have ended.
pub(super) async fn lock_holder(connection: &mut PgConnection, key: i64) -> Result<String> {
    let variables = Variables::default().text("key", key.to_string());
    let found = query_file(connection, "sql/catalog/change_lock_holders.sql", &variables).await?;
    let who: Vec<String> =
        found.iter().map(|row| Ok(Blocker::read(row)?.describe())).collect::<sqlx::Result<_>>()?;
    Ok(if who.is_empty() { "it has just ended".to_owned() } else { who.join("; ") })
}

/// The blocking sessions in one sentence.
pub fn describe_blockers(blockers: &[Blocker], timeout: &LockTimeout) -> String {
    if blockers.is_empty() {
        return format!("{timeout}, and has ended since");
    }
    blockers.iter().map(Blocker::describe_with_locks).collect::<Vec<_>>().join("; ")
}

/// The hint.
pub fn suggest_next_step(blockers: &[Blocker], waited: &str) -> String {
    let first = blockers.first().map_or_else(|| "try again".to_owned(), Blocker::way_out);
    format!("{first}; --wait {waited} tries for longer")
}
