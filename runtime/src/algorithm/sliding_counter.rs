//! The sliding window approximated by two counters.

use std::time::Duration;

use crate::clock::Nanos;
use crate::rate::Rate;

use super::{
    decision::{Decision, Unrepresentable},
    grid::Grid,
    pace::period,
};

/// The present window's count plus the last one's, weighted by how much of it a window that ends now
/// still covers.
///
/// It takes the last window's permits as evenly spread. Where they were not, a window that covers a
/// share `x` of it can see up to `count + last * (1 - x)`: close to twice the count if the last
/// window's permits all went at its very end, never more than the count if they were evenly spread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlidingCounter {
    count: u32,
    grid: Grid,
}

/// What was taken in the newest window and in the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    window: u64,
    last: u32,
    used: u32,
}

/// Where a permit becomes free: the counts of that window, and how many are needed in it.
struct Found {
    state: Counters,
    needed: u128,
}

impl Counters {
    /// The following window, after `more` permits in this one.
    fn next(self, more: u32) -> Self {
        Self {
            window: self.window.saturating_add(1),
            last: self.used.saturating_add(more),
            used: 0,
        }
    }
}

impl SlidingCounter {
    pub(crate) fn new(rate: Rate) -> Result<Self, Unrepresentable> {
        Ok(Self {
            count: rate.count(),
            grid: Grid::new(period(rate)?, Nanos(0), 0),
        })
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Later than every mark that was given out.
    pub(crate) fn front(&self, state: &Counters, now: Nanos) -> u64 {
        let newest = now.max(self.grid.start(state.window));
        newest.0.saturating_add(1)
    }

    /// Whether its windows are the others'.
    pub(crate) fn has_windows_of(&self, other: &Self) -> bool {
        self.grid == other.grid
    }

    /// Goes on under these rules. Where windows have another length, what the present and the last one
    /// have taken under the `old` rules counts in the present and the last one here.
    pub(crate) fn carry(&self, old: &Self, state: &mut Counters, now: Nanos) {
        if self.grid == old.grid {
            return;
        }
        let now = old.roll(state, now);
        state.window = self.grid.index(now);
    }

    pub(crate) fn take(&self, state: &mut Counters, now: Nanos, cost: u32) -> Decision {
        let at = self.roll(state, now);
        let free = self.free(state, at);
        let allowed = cost <= free;
        if allowed {
            state.used += cost;
        }
        Decision {
            allowed,
            limit: self.count,
            remaining: if allowed { free - cost } else { free },
            retry_after: match allowed {
                true => Some(Duration::ZERO),
                false => self
                    .ready_at(state, at, 0, cost)
                    .map(|ready| ready.since(now)),
            },
            reset_after: self.reset_after(state, now),
            mark: at.0,
        }
    }

    /// Brings the state to the window of `now`, which it returns as the state sees it.
    fn roll(&self, state: &mut Counters, now: Nanos) -> Nanos {
        let now = self.grid.settle(now, state.window);
        let window = self.grid.index(now);
        if window != state.window {
            let follows = window == state.window + 1;
            *state = Counters {
                window,
                last: if follows { state.used } else { 0 },
                used: 0,
            };
        }
        now
    }

    /// Whole permits that are free at `now`, a time in the state's window.
    fn free(&self, state: &Counters, now: Nanos) -> u32 {
        let per = u128::from(self.grid.per());
        let passed = now.since(self.grid.start(state.window)).as_nanos().min(per);
        let weighed = u128::from(state.last) * (per - passed);
        let taken = weighed.div_ceil(per) + u128::from(state.used);
        u128::from(self.count).saturating_sub(taken) as u32
    }

    fn reset_after(&self, state: &Counters, now: Nanos) -> Duration {
        match (state.used, state.last) {
            (0, 0) => Duration::ZERO,
            (0, _) => self.grid.start(state.window + 1).since(now),
            _ => self.grid.start(state.window + 2).since(now),
        }
    }

    pub(crate) fn refund(&self, state: &mut Counters, now: Nanos, mark: u64, cost: u32) {
        self.roll(state, now);
        let window = self.grid.index(Nanos(mark));
        if window == state.window {
            state.used = state.used.saturating_sub(cost);
        } else if window.saturating_add(1) == state.window {
            state.last = state.last.saturating_sub(cost);
        }
    }

    /// When `cost` could be taken after `ahead` others; with others ahead the earliest time possible.
    pub(crate) fn ready_at(
        &self,
        state: &Counters,
        now: Nanos,
        ahead: u64,
        cost: u32,
    ) -> Option<Nanos> {
        if cost > self.count {
            return None;
        }
        let mut state = *state;
        let now = self.roll(&mut state, now);
        let found = self.window_of(state, ahead, cost);
        let passed = self.passed_until(&found.state, found.needed);
        Some(
            self.grid
                .start(found.state.window)
                .after(Duration::from_nanos(passed))
                .max(now),
        )
    }

    /// The window in which the last of the permits becomes free.
    fn window_of(&self, mut state: Counters, ahead: u64, cost: u32) -> Found {
        let needed = u128::from(ahead) + u128::from(cost);
        if needed <= u128::from(self.within(&state)) {
            return Found { state, needed };
        }
        if ahead == 0 {
            return Found {
                state: state.next(0),
                needed,
            };
        }
        // Those in front take each permit as soon as it is free. Once they are at it, every window
        // gives all its permits but the one that is free at its very end.
        let mut needed = needed;
        for _ in 0..3 {
            let here = self.within(&state);
            if needed <= u128::from(here) {
                return Found { state, needed };
            }
            needed -= u128::from(here);
            state = state.next(here);
        }
        let (each, windows) = if self.count == 1 {
            (1, 2)
        } else {
            (self.count - 1, 1)
        };
        let rounds = (needed - 1) / u128::from(each);
        let passed = u64::try_from(rounds * windows).unwrap_or(u64::MAX);
        state.window = state.window.saturating_add(passed);
        Found {
            state,
            needed: needed - rounds * u128::from(each),
        }
    }

    /// What a window still gives before its end.
    fn within(&self, state: &Counters) -> u32 {
        self.count
            .saturating_sub(state.used)
            .saturating_sub(u32::from(state.last > 0))
    }

    /// How much of its window has to pass until `needed` more permits fit.
    fn passed_until(&self, state: &Counters, needed: u128) -> u64 {
        let per = u128::from(self.grid.per());
        let room = u128::from(self.count).saturating_sub(u128::from(state.used) + needed);
        match state.last {
            0 => 0,
            last => per.saturating_sub(room * per / u128::from(last)) as u64,
        }
    }

    pub(crate) fn is_unused(&self, state: &Counters, now: Nanos) -> bool {
        let mut state = *state;
        self.roll(&mut state, now);
        state.used == 0 && state.last == 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    /// A boundary between two windows.
    const START: Nanos = Nanos(SECOND << 30);

    fn at(millis: u64) -> Nanos {
        START.after(Duration::from_millis(millis))
    }

    #[test]
    fn the_last_window_counts_for_what_is_left_of_it() {
        let (counter, mut state) = (
            SlidingCounter::new(Rate::per_second(10)).unwrap(),
            Counters::default(),
        );
        assert!(counter.take(&mut state, at(900), 10).allowed);
        assert_eq!(counter.take(&mut state, at(1250), 0).remaining, 2);
        let refused = counter.take(&mut state, at(1250), 4);
        assert_eq!(refused.retry_after, Some(Duration::from_millis(150)));
        assert!(!counter.take(&mut state, Nanos(at(1400).0 - 1), 4).allowed);
        assert!(counter.take(&mut state, at(1400), 4).allowed);
        assert_eq!(
            counter.take(&mut state, at(1400), 0).reset_after,
            Duration::from_millis(1600)
        );
    }

    #[test]
    fn the_worst_case_is_close_to_twice_the_count_and_below_it() {
        let (counter, mut state) = (
            SlidingCounter::new(Rate::per_second(100)).unwrap(),
            Counters::default(),
        );
        let mut taken = 0;
        for millis in 999..1999 {
            while counter.take(&mut state, at(millis), 1).allowed {
                taken += 1;
            }
        }
        assert_eq!(taken, 199);
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let (counter, mut state) = (
            SlidingCounter::new(Rate::per_second(2)).unwrap(),
            Counters::default(),
        );
        assert!(counter.take(&mut state, at(10_000), 2).allowed);
        assert!(counter.take(&mut state, at(5_000), 2).allowed);
        assert!(!counter.take(&mut state, at(5_001), 1).allowed);
    }

    proptest! {
        #[test]
        fn weighs_as_plain_fractions_do(
            count in 1u32..20,
            steps in prop::collection::vec((0u64..SECOND, 0u32..6, any::<bool>()), 1..200),
        ) {
            let (counter, mut state) = (SlidingCounter::new(Rate::per_second(count)).unwrap(), Counters::default());
            let mut table: HashMap<u64, i128> = HashMap::new();
            let mut now = START.0;
            let mut last = None;
            for (by, cost, back) in steps {
                now += by;
                let index = now / SECOND;
                if let (true, Some((mark, cost))) = (back, last.take()) {
                    counter.refund(&mut state, Nanos(now), mark, cost);
                    *table.entry(mark / SECOND).or_default() -= i128::from(cost);
                }
                let before = table.get(&(index - 1)).copied().unwrap_or(0);
                let used = table.entry(index).or_default();
                let left = i128::from(SECOND - now % SECOND);
                let second = i128::from(SECOND);
                let fits = before * left + (*used + i128::from(cost)) * second <= i128::from(count) * second;
                let decision = counter.take(&mut state, Nanos(now), cost);
                prop_assert_eq!(decision.allowed, fits);
                if fits {
                    *used += i128::from(cost);
                    last = Some((decision.mark, cost));
                }
            }
        }
    }
}
