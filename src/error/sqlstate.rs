//! The server's messages, safe to show: without values of rows, which may be secrets, and with what to do.

use sqlx::error::DatabaseError;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// The server's message without values of rows: data exceptions (class 22) quote what they do not understand.
pub fn without_row_values<'a>(sqlstate: &str, message: &'a str) -> &'a str {
    match message.split_once(": \"") {
        Some((what, _)) if sqlstate.starts_with("22") => what,
        _ => message,
    }
}

/// The text of a driver error: for a server error its message and SQLSTATE. The place in Postgres's source, which the
/// driver adds, is left out.
pub fn describe_error(error: &sqlx::Error) -> String {
    match error.as_database_error() {
        Some(error) => {
            let state = error.code().unwrap_or_default();
            format!("the server says: {} (SQLSTATE {state})", without_row_values(&state, error.message()))
        }
        None => error.to_string(),
    }
}

/// The fault and the hint, if they do not depend on the current work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlstateAdvice {
    /// The fault.
    pub what: &'static str,
    /// The hint.
    pub next: &'static str,
}

/// Of the errors that share an SQLSTATE, those that an entry is for.
#[derive(Debug, Clone, Copy)]
enum Case {
    /// All that no entry before it is for.
    Any,
    /// Those whose message or hint has this text. Messages may be in any language: names in them are not.
    Says(&'static str),
    /// Those that a function of the server reports whose name begins so.
    ReportedBy(&'static str),
    /// Those that end the connection.
    EndsConnection,
}

impl Case {
    fn holds(self, error: &dyn DatabaseError) -> bool {
        let postgres = error.try_downcast_ref::<PgDatabaseError>();
        let hint = postgres.and_then(PgDatabaseError::hint).unwrap_or_default();
        let routine = postgres.and_then(PgDatabaseError::routine).unwrap_or_default();
        match self {
            Self::Any => true,
            Self::Says(text) => error.message().contains(text) || hint.contains(text),
            Self::ReportedBy(name) => routine.starts_with(name),
            Self::EndsConnection => ends_connection(error),
        }
    }
}

struct Entry {
    /// SQLSTATEs, or what they begin with.
    states: &'static [&'static str],
    case: Case,
    advice: SqlstateAdvice,
}

const fn entry(states: &'static [&'static str], case: Case, what: &'static str, next: &'static str) -> Entry {
    Entry { states, case, advice: SqlstateAdvice { what, next } }
}

/// The fault of a damaged file. The reason of a check that met one begins with it.
pub const DAMAGED: &str = "a file of the database is damaged";

/// Of a standby that cancels what reads rows which the primary has removed.
pub const RECOVERY_CONFLICT: SqlstateAdvice = SqlstateAdvice {
    what: "the standby ended the query, to replay what the primary has changed since",
    next: "set hot_standby_feedback = on there or raise max_standby_streaming_delay, or ask the primary",
};

/// Of a file of the server's that it cannot write.
pub const CANNOT_WRITE: SqlstateAdvice = SqlstateAdvice {
    what: "the server cannot write to its disk",
    next: "read the server's log: the disk is full, a quota is used up, or the disk is broken",
};

/// The hint for a statement_timeout that is too short.
const NO_STATEMENT_TIMEOUT: &str = "as the role's owner: ALTER ROLE … SET statement_timeout = 0, or add \
                                    options=-c%20statement_timeout%3D0 to the connection string";

