//! Durations as people write them: `"250ms"`, `"1.5s"`, `"2m"`, `"1h"`. Exact: no floating point.

use std::{fmt, time::Duration};

use thiserror::Error;

/// Unit names with their length in nanoseconds, longest first.
const UNITS: [(&str, u64); 8] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];

const SECOND: u128 = 1_000_000_000;

/// Why a text is no duration; says what to write.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub(crate) enum DurationError {
    #[error("a duration is a number and a unit: write \"250ms\", \"1.5s\", \"2m\" or \"1h\"")]
    NoNumber,
    #[error("`{0}` has no unit: write \"{0}s\" or \"{0}ms\"")]
    NoUnit(String),
    #[error("unknown unit `{0}`: write one of ns, us, ms, s, m, h, d")]
    UnknownUnit(String),
    #[error("`{0}` is finer than a nanosecond, the smallest step: write a coarser duration")]
    TooFine(String),
    #[error("`{0}` is longer than can be represented: write a shorter duration")]
    TooLong(String),
}

/// The length of a unit, in nanoseconds.
pub(crate) fn unit(name: &str) -> Result<u64, DurationError> {
    UNITS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|&(_, nanos)| nanos)
        .ok_or_else(|| DurationError::UnknownUnit(name.to_owned()))
}

/// Reads `"250ms"`, `"1.5s"` and the like; what stands around the text in blanks is ignored.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, name) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(DurationError::NoNumber);
    }
    if name.is_empty() {
        return Err(DurationError::NoUnit(number.to_owned()));
    }
    let unit = u128::from(unit(name.trim_start())?);
    let too_long = || DurationError::TooLong(text.to_owned());
    let whole = whole
        .parse::<u128>()
        .ok()
        .and_then(|n| n.checked_mul(unit))
        .ok_or_else(too_long)?;
    let fraction =
        part_of(fraction, unit).ok_or_else(|| DurationError::TooFine(text.to_owned()))?;
    from_nanos(whole.saturating_add(fraction)).ok_or_else(too_long)
}

/// The decimals `digits` of a unit in whole nanoseconds, `None` where they are finer than that.
fn part_of(digits: &str, unit: u128) -> Option<u128> {
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    // A day has 16 powers of two in nanoseconds: longer decimals cannot come out whole.
    if digits.len() > 20 {
        return None;
    }
    let scale = 10u128.pow(u32::try_from(digits.len()).ok()?);
    let product = digits.parse::<u128>().ok()?.checked_mul(unit)?;
    (product % scale == 0).then_some(product / scale)
}

fn from_nanos(nanos: u128) -> Option<Duration> {
    let seconds = u64::try_from(nanos / SECOND).ok()?;
    Some(Duration::new(seconds, (nanos % SECOND) as u32))
}

/// Writes a duration as [`parse`] reads it: the same value comes back.
pub(crate) fn format(duration: Duration) -> impl fmt::Display {
    Written(duration)
}

struct Written(Duration);

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        for (name, unit) in &UNITS[1..4] {
            if nanos != 0 && nanos.is_multiple_of(u128::from(*unit)) {
                return write!(f, "{}{name}", nanos / u128::from(*unit));
            }
        }
        match nanos {
            0 => f.write_str("0s"),
            SECOND.. => decimal(f, nanos, 1_000_000_000, "s"),
            1_000_000.. => decimal(f, nanos, 1_000_000, "ms"),
            1_000.. => decimal(f, nanos, 1_000, "us"),
            _ => write!(f, "{nanos}ns"),
        }
    }
}

fn decimal(f: &mut fmt::Formatter<'_>, nanos: u128, unit: u128, name: &str) -> fmt::Result {
    let (whole, mut fraction) = (nanos / unit, nanos % unit);
    write!(f, "{whole}")?;
    if fraction > 0 {
        let mut places = unit.ilog10() as usize;
        while fraction % 10 == 0 {
            fraction /= 10;
            places -= 1;
        }
        write!(f, ".{fraction:0places$}")?;
    }
    f.write_str(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_the_documentation_shows() {
        for (text, nanos) in [
            ("250ms", 250_000_000),
            ("1.5s", 1_500_000_000),
            ("2m", 120_000_000_000),
            ("1h", 3_600_000_000_000),
            ("0.125m", 7_500_000_000),
            (" 10us ", 10_000),
            ("0.000000001s", 1),
            ("1.50000000000000000000000s", 1_500_000_000),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn says_what_to_write_instead() {
        for (text, words) in [
            ("", "write \"250ms\""),
            ("fast", "write \"250ms\""),
            ("-1s", "write \"250ms\""),
            ("1..5s", "write \"250ms\""),
            ("1.s", "write \"250ms\""),
            ("10", "write \"10s\" or \"10ms\""),
            ("10sec", "unknown unit `sec`"),
            ("0.5ns", "finer than a nanosecond"),
            (
                "99999999999999999999999999999999999999999999h",
                "write a shorter",
            ),
            ("18446744073709551616s", "write a shorter"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn writes_the_shortest_ordinary_form() {
        for text in [
            "250ms",
            "1.5s",
            "2m",
            "1h",
            "0s",
            "90s",
            "1.000000001s",
            "2.5us",
            "7ns",
            "90m",
        ] {
            assert_eq!(format(parse(text).unwrap()).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn every_duration_comes_back(seconds: u64, nanos in 0u32..1_000_000_000) {
            let duration = Duration::new(seconds, nanos);
            prop_assert_eq!(parse(&format(duration).to_string()), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
