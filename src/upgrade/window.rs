//! The window for an upgrade: compares the predicted or measured locks with the requests in each hour of the week.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::Preflight;
use super::locks::DdlLockMode;
use crate::access_log::traffic::{RouteKey, Traffic};
use crate::evolution::route_tables::{TableUse, table_use};

/// Hours of a week, from Monday at 0.
pub const HOURS: usize = 168;

/// Seconds of an hour.
const HOUR: f64 = 3600.0;

/// After so many seconds without an answer a proxy with nginx's defaults answers 504 by itself.
pub const PROXY_GIVES_UP: f64 = 60.0;

/// Clients that are named.
const MOST_CLIENTS: usize = 5;

/// A table that is locked for a time.
#[derive(Debug, Clone, PartialEq)]
pub struct LockedTable {
    /// The migration: what is locked in one is locked at the same time.
    pub migration: String,
    /// The table.
    pub table: String,
    /// True if reads wait too.
    pub blocks_reads: bool,
    /// For how long.
    pub seconds: f64,
}

/// The effect of the upgrade on the traffic.
#[derive(Debug, Clone, Serialize)]
pub struct UpgradeWindow {
    /// True if the times were measured by a rehearsal, or are predicted.
    pub measured: bool,
    /// True if the hours are in UTC, or on the clock of a log that does not say its zone.
    pub utc: bool,
    /// Requests that were counted.
    pub requests: u64,
    /// Hours that the log covers.
    pub covered: i64,
    /// About how long all migrations take, in seconds.
    pub seconds: f64,
    /// The longest that a request waits, in seconds.
    pub longest: f64,
    /// Each hour of the week, from Monday at 0.
    pub hours: Vec<HourOfWeek>,
    /// The hour in which least is waited, and of those the one with the fewest requests.
    pub best: Option<HourOfWeek>,
    /// The hour in which most is.
    pub worst: Option<HourOfWeek>,
    /// The clients with the most requests that have to wait.
    pub clients: Vec<WaitingClient>,
}

/// An hour of the week.
#[derive(Debug, Clone, Serialize)]
pub struct HourOfWeek {
    /// 0 is Monday.
    pub day: usize,
    /// From 0 to 23.
    pub hour: usize,
    /// Requests in a minute; `null` where the log does not cover the hour.
    pub per_minute: Option<f64>,
    /// The number of requests that wait while the migrations run.
    pub waiting: f64,
    /// The time that they wait together, in seconds.
    pub waited: f64,
    /// The number of requests that come while the migrations run: with the server stopped, so many get no answer.
    pub meanwhile: f64,
}

/// A client whose requests wait.
#[derive(Debug, Clone, Serialize)]
pub struct WaitingClient {
    /// Its address.
    pub client: String,
    /// Its requests in the log that would have to wait for a lock.
    pub requests: u64,
    /// The number of its requests it has ended itself in the log (499).
    pub given_up: u64,
    /// True if it would give up: it has done so before, or the wait is longer than a proxy's default.
    pub gives_up: bool,
}

/// The locks of the upgrade that block requests, and how long all of it takes; as measured, where it was rehearsed.
pub fn locked_tables(preflight: &Preflight) -> (Vec<LockedTable>, f64, bool) {
    if let Some(rehearsal) = preflight.rehearsal.as_ref().filter(|rehearsal| !rehearsal.files.is_empty()) {
        let locks = rehearsal.files.iter().flat_map(|file| file.locks.iter().map(move |lock| (file, lock)));
        let locks = locks.filter_map(|(file, lock)| {
            let blocks_reads = match lock.mode.as_str() {
                "AccessExclusiveLock" => true,
                "ShareLock" | "ShareRowExclusiveLock" | "ExclusiveLock" => false,
                _ => return None,
            };
            let seconds = seconds(lock.held_ms);
            // Its name has the schema.
            let table = lock.table.rsplit('.').next().unwrap_or_default().trim_matches('"').to_owned();
            Some(LockedTable { migration: file.name.clone(), table, blocks_reads, seconds })
        });
        let whole = rehearsal.files.iter().map(|file| seconds(file.duration_ms)).sum();
        return (locks.collect(), whole, true);
    }
    let locks = preflight.pending.iter().flat_map(|one| one.locks.iter().map(move |lock| (one, lock)));
    let locks = locks.filter(|(_, lock)| lock.mode > DdlLockMode::RowExclusive);
    let locks = locks.map(|(one, lock)| LockedTable {
        migration: one.name.to_owned(),
        table: lock.table.clone(),
        blocks_reads: lock.mode == DdlLockMode::AccessExclusive,
        seconds: lock.seconds,
    });
    (locks.collect(), preflight.pending.iter().map(|one| one.seconds).sum(), false)
}

