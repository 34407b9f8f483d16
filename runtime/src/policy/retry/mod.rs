//! `#[retry]`: runs a call again after a failure.

mod attempts;
mod preset;
mod retry;
mod settings;

pub use attempts::{Attempts, Next};
pub use preset::RetryPreset;
pub use retry::{Retry, RetryMetrics, RetryWhen};
pub use settings::{RetryBuilder, RetrySettings};
