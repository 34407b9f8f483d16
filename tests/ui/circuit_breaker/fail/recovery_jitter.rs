//! `recovery_jitter` is a number between 0 and 1.

use steadfast::{Rejection, circuit_breaker};

#[circuit_breaker(recovery_jitter = 1.5)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[circuit_breaker(recovery_jitter = -0.1)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[circuit_breaker(recovery_jitter = "10%")]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
