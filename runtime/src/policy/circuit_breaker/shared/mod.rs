//! A circuit whose state is the fleet's.

mod script;

#[cfg(all(test, not(steadfast_loom)))]
#[allow(clippy::unwrap_used)] // clippy does not see that this module is for tests
mod lua_tests;
