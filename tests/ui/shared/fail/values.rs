//! Values that the arguments cannot have.

use steadfast::{Rejection, bulkhead, circuit_breaker, rate_limited};

#[bulkhead("a", shared = true)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited("b", rate = "5/s", shared, mode = fast)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited("c", rate = "5/s", shared, on_store_error = ignore)]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[bulkhead("d", shared, fence = 3)]
async fn f3(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[bulkhead("e", shared, lease = "500ms")]
async fn f4(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[bulkhead("f", shared, instances = 0)]
async fn f5(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[circuit_breaker("g", shared, quorum = 0)]
async fn f6(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
