//! `#[bulkhead]`: keeps the number of calls that run at once under a limit.

mod bulkhead;
mod gate;
mod permit;
mod places;
mod settings;
mod shared;
mod striped;

pub use bulkhead::{Bulkhead, BulkheadMetrics};
pub use permit::{BulkheadPermit, Entry};
pub use settings::{BulkheadBuilder, BulkheadSettings};
