//! Answers that all instances remember together, in the registry's store.
//!
//! One hash holds the answers of a policy as JSON, one sorted set the time at which each was written, by
//! the store's clock; both expire as a whole once the youngest answer is too old. A success writes in the
//! background; a failed call asks only if what is remembered here is not fresh.

mod calls;
mod flight;
mod json;
mod pace;
mod script;
mod sharing;
mod tag;
#[cfg(all(test, not(steadfast_loom)))]
#[allow(clippy::unwrap_used)] // clippy does not see that this module is for tests
mod tests;

pub use json::Shareable;
pub(super) use sharing::Sharing;
