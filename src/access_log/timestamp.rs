//! Parses the time of a request, in the forms that logs use.

use std::cmp::Ordering;
use std::fmt;

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, date};

use crate::text::date::today;

/// A moment, in UTC or, if the log has no time zone, on the clock of its writer.
#[derive(Debug, Clone, Copy)]
pub struct Timestamp {
    /// Milliseconds since 1970; where no zone was written, as if it had been UTC.
    millis: i64,
    /// The zone that was written, in minutes east of UTC.
    zone: Option<i16>,
}

/// The same moment is the same in every zone.
impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Timestamp {}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |time: &Self| (time.millis, time.zone.is_some());
        key(self).cmp(&key(other))
    }
}

const EPOCH: Date = date(1970, 1, 1);

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The length of `21/Nov/2026:03:59:12 +0000`.
pub const CLF_LENGTH: usize = 26;

/// Reads moments, and remembers the last one: neighbouring lines mostly have the same.
#[derive(Debug, Default)]
pub struct TimestampParser {
    clf: LastParsed,
    iso: LastParsed,
}

#[derive(Debug, Default)]
struct LastParsed {
    text: Vec<u8>,
    time: Option<Timestamp>,
}

impl TimestampParser {
    /// [`Timestamp::from_clf`] of bytes.
    pub fn clf(&mut self, text: &[u8]) -> Option<Timestamp> {
        self.clf.or_read(text, |text| {
            Timestamp::from_fixed_clf(text).or_else(|| Timestamp::from_clf(str::from_utf8(text).ok()?))
        })
    }

    /// [`Timestamp::from_iso`] of bytes.
    pub fn iso(&mut self, text: &[u8]) -> Option<Timestamp> {
        self.iso.or_read(text, |text| {
            Timestamp::from_fixed_iso(text).or_else(|| Timestamp::from_iso(str::from_utf8(text).ok()?))
        })
    }
}

impl LastParsed {
    fn or_read(&mut self, text: &[u8], read: impl Fn(&[u8]) -> Option<Timestamp>) -> Option<Timestamp> {
        // No moment is written longer; what is remembered must not grow.
        const LONGEST: usize = 64;
        if text != self.text {
            let time = read(text);
            if text.len() > LONGEST {
                return time;
            }
            self.time = time;
            self.text.clear();
            self.text.extend_from_slice(text);
        }
        self.time
    }
}

impl Timestamp {
    /// Milliseconds since 1970; where no zone was written, as if it had been UTC.
    pub fn millis(self) -> i64 {
        self.millis
    }

    /// True if it is known in which zone it was written.
    pub fn has_zone(self) -> bool {
        self.zone.is_some()
    }

    /// The zone in which it was written, in minutes east of UTC, where that is known.
    pub fn zone(self) -> Option<i16> {
        self.zone
    }

    /// The moment as the log has it, for people: `2026-11-21 00:59:12 -03:00`.
    pub fn in_own_zone(self) -> String {
        match self.zone {
            Some(zone) => format!("{} {}", self.clock_in(zone), zone_name(zone)),
            None => self.clock_in(0),
        }
    }

    /// The moment on the clock of that zone, to the second, without a date's `T` and without the zone.
    pub fn clock_in(self, zone: i16) -> String {
        let clock = self.clock(SignedDuration::from_mins(zone.into()));
        format!("{} {:.0}", clock.date(), clock.time())
    }

    /// The calendar and the clock of a place so far east of UTC.
    fn clock(self, zone: SignedDuration) -> DateTime {
        DateTime::from(EPOCH).saturating_add(SignedDuration::from_millis(self.millis) + zone)
    }

    /// The moment so many milliseconds after 1970, on the same clock as this one.
    #[must_use]
    pub fn at(self, millis: i64) -> Self {
        Self { millis, ..self }
    }

