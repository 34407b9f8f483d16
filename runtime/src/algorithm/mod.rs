//! The state machines, pure: `(state, now, event) -> decision`. No clock, no lock, no IO, no async.

pub(crate) mod adaptive;
pub(crate) mod backoff;
pub(crate) mod budget;
pub(crate) mod circuit;
pub(crate) mod decision;
pub(crate) mod desk;
pub(crate) mod fixed_window;
pub(crate) mod fleet;
pub(crate) mod fleet_circuit;
pub(crate) mod gcra;
pub(crate) mod grid;
pub(crate) mod holders;
pub(crate) mod jitter;
pub(crate) mod limit;
pub(crate) mod pace;
#[cfg(all(test, not(steadfast_loom)))]
mod reloads;
pub(crate) mod schedule;
pub(crate) mod skew;
pub(crate) mod sliding_counter;
pub(crate) mod sliding_log;
pub(crate) mod window;
