//! A limit on how long others wait for a transaction, enforced by the server: the running statement is cancelled in
//! time. There is one connection that changes something, and statements are sent from many places, so the limit is kept
//! in the one place that sends them.
//!
//! The time runs only while others wait: a session that starts to wait later has the whole limit ahead.

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
    /// No session waits now, and none may wait for longer than that.
    pub fn start(limit: Duration) -> Self {
        BOUND.set(Some(Bound { until: Instant::now() + limit, limit }));
        Self(())
    }

    /// True if the time is up.
    pub fn has_passed(&self) -> bool {
        BOUND.get().is_some_and(|bound| Instant::now() >= bound.until)
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        BOUND.set(None);
    }
}

/// The time that the next statement may take; `None` without a bound.
pub(super) fn time_left() -> Option<Duration> {
    Some(BOUND.get()?.until.saturating_duration_since(Instant::now()))
}

/// True if enough time has passed to ask again who waits.
pub(super) fn is_check_due() -> bool {
    let half = |bound: Bound| bound.until.saturating_duration_since(Instant::now()) < bound.limit / 2;
    BOUND.get().is_some_and(half)
}

/// No session waited at this moment.
pub(super) fn extend(asked: Instant) {
    if let Some(bound) = BOUND.get() {
        BOUND.set(Some(Bound { until: asked + bound.limit, ..bound }));
    }
}
