//! How a run ends: the exit codes that other people's scripts rest on, and errors that say what to do next.

use std::fmt;
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
    because: Option<anyhow::Error>,
}

/// An error with the step that mends it. `anyhow::Error` carries it up to `main`.
pub fn failure(message: impl Into<String>, next: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Failure { message: message.into(), next: next.into(), because: None })
}

/// The same, with what it comes from.
pub fn failure_because(
    because: anyhow::Error,
    message: impl Into<String>,
    next: impl Into<String>,
) -> anyhow::Error {
    anyhow::Error::new(Failure { message: message.into(), next: next.into(), because: Some(because) })
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.because.as_ref().map(|error| &**error as &(dyn std::error::Error + 'static))
    }
}

/// The step that mends an error, where one is known.
pub fn next(error: &anyhow::Error) -> Option<&str> {
    error.chain().find_map(|cause| cause.downcast_ref::<Failure>()).map(|failure| failure.next.as_str())
}

/// Writes an error to stderr: the chain of causes, then the next step where one is known.
pub fn report(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
    if let Some(next) = next(error) {
        eprintln!("  next: {next}");
    }
}