#[expect(clippy::cast_precision_loss, reason = "a time")]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

/// Joins locks and traffic.
pub fn upgrade_window(locks: &[LockedTable], whole: f64, measured: bool, traffic: &Traffic) -> UpgradeWindow {
    let mut waits: HashMap<RouteKey, Vec<f64>> = HashMap::new();
    let routes = traffic.hours.values().flat_map(HashMap::keys);
    for route in routes {
        waits.entry(*route).or_insert_with(|| waits_of(*route, locks));
    }
    let (first, last) = (traffic.hours.keys().next(), traffic.hours.keys().next_back());
    let covered = first.zip(last).map_or(0, |(first, last)| last - first + 1);
    let mut seen = [0_u64; HOURS];
    let mut sums: Vec<HashMap<RouteKey, u64>> = vec![HashMap::new(); HOURS];
    if let (Some(first), Some(last)) = (first, last) {
        for hour in *first..=*last {
            let at = hour_of_week(hour);
            seen[at] += 1;
            for (route, count) in traffic.hours.get(&hour).into_iter().flatten() {
                *sums[at].entry(*route).or_default() += count;
            }
        }
    }
    let hours: Vec<HourOfWeek> = (0..HOURS).map(|at| hour(at, seen[at], &sums[at], &waits, whole)).collect();
    let known = || hours.iter().filter(|hour| hour.per_minute.is_some());
    let load = |a: &&HourOfWeek, b: &&HourOfWeek| {
        a.waited
            .total_cmp(&b.waited)
            .then(a.per_minute.unwrap_or(0.0).total_cmp(&b.per_minute.unwrap_or(0.0)))
    };
    let (best, worst) = (known().min_by(load).cloned(), known().max_by(load).cloned());
    let longest = waits.values().flatten().copied().fold(0.0, f64::max);
    let clients = clients(traffic, &waits, longest);
    let (utc, requests) = (traffic.has_zone, traffic.requests);
    UpgradeWindow { measured, utc, requests, covered, seconds: whole, longest, hours, best, worst, clients }
}

/// For each migration that a request on the route has to wait for, how long at most.
fn waits_of((method, route): RouteKey, locks: &[LockedTable]) -> Vec<f64> {
    let mut by_migration: BTreeMap<&str, f64> = BTreeMap::new();
    for lock in locks.iter().filter(|lock| lock.seconds > 0.0) {
        let waits = match table_use(method, route, &lock.table) {
            TableUse::Writes => true,
            TableUse::Reads => lock.blocks_reads,
            TableUse::None => false,
        };
        if waits {
            let longest = by_migration.entry(&lock.migration).or_default();
            *longest = longest.max(lock.seconds);
        }
    }
    by_migration.into_values().collect()
}

/// The hour of the week, from Monday at 0. 1970 began on a Thursday: hours are counted from there, so no calendar is needed.
fn hour_of_week(hour: i64) -> usize {
    usize::try_from((hour + 3 * 24).rem_euclid(168)).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "averages")]
fn hour(
    at: usize,
    seen: u64,
    sums: &HashMap<RouteKey, u64>,
    waits: &HashMap<RouteKey, Vec<f64>>,
    whole: f64,
) -> HourOfWeek {
    let mut one = HourOfWeek {
        day: at / 24,
        hour: at % 24,
        per_minute: None,
        waiting: 0.0,
        waited: 0.0,
        meanwhile: 0.0,
    };
    if seen == 0 {
        return one;
    }
    let mut all = 0.0;
    for (route, count) in sums {
        let rate = *count as f64 / seen as f64 / HOUR;
        all += rate;
        for longest in waits.get(route).into_iter().flatten() {
            // Who comes at the beginning waits until the end, who comes at the end does not.
            one.waiting += rate * longest;
            one.waited += rate * longest * longest / 2.0;
        }
    }
    one.per_minute = Some(all * 60.0);
    one.meanwhile = all * whole;
    one
}

