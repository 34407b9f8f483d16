//! The states of a circuit, as users see them.

use std::fmt;

/// What a circuit breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum CircuitState {
    /// Every call; outcomes are counted.
    Closed,
    /// No call, until the recovery timeout has passed.
    Open,
    /// A few probes; their outcomes decide.
    HalfOpen,
    /// No call, until somebody resets it. Set by hand.
    ForcedOpen,
    /// Every call; nothing opens it. Set by hand.
    Disabled,
}

impl CircuitState {
    /// The state as telemetry spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::Disabled => "disabled",
        }
    }
}

impl fmt::Display for CircuitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
