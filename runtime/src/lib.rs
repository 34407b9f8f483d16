//! Steadfast makes an ordinary Rust function survive a bad day.
#![forbid(unsafe_code)]
#![allow(dead_code)] // while the first slice is being laid

mod algorithm;
mod call;
mod circuit_state;
mod classify;
mod clock;
mod counter;
mod error;
mod event;
mod judge;
mod keyed;
mod kind;
mod name;
mod outcome;
mod place;
mod policy;
mod probe;
mod queue;
mod rate;
mod registry;
mod rejection;
mod served;
mod step;
mod sync;
#[cfg(feature = "test-util")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
pub mod test;
mod units;
mod waiter;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use algorithm::{backoff::Backoff, jitter::Jitter, schedule::Delays};
pub use circuit_state::CircuitState;
pub use classify::Classify;
pub use error::{ConfigError, ConfigErrors, Said};
pub use event::{
    Bypassed, CutOff, Event, Exhausted, FellBack, Misconfigured, Refused, RetriesExhausted,
    RetryEvent, StateChanged, Subscription,
};
pub use kind::PolicyKind;
pub use name::PolicyName;
pub use outcome::Outcome;
pub use place::Place;
pub use policy::{
    bulkhead::{Bulkhead, BulkheadBuilder, BulkheadMetrics, BulkheadPermit},
    rate_limiter::{Algorithm, Allowance, RateLimiter, RateLimiterBuilder, RateLimiterMetrics},
    settings::{Setting, Value},
    timeout::{Timeout, TimeoutBuilder, TimeoutMetrics},
};
pub use rate::{ParseRateError, Rate};
pub use registry::{PolicySnapshot, Registry, Snapshot, registry};
pub use rejection::{
    BulkheadFull, CircuitOpen, ConditionNotMet, RateLimited, Rejection, StoreUnavailable, TimedOut,
};
pub use served::{Served, Source};
