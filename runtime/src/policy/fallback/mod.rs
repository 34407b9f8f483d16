//! `#[fallback]`: what to answer when a call fails.

mod answer;
mod fallback;
mod mark;
mod memory;
mod outage;
mod settings;

pub use answer::{Answer, Answering, Forgetful, Memory, OrElse, Pass};
pub use fallback::{Fallback, FallbackMetrics, Taken};
pub use mark::{Mark, Marks, Unmarked};
pub use memory::CacheKey;
pub use settings::{FallbackBuilder, FallbackSettings};
