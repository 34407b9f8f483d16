//! `#[bulkhead]`: keeps the number of calls that run at once under a limit.

mod aside;
mod bulkhead;
mod gate;
mod line;
mod permit;
mod places;
#[cfg(all(test, not(steadfast_loom), feature = "test-util"))]
#[allow(clippy::unwrap_used)] // clippy does not see that this module is for tests
mod reload_tests;
mod rules;
mod settings;
mod shared;
mod striped;
mod terms;

pub use bulkhead::{Bulkhead, BulkheadMetrics};
pub use permit::{BulkheadPermit, Entry};
pub use settings::{BulkheadBuilder, BulkheadSettings};
