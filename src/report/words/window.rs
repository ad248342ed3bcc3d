//! The hours of the week in which an upgrade keeps more or fewer requests waiting, in words and shares.

use std::time::Duration;

use crate::text::humanize::{format_count, format_estimate};
use crate::upgrade::window::{HourOfWeek, UpgradeWindow, WaitingClient};

/// From Monday.
pub const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The quantity on the map.
pub fn heading(window: &UpgradeWindow) -> String {
    let clock = if window.utc { "UTC" } else { "the log's own clock" };
    format!("the hours of the week, {clock}")
}

/// The best hour, the worst, and the clients, a sentence each.
pub fn lines(window: &UpgradeWindow) -> Vec<String> {
    let time = |seconds: f64| format_estimate(Duration::from_secs_f64(seconds.max(0.0)));
    let how = if window.measured { "measured by the rehearsal" } else { "predicted" };
    let mut lines = Vec::new();
    let one = |hour: &HourOfWeek| {
        format!(
            "{} {:02}:00: {} requests a minute; about {} wait, at most {}; with the server stopped {} get no answer",
            DAYS[hour.day],
            hour.hour,
            number(hour.per_minute.unwrap_or_default()),
            number(hour.waiting),
            time(if hour.waiting > 0.0 { window.longest } else { 0.0 }),
            number(hour.meanwhile),
        )
    };
    lines.extend(window.best.iter().map(|hour| format!("the best hour is {}", one(hour))));
    lines.extend(window.worst.iter().map(|hour| format!("the worst is {}", one(hour))));
    lines.push(format!(
        "all migrations take {} ({how}); the log has {} requests in {} hours",
        time(window.seconds),
        format_count(window.requests),
        format_count(window.covered)
    ));
    if !window.clients.is_empty() {
        let all: Vec<String> = window.clients.iter().map(client).collect();
        lines.push(format!("clients whose requests wait most: {}", all.join(", ")));
    }
    lines
}

fn client(one: &WaitingClient) -> String {
    let gives_up = match (one.gives_up, one.given_up) {
        (false, _) => String::new(),
        (true, 0) => ", would give up: the wait is longer than a proxy's default of 60 s".to_owned(),
        (true, count) => format!(", would give up: it has {} times in this log (499)", format_count(count)),
    };
    format!("{} ({} in the log{gives_up})", one.client, format_count(one.requests))
}

/// A number of requests, with a digit behind the point where there are few.
fn number(value: f64) -> String {
    if value >= 10.0 || value == 0.0 { format_count(format!("{value:.0}")) } else { format!("{value:.1}") }
}

/// True if anybody waits at all.
pub fn is_felt(window: &UpgradeWindow) -> bool {
    window.hours.iter().any(|hour| hour.waiting > 0.0)
}

/// Returns the share that an hour has of the fullest one, from 0 to 1; `None` where the log does not cover it.
pub fn share(window: &UpgradeWindow, hour: &HourOfWeek) -> Option<f64> {
    let felt = is_felt(window);
    let of = |hour: &HourOfWeek| if felt { hour.waiting } else { hour.per_minute.unwrap_or_default() };
    let highest = window.hours.iter().map(of).fold(0.0, f64::max);
    hour.per_minute?;
    Some(if highest > 0.0 { of(hour) / highest } else { 0.0 })
}