    /// The usual form with two digits everywhere and a zone, without looking for its parts.
    fn from_fixed_clf(text: &[u8]) -> Option<Self> {
        let text: &[u8; CLF_LENGTH] = text.try_into().ok()?;
        if [text[2], text[6], text[11], text[14], text[17], text[20]] != *b"//::: " {
            return None;
        }
        let sign = match text[21] {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let month = month(str::from_utf8(&text[3..6]).ok()?)?;
        let date = [two(text, 7)? * 100 + two(text, 9)?, month, two(text, 0)?];
        let clock = [two(text, 12)?, two(text, 15)?, two(text, 18)?];
        let (hours, minutes) = (two(text, 22)?, two(text, 24).filter(|&minutes| minutes < 60)?);
        Self::checked(date, clock, 0, Some(sign * (hours * 60 + minutes)))
    }

    /// `2026-11-21T03:59:12Z`, with or without a fraction.
    fn from_fixed_iso(text: &[u8]) -> Option<Self> {
        let (clock, fraction) = text.strip_suffix(b"Z")?.split_at_checked(19)?;
        if [clock[4], clock[7], clock[10], clock[13], clock[16]] != *b"--T::" {
            return None;
        }
        let digits = match fraction {
            [] => fraction,
            [b'.', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => digits,
            _ => return None,
        };
        let millis = digits.iter().chain(b"000").take(3).fold(0, |sum, b| sum * 10 + i64::from(b - b'0'));
        let date = [two(clock, 0)? * 100 + two(clock, 2)?, two(clock, 5)?, two(clock, 8)?];
        Self::checked(date, [two(clock, 11)?, two(clock, 14)?, two(clock, 17)?], millis, Some(0))
    }

    /// Reads `21/Nov/2026:03:59:12 +0000`, as nginx and Apache write it.
    pub fn from_clf(text: &str) -> Option<Self> {
        let text = text.trim();
        // Python's servers put a space between date and clock.
        let (date, rest) = text.split_at_checked(11).filter(|(_, rest)| rest.starts_with([':', ' ']))?;
        let (clock, zone) = rest[1..].split_once(' ').unwrap_or((&rest[1..], ""));
        let mut date = date.splitn(3, '/');
        let day = number(date.next()?)?;
        let month = month(date.next()?)?;
        let year = number(date.next()?)?;
        let offset = if zone.is_empty() { None } else { Some(offset(zone)?) };
        Self::of([year, month, day], clock, offset)
    }

    /// Reads `2026-11-21T03:59:12.123Z`, with or without fraction and zone, `T` or a space between.
    // Logs write more forms than jiff reads: slashes, one digit, a space before the zone.
    pub fn from_iso(text: &str) -> Option<Self> {
        let text = text.trim();
        let (date, rest) = (text.get(..10)?, text.get(11..)?);
        if !matches!(text.as_bytes()[10], b'T' | b't' | b' ') {
            return None;
        }
        let mark = if date.as_bytes()[4] == b'/' { '/' } else { '-' };
        let mut date = date.splitn(3, mark).map(number);
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

    /// Reads the `Nov 21 03:59:12` that syslog puts before a line. It has no year: the latest is meant that is not to come.
    pub fn from_syslog(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split([' ', '>']).filter(|word| !word.is_empty()).take(6).collect();
        // A clock that is a little fast, or a place east of UTC.
        let tomorrow = jiff::Timestamp::now() + SignedDuration::from_hours(24);
        let year = i64::from(today().year());
        words.windows(3).find_map(|words| {
            let &[name, day, clock] = words else { return None };
            let (month, day) = (month(name)?, number(day)?);
            let time = |year| Self::of([year, month, day], clock, None);
            let is_past = |time: &Self| time.millis <= tomorrow.as_millisecond();
            time(year).filter(is_past).or_else(|| time(year - 1))
        })
    }

    /// Seconds since 1970; numbers too large for that are milli-, micro- or nanoseconds.
    pub fn from_unix(number: f64) -> Option<Self> {
        const YEAR_10000: f64 = 253_402_300_800.0;
        let units = [1.0, 1e3, 1e6, 1e9].into_iter().map(|unit| number / unit);
        let seconds = units.into_iter().find(|seconds| *seconds < YEAR_10000)?;
        let in_range = seconds.is_finite() && seconds >= 0.0;
        in_range.then_some(Self { millis: (seconds * 1000.0) as i64, zone: Some(0) })
    }

    fn of(date: [i64; 3], clock: &str, offset: Option<i64>) -> Option<Self> {
        let (clock, fraction) = clock.split_once(['.', ',']).unwrap_or((clock, ""));
        let mut clock = clock.splitn(3, ':').map(number);
        let clock = [clock.next()??, clock.next()??, clock.next()??];
        if !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let millis = fraction.bytes().chain(*b"000").take(3).fold(0, |sum, b| sum * 10 + i64::from(b - b'0'));
        Self::checked(date, clock, millis, offset)
    }

    /// Year, month and day; hour, minute and second; the zone in minutes.
    fn checked(
        [year, month, day]: [i64; 3],
        [hour, minute, second]: [i64; 3],
        millis: i64,
        offset: Option<i64>,
    ) -> Option<Self> {
        let date = Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok()?;
        let possible =
            year >= 1970 && hour < 24 && minute < 60 && second < 61 && offset.unwrap_or(0).abs() < 24 * 60;
        // jiff has the calendar. By hand, the clock takes half of the time and a second of 60 is the next minute's first.
        let seconds = date.duration_since(EPOCH).as_secs() + hour * 3600 + minute * 60 + second;
        let seconds = seconds - offset.unwrap_or(0) * 60;
        let zone = offset.and_then(|offset| i16::try_from(offset).ok());
        possible.then_some(Self { millis: seconds * 1000 + millis, zone })
    }
}

impl fmt::Display for Timestamp {
    /// ISO 8601 to the second, with `Z` for UTC, and no zone where none is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = if self.has_zone() { "Z" } else { "" };
        write!(f, "{:.0}{zone}", self.clock(SignedDuration::ZERO))
    }
}

/// A zone of so many minutes east of UTC: `UTC`, `-03:00`.
pub fn zone_name(minutes: i16) -> String {
    match minutes {
        0 => "UTC".to_owned(),
        _ => {
            let (sign, all) = (if minutes < 0 { '-' } else { '+' }, minutes.unsigned_abs());
            format!("{sign}{:02}:{:02}", all / 60, all % 60)
        }
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

/// Two digits.
fn two(text: &[u8], at: usize) -> Option<i64> {
    let (tens, ones) = (text[at], text[at + 1]);
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i64::from((tens - b'0') * 10 + (ones - b'0')))
}

/// `Z`, `+0200`, `+02:00` or `+02`, in minutes.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("Z") {
        return Some(0);
    }
    let (sign, digits) = match (zone.strip_prefix('+'), zone.strip_prefix('-')) {
        (Some(digits), _) => (1, digits),
        (_, Some(digits)) => (-1, digits),
        _ => return None,
    };
    let digits = digits.replacen(':', "", 1);
    let value = number(&digits)?;
    let (hours, minutes) = if digits.len() <= 2 { (value, 0) } else { (value / 100, value % 100) };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_way_of_writing_a_moment_reads_the_same() {
        let shown = |time: Option<Timestamp>| time.map(|time| time.to_string());
        let expected = Some("2026-11-21T03:59:12Z".to_owned());
        assert_eq!(shown(Timestamp::from_clf("21/Nov/2026:03:59:12 +0000")), expected);
        assert_eq!(shown(Timestamp::from_iso("2026-11-21T03:59:12.123456789Z")), expected);
        for number in [1_795_233_552.5, 1_795_233_552_500.0, 1_795_233_552_500_000_000.0] {
            assert_eq!(shown(Timestamp::from_unix(number)), expected);
        }
        let local = Some("2026-11-21T03:59:12".to_owned());
        let line = "[Evolution API]  11559 - Sat Nov 21 2026 03:59:12   LOG  [SERVER] [string] HTTP";
        assert_eq!(shown(Timestamp::from_console(line)), local);
        assert_eq!(shown(Timestamp::from_iso("2026-11-21 03:59:12")), local);
        let zoned = Timestamp::from_clf("21/Nov/2026:00:59:12 -0300").unwrap();
        assert_eq!(zoned, Timestamp::from_iso("2026-11-21T03:59:12Z").unwrap());
        assert_eq!((zoned.zone(), zoned.clock_in(-180)), (Some(-180), "2026-11-21 00:59:12".to_owned()));
        let leap_second = Timestamp::from_iso("2016-12-31T23:59:60Z");
        assert_eq!(shown(leap_second), Some("2017-01-01T00:00:00Z".to_owned()));
        let first_seconds = Timestamp::from_iso("1970-01-01T01:00:00.500+02:00");
        assert_eq!(shown(first_seconds), Some("1969-12-31T23:00:00Z".to_owned()));
    }

    #[test]
    fn a_text_that_is_not_a_time_is_rejected() {
        for text in ["", "-", "21/Nov/2026", "31/Nov/2026:00:00:00 +0000", "21/Nov/2026:24:00:00 +0000"] {
            assert_eq!(Timestamp::from_clf(text), None, "{text}");
        }
        for text in [
            "",
            "2026-11-21",
            "2026-13-21T00:00:00Z",
            "2026-02-29 00:00:00",
            "2026-11-21T00:00Z",
            "2026-11-21T00:00:00+9999",
        ] {
            assert_eq!(Timestamp::from_iso(text), None, "{text}");
        }
        assert_eq!(Timestamp::from_unix(f64::NAN), None);
        assert_eq!(Timestamp::from_unix(-1.0), None);
    }

    proptest! {
        /// The fast paths agree with the general ones.
        #[test]
        fn the_cached_clock_agrees_with_the_parser(texts in prop::collection::vec(
            "[0-4][0-9]/(Nov|feb|xyz)/(2026|0001):[0-2][0-9]:[0-6][0-9]:[0-6][0-9] [+-][0-9]{4}\
             |[0-2]{4}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,9})?(Z|[+-]0[0-9]:?00)?|.{0,30}",
            1..6,
        )) {
            let mut clock = TimestampParser::default();
            for text in texts.iter().flat_map(|text| [text, text]) {
                prop_assert_eq!(clock.clf(text.as_bytes()), Timestamp::from_clf(text), "{}", text);
                prop_assert_eq!(clock.iso(text.as_bytes()), Timestamp::from_iso(text), "{}", text);
            }
        }

        #[test]
        fn a_formatted_time_parses_back(seconds in 0_i64..253_402_300_800, is_utc in any::<bool>()) {
            let time = Timestamp { millis: seconds * 1000, zone: is_utc.then_some(0) };
            prop_assert_eq!(Timestamp::from_iso(&time.to_string()), Some(time));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = (Timestamp::from_clf(&text), Timestamp::from_iso(&text), Timestamp::from_console(&text));
        }
    }
}
