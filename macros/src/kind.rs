//! The six attributes.

/// Which of the six attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Retry,
    CircuitBreaker,
    RateLimited,
    Bulkhead,
    Timeout,
    Fallback,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Retry,
        Self::CircuitBreaker,
        Self::RateLimited,
        Self::Bulkhead,
        Self::Timeout,
        Self::Fallback,
    ];

    /// The attribute as the user writes it.
    pub(crate) fn attribute(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::CircuitBreaker => "circuit_breaker",
            Self::RateLimited => "rate_limited",
            Self::Bulkhead => "bulkhead",
            Self::Timeout => "timeout",
            Self::Fallback => "fallback",
        }
    }

    /// The policy's public type.
    pub(crate) fn policy(self) -> &'static str {
        match self {
            Self::Retry => "Retry",
            Self::CircuitBreaker => "CircuitBreaker",
            Self::RateLimited => "RateLimiter",
            Self::Bulkhead => "Bulkhead",
            Self::Timeout => "Timeout",
            Self::Fallback => "Fallback",
        }
    }

    /// The constructor of the policy's declaration.
    pub(crate) fn declaration(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limiter",
            other => other.attribute(),
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.attribute() == name)
    }
}