/// The one table of words for the server's errors, by SQLSTATE (Postgres's manual, appendix A). Errors during work, checks
/// that are undecided, rules about the server (EVO7xx) and refused connections all use it, so they say the same. The first
/// entry that fits holds.
const ENTRIES: &[Entry] = &[
    entry(
        &["08001", "08006"],
        Case::Any,
        "the server does not answer",
        "check host and port, that Postgres runs, its listen_addresses, and the firewall; a container's name is known \
         inside its network only",
    ),
    // PgBouncer's own errors come as a protocol violation.
    entry(
        &["08P01"],
        Case::Says("statement pool"),
        "this is PgBouncer in statement mode, which allows no transactions, and evodoctor needs them",
        "connect to Postgres directly, or to a pool in transaction or session mode: pool_mode=transaction behind this \
         database's line in pgbouncer.ini's [databases], then RELOAD",
    ),
    entry(
        &["08P01"],
        Case::Says("unsupported startup parameter"),
        "PgBouncer accepts no settings from clients",
        "remove options from the connection string, or add them to ignore_startup_parameters in pgbouncer.ini, which \
         makes them ineffective",
    ),
    entry(
        &["08P01"],
        Case::Says("query_wait_timeout"),
        "every connection of PgBouncer's pool was in use for too long",
        "close idle clients (SHOW CLIENTS at PgBouncer's admin console), raise pool_size, or connect to Postgres \
         directly",
    ),
    entry(
        &["08P01"],
        Case::Says("timeout"),
        "PgBouncer ended the connection because of a time limit",
        "that limit is set in pgbouncer.ini; connect to Postgres directly, or raise it",
    ),
    entry(
        &["08P01"],
        Case::Any,
        "the connection was refused by PgBouncer, or something else between here and Postgres",
        "check PgBouncer's log, its [databases] and auth_file, and that Postgres runs behind it; or connect to Postgres \
         directly",
    ),
    entry(
        &["22021"],
        Case::Any,
        "a value is not UTF-8, and cannot be shown or kept in jsonb",
        "this database checks no encoding (SQL_ASCII): find such values with convert_from(COLUMN::bytea, 'UTF8'), \
         which fails on them, and correct them",
    ),
    entry(
        &["22P05"],
        Case::Any,
        "this database's encoding cannot hold every character",
        "dump this database, and restore it into one with ENCODING 'UTF8', which Evolution itself needs",
    ),
    entry(
        &["25006"],
        Case::Any,
        "the server takes no writes",
        "connect to the primary, as a role that may write",
    ),
    entry(
        &["25P03", "25P04", "57P05"],
        Case::Any,
        "the server ended the connection, because it was idle for too long (a stopped process, a suspended machine, a \
         hanging network) or because of a timeout that the server sets",
        "try again; the settings are idle_in_transaction_session_timeout, idle_session_timeout and transaction_timeout \
         of the role, the database or the server",
    ),
    entry(
        &["28000"],
        Case::ReportedBy("InitializeSessionUserId"),
        "the role does not exist, or may not log in",
        "check that the role exists and may log in",
    ),
    entry(
        &["28000"],
        Case::ReportedBy("auth_failed"),
        "the server refuses this way to log in",
        "log in as the server's pg_hba.conf asks for this user and this machine, or change its entry and reload it",
    ),
    entry(
        &["28000"],
        Case::Any,
        "pg_hba.conf refuses the connection",
        "allow the user from this machine in the server's pg_hba.conf and reload it; if the entry asks for TLS, add \
         sslmode=require",
    ),
    entry(
        &["28P01"],
        Case::Any,
        "the server refuses the password",
        "check the user and the password; special characters must be percent-encoded in the connection string (@ is \
         %40, # is %23, / is %2F, ? is %3F, % is %25), and ALTER ROLE … PASSWORD sets a new one",
    ),
    entry(
        &["3D000"],
        Case::Any,
        "the server has no such database",
        "check the database's name; psql -l lists them",
    ),
    entry(&["40001"], Case::EndsConnection, RECOVERY_CONFLICT.what, RECOVERY_CONFLICT.next),
    entry(
        &["40001"],
        Case::Any,
        "the server could not give a consistent view",
        "if this is a standby: set hot_standby_feedback = on there, or raise max_standby_streaming_delay; then try again",
    ),
    // A table's file cannot be written: the functions of md.c pass on what the operating system says.
    entry(&["42501", "XX000"], Case::ReportedBy("md"), CANNOT_WRITE.what, CANNOT_WRITE.next),
    entry(
        &["42501"],
        Case::Any,
        "this role may not do that",
        "connect as the owner of Evolution's tables, or have the owner GRANT what is missing",
    ),
    entry(
        &["53100"],
        Case::Any,
        "the server's disk is full",
        "free disk space on the server, then try again; a fix needs about the size of the rows that it removes or \
         changes, and the WAL as much again",
    ),
    entry(
        &["53200"],
        Case::Says("max_locks_per_transaction"),
        "the server's lock table is full",
        "raise max_locks_per_transaction on the server, or name fewer codes at once",
    ),
    entry(
        &["53200"],
        Case::Any,
        "the server is out of memory",
        "read the server's log, then try again; give the machine or the container more memory (shm_size in a compose \
         file), or raise max_locks_per_transaction if the log names it",
    ),
    entry(
        &["53300"],
        Case::Any,
        "the server has no connection left",
        "close connections, or raise max_connections; a connection_limit in Evolution's connection string leaves room",
    ),
    entry(
        &["55P03"],
        Case::Any,
        "a lock was not released in time",
        "another session holds a lock that blocks this (ALTER TABLE, TRUNCATE, VACUUM FULL): try again when it has \
         finished",
    ),
    entry(
        &["57014"],
        Case::Says("statement timeout"),
        "the server cancelled a statement, because its statement_timeout is too short",
        NO_STATEMENT_TIMEOUT,
    ),
    entry(
        &["57014"],
        Case::Says("user request"),
        "another session cancelled a statement with pg_cancel_backend",
        "try again",
    ),
    // Only the words distinguish the two, and they may be of any language.
    entry(
        &["57014"],
        Case::Any,
        "the server cancelled a statement: its statement_timeout is too short, or another session cancelled it with \
         pg_cancel_backend",
        NO_STATEMENT_TIMEOUT,
    ),
    entry(
        &["57P01"],
        Case::Any,
        "the server ended the connection: another session terminated this one, or the server is stopping",
        "read the server's log for the reason; when the server is back, try again",
    ),
    entry(
        &["57P02"],
        Case::Any,
        "the server ended the connection, because another server process crashed; it is restarting",
        "read the server's log for the reason; when the server is back, try again",
    ),
    entry(&["57P03"], Case::Any, "the server is starting, stopping or recovering", "try again in a moment"),
    entry(
        &["XX001", "XX002"],
        Case::Any,
        DAMAGED,
        "stop the server and copy its whole data directory before anything else; then restore the last good backup \
         into a new cluster. Where only an index is damaged, REINDEX repairs it. Where there is no backup, dump table \
         by table to save what can be read, and look at the disk before it is used again",
    ),
    entry(&["58"], Case::Any, CANNOT_WRITE.what, CANNOT_WRITE.next),
    entry(
        &[""],
        Case::EndsConnection,
        "the server ended the connection",
        "the message is the server's; its log may say more",
    ),
];

