//! A moment at which whatever statement is running ends, on the server itself: for as long as a transaction keeps others
//! waiting. There is one connection that changes something, and statements are sent from many places, so that the moment is
//! known to the one place that sends them.

use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    static UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Ends statements at a moment, for as long as this value lives.
#[derive(Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// From now on, for at most so long.
    pub fn after(limit: Duration) -> Self {
        let until = Instant::now() + limit;
        UNTIL.set(Some(until));
        Self(until)
    }

    /// Whether the moment has come.
    pub fn has_passed(&self) -> bool {
        Instant::now() >= self.0
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        UNTIL.set(None);
    }
}

/// The setting that ends the next statement in time, where there is a deadline. It ends with the transaction.
pub(super) fn setting() -> Option<String> {
    let left = UNTIL.get()?.saturating_duration_since(Instant::now());
    Some(format!("SET LOCAL statement_timeout = {}", left.as_millis().max(1)))
}
