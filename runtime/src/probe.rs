//! What an error type can do, found without a bound written by the user.
//!
//! The emitted code calls `Probe::of(&step).__traits()` where the types are concrete. Every rung below
//! has an inherent `__traits` for the types that fulfil its `where` clause, and derefs to the next, so
//! method lookup picks the best one: no trait has to be in scope, and a function generic over its
//! error sees what its own bounds declare.

use std::{error::Error, marker::PhantomData, ops::Deref, time::Duration};

use crate::{classify::Classify, outcome::Outcome, rejection::RejectionKind, step::Step};

/// What is known of an error type.
pub struct Traits<E> {
    pub(crate) classification: Option<Classification<E>>,
    /// The rejection that an error is or carries.
    pub(crate) rejection: fn(&E) -> Option<RejectionKind>,
}

pub(crate) struct Classification<E> {
    pub(crate) is_retryable: fn(&E) -> bool,
    pub(crate) is_failure: fn(&E) -> bool,
    pub(crate) retry_after: fn(&E) -> Option<Duration>,
}

impl<E> Clone for Traits<E> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Traits<E> {}

impl<E> Clone for Classification<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Classification<E> {}

impl<E> Traits<E> {
    /// Nothing is known: every error counts.
    pub(crate) const fn unknown() -> Self {
        Self {
            classification: None,
            rejection: |_| None,
        }
    }

    const fn carrying(rejection: fn(&E) -> Option<RejectionKind>) -> Self {
        Self {
            classification: None,
            rejection,
        }
    }

    const fn classified(self) -> Self
    where
        E: Classify,
    {
        Self {
            classification: Some(Classification {
                is_retryable: E::is_retryable,
                is_failure: E::is_failure,
                retry_after: E::retry_after,
            }),
            rejection: self.rejection,
        }
    }
}

/// A pointer to a dynamic error, such as `Box<dyn Error + Send + Sync>` and `anyhow::Error`.
pub trait Dynamic {
    /// The rejection in its chain.
    fn rejection(&self) -> Option<RejectionKind>;
}

macro_rules! dynamic {
    ($($target:ty),*) => {$(
        impl Dynamic for $target {
            fn rejection(&self) -> Option<RejectionKind> {
                RejectionKind::in_chain(self)
            }
        }
    )*};
}
dynamic!(dyn Error, dyn Error + Send, dyn Error + Send + Sync);

fn in_sources<E: Error>(error: &E) -> Option<RejectionKind> {
    // `E` may borrow, so it is not looked at itself: a rejection in it is its source.
    error.source().and_then(RejectionKind::in_chain)
}

fn in_target<E: Deref<Target: Dynamic>>(error: &E) -> Option<RejectionKind> {
    (**error).rejection()
}

/// One rung of the ladder, and the next one, where its bounds do not hold.
macro_rules! rung {
    ($(#[$doc:meta])* $rung:ident => $next:ident) => {
        $(#[$doc])*
        pub struct $rung<E>(PhantomData<fn() -> E>);

        impl<E> Deref for $rung<E> {
            type Target = $next<E>;

            #[cfg_attr(not(debug_assertions), inline(always))]
            fn deref(&self) -> &$next<E> {
                const { &$next(PhantomData) }
            }
        }
    };
}

rung!(
    /// A classified error.
    Probe => ClassifiedDynamic
);
rung!(
    /// A classified pointer to a dynamic error.
    ClassifiedDynamic => ClassifiedOpaque
);
rung!(
    /// A classified type that is no error.
    ClassifiedOpaque => Unclassified
);
rung!(
    /// An error.
    Unclassified => UnclassifiedDynamic
);
rung!(
    /// A pointer to a dynamic error.
    UnclassifiedDynamic => Opaque
);

/// A type of which nothing is known.
pub struct Opaque<E>(PhantomData<fn() -> E>);

impl<E> Probe<E> {
    /// Names the error type of a step.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub const fn of<R: Outcome<Error = E>, X>(_: &Step<R, X>) -> Self {
        Self(PhantomData)
    }
}

impl<E: Classify + Error> Probe<E> {
    /// What is known of `E`.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn __traits(&self) -> Traits<E> {
        const { Traits::carrying(in_sources::<E>).classified() }
    }
}

impl<E: Classify + Deref<Target: Dynamic>> ClassifiedDynamic<E> {
    /// What is known of `E`.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn __traits(&self) -> Traits<E> {
        const { Traits::carrying(in_target::<E>).classified() }
    }
}