impl Entry {
    fn is_for(&self, sqlstate: &str) -> bool {
        self.states.iter().any(|state| sqlstate.starts_with(state))
    }
}

/// The advice for an SQLSTATE, where no error is at hand.
pub fn lookup(sqlstate: &str) -> Option<SqlstateAdvice> {
    let entry = ENTRIES.iter().find(|entry| matches!(entry.case, Case::Any) && entry.is_for(sqlstate))?;
    Some(entry.advice)
}

/// The advice for an error of the server, if it does not depend on the current work.
pub fn advice(error: &dyn DatabaseError) -> Option<SqlstateAdvice> {
    let sqlstate = error.code().unwrap_or_default();
    let entry = ENTRIES.iter().find(|entry| entry.is_for(&sqlstate) && entry.case.holds(error))?;
    Some(entry.advice)
}

/// The hint for an error of the server, if it does not depend on the current work.
pub fn hint(error: &sqlx::Error) -> Option<&'static str> {
    advice(error.as_database_error()?).map(|advice| advice.next)
}

/// True if the server ends the connection with this error.
pub fn ends_connection(error: &dyn DatabaseError) -> bool {
    let error = error.try_downcast_ref::<PgDatabaseError>();
    error.is_some_and(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_entry_hides_one_behind_it() {
        for (at, entry) in ENTRIES.iter().enumerate().filter(|(_, entry)| matches!(entry.case, Case::Any)) {
            let hidden =
                ENTRIES[at + 1..].iter().flat_map(|later| later.states).find(|state| entry.is_for(state));
            assert_eq!(hidden, None, "behind {}", entry.advice.what);
        }
    }

    #[test]
    fn without_an_error_the_advice_is_for_all_errors_of_the_sqlstate() {
        assert_eq!(lookup("57014").map(|advice| advice.next), Some(NO_STATEMENT_TIMEOUT));
        assert_eq!(lookup("28000").map(|advice| advice.what), Some("pg_hba.conf refuses the connection"));
        assert_eq!(lookup("58030"), Some(CANNOT_WRITE));
        assert_eq!(lookup("42703"), None);
    }
}
