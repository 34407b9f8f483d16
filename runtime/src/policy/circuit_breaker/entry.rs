//! The permit of one call of an annotated function.

use std::sync::Arc;

use super::{cell::Cell, core::Core, stopwatch::Stopwatch};
use crate::{
    algorithm::circuit::{Pass, Verdict},
    call::{Call, Fate},
    judge::{self, Judge},
    outcome::Outcome,
};

/// Lets one call through, and reports how it ended. Dropped without a report, it finds out from the
/// call what happened.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once counts as a cancelled call"]
pub struct CircuitPermit<'c> {
    /// `None` once it is settled.
    core: Option<&'c Core>,
    call: &'c Call,
    /// Where there is one circuit per key.
    keyed: Option<Arc<Cell>>,
    pass: Pass,
    stopwatch: Stopwatch,
    /// Bodies that had begun before it.
    bodies: u32,
}

impl<'c> CircuitPermit<'c> {
    #[inline]
    pub(super) fn new(
        core: &'c Core,
        call: &'c Call,
        keyed: Option<Arc<Cell>>,
        pass: Pass,
    ) -> Self {
        Self {
            core: Some(core),
            call,
            keyed,
            pass,
            stopwatch: core.stopwatch(Some(call)),
            bodies: call.bodies(),
        }
    }

    /// Reports how the call ended.
    #[inline]
    pub fn settle<R: Outcome>(mut self, judge: Judge<'_, R>) {
        let verdict = match judge.verdict() {
            judge::Verdict::Success => Some(Verdict::Success),
            judge::Verdict::Failure => Some(Verdict::Failure),
            judge::Verdict::Ignored => Some(Verdict::Ignored),
            judge::Verdict::NotMade => None,
        };
        self.end(verdict);
    }

    /// `None` for a call that was not made.
    #[inline]
    fn end(&mut self, verdict: Option<Verdict>) {
        let Some(core) = self.core.take() else {
            return;
        };
        let cell = self.keyed.as_deref().unwrap_or(&core.cell);
        // A timeout below may have cut a wait: then the body never began, and nothing was called.
        match verdict.filter(|_| self.call.bodies() != self.bodies) {
            Some(verdict) => core.ended(cell, self.pass, verdict, self.stopwatch, Some(self.call)),
            None => core.give_back(cell, self.pass),
        }
    }
}

impl Drop for CircuitPermit<'_> {
    #[inline]
    fn drop(&mut self) {
        let Some(core) = self.core else {
            return;
        };
        let verdict = match self.call.fate() {
            Fate::Panicked | Fate::Cut => Verdict::Failure,
            Fate::Cancelled => core.verdict_of_cancelled(),
        };
        self.end(Some(verdict));
    }
}
