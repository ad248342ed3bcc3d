//! Errors that block one fix and no other: it is rolled back to its savepoint and left to a person, with the reason.
//! Errors that concern the whole run (locks, the connection, the server's resources) end the run instead.

use crate::database::query::sqlstate;
use crate::error::sqlstate::describe_error;
use crate::error::{self, UserError, user_error_caused_by};
use crate::redact;
use crate::repair::apply_fix::FixOutcome;
use crate::repair::fix::Fix;
use crate::repair::locks::{LockTimeout, LockedTooLong};
use crate::rules::finding::Finding;

/// The classes of SQLSTATE (Postgres's manual, appendix A) that speak of a statement and of what it met: cardinality, data,
/// integrity, dependent objects, names and rights, triggers and functions of the user's, the state of an object, a limit of
/// the program's, and what is not supported.
const OF_ONE_STATEMENT: &[&str] =
    &["0A", "21", "22", "23", "27", "2B", "2F", "38", "39", "42", "44", "54", "55", "P0"];

/// A fix that was tried behind a savepoint.
pub(super) enum FixAttempt {
    Done(Box<FixOutcome>),
    /// An error of this fix alone: it is rolled back, and the run continues.
    Blocked(Obstacle),
}

/// Why a fix was left to a person.
#[derive(Debug)]
pub(super) struct Obstacle {
    reason: String,
    next: Option<String>,
    /// The error itself, for a run in which it is all there is.
    pub(super) error: anyhow::Error,
}

impl Obstacle {
    /// The part of an error that concerns this fix.
    ///
    /// # Errors
    /// The same error, where the run cannot go on.
    pub(super) fn within(error: anyhow::Error, schema: &str) -> Result<Self, anyhow::Error> {
        if !concerns_one_fix(&error, schema) {
            return Err(error);
        }
        let mut reasons: Vec<String> = Vec::new();
        for cause in error.chain() {
            let server = cause.downcast_ref::<sqlx::Error>();
            let text = redact::redact_text(&server.map_or_else(|| cause.to_string(), describe_error));
            // The name of our SQL file is left out: -vv shows the statement.
            if !text.starts_with("while running sql/") {
                reasons.push(text.split_whitespace().collect::<Vec<_>>().join(" "));
            }
            if server.is_some() {
                break;
            }
        }
        Ok(Self { reason: reasons.join(": "), next: error::explicit_hint(&error).map(str::to_owned), error })
    }

    /// The finding, left to a person for this reason.
    pub(super) fn leave(&self, mut finding: Finding) -> Finding {
        finding.is_fixable = false;
        finding.detail.push_str(&format!("; left to you, because its fix is blocked: {}", self.reason));
        if let Some(next) = &self.next {
            finding.detail.push_str(&format!("; next: {next}"));
        }
        finding
    }
}

/// True if other fixes can continue after an error: it is one of ours about this fix, or of the server about its
/// statement.
fn concerns_one_fix(error: &anyhow::Error, schema: &str) -> bool {
    let ends_the_run = error.chain().any(|cause| cause.is::<LockedTooLong>())
        || LockTimeout::within(error, schema).is_some();
    match error.chain().find_map(|cause| cause.downcast_ref::<sqlx::Error>()) {
        _ if ends_the_run => false,
        Some(server) => sqlstate(server)
            .is_some_and(|state| OF_ONE_STATEMENT.iter().any(|class| state.starts_with(class))),
        None => error.chain().any(|cause| cause.is::<UserError>()),
    }
}

/// Names the fix with which the run ended.
pub(super) fn not_carried_out(error: anyhow::Error, fix: &Fix) -> anyhow::Error {
    if let Some(timeout) = error.chain().find_map(|cause| cause.downcast_ref::<LockedTooLong>()) {
        return LockedTooLong { code: Some(fix.code.clone()), ..timeout.clone() }.into();
    }
    let what = format!("{} could not be done; everything was rolled back", fix.code);
    match error::explicit_hint(&error) {
        Some(_) => error.context(what),
        None => user_error_caused_by(error, what, format!("skip it and do the rest: --ignore {}", fix.code)),
    }
}
