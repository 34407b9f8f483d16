//! An unknown word: the nearest, and all.

use steadfast::{Rejection, circuit_breaker};

#[circuit_breaker(failure_treshold = 3)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[circuit_breaker(max_attempts = 3)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
