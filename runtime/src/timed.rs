//! How long a call takes, where somebody wants to know.

#[cfg(feature = "metrics")]
pub use crate::metrics::Timed;

/// One call of an annotated function. Nobody asks how long it takes.
#[cfg(not(feature = "metrics"))]
#[derive(Debug)]
pub struct Timed;
