//! State that is shared without a name.

use steadfast::{Rejection, bulkhead, circuit_breaker, fallback, rate_limited};

#[bulkhead(shared)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[circuit_breaker(failure_rate = 0.5, shared)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = "5/s", shared)]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[fallback(cache(key = name, fresh = "1m"), shared)]
async fn f3(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
