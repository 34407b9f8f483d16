//! A bulkhead whose places the instances of a fleet share.

mod home;
mod lane;
#[cfg(all(test, not(steadfast_loom)))]
#[allow(clippy::unwrap_used)] // clippy does not see that this module is for tests
mod lua_tests;
#[cfg(all(test, steadfast_loom))]
mod models;
mod queued;
#[cfg(all(test, not(steadfast_loom), feature = "redis", feature = "test-util"))]
#[allow(clippy::unwrap_used)] // clippy does not see that this module is for tests
mod redis_tests;
mod scripts;
mod seat;
mod seats;
mod shared;
#[cfg(all(test, not(steadfast_loom), feature = "test-util"))]
mod tests;

pub(super) use lane::Lane;
pub(super) use shared::{Passed, Shared};
