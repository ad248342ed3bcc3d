//! How long a change waits for locks, and how it avoids blocking others while it waits.
//!
//! A queued strong lock blocks every later request, even weak ones that are compatible with the current holders. So
//! each attempt waits only for a short time, and lets all others through before the next one. The timeouts and the
//! pauses grow, so that a lock that is held for long is requested seldom. Jitter avoids retrying in step with other
//! tools.
//!
//! Each attempt also learns from those before it. If writers lock two tables in one order, and a change locks them in
//! the other, they block each other every time. So a table that was not acquired is locked first in the next attempt:
//! the order becomes that of the writers.

use std::time::{Duration, Instant};

use rand::Rng;

use super::blockers::Blocker;
use super::{LockMode, LockTimeout};

/// The first lock timeout, and the longest.
const MOMENTS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));

/// The first pause, and the longest. Each is longer than the timeout before it, even with jitter.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// A worker of autovacuum yields to a session that has waited for `deadlock_timeout`. If that is longer, it may finish.
const LONGEST_FOR_AUTOVACUUM: Duration = Duration::from_secs(3);

/// The settings of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockAttempt {
    /// The time that it may be in a queue, for one step's tables together.
    pub moment: Duration,
    /// Tables to lock first, and how: those that earlier attempts did not get, the last one first.
    pub first: Vec<(String, LockMode)>,
    /// True if it is rolled back in any case.
    pub is_dry_run: bool,
    /// The time that it may block writers, if there is a limit.
    pub max_lock: Option<Duration>,
}

/// The attempts of one change to get its locks.
#[derive(Debug)]
pub struct LockRetry {
    begun: Instant,
    limit: Duration,
    /// The number of attempts that have failed.
    failed: u32,
    /// The timeout of the next attempt that makes a worker of autovacuum yield.
    for_autovacuum: Option<Duration>,
    missed: Vec<(String, LockMode)>,
    is_dry_run: bool,
    max_lock: Option<Duration>,
}

impl LockRetry {
    /// Tries at least once, and again as long as this lasts.
    pub fn new(limit: Duration) -> Self {
        Self {
            begun: Instant::now(),
            limit,
            failed: 0,
            for_autovacuum: None,
            missed: Vec::new(),
            is_dry_run: false,
            max_lock: None,
        }
    }

    /// Of a change that is rolled back in any case.
    #[must_use]
    pub fn dry_run(self, is_dry_run: bool) -> Self {
        Self { is_dry_run, ..self }
    }

    /// Each attempt may block writers for this long.
    #[must_use]
    pub fn max_lock(self, max_lock: Option<Duration>) -> Self {
        Self { max_lock, ..self }
    }

    /// The next attempt.
    pub fn attempt(&self) -> LockAttempt {
        let growing = MOMENTS.0.mul_f64(1.5_f64.powi(i32::try_from(self.failed.min(10)).unwrap_or(10)));
        let moment = self.for_autovacuum.unwrap_or(growing.min(MOMENTS.1));
        LockAttempt {
            moment,
            first: self.missed.clone(),
            is_dry_run: self.is_dry_run,
            max_lock: self.max_lock,
        }
    }

    /// An attempt has failed on this lock, because of these sessions. Returns the pause before the next one; `None` if
    /// there is none any more.
    pub fn pause(&mut self, timeout: &LockTimeout, blockers: &[Blocker]) -> Option<Duration> {
        self.learn(timeout);
        let left = self.limit.saturating_sub(self.begun.elapsed());
        if left.is_zero() {
            self.failed += 1;
            return None;
        }
        let base = PAUSES.0.saturating_mul(1 << self.failed.min(8)).min(PAUSES.1);
        let jittered = base.mul_f64(rand::rng().random_range(0.75..=1.25));
        self.failed += 1;
        self.for_autovacuum = for_autovacuum(blockers);
        Some(jittered.min(left))
    }

