//! Durations as people write them.

use std::time::Duration;

use jiff::SpanRelativeTo;
use jiff::fmt::friendly::SpanParser;

/// Reads `90s`, `5m`, `1h30m`, `500ms`, `90d`; a number without a unit is seconds.
///
/// # Errors
/// When it is none of these, or less than a millisecond; the message says what is.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let help = || format!("{text:?} is not a duration; write 90s, 5m or 1h30m");
    let text = text.trim();
    // Of what jiff reads, signs, fractions, `PT5M` and `1:30:00` are not for options.
    let is_plain = text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ');
    let unit = if text.ends_with(|c: char| c.is_ascii_digit()) { "s" } else { "" };
    let span =
        SpanParser::new().parse_span(format!("{text}{unit}")).ok().filter(|_| is_plain).ok_or_else(help)?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| help())?;
    let duration = Duration::try_from(duration).map_err(|_| help())?;
    // Postgres counts in milliseconds, and takes 0 for no limit at all.
    if duration.as_millis() == 0 {
        Err(format!("{text:?} must be greater than zero; write 90s, 5m or 1h30m"))
    } else {
        Ok(duration)
    }
}

/// As it is read by [`parse_duration`]: in the largest unit that fits, where jiff would print `1m 30s`.
pub fn format_argument(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let fits = |(size, _): &&(u128, &str)| milliseconds > 0 && milliseconds.is_multiple_of(*size);
    let (size, unit) = [(3_600_000, "h"), (60_000, "m"), (1000, "s")].iter().find(fits).unwrap_or(&(1, "ms"));
    format!("{}{unit}", milliseconds / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let of = |text| parse_duration(text).map(|duration| duration.as_millis());
        assert_eq!(of("90s"), Ok(90_000));
        assert_eq!(of("90"), Ok(90_000));
        assert_eq!(of("5m"), Ok(300_000));
        assert_eq!(of("1h 30m"), Ok(5_400_000));
        assert_eq!(of("250ms"), Ok(250));
        assert_eq!(of("90d"), Ok(7_776_000_000));
        assert_eq!(of(" 2 hours 5 minutes 30 "), Ok(7_530_000));
        for (text, milliseconds) in
            [("3sec", 3000), ("3 seconds", 3000), ("3min", 180_000), ("1day", 86_400_000)]
        {
            assert_eq!(of(text), Ok(milliseconds), "{text}");
        }
        let other_forms = ["1.5h", "+1s", "-1s", "1s ago", "PT5M", "1:30:00", "1h, 30m", "1mo"];
        for bad in ["", "s", "5x", "99999999999999999999h"].into_iter().chain(other_forms) {
            assert!(parse_duration(bad).unwrap_err().contains("is not a duration"), "{bad}");
        }
        for none in ["0", "0s", "999us"] {
            assert!(parse_duration(none).unwrap_err().contains("greater than zero"), "{none}");
        }
        for text in ["90s", "2h", "5m", "1250ms"] {
            assert_eq!(format_argument(parse_duration(text).unwrap()), text);
        }
    }
}
