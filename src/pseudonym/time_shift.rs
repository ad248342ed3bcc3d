//! One secret offset for all times: what came before what, and how long after, stays as it was.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil::DateTime;
use rand::Rng;
use regex::Regex;

/// The seconds of a day.
const DAY: i64 = 86_400;

/// The shortest and the longest way into the past, in days. With a longer one, checks that judge by age would change
/// their result.
const DAYS: std::ops::Range<i64> = 2..30;

/// Epochs that are times and no telephone numbers: 2001 to 2065.
const SECONDS: std::ops::Range<i64> = 1_000_000_000..3_000_000_000;

/// A time as ISO 8601 has it, with or without a zone: what stays in it is captured.
static ISO: LazyLock<Regex> = LazyLock::new(|| {
    let time = r"^\d{4}-\d{2}-\d{2}([T ])\d{2}:\d{2}:\d{2}((?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?)$";
    Regex::new(time).expect("a regular expression of this program")
});

/// The offset.
#[derive(Debug, Clone, Copy)]
pub struct TimeShift(i64);

impl TimeShift {
    /// A random offset into the past, in whole seconds.
    pub fn random() -> Self {
        let mut random = rand::rng();
        Self(-(random.random_range(DAYS) * DAY + random.random_range(0..DAY)))
    }

    /// The offset in seconds, for callers that shift times themselves.
    pub fn seconds(self) -> i64 {
        self.0
    }

    /// A whole number that is a time since 1970, in seconds, milliseconds or microseconds, as its shifted time.
    pub fn map_epoch(self, number: i64) -> Option<i64> {
        [1, 1_000, 1_000_000]
            .into_iter()
            .find_map(|unit| SECONDS.contains(&(number / unit)).then(|| number + self.0 * unit))
    }

    /// A text that is a time, as its shifted time.
    pub fn map_text(self, text: &str) -> Option<String> {
        // Looking for the form costs more than looking at two characters.
        if text.as_bytes().get(4) != Some(&b'-') || text.len() < 19 {
            return None;
        }
        let (_, [between, rest]) = ISO.captures(text)?.extract();
        let time: DateTime = text.get(..19)?.parse().ok()?;
        let shifted = time.checked_add(SignedDuration::from_secs(self.0)).ok()?;
        Some(format!("{}{between}{}{rest}", shifted.date(), shifted.time()))
    }

    /// The offset as a duration, however it points.
    pub fn distance(self) -> Duration {
        Duration::from_secs(self.0.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shifted_and_nothing_else() {
        let shift = TimeShift(-DAY - 1);
        assert_eq!(shift.map_text("2024-03-01T00:00:00.120Z").unwrap(), "2024-02-28T23:59:59.120Z");
        assert_eq!(shift.map_text("2024-01-01 12:00:00+00:00").unwrap(), "2023-12-31 11:59:59+00:00");
        for other in ["2024-03-01", "5511999998888", "2024-xx-01T00:00:00", "2024-02-30T00:00:00", ""] {
            assert_eq!(shift.map_text(other), None, "{other}");
        }
        assert_eq!(shift.map_epoch(1_700_000_000), Some(1_700_000_000 - DAY - 1));
        assert_eq!(shift.map_epoch(1_700_000_000_123), Some(1_700_000_000_123 - (DAY + 1) * 1000));
        assert_eq!(shift.map_epoch(5_511_999_998_888), None);
        assert_eq!(shift.map_epoch(443), None);
        let random = TimeShift::random();
        assert!(random.distance() >= Duration::from_secs(2 * 86_400) && random.seconds() < 0);
    }
}
