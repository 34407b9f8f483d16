//! What a breaker has seen.

/// What a circuit breaker has seen: in its window, and since its start.
///
/// Where there is one circuit per key, these are the sums over all of them. Where circuits are shared, the
/// window is the fleet's, as of the last answer of the store (this instance's own while that is away), and
/// totals are this instance's.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CircuitMetrics {
    /// Calls in the window.
    pub calls: u64,
    /// Failures among them.
    pub failures: u64,
    /// Slow calls among them, whether they succeeded or not.
    pub slow_calls: u64,
    /// The share of failures in the window; `None` while it is empty.
    pub failure_rate: Option<f64>,
    /// The share of slow calls in the window; `None` while it is empty, or where no call is slow.
    pub slow_call_rate: Option<f64>,
    /// Calls since the start that succeeded.
    pub total_successes: u64,
    /// Calls since the start that failed.
    pub total_failures: u64,
    /// Calls since the start that were slow.
    pub total_slow_calls: u64,
    /// Calls since the start that counted as neither: ignored errors, and calls dropped by their callers.
    pub total_ignored: u64,
    /// Calls since the start that were refused, or would have been where it does not enforce.
    pub total_refused: u64,
}
