//! What every policy that gives out permits has in common.

use std::mem::ManuallyDrop;

use crate::{call::Call, entered::Entered, judge::Judge, outcome::Outcome, rejection::Rejection};

/// A policy that gives out permits, as far as nothing at the site tells it more than that there is a call.
pub trait Admits<'c> {
    /// What the call holds.
    type Permit: Permit;

    /// Admits the call if that takes neither a lock nor a wait: the way of nearly every call. Apart from
    /// the rest, so that a permit is put where it stays and nowhere before.
    fn try_admit(&'c self, call: &'c Call) -> Option<Self::Permit>;

    /// Admits or refuses the call, blocking the thread where it has to wait.
    ///
    /// # Errors
    /// The call must not be made.
    fn admit_blocking(&'c self, call: &'c Call) -> Result<Self::Permit, Rejection>;
}

/// A policy that may let a call wait.
pub trait Waits<'c>: Admits<'c> {
    /// Admits or refuses the call, or says that it has to wait.
    fn admit(&'c self, call: &'c Call) -> Entered<'c, Self::Permit>;
}

/// What a call holds of a policy from its admission to its end. Dropped without a report, it finds out
/// from the [`Call`] what became of it.
pub trait Permit: Sized {
    /// The call succeeded, and no predicate has anything to say about it: what nearly every call comes
    /// to, and all there is to do for it in the line of the call.
    fn succeed(self);

    /// The call came to what the judge says.
    fn settle<R: Outcome>(self, judge: Judge<'_, R>);
}

/// A permit that is numbered in the order in which the fleet's permits were taken, for what must not be
/// done by two at once: whoever is asked to do it refuses a number below the highest it has seen.
pub trait Fenced {
    /// The number; 0 where the permit is this instance's own and has none.
    fn fence(&self) -> u64;
}

/// The permits of several policies in a row, outermost first.
impl<O: Permit, I: Permit> Permit for (O, I) {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn succeed(self) {
        let (outer, inner) = self;
        // Nothing in `succeed` panics, not even a waker that it wakes: it must not be prepared for.
        let outer = ManuallyDrop::new(outer);
        inner.succeed();
        ManuallyDrop::into_inner(outer).succeed();
    }

    fn settle<R: Outcome>(self, judge: Judge<'_, R>) {
        let (outer, inner) = self;
        inner.settle(judge);
        outer.settle(judge);
    }
}
