//! A call that was let through.

use super::{one::dropped, turn::Spot};
use crate::{
    admission::Permit,
    call::Call,
    clock,
    judge::{Judge, Verdict},
    outcome::Outcome,
};

/// The permits of one call of an annotated function, until it has ended.
///
/// Dropped before the body began, it gives them back.
#[derive(Debug)]
#[must_use = "dropping the admission gives its permits back"]
pub struct Admission<'p> {
    call: &'p Call,
    taken: Option<Taken<'p>>,
}

/// What a call took, and where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken<'p> {
    pub(super) spot: Spot<'p>,
    pub(super) mark: u64,
    /// Zero where the limit only watches.
    pub(super) cost: u32,
}

impl<'p> Admission<'p> {
    #[inline]
    pub(super) fn new(call: &'p Call, taken: Option<Taken<'p>>) -> Self {
        Self { call, taken }
    }

    fn end(&mut self, verdict: Verdict) {
        if let Some(taken) = self.taken.take() {
            taken.end(verdict);
        }
    }
}

impl Permit for Admission<'_> {
    #[inline]
    fn succeed(mut self) {
        if self.taken.is_some_and(|taken| taken.spot.is_adaptive()) {
            self.end(Verdict::Success);
        }
        std::mem::forget(self);
    }

    /// If a policy further in refused the call, the permits come back; else its outcome may move the
    /// limit.
    fn settle<R: Outcome>(mut self, judge: Judge<'_, R>) {
        let verdict = judge.verdict();
        if self.call.has_begun() || verdict == Verdict::NotMade {
            self.end(verdict);
        }
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        self.end(dropped(self.call));
    }
}

impl Taken<'_> {
    #[cold]
    pub(super) fn refund(&self) {
        if self.cost > 0 {
            self.spot
                .change(|lane, rules| lane.refund(rules, clock::now(), self.mark, self.cost));
        }
    }

    /// The call came to this.
    pub(super) fn end(&self, verdict: Verdict) {
        match verdict {
            Verdict::NotMade => self.refund(),
            Verdict::Success => self.report(true),
            Verdict::Failure => self.report(false),
            Verdict::Ignored => {}
        }
    }

    fn report(&self, success: bool) {
        if !self.spot.is_adaptive() {
            return;
        }
        match self.spot {
            Spot::Fleet(shared, place) => shared.report(place, success),
            spot => {
                spot.with(|lane, rules| lane.report(rules, clock::now(), success));
            }
        }
    }
}
