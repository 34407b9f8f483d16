//! How many in how long.

use std::{fmt, num::ParseIntError, str::FromStr, time::Duration};

use thiserror::Error;

use crate::units;

/// How many permits a limiter gives out in how long: `"200/s"`, `"10/h"`, `"1000/10m"`.
///
/// ```
/// use std::time::Duration;
/// use steadfast::Rate;
///
/// const QUOTES: Rate = Rate::per_second(200);
/// assert_eq!("200/s".parse(), Ok(QUOTES));
/// assert_eq!("1000/10m".parse(), Ok(Rate::new(1000, Duration::from_secs(600))));
/// assert_eq!(QUOTES.to_string(), "200/s");
/// ```
///
/// A rate of zero, or over no time at all, can be written down; a limiter's `build()` refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    count: u32,
    per: Duration,
}

impl Rate {
    /// What an attribute writes that gives each call its own rate: no limit of its own worth the name.
    #[doc(hidden)]
    pub const OF_THE_CALL: Self = Self::per_second(u32::MAX);

    /// `count` permits in every `per`.
    #[must_use]
    pub const fn new(count: u32, per: Duration) -> Self {
        Self { count, per }
    }

    /// `count` permits a second.
    #[must_use]
    pub const fn per_second(count: u32) -> Self {
        Self::new(count, Duration::from_secs(1))
    }

    /// `count` permits a minute.
    #[must_use]
    pub const fn per_minute(count: u32) -> Self {
        Self::new(count, Duration::from_secs(60))
    }

    /// `count` permits an hour.
    #[must_use]
    pub const fn per_hour(count: u32) -> Self {
        Self::new(count, Duration::from_secs(3600))
    }

    /// How many permits.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }

    /// In how long.
    #[must_use]
    pub const fn per(self) -> Duration {
        self.per
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = units::format(self.per).to_string();
        // "200/s", not "200/1s".
        let unit = per
            .strip_prefix('1')
            .filter(|rest| rest.starts_with(char::is_alphabetic));
        write!(f, "{}/{}", self.count, unit.unwrap_or(&per))
    }
}

/// Why a text is no [`Rate`]; its message says what to write.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseRateError {
    /// There is no `/` between a count and a time.
    #[error("a rate is a count and a time: write \"200/s\", \"10/h\" or \"1000/10m\", not \"{0}\"")]
    #[non_exhaustive]
    Shape(String),
    /// What stands before the `/` is no count of permits.
    #[error("`{text}` is no count of permits: write a whole number from 1 to {max}, as in \"200/s\"", max = u32::MAX)]
    #[non_exhaustive]
    Count {
        /// What stood there.
        text: String,
        /// Why it is no number.
        source: ParseIntError,
    },
    /// What stands after the `/` is no time.
    #[error("`{text}` is no time: {reason} (as in \"200/s\" or \"1000/10m\")")]
    #[non_exhaustive]
    Per {
        /// What stood there.
        text: String,
        /// What is wrong with it, and what to write.
        reason: String,
    },
}

impl FromStr for Rate {
    type Err = ParseRateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (count, per) = text
            .trim()
            .split_once('/')
            .ok_or_else(|| ParseRateError::Shape(text.trim().to_owned()))?;
        let (count, per) = (count.trim(), per.trim());
        let count = count.parse().map_err(|source| ParseRateError::Count {
            text: count.to_owned(),
            source,
        })?;
        let length = match per.starts_with(|c: char| c.is_ascii_digit()) {
            true => units::parse(per),
            false => units::unit(per).map(Duration::from_nanos),
        };
        let per = length.map_err(|error| ParseRateError::Per {
            text: per.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self::new(count, per))
    }
}

#[cfg(feature = "serde")]
mod as_text {
    use std::fmt;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use super::Rate;

    impl Serialize for Rate {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }

    impl<'de> Deserialize<'de> for Rate {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_str(Text)
        }
    }

    struct Text;

    impl de::Visitor<'_> for Text {
        type Value = Rate;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a rate such as \"200/s\"")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Rate, E> {
            text.parse().map_err(E::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_the_documentation_shows() {
        for (text, rate) in [
            ("200/s", Rate::per_second(200)),
            ("10/h", Rate::per_hour(10)),
            ("30/m", Rate::per_minute(30)),
            ("1000/10m", Rate::new(1000, Duration::from_secs(600))),
            ("3/1.5s", Rate::new(3, Duration::from_millis(1500))),
            ("5/250ms", Rate::new(5, Duration::from_millis(250))),
            (" 200 / s ", Rate::per_second(200)),
        ] {
            assert_eq!(text.parse(), Ok(rate), "{text}");
        }
    }

    #[test]
    fn says_what_to_write_instead() {
        for (text, words) in [
            ("", "write \"200/s\""),
            ("200", "write \"200/s\""),
            ("/s", "whole number"),
            ("-3/s", "whole number"),
            ("0.5/s", "whole number"),
            ("5000000000/s", "to 4294967295"),
            ("200/", "unknown unit"),
            ("200/sec", "unknown unit `sec`"),
            ("200/10", "write \"10s\""),
            ("200/s/s", "unknown unit"),
        ] {
            let error = text.parse::<Rate>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn is_written_as_it_is_read() {
        for text in [
            "200/s",
            "10/h",
            "30/m",
            "1000/10m",
            "3/1.5s",
            "1/1.000000001s",
            "5/ms",
            "2/ns",
            "11/11s",
        ] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn every_rate_comes_back(count: u32, seconds: u64, nanos in 0u32..1_000_000_000) {
            let rate = Rate::new(count, Duration::new(seconds, nanos));
            prop_assert_eq!(rate.to_string().parse(), Ok(rate));
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn is_a_string_in_serde() {
        let rate = Rate::new(1000, Duration::from_secs(600));
        assert_eq!(serde_json::to_string(&rate).unwrap(), "\"1000/10m\"");
        assert_eq!(serde_json::from_str::<Rate>("\"1000/10m\"").unwrap(), rate);
        let error = serde_json::from_str::<Rate>("\"fast\"")
            .unwrap_err()
            .to_string();
        assert!(error.contains("write \"200/s\""), "{error}");
    }
}
