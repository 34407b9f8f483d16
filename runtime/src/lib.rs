//! Steadfast makes an ordinary Rust function survive a bad day.
#![forbid(unsafe_code)]
#![allow(dead_code)] // while the first slice is being laid

mod algorithm;
mod clock;
mod rate;
mod sync;
mod units;

pub use rate::{ParseRateError, Rate};
