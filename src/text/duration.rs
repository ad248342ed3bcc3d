//! How long something may take, as people write it.

use std::time::Duration;

/// Reads `90s`, `5m`, `1h30m`, `500ms`, `90d`; a bare number is seconds.
///
/// # Errors
/// When it is none of these, or no time at all; the message says what is.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let help = || format!("{text:?} is not a duration; write 90s, 5m or 1h30m");
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(help());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().map_err(|_| help())?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let milliseconds = match &rest[..letters] {
            "ms" => 1,
            "" | "s" | "sec" | "seconds" => 1000,
            "m" | "min" | "minutes" => 60_000,
            "h" | "hours" => 3_600_000,
            "d" | "day" | "days" => 86_400_000,
            _ => return Err(help()),
        };
        rest = rest[letters..].trim_start();
        let part = number.checked_mul(milliseconds).ok_or_else(help)?;
        total = total.checked_add(Duration::from_millis(part)).ok_or_else(help)?;
    }
    if total.is_zero() {
        Err(format!("{text:?} must be greater than zero; write 90s, 5m or 1h30m"))
    } else {
        Ok(total)
    }
}

/// As it is read by [`parse_duration`]: in the largest unit that fits.
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
        for bad in ["", "s", "5x", "-1s", "0s", "1.5h", "99999999999999999999h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        for text in ["90s", "2h", "5m", "1250ms"] {
            assert_eq!(format_argument(parse_duration(text).unwrap()), text);
        }
    }
}
