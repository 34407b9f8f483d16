//! How well something is.

use std::fmt;

/// How well something is: a policy, a check, the whole program. The greater, the worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum HealthStatus {
    /// It does what it is there for.
    #[default]
    Healthy,
    /// It answers, but not everything, or not as well as it should.
    Degraded,
    /// It cannot do what it is there for.
    Unhealthy,
}

impl HealthStatus {
    /// The status in a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What one look at something came to: a status, and why.
///
/// What a health check may answer with, besides a `Result` (an error is unhealthy, and why) and a bare
/// [`HealthStatus`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Verdict {
    /// How well it is.
    pub status: HealthStatus,
    /// Why, or in which state it is.
    pub detail: Option<String>,
}

impl Verdict {
    /// All is well.
    #[must_use]
    pub const fn healthy() -> Self {
        Self {
            status: HealthStatus::Healthy,
            detail: None,
        }
    }

    /// It goes, but not well.
    #[must_use]
    pub fn degraded(why: impl Into<String>) -> Self {
        Self::new(HealthStatus::Degraded, why)
    }

    /// It does not go.
    #[must_use]
    pub fn unhealthy(why: impl Into<String>) -> Self {
        Self::new(HealthStatus::Unhealthy, why)
    }

    pub(crate) fn new(status: HealthStatus, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: Some(detail.into()),
        }
    }
}

impl From<HealthStatus> for Verdict {
    fn from(status: HealthStatus) -> Self {
        Self {
            status,
            detail: None,
        }
    }
}

impl<T, E: fmt::Display> From<Result<T, E>> for Verdict {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::healthy(),
            Err(error) => Self::unhealthy(error.to_string()),
        }
    }
}
