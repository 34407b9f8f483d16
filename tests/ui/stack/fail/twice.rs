//! Two that nothing tells apart.

use steadfast::{Rejection, bulkhead, circuit_breaker, rate_limited, timeout};

#[bulkhead]
#[bulkhead]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[circuit_breaker("a")]
#[circuit_breaker("a")]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = "1/s")]
#[timeout("1s")]
#[rate_limited(rate = "1/h")]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
