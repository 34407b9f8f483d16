//! The bucket: what was taken and has not flowed back.

use super::{Answer, Commit, NEVER, Ratio, Rules, Standing, ceil};

/// A bucket of `burst` permits that refills, or drains, evenly: in any time `x` at most `burst` and what
/// the rate gives in `x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket(pub(crate) Ratio);

/// What is owed, in units, at a time. A debt at a time that has not come yet was written before the clock
/// was set back: it is owed now, and no more than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BucketState {
    pub(crate) at: i64,
    pub(crate) debt: i64,
    /// All that was ever taken, in units, wrapping at [`ROUND`].
    pub(crate) total: i64,
    /// The rate that the debt was made at.
    pub(crate) permit: i64,
    pub(crate) pace: i64,
}

/// A state after permits were given back: how much, in units, and how long the state is worth keeping.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refunded {
    pub(crate) state: BucketState,
    pub(crate) back: i64,
    pub(crate) ttl: i64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct BucketView {
    state: BucketState,
    changed: bool,
}

/// Where the count of all permits begins anew: debts are less than half of it.
const ROUND: i64 = 1 << 52;
/// The largest debt that is counted.
pub(super) const MOST: i64 = ROUND / 2 - 1;

impl BucketState {
    /// What of the debt is left now.
    fn owed(&self, now: i64) -> i64 {
        let passed = (now - self.at).clamp(0, ceil(self.debt, self.pace));
        (self.debt - passed * self.pace).max(0)
    }
}

impl Bucket {
    fn full(&self) -> i64 {
        self.0.permit * self.0.burst
    }

    /// Where a state begins to count that is made now: no less than any mark of one that has expired, so
    /// that those hold nothing.
    fn line(&self, now: i64) -> i64 {
        let pace = self.0.pace;
        now % (ROUND / pace) * pace
    }

    /// How long the state is worth keeping: until nothing is owed, and, where permits were given back
    /// before, until a new one would count from behind its marks.
    fn ttl(&self, state: &BucketState) -> i64 {
        let beyond = (state.total - self.line(state.at)).rem_euclid(ROUND);
        let beyond = if beyond < ROUND / 2 { beyond } else { 0 };
        ceil(state.debt.max(beyond.min(2 * self.full())), self.0.pace)
    }

    /// Gives back what permits of `mark` still hold: what of them has flowed back meanwhile is not given
    /// a second time. Where earlier ones were given back it is less.
    pub(crate) fn refund(
        &self,
        state: Option<&BucketState>,
        now: i64,
        mark: i64,
        cost: i64,
    ) -> Option<Refunded> {
        let held = state.filter(|state| state.permit == self.0.permit)?;
        let BucketView { mut state, .. } = self.view(Some(held), now);
        let front = state.total - state.debt;
        let ahead = (mark - front).rem_euclid(ROUND);
        if ahead >= ROUND / 2 {
            return None;
        }
        let back = ahead
            .min(cost.min(self.0.burst) * self.0.permit)
            .min(state.debt);
        state.debt -= back;
        let ttl = self.ttl(&state);
        Some(Refunded { state, back, ttl })
    }
}

impl Rules for Bucket {
    type State = BucketState;
    type View = BucketView;

    fn view(&self, state: Option<&BucketState>, now: i64) -> BucketView {
        let Ratio { permit, pace, .. } = self.0;
        let unused = BucketState {
            at: now,
            debt: 0,
            total: self.line(now),
            permit,
            pace,
        };
        let Some(state) = state else {
            return BucketView {
                state: unused,
                changed: false,
            };
        };
        // It may be more than this bucket holds, where others had a larger one: then it has to flow back
        // first. Cut down, it would be forgiven for those who still have that.
        let debt = convert(state.owed(now), state.permit, permit, MOST / permit).min(MOST);
        // In other units: marks go on behind those that were given out, which hold nothing any more.
        let total = match state.permit == permit {
            true => state.total,
            false => (state.total + debt) % ROUND,
        };
        BucketView {
            state: BucketState {
                debt,
                total,
                ..unused
            },
            // A time to come has to go, or it would be owed anew until then; and from now on it flows back
            // at the rate in force, also if nobody is let through.
            changed: state.at > now || (state.permit, state.pace) != (permit, pace),
        }
    }

    fn take(&self, _: Option<&BucketState>, view: &mut BucketView, cost: i64) -> Answer {
        let (state, full) = (&mut view.state, self.full());
        let mut retry = 0;
        if cost > self.0.burst {
            retry = NEVER;
        } else if cost > 0 {
            let units = cost * self.0.permit;
            if state.debt + units <= full {
                state.debt += units;
                state.total = (state.total + units) % ROUND;
                view.changed = true;
            } else {
                retry = ceil(state.debt + units - full, self.0.pace);
            }
        }
        Answer {
            retry,
            remaining: (full - state.debt).max(0) / self.0.permit,
            reset: ceil(state.debt, self.0.pace),
        }
    }

    fn standing(&self, view: &BucketView) -> Standing {
        Standing {
            limit: self.0.burst,
            share: -1,
            mark: view.state.total,
        }
    }

    fn commit(&self, state: Option<BucketState>, view: BucketView) -> Commit<BucketState> {
        match view.changed {
            false => Commit::Keep(state),
            true => Commit::Put(view.state, self.ttl(&view.state)),
        }
    }
}

/// A debt of permits of `from` units in permits of `to`, rounded up: the same permits stay taken at
/// another rate.
pub(super) fn convert(debt: i64, from: i64, to: i64, most: i64) -> i64 {
    if from == to {
        return debt;
    }
    let whole = debt / from;
    // In doubles, as Lua does it, and in this order: both come to the same.
    let rest = ((debt % from) as f64 / from as f64 * to as f64).ceil() as i64;
    whole.min(most) * to + rest
}
