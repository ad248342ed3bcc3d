//! Errors that end work on an open connection: a lost connection, a full disk, a limit of the server or of the pooler
//! in between. In words that say what to do.

use sqlx::error::DatabaseError;

use crate::error::sqlstate::{self, CANNOT_WRITE, ends_connection};
use crate::error::{UserError, user_error_caused_by};

/// SQLSTATEs, or their classes, of errors that no statement is to blame for.
const ENDS_WORK: &[&str] = &["08P01", "25P03", "25P04", "53100", "53200", "57", "58", "XX001", "XX002"];

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

    fn of_server(error: &dyn DatabaseError) -> Option<Self> {
        let advice = sqlstate::advice(error)?;
        let code = error.code().unwrap_or_default();
        let ends_work = advice == CANNOT_WRITE
            || ends_connection(error)
            || ENDS_WORK.iter().any(|state| code.starts_with(state));
        ends_work.then(|| Self::new(format!("{} ({})", advice.what, error.message()), advice.next))
    }
}

/// Words an error of this kind, where nothing worded it for a person yet.
pub fn with_hint(error: anyhow::Error) -> anyhow::Error {
    match ServerFault::from_error(&error) {
        Some(ServerFault { message, next }) if !error.chain().any(|cause| cause.is::<UserError>()) => {
            user_error_caused_by(error, message, next)
        }
        _ => error,
    }
}

/// True if the connection is lost with this error, so that the outcome of a statement is unknown.
pub fn is_connection_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => ends_connection(error.as_ref()),
        _ => true,
    }
}