impl<E: Classify> ClassifiedOpaque<E> {
    /// What is known of `E`.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn __traits(&self) -> Traits<E> {
        const { Traits::unknown().classified() }
    }
}

impl<E: Error> Unclassified<E> {
    /// What is known of `E`.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn __traits(&self) -> Traits<E> {
        const { Traits::carrying(in_sources::<E>) }
    }
}

impl<E: Deref<Target: Dynamic>> UnclassifiedDynamic<E> {
    /// What is known of `E`.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn __traits(&self) -> Traits<E> {
        const { Traits::carrying(in_target::<E>) }
    }
}

impl<E> Opaque<E> {
    /// What is known of `E`.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn __traits(&self) -> Traits<E> {
        const { Traits::unknown() }
    }
}

#[cfg(test)]
mod tests {
    use std::{fmt, io, sync::Arc};

    use super::*;
    use crate::rejection::{BulkheadFull, CircuitOpen, Rejection, TimedOut};

    macro_rules! traits {
        ($error:expr) => {{
            let error = $error;
            let step: Step<Result<(), _>> = Step::Done(Err(error));
            let traits = Probe::of(&step).__traits();
            let Step::Done(Err(error)) = step else {
                unreachable!()
            };
            (
                traits.classification.map(|c| (c.is_failure)(&error)),
                (traits.rejection)(&error),
            )
        }};
    }

    #[derive(Debug, thiserror::Error)]
    enum Classified {
        #[error("busy")]
        Busy,
        #[error(transparent)]
        Rejected(#[from] Rejection),
    }

    impl Classify for Classified {
        fn is_retryable(&self) -> bool {
            false
        }
    }

    struct NoError;

    impl Classify for NoError {}

    fn open() -> Rejection {
        Rejection::CircuitOpen(CircuitOpen {
            policy: "p".into(),
            retry_after: Some(Duration::from_secs(1)),
        })
    }

    const OPEN: Option<RejectionKind> = Some(RejectionKind::Refusal {
        retry_after: Some(Duration::from_secs(1)),
    });

    #[test]
    fn a_classification_is_found_without_a_bound() {
        assert_eq!(traits!(Classified::Busy), (Some(false), None));
        assert_eq!(traits!(Arc::new(Classified::Busy)).0, Some(false));
        assert_eq!(traits!(NoError), (Some(true), None));
        assert_eq!(traits!(7), (None, None));
    }

    #[test]
    fn a_rejection_is_found_whatever_it_was_wrapped_in() {
        assert_eq!(traits!(open()).1, OPEN);
        assert_eq!(traits!(Classified::from(open())), (Some(false), OPEN));
        assert_eq!(traits!(io::Error::from(open())).1, OPEN);
        assert_eq!(
            traits!(Box::<dyn Error + Send + Sync>::from(open())).1,
            OPEN
        );
        assert_eq!(
            traits!(Box::<dyn Error>::from(Classified::from(open()))).1,
            OPEN
        );
        let full = BulkheadFull {
            policy: "p".into(),
            max_concurrent: 1,
            waiting: 0,
        };
        let refusal = Some(RejectionKind::Refusal { retry_after: None });
        assert_eq!(
            traits!(Box::<dyn Error + Send + Sync>::from(full)).1,
            refusal
        );
        let late = TimedOut {
            policy: "p".into(),
            after: Duration::ZERO,
        };
        assert_eq!(
            traits!(Rejection::from(late)).1,
            Some(RejectionKind::TimedOut)
        );
    }

    #[test]
    fn a_borrowing_error_is_looked_through() {
        #[derive(Debug)]
        struct Borrowing<'a>(&'a str, Rejection);
        impl fmt::Display for Borrowing<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
        impl Error for Borrowing<'_> {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.1)
            }
        }
        let text = String::from("local");
        assert_eq!(traits!(Borrowing(&text, open())).1, OPEN);
    }

    #[test]
    fn a_generic_function_sees_what_it_declares() {
        fn bare<E>(error: E) -> Option<bool> {
            traits!(error).0
        }
        fn bound<E: Classify>(error: E) -> Option<bool> {
            traits!(error).0
        }
        assert_eq!(bare(Classified::Busy), None);
        assert_eq!(bound(Classified::Busy), Some(false));
    }
}
