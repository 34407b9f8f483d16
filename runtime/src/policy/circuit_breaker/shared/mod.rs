//! A circuit whose state is the fleet's.
//!
//! The circuit itself stays what it is: calls pass its gate, and while the store answers it only notes what
//! they come to. An [`Outpost`] beside it gathers that, reports it, and has the circuit follow the answers;
//! a [`Hub`] per breaker does so for all of its circuits at each tick of the store. While the store is away
//! the circuit decides by itself, as it does where nothing is shared.

mod denial;
mod hub;
mod messenger;
mod outpost;
mod script;
mod terms;

#[cfg(all(test, not(steadfast_loom)))]
#[allow(clippy::unwrap_used)] // clippy does not see that this module is for tests
mod lua_tests;
#[cfg(all(test, steadfast_loom))]
mod models;
#[cfg(all(test, not(steadfast_loom), feature = "test-util", feature = "redis"))]
#[allow(clippy::unwrap_used)]
mod redis_tests;
#[cfg(all(test, not(steadfast_loom), feature = "test-util"))]
#[allow(clippy::unwrap_used)]
mod tests;

pub(super) use denial::{Denial, Refused};
pub(super) use hub::{Hub, Way};
pub(super) use outpost::Outpost;
pub(super) use terms::FleetTerms;
