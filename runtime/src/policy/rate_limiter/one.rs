//! The permit of a call that asked for nothing in particular.

use std::mem::ManuallyDrop;

use super::{RateLimiter, admission::Taken, entrance::Ended};
use crate::{
    admission::Permit,
    call::{Call, Fate},
    judge::{Judge, Verdict},
    outcome::Outcome,
};

/// One permit, of the limit that all calls share: an [`Admission`](super::Admission) in three words.
#[derive(Debug)]
#[must_use = "dropping the permit gives it back"]
pub struct OnePermit<'p> {
    limiter: &'p RateLimiter,
    call: &'p Call,
    mark: u64,
}

/// The mark of a permit that is not there: the limiter only watches.
const NOTHING: u64 = u64::MAX;

impl<'p> OnePermit<'p> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn new(limiter: &'p RateLimiter, call: &'p Call, mark: u64) -> Self {
        Self {
            limiter,
            call,
            mark,
        }
    }

    /// For a call that went past the limit.
    pub(super) fn untaken(limiter: &'p RateLimiter, call: &'p Call) -> Self {
        Self::new(limiter, call, NOTHING)
    }

    pub(super) fn of(limiter: &'p RateLimiter, call: &'p Call, ended: &Ended<'_>) -> Self {
        let taken = ended.taken();
        let mark = if taken.cost > 0 { taken.mark } else { NOTHING };
        Self::new(limiter, call, mark)
    }

    fn taken(&self) -> Taken<'_> {
        Taken {
            rules: self.limiter.rules(),
            spot: self.limiter.spot(),
            mark: self.mark,
            cost: u32::from(self.mark != NOTHING),
        }
    }
}

impl Permit for OnePermit<'_> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn succeed(self) {
        let this = ManuallyDrop::new(self);
        if this.limiter.rules().is_adaptive() {
            this.taken().end(Verdict::Success);
        }
    }

    fn settle<R: Outcome>(self, judge: Judge<'_, R>) {
        let verdict = judge.verdict();
        if self.call.has_begun() || verdict == Verdict::NotMade {
            let this = ManuallyDrop::new(self);
            this.taken().end(verdict);
        }
    }
}

impl Drop for OnePermit<'_> {
    fn drop(&mut self) {
        self.taken().end(dropped(self.call));
    }
}

/// What a call counts as whose permits are dropped without a report.
pub(super) fn dropped(call: &Call) -> Verdict {
    match call.fate() {
        _ if !call.has_begun() => Verdict::NotMade,
        Fate::Cut | Fate::Panicked => Verdict::Failure,
        Fate::Cancelled => Verdict::Ignored,
    }
}
