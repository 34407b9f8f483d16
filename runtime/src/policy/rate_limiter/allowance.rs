//! What a caller is told who was let through.

use std::time::Duration;

use crate::algorithm::decision::Decision;

/// Permits that were taken, and how the limit stands after that: the values of `RateLimit` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Allowance {
    /// Permits that an unused limit gives out at once.
    pub limit: u32,
    /// Permits that could be taken now.
    pub remaining: u32,
    /// How long until the limit is as if unused.
    pub reset_after: Duration,
}

impl From<Decision> for Allowance {
    fn from(decision: Decision) -> Self {
        Self {
            limit: decision.limit,
            remaining: decision.remaining,
            reset_after: decision.reset_after,
        }
    }
}
