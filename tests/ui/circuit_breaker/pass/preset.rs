//! A preset stands as a word or in quotes, and leaves the rest to be written.

use steadfast::{Rejection, circuit_breaker};

#[circuit_breaker(preset = low_volume)]
async fn f0() -> Result<usize, Rejection> {
    Ok(0)
}

// Its rate is the preset's.
#[circuit_breaker("named", preset = "high_volume", minimum_calls = 500)]
async fn f1() -> Result<usize, Rejection> {
    Ok(0)
}

#[circuit_breaker("two", preset = low_volume, failure_rate = 0.1, shared, quorum = 2)]
async fn f2() -> Result<usize, Rejection> {
    Ok(0)
}

fn main() {}
