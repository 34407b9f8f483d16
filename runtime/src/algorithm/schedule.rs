//! The delays of a retry: backoff, jitter and cap put together.

use std::{iter::FusedIterator, time::Duration};

use crate::{
    algorithm::{backoff::Backoff, jitter::Jitter},
    clock::nanos,
};

/// What the delays of a retry follow from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Schedule {
    backoff: Backoff,
    jitter: Jitter,
    base: u64,
    max: u64,
    multiplier: f64,
}

impl Schedule {
    /// Of a retry that makes none.
    pub(crate) const NONE: Self = Self {
        backoff: Backoff::Fixed,
        jitter: Jitter::None,
        base: 0,
        max: 0,
        multiplier: 1.0,
    };

    pub(crate) fn new(
        backoff: Backoff,
        jitter: Jitter,
        base: Duration,
        max: Duration,
        multiplier: f64,
    ) -> Self {
        Self {
            backoff,
            jitter,
            base: nanos(base),
            max: nanos(max),
            multiplier,
        }
    }

    /// The longest delay.
    pub(crate) fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The delay before the `retry`-th retry (from 1). `previous` is the one before, if any.
    pub(crate) fn delay(&self, retry: u32, previous: Option<Duration>, random: u64) -> Duration {
        let planned = self
            .backoff
            .delay(retry, self.base, self.multiplier, self.max);
        self.spread(planned, previous, random)
    }

    /// As [`Schedule::delay`], for a delay that the user's own function planned.
    pub(crate) fn delay_of(
        &self,
        planned: Duration,
        previous: Option<Duration>,
        random: u64,
    ) -> Duration {
        self.spread(nanos(planned).min(self.max), previous, random)
    }

    fn spread(&self, planned: u64, previous: Option<Duration>, random: u64) -> Duration {
        let previous = previous.map_or(self.base, nanos);
        let delay = self
            .jitter
            .spread(planned, self.base, previous, self.max, random);
        Duration::from_nanos(delay)
    }
}

/// The delays that a [`Retry`](crate::Retry) would make if every attempt failed at once.
///
/// An ordinary iterator of [`Duration`], for a loop of your own or to see what settings amount to. It
/// ends after `max_attempts - 1` delays, or before the one that would pass `max_elapsed`. Each
/// iterator throws its own dice.
///
/// ```
/// use std::time::Duration;
/// use steadfast::{Jitter, Retry};
///
/// let retry = Retry::builder("doubling")
///     .max_attempts(10)
///     .base_delay(Duration::from_secs(1))
///     .max_elapsed(Duration::from_secs(10))
///     .jitter(Jitter::None)
///     .build()?;
/// let delays: Vec<_> = retry.delays().map(|delay| delay.as_secs()).collect();
/// assert_eq!(delays, [1, 2, 4]); // 8 more would pass the ten seconds
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Delays {
    schedule: Schedule,
    next: u32,
    retries: u32,
    previous: Option<Duration>,
    left: Option<Duration>,
    random: fastrand::Rng,
}

impl Delays {
    pub(crate) fn new(
        schedule: Schedule,
        max_attempts: u32,
        max_elapsed: Option<Duration>,
        random: fastrand::Rng,
    ) -> Self {
        Self {
            schedule,
            next: 1,
            retries: max_attempts.saturating_sub(1),
            previous: None,
            left: max_elapsed,
            random,
        }
    }
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.next > self.retries {
            return None;
        }
        let random = self.random.u64(..);
        let delay = self.schedule.delay(self.next, self.previous, random);
        if let Some(left) = &mut self.left {
            match left.checked_sub(delay) {
                Some(rest) => *left = rest,
                None => {
                    self.retries = 0;
                    return None;
                }
            }
        }
        self.next = self.next.saturating_add(1);
        self.previous = Some(delay);
        Some(delay)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let most = self.retries.saturating_sub(self.next - 1) as usize;
        (if self.left.is_some() { 0 } else { most }, Some(most))
    }
}

impl FusedIterator for Delays {}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn delays(jitter: Jitter, attempts: u32, max_elapsed: Option<Duration>) -> Delays {
        let schedule = Schedule::new(Backoff::Exponential, jitter, SECOND, 60 * SECOND, 2.0);
        Delays::new(schedule, attempts, max_elapsed, fastrand::Rng::with_seed(3))
    }

    #[test]
    fn there_is_one_delay_less_than_attempts() {
        assert_eq!(delays(Jitter::None, 1, None).count(), 0);
        assert_eq!(delays(Jitter::None, 0, None).count(), 0);
        let all: Vec<_> = delays(Jitter::None, 4, None).collect();
        assert_eq!(all, [SECOND, 2 * SECOND, 4 * SECOND]);
        assert_eq!(delays(Jitter::Full, 1_000_001, None).count(), 1_000_000);
    }

    #[test]
    fn a_delay_that_would_pass_the_deadline_is_the_end() {
        let exactly: Vec<_> = delays(Jitter::None, 9, Some(7 * SECOND)).collect();
        assert_eq!(exactly, [SECOND, 2 * SECOND, 4 * SECOND]);
        let mut short = delays(Jitter::None, 9, Some(6 * SECOND));
        assert_eq!(short.by_ref().count(), 2);
        assert_eq!(short.next(), None);
    }

    #[test]
    fn the_users_own_delay_is_capped_and_spread_as_well() {
        let schedule = Schedule::new(Backoff::Fixed, Jitter::Full, SECOND, 60 * SECOND, 2.0);
        assert_eq!(
            schedule.delay_of(Duration::MAX, None, u64::MAX),
            60 * SECOND
        );
        assert_eq!(schedule.delay_of(8 * SECOND, None, 1 << 63), 4 * SECOND);
    }

    proptest! {
        #[test]
        fn a_decorrelated_walk_stays_between_base_and_three_times_its_last_step(seed in any::<u64>()) {
            let schedule =
                Schedule::new(Backoff::Linear, Jitter::Decorrelated, SECOND, 60 * SECOND, 2.0);
            let walk = Delays::new(schedule, 50, None, fastrand::Rng::with_seed(seed));
            let mut previous = SECOND;
            for delay in walk {
                prop_assert!(delay >= SECOND && delay <= (3 * previous).min(60 * SECOND));
                previous = delay;
            }
        }

        #[test]
        fn the_hint_is_what_comes(attempts in 0u32..50, seconds in prop::option::of(0u64..100)) {
            let all = delays(Jitter::Full, attempts, seconds.map(Duration::from_secs));
            let (least, most) = all.size_hint();
            let count = all.count();
            prop_assert!(least <= count && count <= most.unwrap());
        }
    }
}
