//! The choice of algorithm.

use std::fmt;

use crate::policy::settings::Show;

/// How a limiter counts. What each lets through at worst, with a limit of `n` per `t`:
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Algorithm {
    /// A bucket of `burst` permits that refills evenly. In any time `x` at most `burst + n * x / t`
    /// (with the default burst up to `2n` within one `t`). One word of memory, no lock.
    #[default]
    TokenBucket,
    /// A bucket that holds `burst` calls and drains at the rate: counts as the token bucket does, and
    /// calls that wait leave it evenly spaced.
    LeakyBucket,
    /// `n` in each window of the wall clock, aligned to the Unix epoch. Almost `2n` within one `t`:
    /// all of one window's at its end, all of the next one's at its beginning.
    FixedWindow,
    /// Exact: never more than `n` in any window of length `t`. Remembers when each permit was taken,
    /// up to `n` of them, sixteen bytes each.
    SlidingWindow,
    /// The sliding window from two counters, the last window taken as evenly spread: exact if it was.
    /// At worst almost `2n` within one `t`, where the last window's permits all went at its very end.
    SlidingWindowCounter,
    /// A token bucket of `n` whose rate follows the share of calls that succeed, between `min_rate` and
    /// `rate`. At worst what the token bucket lets through, and less the more calls fail.
    Adaptive,
}

impl Algorithm {
    /// The algorithm as attributes and configuration spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenBucket => "token_bucket",
            Self::LeakyBucket => "leaky_bucket",
            Self::FixedWindow => "fixed_window",
            Self::SlidingWindow => "sliding_window",
            Self::SlidingWindowCounter => "sliding_window_counter",
            Self::Adaptive => "adaptive",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Show for Algorithm {
    fn show(&self) -> String {
        self.to_string()
    }
}
