//! A bound on how long others wait for a transaction, kept by the server itself: the statement that is running ends in time.
//! There is one connection that changes something, and statements are sent from many places, so that the bound is known to
//! the one place that sends them.
//!
//! As long as nobody waits, nobody's time runs: whoever begins to wait after that has the whole bound ahead.

use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    static BOUND: Cell<Option<Bound>> = const { Cell::new(None) };
}

#[derive(Debug, Clone, Copy)]
struct Bound {
    until: Instant,
    limit: Duration,
}

/// Bounds the statements that are sent while this value lives.
#[derive(Debug)]
pub struct Deadline(());

impl Deadline {
    /// Nobody waits now, and nobody shall wait for longer than that.
    pub fn start(limit: Duration) -> Self {
        BOUND.set(Some(Bound { until: Instant::now() + limit, limit }));
        Self(())
    }

    /// Whether the time is up.
    pub fn has_passed(&self) -> bool {
        BOUND.get().is_some_and(|bound| Instant::now() >= bound.until)
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        BOUND.set(None);
    }
}

/// How long the next statement may take; `None` without a bound.
pub(super) fn time_left() -> Option<Duration> {
    Some(BOUND.get()?.until.saturating_duration_since(Instant::now()))
}

/// Whether so much time has gone that it is worth asking who waits.
pub(super) fn is_check_due() -> bool {
    let half = |bound: Bound| bound.until.saturating_duration_since(Instant::now()) < bound.limit / 2;
    BOUND.get().is_some_and(half)
}

/// Nobody waited at this moment.
pub(super) fn extend(asked: Instant) {
    if let Some(bound) = BOUND.get() {
        BOUND.set(Some(Bound { until: asked + bound.limit, ..bound }));
    }
}
