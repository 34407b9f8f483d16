//! A bulkhead whose places the instances of a fleet share.

mod home;
mod lane;
mod queued;
mod scripts;
mod seat;
mod seats;
mod shared;
#[cfg(all(test, not(steadfast_loom), feature = "test-util"))]
mod tests;

pub(super) use lane::Lane;
pub(super) use shared::{Passed, Shared};