fn clients(traffic: &Traffic, waits: &HashMap<RouteKey, Vec<f64>>, longest: f64) -> Vec<WaitingClient> {
    let is_waiting = |route: &RouteKey| waits.get(route).is_some_and(|waits| !waits.is_empty());
    let mut all: Vec<WaitingClient> = traffic
        .clients
        .iter()
        .map(|(client, known)| WaitingClient {
            client: client.clone(),
            requests: known
                .routes
                .iter()
                .filter(|(route, _)| is_waiting(route))
                .map(|(_, count)| count)
                .sum(),
            given_up: known.given_up,
            gives_up: known.given_up > 0 || longest >= PROXY_GIVES_UP,
        })
        .filter(|client| client.requests > 0)
        .collect();
    all.sort_by(|a, b| b.requests.cmp(&a.requests).then_with(|| a.client.cmp(&b.client)));
    all.truncate(MOST_CLIENTS);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEND: RouteKey = ("POST", "/message/sendText/:instanceName");
    const FIND: RouteKey = ("POST", "/chat/findMessages/:instanceName");
    const STATE: RouteKey = ("GET", "/instance/connectionState/:instanceName");

    fn lock(migration: &str, table: &str, blocks_reads: bool, seconds: f64) -> LockedTable {
        LockedTable { migration: migration.to_owned(), table: table.to_owned(), blocks_reads, seconds }
    }

    /// Two weeks; on Monday at 3 little comes, else an hour has 3600 requests that send and 360 that read.
    fn traffic() -> Traffic {
        let mut traffic = Traffic { has_zone: true, ..Traffic::default() };
        // 2024-01-01 was a Monday.
        let monday = 1_704_067_200 / 3600;
        for hour in 0..336 {
            let count = if hour % 168 == 3 { 36 } else { 3600 };
            let routes = [(SEND, count), (FIND, 360), (STATE, 60)];
            traffic.requests += routes.iter().map(|(_, count)| count).sum::<u64>();
            traffic.hours.insert(monday + hour, routes.into_iter().collect());
        }
        traffic
    }

    #[test]
    fn the_hour_with_the_least_waiting_is_the_best() {
        let locks = [
            lock("a", "Message", false, 10.0),
            // In the same migration, at the same time: nobody waits twice.
            lock("a", "Chat", false, 4.0),
            lock("b", "Message", true, 20.0),
        ];
        let window = upgrade_window(&locks, 40.0, false, &traffic());
        let best = window.best.as_ref().expect("known");
        assert_eq!((best.day, best.hour), (0, 3));
        // 0.01 a second send and wait 10 + 20 s; 0.1 a second read and wait for the second only.
        assert!((best.waiting - (0.01 * 30.0 + 0.1 * 20.0)).abs() < 1e-9, "{best:?}");
        let worst = window.worst.as_ref().expect("known");
        assert!((worst.waiting - (1.0 * 30.0 + 0.1 * 20.0)).abs() < 1e-9, "{worst:?}");
        assert!((worst.waited - (50.0 + 200.0 + 0.1 * 200.0)).abs() < 1e-9, "{worst:?}");
        assert!((worst.per_minute.unwrap() - (3600.0 + 360.0 + 60.0) / 60.0).abs() < 1e-9);
        assert!((worst.meanwhile - 4020.0 / 3600.0 * 40.0).abs() < 1e-9);
        assert!((window.longest - 20.0).abs() < 1e-9 && window.covered == 336);
    }

    #[test]
    fn what_the_log_does_not_cover_is_not_the_best() {
        let mut traffic = traffic();
        let first = *traffic.hours.keys().next().unwrap();
        traffic.hours.retain(|hour, _| *hour < first + 10);
        let window = upgrade_window(&[lock("a", "Message", true, 5.0)], 5.0, false, &traffic);
        assert_eq!(window.hours.iter().filter(|hour| hour.per_minute.is_some()).count(), 10);
        assert_eq!(window.best.map(|best| (best.day, best.hour)), Some((0, 3)));
        // Without a lock that anybody feels, the quietest hour.
        let window = upgrade_window(&[], 0.0, false, &traffic);
        assert_eq!(window.best.map(|best| (best.day, best.hour)), Some((0, 3)));
        assert!(window.clients.is_empty());
    }
}
