//! `"250ms"`, `"1.5s"`, `"2m"`: exact, with the unit.

use std::time::Duration;

/// Units and their nanoseconds, the unit that reads best last.
const UNITS: [(&str, u128); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// What people write for a unit that is spelt otherwise here.
const SPELLINGS: [(&str, &str); 25] = [
    ("nanos", "ns"),
    ("nanosecond", "ns"),
    ("nanoseconds", "ns"),
    ("µs", "us"),
    ("μs", "us"),
    ("micros", "us"),
    ("microseconds", "us"),
    ("millis", "ms"),
    ("msec", "ms"),
    ("millisecond", "ms"),
    ("milliseconds", "ms"),
    ("sec", "s"),
    ("secs", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("min", "m"),
    ("mins", "m"),
    ("minute", "m"),
    ("minutes", "m"),
    ("hr", "h"),
    ("hrs", "h"),
    ("hour", "h"),
    ("hours", "h"),
    ("day", "d"),
    ("days", "d"),
];

/// Reads a duration; the error says what is wrong, then what to write.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    if number.is_empty() {
        return Err(format!("`{text}` is no duration: write \"250ms\""));
    }
    if unit.is_empty() {
        return Err(format!(
            "`{text}` has no unit: write \"{number}ms\" or \"{number}s\""
        ));
    }
    let scale = scale(unit).ok_or_else(|| unknown_unit(text, number, unit))?;
    let nanos = nanos(number, scale).map_err(|wrong| format!("`{text}` {wrong}"))?;
    whole(nanos).ok_or_else(|| format!("`{text}` is too long: at most 2^64 - 1 seconds"))
}

/// The number at the start, and what follows it.
fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Nanoseconds in one `unit`.
pub(crate) fn scale(unit: &str) -> Option<u128> {
    UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, scale)| *scale)
}

fn unknown_unit(text: &str, number: &str, unit: &str) -> String {
    let meant = meant(unit).unwrap_or("ms");
    if unit.trim() != unit || scale(unit.trim()).is_some() {
        return format!("`{text}` has a space in it: write \"{number}{meant}\"");
    }
    format!(
        "`{text}` has an unknown unit: write \"{number}{meant}\" (ns, us, ms, s, m, h and d are the units)"
    )
}

/// The unit that an unknown spelling stands for.
pub(crate) fn meant(unit: &str) -> Option<&'static str> {
    let plain = unit.trim().to_lowercase();
    let known = UNITS.iter().map(|(name, _)| (*name, *name));
    SPELLINGS
        .into_iter()
        .chain(known)
        .find(|(spelling, _)| *spelling == plain)
        .map(|(_, unit)| unit)
}

/// `number` units in nanoseconds, exactly.
fn nanos(number: &str, scale: u128) -> Result<u128, &'static str> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_number = !whole.is_empty() && number.ends_with(|c: char| c.is_ascii_digit());
    if !is_number || fraction.contains('.') {
        return Err("is no number with a unit: write \"1.5s\"");
    }
    let too_long = "is too long: at most 2^64 - 1 seconds";
    let whole: u128 = whole.parse().map_err(|_| too_long)?;
    let whole = whole.checked_mul(scale).ok_or(too_long)?;
    whole
        .checked_add(fraction_nanos(fraction, scale)?)
        .ok_or(too_long)
}

fn fraction_nanos(fraction: &str, scale: u128) -> Result<u128, &'static str> {
    let too_fine = "is finer than a nanosecond: write fewer digits";
    let digits = fraction.trim_end_matches('0');
    if digits.is_empty() {
        return Ok(0);
    }
    if digits.len() > 18 {
        return Err(too_fine);
    }
    let numerator: u128 = digits.parse().map_err(|_| too_fine)?;
    let denominator = 10_u128.pow(u32::try_from(digits.len()).unwrap_or(18));
    let product = numerator * scale;
    match product % denominator {
        0 => Ok(product / denominator),
        _ => Err(too_fine),
    }
}

fn whole(nanos: u128) -> Option<Duration> {
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    let rest = u32::try_from(nanos % 1_000_000_000).ok()?;
    Some(Duration::new(seconds, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exact_values() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(duration("0.1s"), Ok(Duration::from_millis(100)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3_600)));
        assert_eq!(duration("1.5us"), Ok(Duration::from_nanos(1_500)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        let wrong = |text| duration(text).expect_err(text);
        assert_eq!(
            wrong("250"),
            "`250` has no unit: write \"250ms\" or \"250s\""
        );
        assert_eq!(
            wrong("5min"),
            "`5min` has an unknown unit: write \"5m\" (ns, us, ms, s, m, h and d are the units)"
        );
        assert_eq!(
            wrong("250 ms"),
            "`250 ms` has a space in it: write \"250ms\""
        );
        assert_eq!(wrong("soon"), "`soon` is no duration: write \"250ms\"");
        assert_eq!(wrong(""), "`` is no duration: write \"250ms\"");
        assert_eq!(
            wrong("1.5ns"),
            "`1.5ns` is finer than a nanosecond: write fewer digits"
        );
        assert_eq!(
            wrong("1.2.3s"),
            "`1.2.3s` is no number with a unit: write \"1.5s\""
        );
        assert_eq!(
            wrong("99999999999999999999d"),
            "`99999999999999999999d` is too long: at most 2^64 - 1 seconds"
        );
    }

    proptest! {
        #[test]
        fn every_whole_number_of_a_unit_is_exact(number in 0_u64..1_000_000, unit in 0_usize..7) {
            let (name, scale) = UNITS[unit];
            let read = duration(&format!("{number}{name}")).expect("a duration");
            prop_assert_eq!(read.as_nanos(), u128::from(number) * scale);
        }

        #[test]
        fn milliseconds_and_seconds_agree(millis in 0_u64..10_000_000) {
            let seconds = format!("{}.{:03}s", millis / 1_000, millis % 1_000);
            prop_assert_eq!(duration(&seconds), duration(&format!("{millis}ms")));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,12}") {
            let _ = duration(&text);
        }

        #[test]
        fn any_number_is_read_or_refused(text in "[0-9.]{1,45}[a-zµ ]{0,3}") {
            let _ = duration(&text);
        }
    }
}
