//! Errors that say what to do next.

pub mod sqlstate;

use std::fmt;
use std::io;

/// An error that a person can act on: what is wrong, and what to type next.
#[derive(Debug)]
pub struct UserError {
    message: String,
    next: String,
    cause: Option<anyhow::Error>,
}

/// An error with its hint. `anyhow::Error` carries it up to `main`.
pub fn user_error(message: impl Into<String>, next: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(UserError { message: message.into(), next: next.into(), cause: None })
}

/// The same, caused by another error.
pub fn user_error_caused_by(
    cause: anyhow::Error,
    message: impl Into<String>,
    next: impl Into<String>,
) -> anyhow::Error {
    anyhow::Error::new(UserError { message: message.into(), next: next.into(), cause: Some(cause) })
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for UserError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| cause.as_ref() as &(dyn std::error::Error + 'static))
    }
}

/// The hint of this very error, if it has one.
pub fn explicit_hint(error: &anyhow::Error) -> Option<&str> {
    let ours = error.chain().find_map(|cause| cause.downcast_ref::<UserError>());
    let servers =
        || error.chain().filter_map(|cause| cause.downcast_ref::<sqlx::Error>()).find_map(sqlstate::hint);
    ours.map(|failure| failure.next.as_str()).or_else(servers)
}

/// The hint for an error: its own, else the one for errors of its kind.
pub fn hint(error: &anyhow::Error) -> &str {
    let of_files = || error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()).map(of_a_file);
    let of_servers = || error.chain().find_map(|cause| cause.downcast_ref::<sqlx::Error>()).map(of_a_server);
    explicit_hint(error).or_else(of_servers).or_else(of_files).unwrap_or(
        "run it again with -vv, which shows the last statement on stderr; if the error stays, report it with \
         that output",
    )
}

/// Rewords the hint of an error, if it has one of its own.
pub fn reword_hint(error: &mut anyhow::Error, reword: impl FnOnce(&str) -> String) {
    if let Some(ours) = error.downcast_mut::<UserError>() {
        ours.next = reword(&ours.next);
    }
}

fn of_a_file(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path: the file or its folder does not exist",
        io::ErrorKind::PermissionDenied => {
            "run it as a user with the right, or change the file's permissions (ls -l shows them)"
        }
        io::ErrorKind::IsADirectory => "name a file: this is a folder",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free disk space, or use another folder",
        io::ErrorKind::ReadOnlyFilesystem => "use another folder: this file system is read-only",
        _ => "check that other programs can read and write the file",
    }
}

fn of_a_server(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::Database(_) => "read the server's log; -vv shows the statement that the server refused",
        _ => "the connection is lost: read the server's log, then evodoctor history for what was committed",
    }
}
