//! A fallback below what needs to see failures.

use steadfast::{Rejection, circuit_breaker, fallback, retry, timeout};

#[retry]
#[fallback(default)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[circuit_breaker]
#[timeout("1s")]
#[fallback(value = 1)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
