//! `reject_with` gives the error type.

use steadfast::{Rejection, circuit_breaker};

#[circuit_breaker(reject_with = 5)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[circuit_breaker(reject_with = |_| "text")]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
