//! What a caller gets when a policy, not the called function, ended the call.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use crate::{name::PolicyName, store::StoreError};

/// Why a policy ended a call.
///
/// Functions under a policy that can reject carry it in their own error type; one variant is enough:
///
/// ```
/// #[derive(Debug, thiserror::Error)]
/// enum QuoteError {
///     #[error("the exchange answered {0}")]
///     Status(u16),
///     #[error(transparent)]
///     Rejected(#[from] steadfast::Rejection),
/// }
/// ```
///
/// `anyhow::Error`, `Box<dyn Error + Send + Sync>` and [`io::Error`] work as they are. The
/// [`source`](Error::source) of a rejection is its typed error, so that policies and callers further
/// out can tell a refusal from a failure whatever it was wrapped in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// A circuit breaker is open: the call was not made.
    #[error("refused by circuit breaker `{}`{}", .0.policy, RetryIn(.0.retry_after))]
    CircuitOpen(#[source] CircuitOpen),
    /// A rate limit is used up: the call was not made.
    #[error("refused by rate limiter `{}`{}", .0.policy, RetryIn(.0.retry_after))]
    RateLimited(#[source] RateLimited),
    /// Too many calls are running: the call was not made.
    #[error("refused by bulkhead `{}`", .0.policy)]
    BulkheadFull(#[source] BulkheadFull),
    /// The call did not end in time and was dropped.
    #[error("cut off by timeout `{}`", .0.policy)]
    TimedOut(#[source] TimedOut),
    /// Polling ended before the value was as wanted.
    #[error("polling ended in retry `{}`", .0.policy)]
    ConditionNotMet(#[source] ConditionNotMet),
    /// The shared store is away and the policy is set to deny.
    #[error("refused by `{}` without its store{}", .0.policy, RetryIn(.0.retry_after))]
    StoreUnavailable(#[source] StoreUnavailable),
}

/// A circuit breaker is open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitOpen {
    /// The breaker.
    pub policy: PolicyName,
    /// When a probe may be let through; `None` where it was opened by hand, or all probes are out.
    pub retry_after: Option<Duration>,
}

/// A rate limit is used up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimited {
    /// The limiter.
    pub policy: PolicyName,
    /// The most that one caller may take at once.
    pub limit: u32,
    /// What is left right now.
    pub remaining: u32,
    /// How long until this call would be let through; `None` where it never would.
    pub retry_after: Option<Duration>,
    /// How long until the limit is as if unused.
    pub reset_after: Duration,
}

/// A bulkhead is full.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BulkheadFull {
    /// The bulkhead.
    pub policy: PolicyName,
    /// How many calls may run at once.
    pub max_concurrent: u32,
    /// How many callers were waiting.
    pub waiting: u32,
}

/// A call did not end in time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimedOut {
    /// The timeout.
    pub policy: PolicyName,
    /// The time that the call had.
    pub after: Duration,
}

/// Polling ended before the value was as wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConditionNotMet {
    /// The retry policy.
    pub policy: PolicyName,
    /// How often the call was made.
    pub attempts: u32,
}

/// The shared store is away.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreUnavailable {
    /// The policy that needs it.
    pub policy: PolicyName,
    /// When it is worth asking again, where that is known.
    pub retry_after: Option<Duration>,
    /// Why it is away.
    pub cause: Arc<StoreError>,
}

impl Rejection {
    /// The policy that ended the call.
    #[must_use]
    pub fn policy(&self) -> &PolicyName {
        match self {
            Self::CircuitOpen(error) => &error.policy,
            Self::RateLimited(error) => &error.policy,
            Self::BulkheadFull(error) => &error.policy,
            Self::TimedOut(error) => &error.policy,
            Self::ConditionNotMet(error) => &error.policy,
            Self::StoreUnavailable(error) => &error.policy,
        }
    }

    /// How long to wait before another call has a chance, where that is known: the value of a
    /// `Retry-After` header.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::CircuitOpen(error) => error.retry_after,
            Self::RateLimited(error) => error.retry_after,
            Self::StoreUnavailable(error) => error.retry_after,
            Self::BulkheadFull(_) | Self::TimedOut(_) | Self::ConditionNotMet(_) => None,
        }
    }

    /// Whether the call was refused before it was made.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self.kind(), RejectionKind::Refusal { .. })
    }

    pub(crate) fn kind(&self) -> RejectionKind {
        match self {
            Self::CircuitOpen(_)
            | Self::RateLimited(_)
            | Self::BulkheadFull(_)
            | Self::StoreUnavailable(_) => RejectionKind::Refusal {
                retry_after: self.retry_after(),
            },
            Self::TimedOut(_) => RejectionKind::TimedOut,
            Self::ConditionNotMet(_) => RejectionKind::Unmet,
        }
    }
}

