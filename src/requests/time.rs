//! When a request came, read from the ways in which logs write it.

use std::fmt;

/// A moment, in UTC or, where a log does not say its zone, on the clock of whoever wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Milliseconds since 1970; where no zone was written, as if it had been UTC.
    millis: i64,
    /// Whether a zone was written.
    is_utc: bool,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

impl Time {
    /// Reads `21/Nov/2026:03:59:12 +0000`, as nginx and Apache write it.
    pub fn from_clf(text: &str) -> Option<Self> {
        let (moment, zone) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let (date, clock) = moment.split_once(':')?;
        let mut date = date.splitn(3, '/');
        let day = number(date.next()?)?;
        let month = month(date.next()?)?;
        let year = number(date.next()?)?;
        let offset = if zone.is_empty() { None } else { Some(offset(zone)?) };
        Self::of([year, month, day], clock, offset)
    }

    /// Reads `2026-11-21T03:59:12.123Z`, with or without fraction and zone, `T` or a space between.
    pub fn from_iso(text: &str) -> Option<Self> {
        let text = text.trim();
        let (date, rest) = (text.get(..10)?, text.get(11..)?);
        if !matches!(text.as_bytes()[10], b'T' | b't' | b' ') {
            return None;
        }
        let mut date = date.splitn(3, '-').map(number);
        let date = [date.next()??, date.next()??, date.next()??];
        let end =
            rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.' | ','))).unwrap_or(rest.len());
        let (clock, zone) = rest.split_at(end);
        let offset = match zone.trim() {
            "" => None,
            zone => Some(offset(zone)?),
        };
        Self::of(date, clock, offset)
    }

    /// Reads the `Sat Nov 21 2026 04:07:09` that Evolution's console log holds, in a line without ANSI codes.
    pub fn from_console(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().take(24).collect();
        words.windows(4).find_map(|words| {
            let &[name, day, year, clock] = words else { return None };
            Self::of([number(year)?, month(name)?, number(day)?], clock, None)
        })
    }

    /// Seconds since 1970.
    pub fn from_unix(seconds: f64) -> Option<Self> {
        let in_range = seconds.is_finite() && (0.0..253_402_300_800.0).contains(&seconds);
        in_range.then_some(Self { millis: (seconds * 1000.0) as i64, is_utc: true })
    }

    fn of([year, month, day]: [i64; 3], clock: &str, offset: Option<i16>) -> Option<Self> {
        let (clock, fraction) = clock.split_once(['.', ',']).unwrap_or((clock, ""));
        let mut clock = clock.splitn(3, ':').map(number);
        let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
        let possible = (1970..10_000).contains(&year)
            && (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && hour < 24
            && minute < 60
            && second < 61;
        if !possible || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let millis = fraction.bytes().chain(*b"000").take(3).fold(0, |sum, b| sum * 10 + i64::from(b - b'0'));
        let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        let seconds = seconds - i64::from(offset.unwrap_or(0)) * 60;
        Some(Self { millis: seconds * 1000 + millis, is_utc: offset.is_some() })
    }
}

impl fmt::Display for Time {
    /// ISO 8601 to the second, with `Z` for UTC, and no zone where none is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.millis.div_euclid(1000);
        let (year, month, day) = date(seconds.div_euclid(86_400));
        let clock = seconds.rem_euclid(86_400);
        let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
        let zone = if self.is_utc { "Z" } else { "" };
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone}")
    }
}

/// Digits and nothing else, not many of them.
fn number(text: &str) -> Option<i64> {
    let plain = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

fn month(name: &str) -> Option<i64> {
    let at = MONTHS.iter().position(|month| name.eq_ignore_ascii_case(month))?;
    i64::try_from(at + 1).ok()
}

/// `Z`, `+0200`, `+02:00` or `+02`, in minutes.
fn offset(zone: &str) -> Option<i16> {
    if zone.eq_ignore_ascii_case("Z") {
        return Some(0);
    }
    let (sign, digits) = match (zone.strip_prefix('+'), zone.strip_prefix('-')) {
        (Some(digits), _) => (1, digits),
        (_, Some(digits)) => (-1, digits),
        _ => return None,
    };
    let digits = digits.replacen(':', "", 1);
    let value = i16::try_from(number(&digits)?).ok()?;
    let (hours, minutes) = if digits.len() <= 2 { (value, 0) } else { (value / 100, value % 100) };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

/// Days since 1970-01-01 in the Gregorian calendar, counted in eras of 400 years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The reverse of `days`.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march_based = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_based + 2) / 5 + 1;
    let month = if march_based < 10 { march_based + 3 } else { march_based - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_way_of_writing_a_moment_reads_the_same() {
        let shown = |time: Option<Time>| time.map(|time| time.to_string());
        let expected = Some("2026-11-21T03:59:12Z".to_owned());
        assert_eq!(shown(Time::from_clf("21/Nov/2026:03:59:12 +0000")), expected);
        assert_eq!(shown(Time::from_iso("2026-11-21T03:59:12.123456789Z")), expected);
        assert_eq!(shown(Time::from_unix(1_795_233_552.5)), expected);
        let local = Some("2026-11-21T03:59:12".to_owned());
        let line = "[Evolution API]  11559 - Sat Nov 21 2026 03:59:12   LOG  [SERVER] [string] HTTP";
        assert_eq!(shown(Time::from_console(line)), local);
        assert_eq!(shown(Time::from_iso("2026-11-21 03:59:12")), local);
        let zoned = Time::from_clf("21/Nov/2026:00:59:12 -0300").unwrap();
        assert_eq!(zoned, Time::from_iso("2026-11-21T03:59:12Z").unwrap());
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in ["", "-", "21/Nov/2026", "32/Nov/2026:00:00:00 +0000", "21/Nov/2026:24:00:00 +0000"] {
            assert_eq!(Time::from_clf(text), None, "{text}");
        }
        for text in
            ["", "2026-11-21", "2026-13-21T00:00:00Z", "2026-11-21T00:00Z", "2026-11-21T00:00:00+9999"]
        {
            assert_eq!(Time::from_iso(text), None, "{text}");
        }
        assert_eq!(Time::from_unix(f64::NAN), None);
        assert_eq!(Time::from_unix(-1.0), None);
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(seconds in 0_i64..253_402_300_800, is_utc in any::<bool>()) {
            let time = Time { millis: seconds * 1000, is_utc };
            prop_assert_eq!(Time::from_iso(&time.to_string()), Some(time));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = (Time::from_clf(&text), Time::from_iso(&text), Time::from_console(&text));
        }
    }
}
