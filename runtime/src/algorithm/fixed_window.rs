//! So many permits in each window of the wall clock.

use std::time::Duration;

use crate::clock::Nanos;
use crate::rate::Rate;

use super::{
    decision::{Decision, Unrepresentable},
    grid::Grid,
    pace::period,
};

/// Windows aligned to the Unix epoch, each with its own count.
///
/// In a window that lies across a boundary it gives out up to twice the count: all of one window's
/// permits at its end, all of the next one's at its beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FixedWindow {
    count: u32,
    grid: Grid,
}

/// What was taken in the newest window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    window: u64,
    used: u32,
}

impl FixedWindow {
    /// `since_epoch` is how long ago the Unix epoch was at `now`.
    pub(crate) fn new(rate: Rate, now: Nanos, since_epoch: u128) -> Result<Self, Unrepresentable> {
        Ok(Self {
            count: rate.count(),
            grid: Grid::new(period(rate)?, now, since_epoch),
        })
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Later than every mark that was given out.
    pub(crate) fn front(&self, state: &Counted, now: Nanos) -> u64 {
        let newest = now.max(self.grid.start(state.window));
        newest.0.saturating_add(1)
    }

    /// Whether its windows are the others'.
    pub(crate) fn has_windows_of(&self, other: &Self) -> bool {
        self.grid == other.grid
    }

    /// Goes on under these rules: what was taken in the window that runs under the `old` ones counts in
    /// the one that runs here.
    pub(crate) fn carry(&self, old: &Self, state: &mut Counted, now: Nanos) {
        if self.grid == old.grid {
            return;
        }
        let now = old.roll(state, now);
        state.window = self.grid.index(now);
    }

    pub(crate) fn take(&self, state: &mut Counted, now: Nanos, cost: u32) -> Decision {
        let at = self.roll(state, now);
        let allowed = cost <= self.count - state.used.min(self.count);
        if allowed {
            state.used += cost;
        }
        Decision {
            allowed,
            limit: self.count,
            remaining: self.count.saturating_sub(state.used),
            retry_after: match allowed {
                true => Some(Duration::ZERO),
                false => self
                    .ready_at(state, at, 0, cost)
                    .map(|ready| ready.since(now)),
            },
            reset_after: match state.used {
                0 => Duration::ZERO,
                _ => self.grid.start(state.window + 1).since(now),
            },
            mark: at.0,
        }
    }

    /// Brings the state to the window of `now`, which it returns as the state sees it.
    fn roll(&self, state: &mut Counted, now: Nanos) -> Nanos {
        let now = self.grid.settle(now, state.window);
        let window = self.grid.index(now);
        if window != state.window {
            *state = Counted { window, used: 0 };
        }
        now
    }

    /// Permits of a window that has ended are gone; those of the present one come back.
    pub(crate) fn refund(&self, state: &mut Counted, now: Nanos, mark: u64, cost: u32) {
        self.roll(state, now);
        if self.grid.index(Nanos(mark)) == state.window {
            state.used = state.used.saturating_sub(cost);
        }
    }

    pub(crate) fn ready_at(
        &self,
        state: &Counted,
        now: Nanos,
        ahead: u64,
        cost: u32,
    ) -> Option<Nanos> {
        if cost > self.count {
            return None;
        }
        let mut state = *state;
        let now = self.roll(&mut state, now);
        // More than the count where that was lowered: all the same it ends with the window.
        let used = state.used.min(self.count);
        let needed = (u128::from(used) + u128::from(ahead) + u128::from(cost)).saturating_sub(1);
        let windows = u64::try_from(needed / u128::from(self.count)).unwrap_or(u64::MAX);
        match windows {
            0 => Some(now),
            _ => Some(self.grid.start(state.window.saturating_add(windows))),
        }
    }

    pub(crate) fn is_unused(&self, state: &Counted, now: Nanos) -> bool {
        let mut state = *state;
        self.roll(&mut state, now);
        state.used == 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const START: Nanos = Nanos(1 << 60);
    const SECOND: u64 = 1_000_000_000;

    /// Windows of one second; the line's start lies 300 ms inside one.
    fn window(count: u32) -> FixedWindow {
        FixedWindow::new(Rate::per_second(count), START, 1_700_000_000_300_000_000).unwrap()
    }

    fn at(millis: u64) -> Nanos {
        START.after(Duration::from_millis(millis))
    }

    #[test]
    fn windows_begin_with_the_epochs_seconds() {
        let (window, mut state) = (window(2), Counted::default());
        assert!(window.take(&mut state, at(0), 2).allowed);
        let refused = window.take(&mut state, at(100), 1);
        assert_eq!(refused.retry_after, Some(Duration::from_millis(600)));
        assert_eq!(refused.reset_after, Duration::from_millis(600));
        assert!(!window.take(&mut state, Nanos(at(700).0 - 1), 1).allowed);
        assert!(
            window.take(&mut state, at(700), 2).allowed,
            "almost twice the count within a second"
        );
    }

    #[test]
    fn a_clock_that_was_set_back_gains_one_window_and_locks_nobody_out() {
        let (window, mut state) = (window(2), Counted::default());
        assert!(window.take(&mut state, at(10_000), 2).allowed);
        assert!(window.take(&mut state, at(5_000), 2).allowed);
        assert!(!window.take(&mut state, at(5_001), 1).allowed);
    }

    #[test]
    fn skew_across_a_boundary_gains_nothing() {
        let (window, mut state) = (window(2), Counted::default());
        assert!(window.take(&mut state, at(700), 2).allowed);
        for _ in 0..10 {
            assert!(!window.take(&mut state, at(699), 1).allowed);
            assert!(!window.take(&mut state, at(700), 1).allowed);
        }
    }

    proptest! {
        #[test]
        fn counts_as_a_table_of_windows_does(
            count in 1u32..10,
            steps in prop::collection::vec((0u64..SECOND, 0u32..4, any::<bool>()), 1..200),
        ) {
            let (window, mut state) = (window(count), Counted::default());
            let mut table: HashMap<u64, u32> = HashMap::new();
            let mut now = START.0;
            let mut last = None;
            for (by, cost, back) in steps {
                now += by;
                let index = (now + 300_000_000 - START.0) / SECOND;
                if let (true, Some((mark, taken, cost))) = (back, last.take()) {
                    window.refund(&mut state, Nanos(now), mark, cost);
                    *table.entry(taken).or_default() -= cost;
                }
                let used = table.entry(index).or_default();
                let decision = window.take(&mut state, Nanos(now), cost);
                prop_assert_eq!(decision.allowed, *used + cost <= count);
                if decision.allowed {
                    *used += cost;
                    last = Some((decision.mark, index, cost));
                }
                prop_assert_eq!(decision.remaining, count - *used);
            }
        }
    }
}