/// What policies further out need to know of a rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectionKind {
    /// The call was not made: nothing to retry, nothing to count.
    Refusal {
        /// When another call has a chance.
        retry_after: Option<Duration>,
    },
    /// The call was cut off: a failure.
    TimedOut,
    /// Polling ended: an ordinary failure.
    Unmet,
}

impl RejectionKind {
    /// The rejection that `error` or one of its sources is, if any.
    pub(crate) fn in_chain(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(kind) = Self::of(error) {
                return Some(kind);
            }
            next = error.source();
        }
        None
    }

    fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        if let Some(rejection) = error.downcast_ref::<Rejection>() {
            return Some(rejection.kind());
        }
        if error.is::<TimedOut>() {
            return Some(Self::TimedOut);
        }
        if error.is::<ConditionNotMet>() {
            return Some(Self::Unmet);
        }
        let retry_after = if let Some(open) = error.downcast_ref::<CircuitOpen>() {
            open.retry_after
        } else if let Some(limited) = error.downcast_ref::<RateLimited>() {
            limited.retry_after
        } else if let Some(store) = error.downcast_ref::<StoreUnavailable>() {
            store.retry_after
        } else if error.is::<BulkheadFull>() {
            None
        } else {
            return None;
        };
        Some(Self::Refusal { retry_after })
    }
}

impl fmt::Display for CircuitOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            policy,
            retry_after,
        } = self;
        write!(f, "circuit `{policy}` is open{}", RetryIn(*retry_after))
    }
}

impl fmt::Display for RateLimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rate limit `{}` is used up", self.policy)?;
        match self.retry_after {
            None => write!(
                f,
                ", the call asks for more than its limit of {}",
                self.limit
            ),
            some => RetryIn(some).fmt(f),
        }
    }
}

impl fmt::Display for BulkheadFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            policy,
            max_concurrent,
            waiting,
        } = self;
        write!(
            f,
            "bulkhead `{policy}` is full ({max_concurrent} running, {waiting} waiting)"
        )
    }
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no answer within {:?} (timeout `{}`)",
            self.after, self.policy
        )
    }
}

impl fmt::Display for ConditionNotMet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, attempts } = self;
        let s = if *attempts == 1 { "" } else { "s" };
        write!(
            f,
            "not the wanted value after {attempts} attempt{s} (retry `{policy}`)"
        )
    }
}

impl fmt::Display for StoreUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            policy,
            retry_after,
            cause,
        } = self;
        let retry_in = RetryIn(*retry_after);
        write!(
            f,
            "the shared store of `{policy}` is unavailable{retry_in}: {cause}"
        )
    }
}

/// `, retry in 2s`, or nothing.
struct RetryIn(Option<Duration>);

impl fmt::Display for RetryIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(after) => write!(f, ", retry in {:?}", readable(after)),
            None => Ok(()),
        }
    }
}

/// Rounded up to whole milliseconds, or microseconds below one: nobody reads nanoseconds, and a wait
/// that is too short is refused again.
fn readable(duration: Duration) -> Duration {
    let unit = if duration < Duration::from_millis(1) {
        1_000
    } else {
        1_000_000
    };
    let nanos = duration.as_nanos().div_ceil(unit).saturating_mul(unit);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Each typed error is an error of its own and converts into a [`Rejection`].
macro_rules! typed {
    ($($name:ident),*) => {$(
        impl From<$name> for Rejection {
            fn from(error: $name) -> Self {
                Self::$name(error)
            }
        }
    )*};
}
/// Those that tell all there is to tell.
macro_rules! without_source {
    ($($name:ident),*) => {$(
        impl Error for $name {}
    )*};
}
without_source!(
    CircuitOpen,
    RateLimited,
    BulkheadFull,
    TimedOut,
    ConditionNotMet
);

impl Error for StoreUnavailable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}

typed!(
    CircuitOpen,
    RateLimited,
    BulkheadFull,
    TimedOut,
    ConditionNotMet,
    StoreUnavailable
);

impl From<Rejection> for io::Error {
    fn from(rejection: Rejection) -> Self {
        let kind = match &rejection {
            Rejection::TimedOut(_) => io::ErrorKind::TimedOut,
            Rejection::ConditionNotMet(_) => io::ErrorKind::Other,
            _ => io::ErrorKind::ResourceBusy,
        };
        Self::new(kind, rejection)
    }
}

/// An error type that can carry a [`Rejection`]: every type with `From<Rejection>`.
///
/// It exists for its message; implement `From<Rejection>`, never this trait.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot carry a rejection by a policy",
    label = "this error type needs a variant for rejections",
    note = "add one variant to it: `Rejected(#[from] steadfast::Rejection)`, or write `impl From<steadfast::Rejection> for {Self}`",
    note = "or say at the attribute what the caller gets: `reject_with = |rejection| ...`"
)]
pub trait FromRejection: Sized {
    /// The error that stands for `rejection`.
    fn from_rejection(rejection: Rejection) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<Rejection>> FromRejection for E {
    fn from_rejection(rejection: Rejection) -> Self {
        Self::from(rejection)
    }
}
