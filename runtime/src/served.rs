//! An answer that says where it came from.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    time::Duration,
};

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Source {
    /// The protected call itself.
    Primary,
    /// An earlier answer, still fresh.
    Cache,
    /// An earlier answer, past its freshness.
    StaleCache,
    /// The fallback's own answer.
    Fallback,
}

impl Source {
    /// The source as telemetry spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Cache => "cache",
            Self::StaleCache => "stale_cache",
            Self::Fallback => "fallback",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A value and where it came from: return `Result<Served<T>, E>` from a function under `#[fallback]`,
/// and its caller can tell a degraded answer from a good one. The body returns `Ok(value.into())`.
///
/// Derefs to its value.
///
/// ```
/// use steadfast::{Served, Source};
///
/// let price: Served<u32> = 42.into();
/// assert_eq!(*price, 42);
/// assert_eq!(price.source, Source::Primary);
/// assert!(!price.degraded());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Served<T> {
    /// The answer.
    pub value: T,
    /// Where it came from.
    pub source: Source,
    /// How old a cached answer is; `None` for any other.
    pub age: Option<Duration>,
    /// What the caller should know of a degraded answer, in words.
    pub warnings: Vec<String>,
}

impl<T> Served<T> {
    /// Whether the answer is not the call's own.
    #[must_use]
    pub fn degraded(&self) -> bool {
        self.source != Source::Primary
    }

    /// The value alone.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> From<T> for Served<T> {
    fn from(value: T) -> Self {
        Self {
            value,
            source: Source::Primary,
            age: None,
            warnings: Vec::new(),
        }
    }
}

impl<T> Deref for Served<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Served<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}
