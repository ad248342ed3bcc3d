//! Counts, times and sizes as people read them, in one place.

use std::fmt::Display;
use std::time::Duration;

/// `1234567` as `1,234,567`.
pub fn format_count(number: impl Display) -> String {
    let text = number.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let mut grouped = String::from(sign);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 row`, `2,000 rows`: a count with its word.
pub fn pluralize<N: TryInto<u64> + Copy + Display>(counted: N, word: &str) -> String {
    let is_one = counted.try_into().is_ok_and(|n: u64| n == 1);
    format!("{} {word}{}", format_count(counted), if is_one { "" } else { "s" })
}

// jiff prints every unit of a duration (`1m 12s 300ms`); people read one, rounded.
/// Returns a measured duration, in one unit: `713 ms`, `1.2 s`, `34 s`, `3 min`, `2 h`, `5 days`.
pub fn format_duration(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 0.9995 => format!("{:.0} ms", s * 1000.0),
        s if s < 9.95 => format!("{s:.1} s"),
        _ => format_estimate(time),
    }
}

/// The time that something may take, rounded: `< 1 s`, `34 s`, `3 min`, `2 h`, `5 days`.
pub fn format_estimate(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 1.0 => "< 1 s".to_owned(),
        s if s < 119.5 => format!("{s:.0} s"),
        s if s < 7170.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

/// Bytes: `812 B`, `1.2 MB`.
#[expect(clippy::cast_precision_loss, reason = "for people")]
pub fn format_bytes(bytes: i64) -> String {
    const UNITS: &[(&str, f64)] = &[("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    let unit = UNITS.iter().find(|(_, size)| bytes as f64 >= *size);
    unit.map_or_else(|| format!("{bytes} B"), |(unit, size)| format!("{:.1} {unit}", bytes as f64 / size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 999, 1000, 1_234_567, -12_345].map(format_count),
            ["0", "999", "1,000", "1,234,567", "-12,345"]
        );
        assert_eq!(
            (pluralize(1, "row"), pluralize(2000, "row")),
            ("1 row".to_owned(), "2,000 rows".to_owned())
        );
    }

    #[test]
    fn times_have_the_unit_that_one_would_say() {
        let times =
            [0.0, 0.713, 1.24, 9.9, 34.2, 119.0, 180.0, 7200.0, 432_000.0].map(Duration::from_secs_f64);
        let said = ["0 ms", "713 ms", "1.2 s", "9.9 s", "34 s", "119 s", "3 min", "2 h", "5 days"];
        assert_eq!(times.map(format_duration), said);
        assert_eq!(format_estimate(Duration::from_millis(900)), "< 1 s");
    }

    #[test]
    fn sizes_have_a_digit_behind_the_point() {
        assert_eq!([812, 1200, 2_340_000].map(format_bytes), ["812 B", "1.2 kB", "2.3 MB"]);
    }
}
