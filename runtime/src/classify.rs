//! What an error type itself knows about retrying and counting.

use std::{sync::Arc, time::Duration};

/// Tells the policies what an error means, once, where the error is defined.
///
/// `#[retry]`, `#[circuit_breaker]` and `#[fallback]` use it wherever no predicate is written; no
/// bound and no argument is needed. In a function generic over its error it is seen only where
/// `E: Classify` is declared.
///
/// ```
/// use std::time::Duration;
/// use steadfast::Classify;
///
/// enum ApiError {
///     Unavailable,
///     TooManyRequests { wait: Duration },
///     NotFound,
/// }
///
/// impl Classify for ApiError {
///     fn is_retryable(&self) -> bool {
///         !matches!(self, ApiError::NotFound)
///     }
///     fn retry_after(&self) -> Option<Duration> {
///         match self {
///             ApiError::TooManyRequests { wait } => Some(*wait),
///             _ => None,
///         }
///     }
/// }
/// # assert!(ApiError::Unavailable.is_failure());
/// # assert!(!ApiError::NotFound.is_failure());
/// ```
pub trait Classify {
    /// Whether the same call may succeed if it is made again. Default: yes.
    fn is_retryable(&self) -> bool {
        true
    }

    /// Whether the dependency is to blame: what circuit breakers count and fallbacks serve.
    /// Default: the same as [`is_retryable`](Self::is_retryable).
    fn is_failure(&self) -> bool {
        self.is_retryable()
    }

    /// How long the dependency asked to be left alone (a `Retry-After` header). Default: not at all.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<E: Classify + ?Sized> Classify for $pointer {
            fn is_retryable(&self) -> bool {
                (**self).is_retryable()
            }

            fn is_failure(&self) -> bool {
                (**self).is_failure()
            }

            fn retry_after(&self) -> Option<Duration> {
                (**self).retry_after()
            }
        }
    )*};
}
forward!(&E, Box<E>, Arc<E>);
