//! The server's messages, safe to show: without values of rows, which may be secrets, and with what to do.

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

/// The one table of hints for server errors, by SQLSTATE (Postgres's manual, appendix A). Errors during work, rules
/// about the server (EVO7xx) and refused connections all use it, so they say the same.
const ADVICE: &[(&[&str], &str, &str)] = &[
    (
        &["08001", "08006"],
        "the server does not answer",
        "check host and port, that Postgres runs, its listen_addresses, and the firewall; a container's name is known inside its \
         network only",
    ),
    (
        &["22021"],
        "this database checks no encoding and holds bytes that are not UTF-8",
        "this database checks no encoding (SQL_ASCII) and holds bytes that are not UTF-8, which cannot \
            be shown or kept in jsonb; find them with convert_from(COLUMN::bytea, 'UTF8'), which \
            fails on them, and correct them",
    ),
    (
        &["22P05"],
        "this database's encoding cannot hold every character",
        "this database's encoding cannot hold every character, which Evolution itself needs: dump it, and restore it into \
         a database with ENCODING 'UTF8'",
    ),
    (&["25006"], "the server takes no writes", "connect to the primary, as a role that may write"),
    (
        &["28000"],
        "pg_hba.conf refuses the connection",
        "allow the user from this machine in the server's pg_hba.conf and reload it; if the entry asks for TLS, add \
         sslmode=require",
    ),
    (
        &["28P01"],
        "the server refuses the password",
        "check the user and the password; special characters must be percent-encoded in the connection string (@ is %40, # is \
         %23, / is %2F, ? is %3F, % is %25), and ALTER ROLE … PASSWORD sets a new one",
    ),
    (&["3D000"], "the server has no such database", "check the database's name; psql -l lists them"),
    (
        &["40001"],
        "the server could not give a consistent view",
        "if this is a standby: set hot_standby_feedback = on there, or raise max_standby_streaming_delay; then try again",
    ),
    (
        &["42501"],
        "this role may not do that",
        "connect as the owner of Evolution's tables, or have the owner GRANT what is missing",
    ),
    (
        &["53100"],
        "the server's disk is full",
        "free disk space for the server, then run it again: nothing has been changed",
    ),
    (
        &["53200"],
        "the server is out of memory",
        "read the server's log, then try again; give the machine or the container more memory (shm_size \
            in a compose file), or raise max_locks_per_transaction if the log names it",
    ),
    (
        &["53300"],
        "the server has no connection left",
        "close connections, or raise max_connections; a connection_limit in Evolution's connection string leaves room",
    ),
    (
        &["55P03"],
        "a lock was not released in time",
        "another session holds a lock that blocks this (ALTER TABLE, TRUNCATE, VACUUM FULL): try again \
            when it has finished",
    ),
    (
        &["57014"],
        "the server cancelled a statement",
        "raise statement_timeout for this role (options=-c%20statement_timeout%3D0 in the URL), then try again",
    ),
    (
        &["57P01", "57P02"],
        "the server ended the connection",
        "read the server's log for why it ended the connection, then run it again",
    ),
    (
        &["57P03"],
        "the server is starting, stopping or recovering",
        "the server is starting, stopping or recovering; try again in a moment",
    ),
    (
        &["XX001", "XX002"],
        "a file of the database is damaged",
        "stop the server and copy its whole data directory before anything else; then restore the last good backup into a new \
         cluster. Where only an index is damaged, REINDEX repairs it. Where there is no backup, dump table by table to save what \
         can be read, and look at the disk before it is used again",
    ),
];

/// The entry for an SQLSTATE.
pub fn lookup(sqlstate: &str) -> Option<SqlstateAdvice> {
    let (_, what, next) = ADVICE.iter().find(|(states, ..)| states.contains(&sqlstate))?;
    Some(SqlstateAdvice { what, next })
}

/// The hint for an error of the server, if it does not depend on the current work.
pub fn hint(error: &sqlx::Error) -> Option<&'static str> {
    lookup(error.as_database_error()?.code()?.as_ref()).map(|advice| advice.next)
}
