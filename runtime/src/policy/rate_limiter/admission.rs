//! A call that was let through.

use super::turn::Spot;
use crate::{
    call::{Call, Fate},
    clock,
    judge::{Judge, Verdict},
    outcome::Outcome,
};

use super::rules::Rules;

/// The permits of one call of an annotated function, until it has ended.
///
/// Dropped before the body began, it gives them back.
#[derive(Debug)]
#[must_use = "dropping the admission gives its permits back"]
pub struct Admission<'p> {
    call: &'p Call,
    /// Bodies that had begun when the permits were taken.
    bodies: u32,
    taken: Option<Taken<'p>>,
}

/// What a call took, and where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken<'p> {
    pub(super) rules: &'p Rules,
    pub(super) spot: Spot<'p>,
    pub(super) mark: u64,
    /// Zero where the limit only watches.
    pub(super) cost: u32,
}

impl<'p> Admission<'p> {
    #[inline]
    pub(super) fn new(call: &'p Call, taken: Option<Taken<'p>>) -> Self {
        Self {
            call,
            bodies: call.bodies(),
            taken,
        }
    }

    /// The call ended. If a policy further in refused it, the permits come back; else its outcome may
    /// move the limit.
    #[inline(always)]
    pub fn settle<R: Outcome>(self, judge: Judge<'_, R>) {
        let verdict = judge.verdict();
        if verdict != Verdict::NotMade && self.begun() && !self.is_counted() {
            // Nothing to give back, and nobody to tell: nothing is to be dropped, either.
            std::mem::forget(self);
        } else {
            self.settle_with(verdict);
        }
    }

    #[inline(never)]
    fn settle_with(mut self, verdict: Verdict) {
        if self.begun() || verdict == Verdict::NotMade {
            self.end(verdict);
        }
    }

    /// Whether the outcome may move the limit.
    #[inline]
    fn is_counted(&self) -> bool {
        self.taken.is_some_and(|taken| taken.rules.is_adaptive())
    }

    #[inline]
    fn begun(&self) -> bool {
        self.call.bodies() != self.bodies
    }

    fn end(&mut self, verdict: Verdict) {
        let Some(taken) = self.taken.take() else {
            return;
        };
        match verdict {
            Verdict::NotMade => taken.refund(),
            Verdict::Success => taken.report(true),
            Verdict::Failure => taken.report(false),
            Verdict::Ignored => {}
        }
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        let verdict = match self.call.fate() {
            _ if !self.begun() => Verdict::NotMade,
            Fate::Cut | Fate::Panicked => Verdict::Failure,
            Fate::Cancelled => Verdict::Ignored,
        };
        self.end(verdict);
    }
}

impl Taken<'_> {
    #[cold]
    pub(super) fn refund(&self) {
        if self.cost > 0 {
            self.spot
                .change(|lane| lane.refund(self.rules, clock::now(), self.mark, self.cost));
        }
    }

    fn report(&self, success: bool) {
        if self.rules.is_adaptive() {
            self.spot
                .with(|lane| lane.report(self.rules, clock::now(), success));
        }
    }
}
