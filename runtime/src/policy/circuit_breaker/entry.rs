//! The permit of one call of an annotated function.

use std::{mem::ManuallyDrop, sync::Arc};

use super::{cell::Cell, core::Core, stopwatch::Stopwatch, terms::Terms};
use crate::{
    admission::Permit,
    algorithm::circuit::{Pass, Verdict},
    call::{Call, Fate},
    judge::{self, Judge},
    outcome::Outcome,
};

/// Lets one call through, and reports how it ended. Dropped without a report, it finds out from the
/// call what happened.
///
/// All words are whole ones, for they are kept across awaits: a half one would be stored narrow and
/// copied wide, which defeats store forwarding (5 ns a call).
#[derive(Debug)]
#[must_use = "a permit that is dropped at once counts as a cancelled call"]
pub struct CircuitPermit<'c, C: Circuits = Only> {
    core: &'c Core,
    call: &'c Call,
    pass: Pass,
    stopwatch: Stopwatch,
    circuit: C,
}

/// Which of a breaker's circuits a permit is of.
pub trait Circuits {
    #[doc(hidden)]
    fn of<'a>(&'a self, core: &'a Core) -> &'a Cell;

    /// What it holds, to be dropped.
    #[doc(hidden)]
    fn take(&mut self) -> Option<Arc<Cell>>;
}

/// The only one.
#[derive(Debug, Clone, Copy)]
pub struct Only;

impl Circuits for Only {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn of<'a>(&'a self, core: &'a Core) -> &'a Cell {
        &core.cell
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn take(&mut self) -> Option<Arc<Cell>> {
        None
    }
}

/// That of a key; none where all are set by hand.
#[derive(Debug)]
pub struct OfKey(pub(super) Option<Arc<Cell>>);

impl Circuits for OfKey {
    #[inline]
    fn of<'a>(&'a self, core: &'a Core) -> &'a Cell {
        self.0.as_deref().unwrap_or(&core.cell)
    }

    fn take(&mut self) -> Option<Arc<Cell>> {
        self.0.take()
    }
}

impl<'c, C: Circuits> CircuitPermit<'c, C> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn new(
        core: &'c Core,
        terms: &Terms,
        call: &'c Call,
        circuit: C,
        pass: Pass,
    ) -> Self {
        let (pass, stopwatch) = terms.measure.begin(pass, Some(call));
        Self {
            core,
            call,
            pass,
            stopwatch,
            circuit,
        }
    }

    /// `None` for a call that was not made. Where a wait below was cut or given up it was not made either:
    /// the body never began.
    fn end(&self, verdict: Option<Verdict>) {
        let cell = self.circuit.of(self.core);
        match verdict.filter(|_| self.call.has_begun()) {
            Some(verdict) => {
                let call = Some(self.call);
                self.core
                    .ended(cell, self.pass, verdict, self.stopwatch, call);
            }
            None => self.core.give_back(cell, self.pass),
        }
    }
}

impl<C: Circuits> Permit for CircuitPermit<'_, C> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn succeed(self) {
        // First of all: what is reported must not be reported again by `drop`, and that without a flag,
        // which would be written and read on every call.
        let mut this = ManuallyDrop::new(self);
        let cell = this.circuit.of(this.core);
        this.core
            .succeeded(cell, this.pass, this.stopwatch, this.call);
        drop(this.circuit.take());
    }

    fn settle<R: Outcome>(self, judge: Judge<'_, R>) {
        let mut this = ManuallyDrop::new(self);
        this.end(match judge.verdict() {
            judge::Verdict::Success => Some(Verdict::Success),
            judge::Verdict::Failure => Some(Verdict::Failure),
            judge::Verdict::Ignored => Some(Verdict::Ignored),
            judge::Verdict::NotMade => None,
        });
        drop(this.circuit.take());
    }
}

impl<C: Circuits> Drop for CircuitPermit<'_, C> {
    fn drop(&mut self) {
        self.end(Some(match self.call.fate() {
            Fate::Panicked | Fate::Cut => Verdict::Failure,
            Fate::Cancelled => self.stopwatch.verdict_of_dropped(),
        }));
    }
}
