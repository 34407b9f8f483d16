//! What one layer of a stack hands to the layer around it.

use std::convert::Infallible;

#[cfg(feature = "metrics")]
use crate::metrics::Came;
use crate::{
    outcome::Outcome,
    rejection::{FromRejection, Rejection, RejectionKind},
    timed::Timed,
};

/// The result of a layer. `X` is [`Rejection`], or `Infallible` where nothing in the stack can reject:
/// such a function's error type needs no place for a rejection.
#[derive(Debug)]
pub enum Step<R, X = Rejection> {
    /// The body ran, and this is what it returned.
    Done(R),
    /// A policy ended the call; not yet the caller's error type, so that outer layers see what it was.
    Rejected(X),
    /// A rejection in the caller's error type, with what outer layers need to know of it.
    Settled(R, RejectionKind),
}

/// What can stand in [`Step::Rejected`].
pub trait Rejected {
    /// What outer layers need to know.
    fn kind(&self) -> RejectionKind;
}

impl Rejected for Rejection {
    fn kind(&self) -> RejectionKind {
        Rejection::kind(self)
    }
}

impl Rejected for RejectionKind {
    fn kind(&self) -> RejectionKind {
        *self
    }
}

impl Rejected for Infallible {
    fn kind(&self) -> RejectionKind {
        match *self {}
    }
}

impl<R: Outcome, X: Rejected> Step<R, X> {
    /// A rejection that a layer's own `reject_with` has already turned into the caller's error.
    #[inline]
    pub fn rejected_with<Y: Rejected>(rejection: Y, convert: impl FnOnce(Y) -> R::Error) -> Self {
        let kind = rejection.kind();
        Self::Settled(R::from_result(Err(convert(rejection))), kind)
    }

    /// Turns a rejection into the caller's error type, and remembers what it was. What the layers around
    /// may reject with is then open again.
    #[must_use]
    #[inline(never)]
    pub fn settle<Y: Rejected>(self, convert: impl FnOnce(X) -> R::Error) -> Step<R, Y> {
        match self {
            Self::Done(outcome) => Step::Done(outcome),
            Self::Rejected(rejection) => Step::rejected_with(rejection, convert),
            Self::Settled(outcome, kind) => Step::Settled(outcome, kind),
        }
    }
}

impl<R, X> Step<R, X> {
    /// A body that came to something good, apart from all the rest: of a success nothing has to lie in
    /// memory for the judges of a failure.
    ///
    /// # Errors
    /// All the rest.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn good(self) -> Result<R, Self>
    where
        R: Outcome,
    {
        match self {
            Self::Done(outcome) => outcome.good().map_err(Self::Done),
            bad => Err(bad),
        }
    }

    /// The same, at the end of a function whose time may be taken.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn end(self, timed: Timed, convert: impl FnOnce(X) -> R::Error) -> R
    where
        R: Outcome,
        X: Rejected,
    {
        #[cfg(feature = "metrics")]
        match timed.is_wanted() {
            true => timed.end(self.came()),
            false => std::mem::forget(timed),
        }
        #[cfg(not(feature = "metrics"))]
        let Timed = timed;
        self.finish(convert)
    }

    // Inlined: a reference to the step would put it into memory, also where nobody wants to know.
    #[cfg(feature = "metrics")]
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn came(&self) -> Came
    where
        R: Outcome,
        X: Rejected,
    {
        let kind = match self {
            Self::Done(outcome) if outcome.as_result().is_ok() => return Came::Good,
            Self::Done(_) => return Came::Error,
            Self::Rejected(rejection) => rejection.kind(),
            Self::Settled(_, kind) => *kind,
        };
        match kind {
            RejectionKind::Refusal { .. } => Came::Refused,
            RejectionKind::TimedOut => Came::TimedOut,
            RejectionKind::Unmet => Came::Unmet,
        }
    }

    /// The function's return value.
    ///
    /// The bound stands here and not on the `impl`, so that a type which is no outcome is told so, in
    /// place of that there is no such method.
    #[inline]
    pub fn finish(self, convert: impl FnOnce(X) -> R::Error) -> R
    where
        R: Outcome,
    {
        match self {
            Self::Done(outcome) | Self::Settled(outcome, _) => outcome,
            Self::Rejected(rejection) => R::from_result(Err(convert(rejection))),
        }
    }
}

/// The caller's error for a rejection, where no `reject_with` is written.
pub fn reject<E: FromRejection>(rejection: Rejection) -> E {
    E::from_rejection(rejection)
}
