//! The sliding window from two counters.

use super::{Answer, Commit, LONGEST, NEVER, Rules, Standing, ceil};

/// What the last window took is taken as evenly spread over it. At worst almost twice the count in a
/// window: where it all went at the very end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) per: i64,
    pub(crate) count: i64,
    /// Microseconds in a tick: time inside a window goes in as many ticks as can be multiplied by the
    /// count.
    pub(crate) tick: i64,
}

/// The largest product of permits and ticks: of one that is, of one that was, and of one more call that
/// costs all there is, the sum stays under 2^53.
const MOST: i64 = LONGEST / 4 * 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CountersState {
    start: i64,
    used: i64,
    last: i64,
    per: i64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct CountersView {
    now: i64,
    state: CountersState,
    changed: bool,
}

impl Counters {
    pub(crate) fn new(per: i64, count: i64) -> Self {
        let product = i128::from(per) * i128::from(count);
        let most = i128::from(LONGEST);
        let tick = (product + most - 1) / most;
        Self {
            per,
            count,
            tick: i64::try_from(tick).unwrap_or(per).max(1),
        }
    }

    /// Ticks in a window.
    fn ticks(&self) -> i64 {
        ceil(self.per, self.tick)
    }

    /// Microseconds of its window that have to pass until what the one before took has left this much room.
    fn passed_until(&self, last: i64, room: i64) -> i64 {
        if last == 0 {
            return 0;
        }
        let ticks = self.ticks();
        ((ticks - room * ticks / last).max(0) * self.tick).min(self.per)
    }

    fn retry(&self, view: &CountersView, cost: i64) -> i64 {
        let CountersView { now, state, .. } = view;
        let room = self.count - state.used - cost;
        if room >= 0 {
            let passed = self.passed_until(state.last, room);
            if passed < self.per {
                return state.start + passed - now;
            }
        }
        let passed = self.passed_until(state.used, self.count - cost);
        state.start + self.per + passed - now
    }
}

impl Rules for Counters {
    type State = CountersState;
    type View = CountersView;

    fn view(&self, state: Option<&CountersState>, now: i64) -> CountersView {
        let per = self.per;
        let (mut used, mut last, mut changed) = (0, 0, false);
        if let Some(state) = state {
            // By its own windows; and whatever those are, what counts in them counts in the present ones
            // from now on. The same after the clock was set back.
            let began = now / state.per * state.per;
            if state.start > now || state.start == began {
                (used, last) = (state.used, state.last);
            } else if state.start == began - state.per {
                last = state.used;
            }
            changed = state.start > now || (state.per != per && used + last > 0);
        }
        // They may be more than the count, where others have a larger one: cut down to it, they would be
        // forgiven for those, too.
        let most = MOST / self.ticks();
        CountersView {
            now,
            state: CountersState {
                start: now / per * per,
                used: used.min(most),
                last: last.min(most),
                per,
            },
            changed,
        }
    }

    fn take(&self, _: Option<&CountersState>, view: &mut CountersView, cost: i64) -> Answer {
        let (count, ticks) = (self.count, self.ticks());
        let passed = (view.now - view.state.start) / self.tick;
        let weight = view.state.last * (ticks - passed);
        let mut retry = 0;
        if cost > count {
            retry = NEVER;
        } else if cost > 0 {
            if weight + (view.state.used + cost) * ticks <= count * ticks {
                view.state.used += cost;
                view.changed = true;
            } else {
                retry = self.retry(view, cost);
            }
        }
        let state = &view.state;
        let ends = match (state.used, state.last) {
            (0, 0) => view.now,
            (0, _) => state.start + self.per,
            _ => state.start + 2 * self.per,
        };
        Answer {
            retry,
            remaining: (count - state.used - ceil(weight, ticks)).max(0),
            reset: ends - view.now,
        }
    }

    fn standing(&self, _: &CountersView) -> Standing {
        Standing {
            limit: self.count,
            share: -1,
            mark: 0,
        }
    }

    fn commit(&self, state: Option<CountersState>, view: CountersView) -> Commit<CountersState> {
        match view.changed {
            false => Commit::Keep(state),
            true => Commit::Put(view.state, view.state.start + 2 * self.per - view.now),
        }
    }
}
