//! `#[fallback]`: what to answer when a call fails.

mod answer;
mod fallback;
mod mark;
mod memory;
mod outage;
#[cfg(all(test, not(steadfast_loom), feature = "test-util"))]
#[allow(clippy::unwrap_used)] // clippy does not see that this module is for tests
mod reload_tests;
mod settings;
#[cfg(feature = "redis")]
mod shared;
#[cfg(not(feature = "redis"))]
#[path = "unshared.rs"]
mod shared;

pub use answer::{Answer, Answering, Forgetful, Memory, OrElse, Pass, SharedKey};
pub use fallback::{Fallback, FallbackMetrics, Serving, Taken};
pub use mark::{Mark, Marks, Unmarked};
pub use memory::CacheKey;
pub use settings::{FallbackBuilder, FallbackSettings};
pub use shared::Shareable;
