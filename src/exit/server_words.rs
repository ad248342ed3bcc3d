//! The server's own words, fit to be shown: without values of rows, which may be secrets, and with what to do.

/// The server's message without values of rows: data exceptions (class 22) quote what they do not understand.
pub fn without_values<'a>(sqlstate: &str, message: &'a str) -> &'a str {
    match message.split_once(": \"") {
        Some((what, _)) if sqlstate.starts_with("22") => what,
        _ => message,
    }
}

/// What an error of the driver says: for one of the server its message and SQLSTATE. Its place in Postgres's source, which
/// the driver adds, helps nobody.
pub fn describe(error: &sqlx::Error) -> String {
    match error.as_database_error() {
        Some(error) => {
            let state = error.code().unwrap_or_default();
            format!("the server says: {} (SQLSTATE {state})", without_values(&state, error.message()))
        }
        None => error.to_string(),
    }
}

/// What to do about an error of the server, where that does not depend on what was being done.
pub fn next(error: &sqlx::Error) -> Option<&'static str> {
    match error.as_database_error()?.code()?.as_ref() {
        "22021" => Some(
            "this database checks no encoding (SQL_ASCII) and holds bytes that are no UTF-8, which nobody can show or keep \
             in jsonb; find them with convert_from(COLUMN::bytea, 'UTF8'), which fails on them, and put them right",
        ),
        "22P05" => Some(
            "this database's encoding cannot hold every character, which Evolution itself needs: dump it, and restore it into \
             a database with ENCODING 'UTF8'",
        ),
        "25006" => Some("connect to the primary, as a role that may write"),
        "40001" => Some(
            "if this is a standby: set hot_standby_feedback = on there, or raise max_standby_streaming_delay; then try again",
        ),
        "42501" => {
            Some("connect as the owner of Evolution's tables, or have the owner GRANT what is missing")
        }
        "53100" => Some("free disk space for the server, then run it again; what was begun is rolled back"),
        "55P03" => Some(
            "somebody has a table for himself that this needs (ALTER TABLE, TRUNCATE, VACUUM FULL): try again when that is done",
        ),
        "57014" => Some(
            "raise statement_timeout for this role (options=-c%20statement_timeout%3D0 in the URL), then try again",
        ),
        "57P01" | "57P02" | "57P03" => Some("see why the server ended the connection, then run it again"),
        _ => None,
    }
}
