//! What is said about a store, of state that is not kept in one.

use steadfast::{Rejection, bulkhead, circuit_breaker, rate_limited};

#[rate_limited("a", rate = "5/s", mode = lease)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited("b", rate = "5/s", instances = 3)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[bulkhead("c", max_concurrent = 3, on_store_error = deny)]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[bulkhead("d", lease = "5s")]
async fn f3(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[circuit_breaker("e", quorum = 2)]
async fn f4(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[bulkhead("f", max_concurrent = 3, fence = n)]
async fn f5(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[bulkhead(fence = n)]
async fn f6(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
