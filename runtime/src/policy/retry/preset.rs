//! Retries for the ordinary cases, by name.

use std::time::Duration;

use super::RetrySettings;
use crate::policy::settings::spelt;

/// Settings of a retry for an ordinary case, to start from: what is written besides them takes their place.
///
/// ```
/// use std::time::Duration;
/// use steadfast::{Retry, RetryPreset, retry};
///
/// #[retry(preset = fast_api, max_attempts = 2)]
/// async fn fetch(url: &str) -> std::io::Result<String> {
///     // ...
/// #   Ok(url.to_owned())
/// }
///
/// let batch = Retry::builder("nightly").preset(RetryPreset::SlowBatch).build()?;
/// assert_eq!(batch.delays().count(), 7);
/// # Ok::<(), steadfast::ConfigError>(())
/// ```
///
/// | setting | without | `fast_api` | `slow_batch` | `critical` | `streaming` |
/// |---|---|---|---|---|---|
/// | `max_attempts` | 3 | 3 | 8 | 10 | 20 |
/// | `base_delay` | 1s | 50ms | 2s | 200ms | 100ms |
/// | `max_delay` | 1m | 500ms | 5m | 30s | 5s |
/// | `jitter` | full | – | equal | – | equal |
/// | `max_elapsed` | none | 2s | 1h | 5m | – |
/// | `budget` | none | 0.2 | – | – | – |
///
/// (– as without a preset, which holds for all other settings as well.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum RetryPreset {
    /// Somebody waits for the answer: a few quick attempts, over within two seconds, and no storm of
    /// retries where everybody fails.
    FastApi,
    /// Nobody waits: few attempts, far apart, so that what is down can come up again.
    SlowBatch,
    /// It must get through: many attempts, for five minutes.
    Critical,
    /// A connection that is expected to break, and is to be up again soon: many attempts, never far
    /// apart.
    Streaming,
}

impl RetryPreset {
    #[cfg(all(test, not(steadfast_loom)))]
    pub(crate) const ALL: [Self; 4] = [
        Self::FastApi,
        Self::SlowBatch,
        Self::Critical,
        Self::Streaming,
    ];

    /// The preset as attributes and configuration spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FastApi => "fast_api",
            Self::SlowBatch => "slow_batch",
            Self::Critical => "critical",
            Self::Streaming => "streaming",
        }
    }

    /// What it writes.
    pub(super) const fn settings(self) -> RetrySettings {
        use crate::algorithm::jitter::Jitter;

        let new = RetrySettings::new();
        match self {
            Self::FastApi => new
                .max_attempts(3)
                .base_delay(Duration::from_millis(50))
                .max_delay(Duration::from_millis(500))
                .max_elapsed(Duration::from_secs(2))
                .budget(0.2),
            Self::SlowBatch => new
                .max_attempts(8)
                .base_delay(Duration::from_secs(2))
                .max_delay(Duration::from_secs(5 * 60))
                .jitter(Jitter::Equal)
                .max_elapsed(Duration::from_secs(60 * 60)),
            Self::Critical => new
                .max_attempts(10)
                .base_delay(Duration::from_millis(200))
                .max_delay(Duration::from_secs(30))
                .max_elapsed(Duration::from_secs(5 * 60)),
            Self::Streaming => new
                .max_attempts(20)
                .base_delay(Duration::from_millis(100))
                .max_delay(Duration::from_secs(5))
                .jitter(Jitter::Equal),
        }
    }
}

spelt!(RetryPreset);

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;
    use crate::policy::settings::{
        Written,
        tests::{documented, table},
    };

    #[test]
    fn the_table_says_what_each_preset_is() {
        let presets = RetryPreset::ALL.map(|preset| {
            let settings = RetrySettings::new().preset(preset);
            (preset.as_str(), settings, preset.settings())
        });
        assert_eq!(table(&presets), documented(include_str!("preset.rs")));
    }

    #[test]
    fn each_preset_is_good_as_it_stands() {
        for preset in RetryPreset::ALL {
            assert_eq!(RetrySettings::new().preset(preset).check(), Ok(()));
        }
    }
}
