//! `#[timeout]`: drops a call at its deadline.

mod run;
mod settings;
mod timeout;

pub use run::{Elapsed, Outermost, Run, Within};
pub use settings::{TimeoutBuilder, TimeoutSettings};
pub use timeout::{Timeout, TimeoutMetrics};
