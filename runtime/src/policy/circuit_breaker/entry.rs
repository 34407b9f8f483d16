//! The permit of one call of an annotated function.

use std::{mem::ManuallyDrop, sync::Arc};

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
    core: &'c Core,
    call: &'c Call,
    /// Where there is one circuit per key.
    keyed: Option<Arc<Cell>>,
    pass: Pass,
    stopwatch: Stopwatch,
    /// Bodies that had begun before it. A whole word, as all that is kept across the await: a half one
    /// would be stored narrow and copied wide, which defeats store forwarding (5 ns a call).
    bodies: u64,
}

impl<'c> CircuitPermit<'c> {
    #[inline(always)]
    pub(super) fn new(
        core: &'c Core,
        call: &'c Call,
        keyed: Option<Arc<Cell>>,
        pass: Pass,
    ) -> Self {
        Self {
            core,
            call,
            keyed,
            pass,
            stopwatch: core.stopwatch(Some(call)),
            bodies: call.bodies().into(),
        }
    }

    /// Reports how the call ended.
    // Judged here, so that the judge is never put together in memory.
    #[inline(always)]
    pub fn settle<R: Outcome>(self, judge: Judge<'_, R>) {
        let verdict = judge.verdict();
        // Not a flag that `drop` looks at: that would be written and read on every call.
        let mut this = ManuallyDrop::new(self);
        this.settle_with(verdict);
        this.keyed = None;
    }

    #[inline]
    fn settle_with(&self, verdict: judge::Verdict) {
        self.end(match verdict {
            judge::Verdict::Success => Some(Verdict::Success),
            judge::Verdict::Failure => Some(Verdict::Failure),
            judge::Verdict::Ignored => Some(Verdict::Ignored),
            judge::Verdict::NotMade => None,
        });
    }

    /// `None` for a call that was not made. Where a wait below was cut or given up it was not made either:
    /// the body never began.
    // Inlined into `settle`, or the permit would be copied for it.
    #[inline(always)]
    fn end(&self, verdict: Option<Verdict>) {
        let begun = u64::from(self.call.bodies()) != self.bodies;
        match verdict.filter(|_| begun) {
            Some(verdict) => {
                let call = Some(self.call);
                self.core
                    .ended(self.cell(), self.pass, verdict, self.stopwatch, call);
            }
            None => self.core.give_back(self.cell(), self.pass),
        }
    }

    #[inline]
    fn cell(&self) -> &Cell {
        self.keyed.as_deref().unwrap_or(&self.core.cell)
    }
}

impl Drop for CircuitPermit<'_> {
    fn drop(&mut self) {
        self.end(Some(match self.call.fate() {
            Fate::Panicked | Fate::Cut => Verdict::Failure,
            Fate::Cancelled => self.core.verdict_of_cancelled(),
        }));
    }
}
