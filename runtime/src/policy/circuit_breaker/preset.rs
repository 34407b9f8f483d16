//! Breakers for the ordinary cases, by name.

use std::time::Duration;

use super::{CircuitBreakerSettings, Window};
use crate::policy::settings::spelt;

/// Settings of a breaker for an ordinary case, to start from: what is written besides them takes their
/// place.
///
/// ```
/// use steadfast::{CircuitBreaker, CircuitPreset, Rejection, circuit_breaker};
///
/// #[circuit_breaker("quotes", preset = high_volume, failure_rate = 0.2)]
/// async fn quote() -> Result<u32, Rejection> {
///     // ...
/// #   Ok(7)
/// }
///
/// let reports = CircuitBreaker::builder("reports").preset(CircuitPreset::LowVolume).build()?;
/// # drop(reports);
/// # Ok::<(), steadfast::ConfigError>(())
/// ```
///
/// | setting | without | `low_volume` | `high_volume` |
/// |---|---|---|---|
/// | `failure_threshold` | 5 | 3 | none |
/// | `failure_rate` | none | 0.5 | 0.5 |
/// | `window` | 100 | 20 | 10s |
/// | `minimum_calls` | none | 5 | 100 |
/// | `recovery_timeout` | 1m | 30s | 5s |
/// | `recovery_jitter` | 0 | – | 0.2 |
/// | `half_open_requests` | 3 | 1 | 10 |
/// | `success_threshold` | 3 | 1 | 10 |
/// | `half_open_timeout` | 1m | 30s | 5s |
///
/// (– as without a preset, which holds for all other settings as well. Where a `window` of fewer calls is
/// written, `minimum_calls` is no more than that; where a file takes the `failure_rate` away, it goes with
/// it.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum CircuitPreset {
    /// A call now and then: a few failures are all there is to judge by, and one good probe is enough.
    LowVolume,
    /// Hundreds of calls a second: judged by their share over the last seconds, recovered in small
    /// steps, and not by all instances at the same moment.
    HighVolume,
}

impl CircuitPreset {
    #[cfg(all(test, not(steadfast_loom)))]
    pub(crate) const ALL: [Self; 2] = [Self::LowVolume, Self::HighVolume];

    /// The preset as attributes and configuration spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LowVolume => "low_volume",
            Self::HighVolume => "high_volume",
        }
    }

    /// What it writes.
    pub(super) const fn settings(self) -> CircuitBreakerSettings {
        let new = CircuitBreakerSettings::new();
        match self {
            Self::LowVolume => new
                .failure_threshold(3)
                .failure_rate(0.5)
                .window(Window::Count(20))
                .minimum_calls(5)
                .recovery_timeout(Duration::from_secs(30))
                .success_threshold(1),
            Self::HighVolume => new
                .failure_rate(0.5)
                .window(Window::Time(Duration::from_secs(10)))
                .minimum_calls(100)
                .recovery_timeout(Duration::from_secs(5))
                .recovery_jitter(0.2)
                .success_threshold(10),
        }
    }
}

spelt!(CircuitPreset);
