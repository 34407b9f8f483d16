//! How the delay grows from one retry to the next.

use std::fmt;

/// How long to wait before a retry, and how fast that grows.
///
/// With a base delay *d* and a multiplier *m*, the delay before the *n*-th retry (the first is 1) is
/// as each variant says, at most `max_delay`; it saturates there, whatever the number of attempts. The
/// [`Jitter`](crate::Jitter) then spreads it out.
///
/// ```
/// use std::time::Duration;
/// use steadfast::{Backoff, Jitter, Retry};
///
/// let retry = Retry::builder("patient")
///     .max_attempts(4)
///     .backoff(Backoff::Linear)
///     .base_delay(Duration::from_millis(100))
///     .jitter(Jitter::None)
///     .build()?;
/// let delays: Vec<_> = retry.delays().map(|delay| delay.as_millis()).collect();
/// assert_eq!(delays, [100, 200, 300]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// In an attribute: `#[retry(backoff = linear)]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backoff {
    /// *d·mⁿ⁻¹*: backs off fast from a service that stays down. The default.
    #[default]
    Exponential,
    /// *d·n*: grows evenly.
    Linear,
    /// *d*, each time.
    Fixed,
}

impl Backoff {
    /// As attributes and configuration spell it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Exponential => "exponential",
            Self::Linear => "linear",
            Self::Fixed => "fixed",
        }
    }

    /// The delay before the `retry`-th retry (from 1), in the unit of `base`, at most `max`.
    pub(crate) fn delay(self, retry: u32, base: u64, multiplier: f64, max: u64) -> u64 {
        let delay = match self {
            Self::Exponential => exponential(retry, base, multiplier),
            Self::Linear => base.saturating_mul(u64::from(retry.max(1))),
            Self::Fixed => base,
        };
        delay.min(max)
    }
}

/// Exact for whole multipliers; within the precision of `f64` for the others.
fn exponential(retry: u32, base: u64, multiplier: f64) -> u64 {
    let exponent = retry.saturating_sub(1);
    if base == 0 || exponent == 0 {
        return base;
    }
    if multiplier.fract() == 0.0 && (1.0..=9e18).contains(&multiplier) {
        let power = (multiplier as u64).checked_pow(exponent);
        return power.map_or(u64::MAX, |power| base.saturating_mul(power));
    }
    // A cast to an integer saturates, so an infinite power gives the longest delay.
    let exponent = i32::try_from(exponent).unwrap_or(i32::MAX);
    let delay = base as f64 * multiplier.max(1.0).powi(exponent);
    delay as u64
}

impl fmt::Display for Backoff {
    /// As in an attribute and in the configuration: `exponential`, `linear`, `fixed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn doubles_from_the_base_up_to_the_cap() {
        let delays: Vec<_> = (1..=8)
            .map(|n| Backoff::Exponential.delay(n, SECOND, 2.0, 60 * SECOND) / SECOND)
            .collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn the_millionth_retry_waits_for_the_cap() {
        for multiplier in [1.000_1, 1.5, 2.0, 10.0, 1e300, f64::INFINITY] {
            for retry in [1_000_000, u32::MAX] {
                let delay = Backoff::Exponential.delay(retry, SECOND, multiplier, 60 * SECOND);
                assert_eq!(delay, 60 * SECOND, "{multiplier}");
            }
        }
        let linear = Backoff::Linear.delay(u32::MAX, u64::MAX, 2.0, 60 * SECOND);
        assert_eq!(linear, 60 * SECOND);
    }

    #[test]
    fn a_multiplier_of_one_never_grows() {
        for retry in [1, 2, 1_000_000, u32::MAX] {
            let delay = Backoff::Exponential.delay(retry, SECOND, 1.0, 60 * SECOND);
            assert_eq!(delay, SECOND);
        }
    }

    #[test]
    fn is_spelled_as_in_an_attribute() {
        assert_eq!(Backoff::default().to_string(), "exponential");
    }

    fn model(backoff: Backoff, retry: u32, base: u64, multiplier: u64, max: u64) -> u64 {
        let mut delay = u128::from(base);
        for _ in 1..retry {
            delay = match backoff {
                Backoff::Exponential => delay * u128::from(multiplier),
                Backoff::Linear => delay + u128::from(base),
                Backoff::Fixed => delay,
            };
            delay = delay.min(u128::from(u64::MAX));
        }
        delay.min(u128::from(max)) as u64
    }

    fn any_backoff() -> impl Strategy<Value = Backoff> {
        prop::sample::select(vec![Backoff::Exponential, Backoff::Linear, Backoff::Fixed])
    }

    proptest! {
        #[test]
        fn follows_its_formula_to_the_nanosecond(
            backoff in any_backoff(),
            retry in 1u32..200,
            base in prop_oneof![0..10 * SECOND, any::<u64>()],
            multiplier in 1u64..9,
            max in any::<u64>(),
        ) {
            let delay = backoff.delay(retry, base, multiplier as f64, max);
            prop_assert_eq!(delay, model(backoff, retry, base, multiplier, max));
        }

        #[test]
        fn a_broken_multiplier_is_followed_to_a_millionth(
            retry in 1u32..40,
            base in 1_000..10 * SECOND,
            multiplier in 1.0f64..4.0,
        ) {
            let mut expected = base as f64;
            for _ in 1..retry {
                expected *= multiplier;
            }
            let delay = Backoff::Exponential.delay(retry, base, multiplier, u64::MAX) as f64;
            prop_assert!((delay - expected.min(u64::MAX as f64)).abs() <= 1.0 + expected * 1e-6);
        }

        #[test]
        fn never_shrinks_nor_panics(
            backoff in any_backoff(),
            retry in 0u32..u32::MAX,
            base in any::<u64>(),
            multiplier in any::<f64>(),
            max in any::<u64>(),
        ) {
            let delay = backoff.delay(retry, base, multiplier, max);
            prop_assert!(delay <= max);
            prop_assert!(delay <= backoff.delay(retry + 1, base, multiplier, max));
        }
    }
}
