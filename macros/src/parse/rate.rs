//! `"200/s"`, `"1000/10m"`: a count for a time.

use super::duration::{duration, meant, scale};
use std::time::Duration;

/// Reads a rate; the error says what is wrong, then what to write.
pub(crate) fn rate(text: &str) -> Result<(u32, Duration), String> {
    let Some((count, per)) = text.split_once('/') else {
        return Err(format!(
            "`{text}` is no rate: write how many for what time, \"200/s\""
        ));
    };
    let number = number(text, count, per)?;
    let per = period(text, count, per)?;
    if per.is_zero() {
        return Err(format!(
            "`{text}` is a rate for no time: write \"{count}/s\""
        ));
    }
    Ok((number, per))
}

fn number(text: &str, count: &str, per: &str) -> Result<u32, String> {
    let is_number = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return Err(format!(
            "`{text}` does not begin with a whole number: write \"200/{}\"",
            if per.is_empty() { "s" } else { per }
        ));
    }
    match count.parse() {
        Ok(0) => Err(format!("`{text}` lets nothing through: write \"1/{per}\"")),
        Ok(number) => Ok(number),
        Err(_) => Err(format!("`{text}` is too many: at most 4294967295")),
    }
}

/// `s` is one second, `10m` ten minutes.
fn period(text: &str, count: &str, per: &str) -> Result<Duration, String> {
    if per.starts_with(|c: char| c.is_ascii_digit()) {
        return duration(per);
    }
    if scale(per).is_some() {
        return duration(&format!("1{per}"));
    }
    let unit = meant(per).unwrap_or("s");
    Err(format!(
        "`{text}` has an unknown unit: write \"{count}/{unit}\" (ns, us, ms, s, m, h and d are the units)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exact_values() {
        assert_eq!(rate("200/s"), Ok((200, Duration::from_secs(1))));
        assert_eq!(rate("10/h"), Ok((10, Duration::from_secs(3_600))));
        assert_eq!(rate("1000/10m"), Ok((1_000, Duration::from_secs(600))));
        assert_eq!(rate("3/1.5s"), Ok((3, Duration::from_millis(1_500))));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        let wrong = |text| rate(text).expect_err(text);
        assert_eq!(
            wrong("200"),
            "`200` is no rate: write how many for what time, \"200/s\""
        );
        assert_eq!(
            wrong("200/min"),
            "`200/min` has an unknown unit: write \"200/m\" (ns, us, ms, s, m, h and d are the units)"
        );
        assert_eq!(wrong("0/s"), "`0/s` lets nothing through: write \"1/s\"");
        assert_eq!(wrong("5/0s"), "`5/0s` is a rate for no time: write \"5/s\"");
        assert_eq!(
            wrong("x/s"),
            "`x/s` does not begin with a whole number: write \"200/s\""
        );
        assert_eq!(
            wrong("5000000000/s"),
            "`5000000000/s` is too many: at most 4294967295"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[0-9]{0,12}/?\\PC{0,6}") {
            let _ = rate(&text);
        }

        #[test]
        fn a_count_for_a_unit_is_exact(count in 1_u32.., seconds in 1_u64..100_000) {
            prop_assert_eq!(
                rate(&format!("{count}/{seconds}s")),
                Ok((count, Duration::from_secs(seconds)))
            );
        }
    }
}
