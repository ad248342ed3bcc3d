//! Errors that end work on an open connection: a lost connection, a full disk, a limit of the server or of the pooler
//! in between. In words that say what to do.

use sqlx::error::DatabaseError;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::error;
use crate::error::sqlstate::lookup;

/// The hint if PgBouncer had no connection to give within its query_wait_timeout.
pub const POOL_USED_UP: &str = "every connection of the pool was in use for too long: close idle clients \
    (SHOW CLIENTS at PgBouncer's admin console), raise pool_size, or connect to Postgres directly";

/// How to keep statement_timeout from cancelling a statement.
const NO_STATEMENT_TIMEOUT: &str = "as the role's owner: ALTER ROLE … SET statement_timeout = 0, or add \
                                    options=-c%20statement_timeout%3D0 to the connection string";

/// A fault, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFault {
    /// The fault.
    pub message: String,
    /// The hint.
    pub next: String,
}

impl ServerFault {
    fn new(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { message: message.into(), next: next.into() }
    }

    /// The fault behind an error; `None` if the statement itself was wrong, or no statement is to blame.
    pub fn from_error(error: &anyhow::Error) -> Option<Self> {
        error.chain().filter_map(|cause| cause.downcast_ref::<sqlx::Error>()).find_map(Self::of_driver)
    }

    fn of_driver(error: &sqlx::Error) -> Option<Self> {
        match error {
            sqlx::Error::Database(error) => Self::of_server(error.as_ref()),
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => Some(Self::new(
                format!("the connection to the server was lost ({error})"),
                "check that the server runs and that the network is up, then try again",
            )),
            _ => None,
        }
    }

    /// By the error codes of Postgres's manual, appendix A.
    fn of_server(error: &dyn DatabaseError) -> Option<Self> {
        let (code, said) = (error.code().unwrap_or_default(), error.message());
        let (message, next) = match &*code {
            // PgBouncer's own errors come as a protocol violation.
            "08P01" => return Some(Self::of_pooler(said)),
            "57P01" => (
                "the server ended the connection: another session terminated this one, or the server is \
                    stopping",
                "read the server's log; when the server is back, try again",
            ),
            "57P02" => (
                "the server ended the connection, because another server process crashed; it is \
                    restarting",
                "read the server's log; when the server is back, try again",
            ),
            "57P03" => ("the server is starting, stopping or recovering", "try again in a moment"),
            "25P03" | "25P04" | "57P05" => (
                "the server ended the connection, because evodoctor was idle for too long (a stopped \
                    process, a suspended machine, a hanging network) or because of a timeout that \
                    the server sets",
                "try again; the settings are idle_in_transaction_session_timeout and transaction_timeout \
                    of the role, the database or the server",
            ),
            "57014" if said.contains("statement timeout") => (
                "the server cancelled a statement, because its statement_timeout is too short",
                NO_STATEMENT_TIMEOUT,
            ),
            "57014" if said.contains("user request") => {
                ("another session cancelled a statement (pg_cancel_backend)", "try again")
            }
            // Only the words distinguish the two, and they may be of any language.
            "57014" => (
                "the server cancelled a statement: its statement_timeout is too short, or another \
                    session cancelled it (pg_cancel_backend)",
                NO_STATEMENT_TIMEOUT,
            ),
            "40001" if is_fatal(error) => (
                "the standby ended the connection, to replay what the primary has changed since",
                "set hot_standby_feedback = on there or raise max_standby_streaming_delay, or ask the \
                    primary",
            ),
            "53100" => (
                "the server's disk is full",
                "free disk space on the server, then try again: the quarantine needs about the size of \
                    the rows that a fix removes or changes, and the WAL as much again",
            ),
            "53200" if has_hint(error, "max_locks_per_transaction") => (
                "the server's lock table is full",
                "raise max_locks_per_transaction on the server, or name fewer codes at once",
            ),
            "53200" => ("the server is out of memory", "read the server's log, then try again"),
            "XX001" | "XX002" => {
                let advice = lookup(&code)?;
                (advice.what, advice.next)
            }
            _ if code.starts_with("58") || is_of_storage(error) => (
                "the server cannot write to its disk",
                "read the server's log: the disk is full, a quota is used up, or the disk is broken",
            ),
            _ if is_fatal(error) => ("the server ended the connection", "read the server's log"),
            _ => return None,
        };
        Some(Self::new(format!("{message} ({said})"), next))
    }

    fn of_pooler(said: &str) -> Self {
        let says = format!("PgBouncer says: {said}");
        if said.contains("statement pool") {
            return Self::new(
                format!(
                    "this is PgBouncer in statement mode, which allows no transactions, and evodoctor \
                        needs them ({said})"
                ),
                "connect to Postgres directly, or to a pool in transaction or session mode: \
                    pool_mode=transaction behind this database's line in pgbouncer.ini's \
                    [databases], then RELOAD",
            );
        }
        let next = if said.contains("query_wait_timeout") {
            POOL_USED_UP
        } else if said.contains("timeout") {
            "that limit is set in pgbouncer.ini; connect to Postgres directly, or raise it"
        } else {
            "check that Postgres runs behind it, and PgBouncer's log; then try again"
        };
        Self::new(says, next)
    }
}

/// Adds a hint to an error of this kind that has none.
pub fn with_hint(error: anyhow::Error) -> anyhow::Error {
    match ServerFault::from_error(&error) {
        Some(ServerFault { message, next }) if error::explicit_hint(&error).is_none() => {
            error::user_error_caused_by(error, message, next)
        }
        _ => error,
    }
}

/// True if the connection is lost with this error, so that the outcome of a statement is unknown.
pub fn is_connection_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => is_fatal(error.as_ref()),
        _ => true,
    }
}

/// Names of settings are the same in every language.
fn has_hint(error: &dyn DatabaseError, setting: &str) -> bool {
    let error = error.try_downcast_ref::<PgDatabaseError>();
    error.and_then(PgDatabaseError::hint).is_some_and(|hint| hint.contains(setting))
}

/// True if the server failed to write a table's file (`mdextend` and the like in its source).
fn is_of_storage(error: &dyn DatabaseError) -> bool {
    let error = error.try_downcast_ref::<PgDatabaseError>();
    error.and_then(PgDatabaseError::routine).is_some_and(|routine| routine.starts_with("md"))
}

fn is_fatal(error: &dyn DatabaseError) -> bool {
    let error = error.try_downcast_ref::<PgDatabaseError>();
    error.is_some_and(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic))
}
