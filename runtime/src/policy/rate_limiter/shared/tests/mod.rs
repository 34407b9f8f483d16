//! Shared limits, as a whole.

#[cfg(feature = "test-util")]
mod asking;
#[cfg(feature = "test-util")]
mod outages;
#[cfg(all(feature = "redis", feature = "test-util"))]
mod processes;
#[cfg(feature = "test-util")]
mod reloads;
#[cfg(feature = "test-util")]
mod store;
mod twins;
#[cfg(feature = "test-util")]
mod whole;
