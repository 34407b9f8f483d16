//! What cannot be shared, or changes nothing.

use steadfast::{Rejection, circuit_breaker, fallback, retry, timeout};

#[retry("a", shared)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[timeout("a", "1s", shared)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[fallback("b", default, shared)]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[circuit_breaker("c", failure_rate = 0.5, quorum = 2, shared)]
async fn f3(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
