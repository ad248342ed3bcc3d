//! Detects a server that does not answer any more: how long all running statements have been without an answer. A
//! silent network sends no error, so a statement would wait for ever.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::url::ConnectTarget;

static PULSE: Mutex<Pulse> = Mutex::new(Pulse { under_way: 0, last: None, target: None });

struct Pulse {
    under_way: usize,
    /// When a statement was last sent or answered.
    last: Option<Instant>,
    /// The target of the newest connection.
    target: Option<ConnectTarget>,
}

/// A statement that waits for its answer, as long as this value lives.
#[derive(Debug)]
pub struct PendingStatement(());

impl PendingStatement {
    /// Begins to wait.
    pub fn start() -> Self {
        let mut pulse = pulse();
        pulse.under_way += 1;
        pulse.last = Some(Instant::now());
        Self(())
    }
}

impl Drop for PendingStatement {
    fn drop(&mut self) {
        let mut pulse = pulse();
        pulse.under_way = pulse.under_way.saturating_sub(1);
        pulse.last = Some(Instant::now());
    }
}

/// Remembers how to connect again.
pub fn remember_target(target: &ConnectTarget) {
    pulse().target = Some(target.clone());
}

/// Returns the target to connect to again, where statements are under way and none was sent or answered for this long.
pub fn silent_for(limit: Duration) -> Option<ConnectTarget> {
    let pulse = pulse();
    let is_silent = pulse.under_way > 0 && pulse.last.is_some_and(|last| last.elapsed() >= limit);
    pulse.target.clone().filter(|_| is_silent)
}

fn pulse() -> MutexGuard<'static, Pulse> {
    PULSE.lock().unwrap_or_else(PoisonError::into_inner)
}
