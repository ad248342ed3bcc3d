//! How a run ends: the exit codes that other people's scripts rest on, and errors that say what to do next.

pub mod server_words;

use std::fmt;
use std::io;
use std::process::ExitCode;

/// The outcome of a command, as its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: nothing at or above `--fail-on`; for `fix` nothing to do, or everything applied.
    Clean,
    /// 1: findings; for `fix` without `--apply` changes are pending.
    Findings,
    /// 2: the tool could not do its work.
    Failed,
    /// 3: no findings, but at least one check is undecided.
    Undecided,
}

impl Exit {
    /// As a number.
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Findings => 1,
            Self::Failed => 2,
            Self::Undecided => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// An error that a person can act on: what is wrong, and what to type next.
#[derive(Debug)]
pub struct Failure {
    message: String,
    next: String,
    cause: Option<anyhow::Error>,
}

/// An error with the step that mends it. `anyhow::Error` carries it up to `main`.
pub fn failure(message: impl Into<String>, next: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Failure { message: message.into(), next: next.into(), cause: None })
}

/// The same, where something else failed below.
pub fn failure_for(
    cause: anyhow::Error,
    message: impl Into<String>,
    next: impl Into<String>,
) -> anyhow::Error {
    anyhow::Error::new(Failure { message: message.into(), next: next.into(), cause: Some(cause) })
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| cause.as_ref() as &(dyn std::error::Error + 'static))
    }
}

/// The step that mends just this error, where one is known.
pub fn own_next(error: &anyhow::Error) -> Option<&str> {
    let ours = error.chain().find_map(|cause| cause.downcast_ref::<Failure>());
    let servers =
        || error.chain().filter_map(|cause| cause.downcast_ref::<sqlx::Error>()).find_map(server_words::next);
    ours.map(|failure| failure.next.as_str()).or_else(servers)
}

/// The step that mends an error: its own, else what helps with errors of its kind.
pub fn next(error: &anyhow::Error) -> &str {
    let of_files = || error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()).map(of_a_file);
    let of_servers = || error.chain().find_map(|cause| cause.downcast_ref::<sqlx::Error>()).map(of_a_server);
    own_next(error).or_else(of_servers).or_else(of_files).unwrap_or(
        "run it again with -vv, which shows the last statement on stderr; if it stays, report it with that",
    )
}

fn of_a_file(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path: the file, or the folder it is to be in, is not there",
        io::ErrorKind::PermissionDenied => {
            "run it as a user who may, or give this one the permission (ls -l shows it)"
        }
        io::ErrorKind::IsADirectory => "name a file: this is a folder",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room, or choose another place",
        io::ErrorKind::ReadOnlyFilesystem => "choose another place: this one takes no changes",
        _ => "see whether the file can be read and written with other programs",
    }
}

fn of_a_server(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::Database(_) => "see the server's log; -vv shows the statement that it refused",
        _ => "the connection is gone: see the server's log, then evodoctor history for what was committed",
    }
}
