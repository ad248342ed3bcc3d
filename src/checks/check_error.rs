//! Why a question of a check has no answer.

use std::fmt;

/// Why a question has no answer.
#[derive(Debug)]
pub enum CheckError {
    /// The server refused, or it cannot be asked: its check is undecided for this reason, and all others go on.
    Undecided(String),
    /// What this program promises does not hold, such as a column that one of its queries lacks: the run ends.
    Fatal(anyhow::Error),
}

/// The answer to a question.
pub type CheckResult<T> = Result<T, CheckError>;

impl<E: Into<anyhow::Error>> From<E> for CheckError {
    fn from(error: E) -> Self {
        Self::Fatal(error.into())
    }
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undecided(reason) => f.write_str(reason),
            Self::Fatal(error) => write!(f, "{error:#}"),
        }
    }
}

/// The answer; `None` if it is undecided and the reason does not matter.
///
/// # Errors
/// When it is a fault of this program.
pub fn if_decided<T>(answer: CheckResult<T>) -> anyhow::Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(CheckError::Undecided(_)) => Ok(None),
        Err(CheckError::Fatal(error)) => Err(error),
    }
}
