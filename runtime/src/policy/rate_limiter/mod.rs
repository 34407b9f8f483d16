//! `#[rate_limited]`: keeps calls under a rate.

mod admission;
mod algorithm;
mod allowance;
mod entrance;
mod gate;
mod key_lane;
mod lane;
mod lease;
mod limiter;
mod one;
mod patience;
#[cfg(all(test, not(steadfast_loom), feature = "test-util"))]
mod reload_tests;
mod request;
mod rules;
mod settings;
mod shared;
mod till;
mod turn;

pub use admission::Admission;
pub use algorithm::Algorithm;
pub use allowance::Allowance;
pub use limiter::{RateLimiter, RateLimiterMetrics};
pub use one::OnePermit;
pub use request::Request;
pub use settings::{RateLimiterBuilder, RateLimiterSettings};
