//! The choice of algorithm.

use crate::policy::settings::spelt;

/// How a limiter counts. What each lets through at worst, with a limit of `n` per `t`:
///
/// | in any time | `x` | `x = t` |
/// |---|---|---|
/// | token and leaky bucket, adaptive | `burst + n * x / t` | `2n` with the default burst |
/// | fixed window | `n` for each window that it touches | `2n` |
/// | sliding window | `n` for each `t` that it touches | `n` |
/// | sliding window counter | | less than `2n` |
///
/// # Shared
///
/// With `shared` the same holds for all instances together, on the store's clock, in whole microseconds
/// (times are rounded up to them, so that a limit is never exceeded). What may come on top:
///
/// | | at most |
/// |---|---|
/// | [`mode = lease`](crate::Mode::Lease), `try_acquire` | what is held ahead; see there |
/// | while the store is away, `on_store_error = local` | each instance has what its share gives: the limit and the burst divided by the instances last seen (at least by `instances`), rounded down, and one at least. All together let through no more than the limit does, unless there are more of them than permits, or than were seen |
/// | a time in which the store was both there and away, however often | the sum of both |
/// | the store's clock steps forward, or its data are lost | one limit anew: a full bucket, an empty window. A time that spans the step has what both sides of it allow |
/// | the store's clock steps back | nothing; whoever was refused is so for one `t` more (the sliding window counter: two) |
///
/// Where a consume was not answered in time it may have been made all the same: then permits are lost,
/// and the call is decided by `on_store_error`. So are permits that come for a caller who has gone, where
/// nobody else waits for as many.
///
/// A shared bucket that takes more than 71 years to fill is made smaller; where a rate and a burst are
/// too large to be counted exactly, the rate is lower by less than one part in 250 000. Exact
/// sliding windows take some 20 bytes of the store for each permit that was taken (for each question,
/// where calls went together), and nothing for refused calls.
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
    #[cfg(all(test, not(steadfast_loom)))]
    pub(crate) const ALL: [Self; 6] = [
        Self::TokenBucket,
        Self::LeakyBucket,
        Self::FixedWindow,
        Self::SlidingWindow,
        Self::SlidingWindowCounter,
        Self::Adaptive,
    ];

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

spelt!(Algorithm);
