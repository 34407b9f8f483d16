//! How a delay is spread out, so that callers who failed together do not come back together.

use std::fmt;

/// How much chance there is in a delay, so that callers who failed together do not come back together.
///
/// *d* is the delay that the [`Backoff`](crate::Backoff) gives; *U(a, b)* is uniform. `max_delay` holds
/// for what comes out. The formulas (full, equal, decorrelated) are those of
/// [Exponential Backoff And Jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
///
/// ```
/// use std::time::Duration;
/// use steadfast::{Jitter, Retry};
///
/// let retry = Retry::builder("nearly even")
///     .base_delay(Duration::from_secs(1))
///     .jitter(Jitter::Fraction(0.1))
///     .build()?;
/// let first = retry.delays().next().unwrap();
/// assert!((900..=1100).contains(&first.as_millis()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// In an attribute: `#[retry(jitter = equal)]`, `#[retry(jitter = 0.1)]`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Jitter {
    /// *U(0, d)*: spreads a crowd best. The default.
    #[default]
    Full,
    /// *d/2 + U(0, d/2)*: never less than half of the delay.
    Equal,
    /// *U(base, 3·previous)*, whatever the backoff: a random walk away from the base delay.
    Decorrelated,
    /// *d*, exactly.
    None,
    /// *d·(1 ± f)*, for an *f* between 0 and 1.
    Fraction(f64),
}

impl Jitter {
    /// The delay to make for a planned one. `previous` is what came out last time (at first `base`),
    /// `random` is uniform over all of `u64`; all in one unit, and the outcome is at most `max`.
    pub(crate) fn spread(
        self,
        planned: u64,
        base: u64,
        previous: u64,
        max: u64,
        random: u64,
    ) -> u64 {
        let delay = match self {
            Self::Full => uniform(0, planned, random),
            Self::Equal => uniform(planned - planned / 2, planned, random),
            Self::Decorrelated => uniform(base, previous.saturating_mul(3), random),
            Self::None => planned,
            Self::Fraction(fraction) => {
                // The cast turns a NaN into 0.
                let by = (planned as f64 * fraction.clamp(0.0, 1.0)) as u64;
                uniform(
                    planned.saturating_sub(by),
                    planned.saturating_add(by),
                    random,
                )
            }
        };
        delay.min(max)
    }
}

/// Uniform over `low..=high`; `low` where there is nothing between.
fn uniform(low: u64, high: u64, random: u64) -> u64 {
    let values = u128::from(high.saturating_sub(low)) + 1;
    // Less than `values`, so it fits.
    low + ((values * u128::from(random)) >> 64) as u64
}

impl fmt::Display for Jitter {
    /// As in an attribute and in the configuration: `full`, `equal`, `decorrelated`, `none`, `0.1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.pad("full"),
            Self::Equal => f.pad("equal"),
            Self::Decorrelated => f.pad("decorrelated"),
            Self::None => f.pad("none"),
            Self::Fraction(fraction) => fraction.fmt(f),
        }
    }
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_ends_are_reached_and_nothing_beyond() {
        assert_eq!(Jitter::Full.spread(1000, 1000, 1000, 5000, 0), 0);
        assert_eq!(Jitter::Full.spread(1000, 1000, 1000, 5000, u64::MAX), 1000);
        assert_eq!(Jitter::Equal.spread(1001, 1000, 1000, 5000, 0), 501);
        assert_eq!(Jitter::Equal.spread(1001, 1000, 1000, 5000, u64::MAX), 1001);
        let walk = |random| Jitter::Decorrelated.spread(7, 1000, 1500, 5000, random);
        assert_eq!((walk(0), walk(u64::MAX)), (1000, 4500));
        let tenth = |random| Jitter::Fraction(0.1).spread(1000, 1, 1, 5000, random);
        assert_eq!((tenth(0), tenth(u64::MAX)), (900, 1100));
        assert_eq!(Jitter::None.spread(1000, 1, 1, 5000, 7), 1000);
    }

    #[test]
    fn the_cap_holds_for_what_comes_out() {
        assert_eq!(
            Jitter::Fraction(1.0).spread(1000, 1, 1, 1200, u64::MAX),
            1200
        );
        assert_eq!(
            Jitter::Decorrelated.spread(1, 1000, 1000, 1200, u64::MAX),
            1200
        );
    }

    #[test]
    fn the_values_are_spread_evenly() {
        let mut rng = fastrand::Rng::with_seed(11);
        let mut buckets = [0u32; 10];
        for _ in 0..100_000 {
            let delay = Jitter::Full.spread(999, 1, 1, 5000, rng.u64(..));
            buckets[(delay / 100) as usize] += 1;
        }
        assert!(
            buckets.iter().all(|count| (9_500..10_500).contains(count)),
            "{buckets:?}"
        );
    }

    #[test]
    fn is_spelled_as_in_an_attribute() {
        let spelled = [Jitter::Full, Jitter::Decorrelated, Jitter::Fraction(0.25)];
        assert_eq!(
            spelled.map(|j| j.to_string()),
            ["full", "decorrelated", "0.25"]
        );
    }

    fn any_jitter() -> impl Strategy<Value = Jitter> {
        prop_oneof![
            Just(Jitter::Full),
            Just(Jitter::Equal),
            Just(Jitter::Decorrelated),
            Just(Jitter::None),
            (0.0..=1.0f64).prop_map(Jitter::Fraction),
            any::<f64>().prop_map(Jitter::Fraction),
        ]
    }

    proptest! {
        #[test]
        fn stays_within_its_formula(
            planned in 0u64..1 << 50,
            base in 0u64..1 << 50,
            previous in 0u64..1 << 50,
            fraction in 0.0..=1.0f64,
            random in any::<u64>(),
        ) {
            let spread = |jitter: Jitter| jitter.spread(planned, base, previous, u64::MAX, random);
            prop_assert!(spread(Jitter::Full) <= planned);
            prop_assert!((planned / 2..=planned).contains(&spread(Jitter::Equal)));
            let walked = spread(Jitter::Decorrelated);
            prop_assert!(walked >= base && walked <= base.max(3 * previous));
            prop_assert_eq!(spread(Jitter::None), planned);
            let off = spread(Jitter::Fraction(fraction)).abs_diff(planned) as f64;
            prop_assert!(off <= planned as f64 * fraction + 1.0);
        }

        #[test]
        fn never_passes_the_cap_nor_panics(
            jitter in any_jitter(),
            planned in any::<u64>(),
            base in any::<u64>(),
            previous in any::<u64>(),
            max in any::<u64>(),
            random in any::<u64>(),
        ) {
            prop_assert!(jitter.spread(planned, base, previous, max, random) <= max);
        }
    }
}
