//! `#[retry]`: runs a call again after a failure.

mod attempts;
mod retry;
mod settings;

pub use attempts::{Attempts, Next};
pub use retry::{Retry, RetryMetrics, RetryWhen};
pub use settings::{RetryBuilder, RetrySettings};
