//! A bucket whose rate follows how the calls it let through end, on all instances.

use super::{
    Answer, Commit, NEVER, Ratio, Rules, Standing,
    bucket::{MOST, convert},
    ceil, micros,
};
use crate::rate::Rate;

/// A bucket of one period's permits at the present rate, which is stepped once per interval.
///
/// In any time `x` at most `count` and what `rate` gives in `x`. A call that costs more than the bucket
/// holds just now needs an empty one and leaves a debt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Adapting {
    /// At the full rate; a permit is `scale` times its units, a microsecond brings as many times its pace
    /// as the level has parts of `scale`.
    pub(crate) ratio: Ratio,
    /// How finely levels are told apart where time is counted: as well as there is room for.
    pub(crate) scale: i64,
    /// The lowest level.
    pub(crate) lowest: i64,
    pub(crate) interval: i64,
    /// The success share below which it backs off, and what the level is multiplied by: in millionths.
    pub(crate) threshold: i64,
    pub(crate) backoff: i64,
    pub(crate) recovery: i64,
    /// How calls have ended since the last time that somebody said.
    pub(crate) well: i64,
    pub(crate) badly: i64,
}

/// A level of this is the full rate.
pub(crate) const WHOLE: i64 = 1_000_000;
/// So many units of a permit make rounding negligible.
const FINE: i64 = 4_096;
/// More outcomes than are worth counting in one interval.
const MANY: i64 = 1_000_000_000;
/// The state is kept for as many steps as would lead back to the full rate, and never for more.
const STEPS: i64 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AdaptingState {
    at: i64,
    debt: i64,
    level: i64,
    stepped: i64,
    well: i64,
    badly: i64,
    share: i64,
    permit: i64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct AdaptingView {
    state: AdaptingState,
    changed: bool,
}

/// The finest scale at which the units of a whole bucket can be counted, and the rate in it.
pub(crate) fn scaled(rate: Rate) -> (Ratio, i64) {
    let (count, per) = (i128::from(rate.count()), i128::from(micros(rate.per())));
    let mut scale = WHOLE;
    loop {
        let ratio = Ratio::new(rate, rate.count(), scale);
        let is_exact = i128::from(ratio.permit) * count == per * i128::from(ratio.pace);
        let is_whole = i128::from(ratio.burst) == count && (is_exact || ratio.permit >= FINE);
        if is_whole || scale == 1 {
            return (ratio, scale);
        }
        scale /= 10;
    }
}

impl Adapting {
    /// A permit in units.
    fn permit(&self) -> i64 {
        self.ratio.permit * self.scale
    }

    /// What flows in a microsecond.
    fn pace(&self, level: i64) -> i64 {
        self.ratio.pace * (level * self.scale / WHOLE).max(1)
    }

    /// What an unused limit gives out at once, at this level.
    fn limit(&self, level: i64) -> i64 {
        let count = self.ratio.burst;
        ((count * level + WHOLE / 2) / WHOLE).clamp(1, count)
    }

    fn drain(&self, state: &mut AdaptingState, until: i64) {
        let pace = self.pace(state.level);
        let passed = (until - state.at).clamp(0, ceil(state.debt, pace));
        state.debt = (state.debt - passed * pace).max(0);
        state.at = state.at.max(until);
    }

    /// Brings the state to `now`, with the step that is due at the time at which it was. An interval in
    /// which no call ended tells nothing and moves nothing.
    fn advance(&self, state: &mut AdaptingState, now: i64) {
        let passed = (now - state.stepped) / self.interval;
        if passed > 0 {
            self.drain(state, state.stepped + self.interval);
            state.stepped += passed * self.interval;
            self.step(state);
        }
        self.drain(state, now);
    }

    fn step(&self, state: &mut AdaptingState) {
        let all = state.well + state.badly;
        if all == 0 {
            return;
        }
        state.share = state.well * WHOLE / all;
        let next = match state.well * WHOLE < self.threshold * all {
            true => state.level * self.backoff / WHOLE,
            false => self.recovered(state.level),
        };
        state.level = next.clamp(self.lowest, WHOLE);
        (state.well, state.badly) = (0, 0);
    }

    fn recovered(&self, level: i64) -> i64 {
        ceil(level * self.recovery, WHOLE)
    }

    /// How long the state is worth keeping.
    fn ttl(&self, state: &AdaptingState) -> i64 {
        let (mut level, mut steps) = (state.level, 2);
        while level < WHOLE && steps < STEPS {
            level = self.recovered(level);
            steps += 1;
        }
        ceil(state.debt, self.pace(state.level)) + steps * self.interval
    }
}

impl Rules for Adapting {
    type State = AdaptingState;
    type View = AdaptingView;

    fn view(&self, state: Option<&AdaptingState>, now: i64) -> AdaptingView {
        let mut changed = self.well + self.badly > 0;
        let mut present = AdaptingState {
            at: now,
            debt: 0,
            level: WHOLE,
            stepped: now,
            well: 0,
            badly: 0,
            share: -1,
            permit: self.permit(),
        };
        if let Some(state) = state {
            // As of a bucket: it may be more than this one holds.
            let most = MOST / present.permit;
            let debt = convert(state.debt, state.permit, present.permit, most).min(MOST);
            present = AdaptingState {
                debt,
                permit: present.permit,
                level: state.level.clamp(self.lowest, WHOLE),
                ..*state
            };
            if state.at > now {
                // The clock was set back: the debt is owed from now on.
                (present.at, present.stepped, changed) = (now, now, true);
            }
            self.advance(&mut present, now);
        }
        present.well = (present.well + self.well).min(MANY);
        present.badly = (present.badly + self.badly).min(MANY);
        AdaptingView {
            state: present,
            changed,
        }
    }

    fn take(&self, _: Option<&AdaptingState>, view: &mut AdaptingView, cost: i64) -> Answer {
        let (state, permit) = (&mut view.state, self.permit());
        let full = self.limit(state.level) * permit;
        let pace = self.pace(state.level);
        let mut retry = 0;
        if cost > self.ratio.burst {
            retry = NEVER;
        } else if cost > 0 {
            let units = cost * permit;
            let room = full.max(units);
            if state.debt + units <= room {
                state.debt += units;
                view.changed = true;
            } else {
                retry = ceil(state.debt + units - room, pace);
            }
        }
        Answer {
            retry,
            remaining: (full - state.debt).max(0) / permit,
            reset: ceil(state.debt, pace),
        }
    }

    fn standing(&self, view: &AdaptingView) -> Standing {
        let state = &view.state;
        let all = state.well + state.badly;
        Standing {
            limit: self.limit(state.level),
            share: match all {
                0 => state.share,
                _ => state.well * WHOLE / all,
            },
            mark: 0,
        }
    }

    fn commit(&self, state: Option<AdaptingState>, view: AdaptingView) -> Commit<AdaptingState> {
        match view.changed {
            false => Commit::Keep(state),
            true => Commit::Put(view.state, self.ttl(&view.state)),
        }
    }
}
