//! The kinds of policy.

use std::fmt;

/// The kind of a policy: with its name, it tells one instance from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum PolicyKind {
    /// `#[retry]`
    Retry,
    /// `#[circuit_breaker]`
    CircuitBreaker,
    /// `#[rate_limited]`
    RateLimiter,
    /// `#[bulkhead]`
    Bulkhead,
    /// `#[timeout]`
    Timeout,
    /// `#[fallback]`
    Fallback,
}

impl PolicyKind {
    #[cfg(feature = "config")]
    pub(crate) const ALL: [Self; 6] = [
        Self::Retry,
        Self::CircuitBreaker,
        Self::RateLimiter,
        Self::Bulkhead,
        Self::Timeout,
        Self::Fallback,
    ];

    /// The kind as configuration and telemetry spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::CircuitBreaker => "circuit_breaker",
            Self::RateLimiter => "rate_limiter",
            Self::Bulkhead => "bulkhead",
            Self::Timeout => "timeout",
            Self::Fallback => "fallback",
        }
    }
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
