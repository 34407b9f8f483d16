//! A rate as two whole numbers.

use std::time::Duration;

use super::LONGEST;
use crate::rate::Rate;

/// So many units are one permit, and so many flow in a microsecond. Exact where the units of a whole
/// bucket can be counted; else the rate is lower by at most one part in a quarter of a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ratio {
    pub(crate) permit: i64,
    pub(crate) pace: i64,
    /// Less than was asked for only where it would take more than 71 years to fill.
    pub(crate) burst: i64,
}

/// A full bucket in units, and what flows in a microsecond on top, stay under 2^51.
const MOST: i64 = LONGEST - (1 << 34);

impl Ratio {
    /// Of a bucket whose units are counted `scale` times finer by its owner.
    pub(crate) fn new(rate: Rate, burst: u32, scale: i64) -> Self {
        let most = i128::from(MOST / scale.max(1));
        let (count, per) = (
            i128::from(rate.count().max(1)),
            i128::from(micros(rate.per())),
        );
        let burst = i128::from(burst.max(1));
        let common = common(count, per);
        let (permit, pace) = (per / common, count / common);
        if burst * permit <= most {
            return Self::of(permit, pace, burst);
        }
        let room = most / burst;
        // In coarser units, in which a permit is just not too large.
        let coarse = room * pace / permit;
        if coarse > 0 {
            return Self::of(up(permit * coarse, pace), coarse, burst);
        }
        let permit = up(permit, pace).min(most);
        Self::of(permit, 1, (most / permit).max(1))
    }

    fn of(permit: i128, pace: i128, burst: i128) -> Self {
        let int = |value: i128| i64::try_from(value).unwrap_or(MOST);
        Self {
            permit: int(permit),
            pace: int(pace),
            burst: int(burst),
        }
    }
}

/// A rate's time in whole microseconds, rounded up: never more permits than the rate has.
pub(crate) fn micros(per: Duration) -> i64 {
    let micros = per.as_nanos().div_ceil(1_000).max(1);
    i64::try_from(micros).unwrap_or(LONGEST).min(LONGEST)
}

fn up(dividend: i128, divisor: i128) -> i128 {
    (dividend + divisor - 1) / divisor
}

fn common(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_rates_are_exact() {
        let ratio = |rate: Rate| {
            let Ratio { permit, pace, .. } = Ratio::new(rate, rate.count(), 1);
            (permit, pace)
        };
        assert_eq!(ratio(Rate::per_second(100)), (10_000, 1));
        assert_eq!(ratio(Rate::per_second(3)), (1_000_000, 3));
        assert_eq!(ratio(Rate::per_hour(7)), (3_600_000_000, 7));
        assert_eq!(ratio(Rate::per_second(2_000_000)), (1, 2));
    }

    proptest! {
        #[test]
        fn a_rate_is_never_exceeded_and_hardly_missed(
            count in 1u32.., per in 1u64.., burst in 1u32.., scale in prop::sample::select(vec![1, 1_000_000]),
        ) {
            let rate = Rate::new(count, Duration::from_nanos(per));
            let Ratio { permit, pace, burst: held } = Ratio::new(rate, burst, scale);
            prop_assert!(permit > 0 && pace > 0 && held > 0 && held <= i64::from(burst));
            prop_assert!(i128::from(permit) * i128::from(held) * i128::from(scale) <= i128::from(LONGEST));
            let (count, per) = (i128::from(count), i128::from(micros(rate.per())));
            // Microseconds per permit, of this ratio and of the rate: over the same denominator.
            let (here, exact) = (i128::from(permit) * count, per * i128::from(pace));
            prop_assert!(here >= exact || per == i128::from(LONGEST) || permit >= MOST / scale);
            if scale == 1 {
                prop_assert!(here - exact <= exact / 250_000 || held < i64::from(burst));
            }
        }
    }
}
