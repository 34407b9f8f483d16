//! The permit of a call that asked for nothing in particular.

use std::mem::ManuallyDrop;

use super::{RateLimiter, admission::Taken, entrance::Ended, shared::Pass, turn::Spot};
use crate::{
    admission::Permit,
    algorithm::decision::UNTAKEN,
    call::{Call, Fate},
    judge::{Judge, Verdict},
    keyed::Place,
    outcome::Outcome,
};

/// One permit, of the limit that all calls share or of a key's: an [`Admission`](super::Admission) in
/// three words, or four.
#[derive(Debug)]
#[must_use = "dropping the permit gives it back"]
pub struct OnePermit<'p, L: Limits = Shared> {
    limiter: &'p RateLimiter,
    call: &'p Call,
    limit: L,
    mark: u64,
}

/// Which of a limiter's limits a permit is of.
pub trait Limits: Copy {
    #[doc(hidden)]
    fn key(self) -> Option<OfKey>;
}

/// The one that all calls share.
#[derive(Debug, Clone, Copy)]
pub struct Shared;

impl Limits for Shared {
    fn key(self) -> Option<OfKey> {
        None
    }
}

/// That of a key.
#[derive(Debug, Clone, Copy)]
pub struct OfKey(pub(super) Place);

impl Limits for OfKey {
    fn key(self) -> Option<Self> {
        Some(self)
    }
}

impl<'p, L: Limits> OnePermit<'p, L> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn new(limiter: &'p RateLimiter, call: &'p Call, limit: L, mark: u64) -> Self {
        Self {
            limiter,
            call,
            limit,
            mark,
        }
    }

    /// For a call that went past the limit.
    pub(super) fn untaken(limiter: &'p RateLimiter, call: &'p Call, limit: L) -> Self {
        Self::new(limiter, call, limit, UNTAKEN)
    }

    /// For a call that a shared limit has let through, or what stands in for it.
    pub(super) fn passed(pass: &Pass<'p>, call: &'p Call, limit: L) -> Self {
        let mark = match &pass.taken {
            Some(taken) if taken.cost > 0 => taken.mark,
            _ => UNTAKEN,
        };
        Self::new(pass.limiter, call, limit, mark)
    }

    pub(super) fn of(
        limiter: &'p RateLimiter,
        call: &'p Call,
        limit: L,
        ended: &Ended<'_>,
    ) -> Self {
        let taken = ended.taken();
        let mark = if taken.cost > 0 { taken.mark } else { UNTAKEN };
        Self::new(limiter, call, limit, mark)
    }

    // Apart: the future of a call is dropped in the line of the caller only where that is short.
    #[cold]
    #[inline(never)]
    fn give_up(&self) {
        self.end(dropped(self.call));
    }

    fn end(&self, verdict: Verdict) {
        let inner = &self.limiter.0;
        let spot = match (self.limit.key(), &inner.shared) {
            (key, Some(shared)) => Spot::Fleet(shared, key.map(|OfKey(place)| place)),
            (Some(OfKey(place)), None) => Spot::Key(self.limiter, place),
            _ => self.limiter.spot(),
        };
        let taken = Taken {
            spot,
            mark: self.mark,
            cost: u32::from(self.mark != UNTAKEN),
        };
        taken.end(verdict);
    }
}

impl<L: Limits> Permit for OnePermit<'_, L> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn succeed(self) {
        let this = ManuallyDrop::new(self);
        if this.limiter.rules().is_adaptive() {
            this.end(Verdict::Success);
        }
    }

    fn settle<R: Outcome>(self, judge: Judge<'_, R>) {
        let verdict = judge.verdict();
        if self.call.has_begun() || verdict == Verdict::NotMade {
            let this = ManuallyDrop::new(self);
            this.end(verdict);
        }
    }
}

impl<L: Limits> Drop for OnePermit<'_, L> {
    #[inline]
    fn drop(&mut self) {
        self.give_up();
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
