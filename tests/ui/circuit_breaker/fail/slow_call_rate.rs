//! `slow_call_rate` is a number above 0 and at most 1.

use steadfast::{Rejection, circuit_breaker};

#[circuit_breaker(slow_call = "1s", slow_call_rate = 0)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[circuit_breaker(slow_call = "1s", slow_call_rate = 2)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[circuit_breaker(slow_call = "1s", slow_call_rate = "half")]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
