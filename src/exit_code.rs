//! The exit codes that other people's scripts rest on.

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
