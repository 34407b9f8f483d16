//! Steadfast makes an ordinary Rust function survive a bad day.
#![forbid(unsafe_code)]
#![allow(dead_code)] // while the first slice is being laid

mod algorithm;
mod clock;
mod keyed;
mod queue;
mod sync;
mod waiter;

pub use algorithm::{backoff::Backoff, jitter::Jitter, schedule::Delays};
