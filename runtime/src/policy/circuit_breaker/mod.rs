//! `#[circuit_breaker]`: stops calling what keeps failing.

mod breaker;
mod cancelled;
mod cell;
mod core;
mod entry;
mod gate;
mod metrics;
mod pending;
mod permit;
mod preset;
mod ready;
mod reload;
mod settings;
mod shared;
mod stopwatch;
mod terms;
mod when;
mod window;

#[cfg(all(test, steadfast_loom))]
mod models;
#[cfg(all(test, not(steadfast_loom), feature = "test-util"))]
#[allow(clippy::unwrap_used)] // clippy does not see that this module is for tests
mod reload_model;

pub use breaker::CircuitBreaker;
pub use cancelled::Cancelled;
pub use entry::CircuitPermit;
pub use metrics::CircuitMetrics;
pub use permit::Permit;
pub use preset::CircuitPreset;
pub use settings::{CircuitBreakerBuilder, CircuitBreakerSettings};
pub use when::CircuitWhen;
pub use window::{Window, WindowArg};
