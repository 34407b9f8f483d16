//! A processor's counter as a clock, kept to the system's.

use std::{cell::Cell, time::Duration};

use super::{Nanos, nanos};

/// For how long the counter is believed. Its frequency is known to within a few parts in 100 000, so
/// that a reading is never further off than a microsecond or two.
const TRUSTED: Duration = Duration::from_millis(50);

/// For how many readings: the end of a counter that stands still.
const READINGS: u32 = 256;

/// A longer look at the system's clock was interrupted, and says too little about the counter.
const GLANCE: Duration = Duration::from_micros(5);

/// How fast a counter counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speed {
    /// Nanoseconds in 2^[`Speed::SHIFT`] ticks.
    nanos: u64,
    trusted: u64,
    glance: u64,
}

impl Speed {
    /// Ticks that are a second and more: what is trusted fits 64 bits in between.
    const SHIFT: u32 = 32;

    /// `None` where the counter is no use: too slow to tell a call from the next, or too fast.
    pub(super) fn new(nanos_in: impl Fn(u64) -> u64) -> Option<Self> {
        let nanos_per_shift = nanos_in(1 << Self::SHIFT);
        let ticks_in = |time: Duration| {
            let ticks = u128::from(nanos(time)) << Self::SHIFT;
            u64::try_from(ticks / u128::from(nanos_per_shift.max(1))).unwrap_or(u64::MAX)
        };
        let (trusted, glance) = (ticks_in(TRUSTED), ticks_in(GLANCE));
        let is_useful = trusted >> Self::SHIFT == 0 && nanos_per_shift >> 38 == 0 && glance > 0;
        is_useful.then_some(Self {
            nanos: nanos_per_shift,
            trusted,
            glance,
        })
    }
}

/// What one thread knows of the counter: where it stood at some time of the system's clock. Readings
/// soon after count from there; later ones, and those of a counter that stepped back (another core's,
/// say), ask the system again. So nothing adds up, and a counter can be wrong about no more than the
/// last moment.
#[derive(Debug)]
pub(super) struct Ticks {
    counter: Cell<u64>,
    time: Cell<u64>,
    left: Cell<u32>,
}

impl Ticks {
    pub(super) const fn unknown() -> Self {
        Self {
            counter: Cell::new(0),
            time: Cell::new(0),
            left: Cell::new(0),
        }
    }

    /// The time at `counter`; `None` where the system has to be asked.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn read(&self, speed: &Speed, counter: u64) -> Option<Nanos> {
        // Stored whatever comes of it, which is one instruction: else it is learnt anew.
        let (left, none) = self.left.get().overflowing_sub(1);
        self.left.set(left);
        if none {
            self.left.set(0);
            return None;
        }
        // Wrapped, a step back is a long time.
        let passed = counter.wrapping_sub(self.counter.get());
        if passed > speed.trusted {
            return None;
        }
        let passed = (passed * speed.nanos) >> Speed::SHIFT;
        Some(Nanos(self.time.get() + passed))
    }

    /// The system's clock said `time` when the counter stood between `before` and `after`.
    pub(super) fn learn(&self, speed: &Speed, before: u64, time: Nanos, after: u64) {
        let is_sharp = after.wrapping_sub(before) <= speed.glance;
        // Counted from the later point it is behind rather than ahead: that lets nobody in too early.
        self.counter.set(after);
        self.time.set(time.0.min(Nanos::NEVER.0 >> 1));
        self.left.set(if is_sharp { READINGS } else { 0 });
    }
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Nanos = Nanos(1 << 60);

    /// 2.5 ticks per nanosecond.
    fn speed() -> Speed {
        Speed::new(|ticks| ticks * 2 / 5).expect("a useful counter")
    }

    fn known(counter: u64) -> Ticks {
        let ticks = Ticks::unknown();
        ticks.learn(&speed(), counter, START, counter);
        ticks
    }

    #[test]
    fn nothing_is_known_at_first() {
        assert_eq!(Ticks::unknown().read(&speed(), 0), None);
    }

    #[test]
    fn counts_from_the_time_that_the_system_said() {
        let ticks = known(7_000);
        assert_eq!(ticks.read(&speed(), 7_000), Some(START));
        let later = ticks.read(&speed(), 7_000 + 25_000_000).expect("10 ms");
        assert!(later.since(START).abs_diff(Duration::from_millis(10)) < Duration::from_nanos(10));
    }

    #[test]
    fn a_counter_that_steps_back_is_not_believed() {
        let ticks = known(7_000);
        assert_eq!(ticks.read(&speed(), 6_999), None);
        assert_eq!(ticks.read(&speed(), 0), None);
    }

    #[test]
    fn a_counter_that_jumps_is_not_believed() {
        assert_eq!(known(7_000).read(&speed(), 7_000 + 250_000_000), None);
        assert_eq!(known(7_000).read(&speed(), u64::MAX), None);
    }

    #[test]
    fn a_counter_that_stalls_is_not_believed_for_long() {
        let ticks = known(7_000);
        let readings = (0..10_000).take_while(|_| ticks.read(&speed(), 7_000).is_some());
        assert_eq!(readings.count(), READINGS as usize);
    }

    #[test]
    fn an_interrupted_look_teaches_nothing() {
        let ticks = Ticks::unknown();
        ticks.learn(&speed(), 7_000, START, 7_000 + 2_500_000);
        assert_eq!(ticks.read(&speed(), 7_000 + 2_500_000), None);
    }

    #[test]
    fn a_counter_that_tells_nothing_is_not_used() {
        assert!(Speed::new(|_| 0).is_none());
        assert!(Speed::new(|ticks| ticks * 1_000_000).is_none());
        assert!(Speed::new(|ticks| ticks).is_some());
    }

    proptest! {
        /// Whatever a counter does, no reading is further from the system's clock than what is trusted.
        #[test]
        fn no_counter_leads_far_astray(steps in prop::collection::vec((any::<u64>(), 0u64..100_000_000), 1..200)) {
            let (speed, ticks, mut time) = (speed(), Ticks::unknown(), START);
            let mut asked = START;
            for (counter, passed) in steps {
                time = time.after(Duration::from_nanos(passed));
                match ticks.read(&speed, counter) {
                    Some(read) => prop_assert!(read >= asked && read <= asked.after(TRUSTED)),
                    None => {
                        ticks.learn(&speed, counter, time, counter);
                        asked = time;
                    }
                }
            }
        }
    }
}