    fn learn(&mut self, timeout: &LockTimeout) {
        // A statement may meet a lock on any of several tables, or on a row: there is no order to learn from.
        let ([missed], true) = (timeout.tables.as_slice(), timeout.is_sure) else { return };
        let known = self.missed.iter().position(|(table, _)| table == missed);
        let before = known.map(|position| self.missed.remove(position).1);
        // Locking a table first weakly and then strongly would mean waiting twice.
        let mode = before.map_or(timeout.mode, |mode| mode.max(timeout.mode));
        self.missed.insert(0, (missed.clone(), mode));
    }

    /// The number of attempts that have failed.
    pub fn failed(&self) -> u32 {
        self.failed
    }

    /// Returns the time that is left.
    pub fn left(&self) -> Duration {
        self.limit.saturating_sub(self.begun.elapsed())
    }

    /// Returns the time since the first attempt.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// A value for `--wait` to suggest when the time was too short.
    pub fn suggestion(&self) -> Duration {
        Duration::from_secs(60 * (self.limit.as_secs() * 10).div_ceil(60).max(5))
    }
}

/// Returns the time to wait if only workers of autovacuum block the change, which yield.
fn for_autovacuum(blockers: &[Blocker]) -> Option<Duration> {
    let holders = || blockers.iter().filter(|blocker| blocker.holds);
    let gives_way = |blocker: &Blocker| blocker.is_autovacuum && !blocker.prevents_wraparound;
    if holders().next().is_none() || !holders().all(gives_way) {
        return None;
    }
    let after = holders().map(|blocker| blocker.deadlock_timeout_ms).max()?;
    let moment = Duration::from_millis(u64::try_from(after).ok()?) + Duration::from_millis(250);
    (moment <= LONGEST_FOR_AUTOVACUUM).then_some(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missed(table: Option<&str>, mode: LockMode) -> LockTimeout {
        let (schema, is_sure) = ("evolution_api".to_owned(), table.is_some());
        let tables = vec![table.unwrap_or("Contact").to_owned()];
        LockTimeout { schema, tables, mode, is_sure }
    }

    #[test]
    fn the_last_missed_table_is_locked_first_with_its_strongest_mode() {
        let mut lock_retry = LockRetry::new(Duration::from_secs(3600));
        let mut learned = |table: Option<&str>, mode| {
            lock_retry.pause(&missed(table, mode), &[]);
            lock_retry.attempt().first
        };
        assert_eq!(learned(None, LockMode::AccessExclusive), []);
        let (chat, message) = ("Chat".to_owned(), "Message".to_owned());
        let strong = (message.clone(), LockMode::AccessExclusive);
        assert_eq!(learned(Some("Message"), LockMode::AccessExclusive), std::slice::from_ref(&strong));
        let weak = (chat, LockMode::ShareRowExclusive);
        assert_eq!(learned(Some("Chat"), LockMode::ShareRowExclusive), [weak.clone(), strong.clone()]);
        assert_eq!(learned(Some("Message"), LockMode::ShareRowExclusive), [strong, weak]);
    }

    #[test]
    fn timeouts_and_pauses_grow_and_pauses_are_longer() {
        let mut lock_retry = LockRetry::new(Duration::from_secs(3600));
        let (mut moments, mut pauses) = (Vec::new(), Vec::new());
        for _ in 0..12 {
            moments.push(lock_retry.attempt().moment);
            pauses.push(lock_retry.pause(&missed(None, LockMode::AccessExclusive), &[]).unwrap());
        }
        assert!(moments.windows(2).all(|pair| pair[0] <= pair[1]), "{moments:?}");
        assert_eq!((moments[0], moments[11]), MOMENTS);
        assert!(moments.iter().zip(&pauses).all(|(moment, pause)| pause > moment), "{moments:?} {pauses:?}");
        assert!(pauses[0] < pauses[2] && pauses[2] < pauses[4], "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= PAUSES.1.mul_f64(1.25)), "{pauses:?}");
    }

    #[test]
    fn it_tries_once_at_least_and_ends() {
        let mut lock_retry = LockRetry::new(Duration::ZERO);
        assert_eq!(lock_retry.pause(&missed(None, LockMode::AccessExclusive), &[]), None);
        assert_eq!(lock_retry.failed(), 1);
    }
}
