//! `max_keys` is a whole number of at least 1.

use steadfast::{Rejection, bulkhead};

#[bulkhead(key = name, max_keys = 0)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[bulkhead(key = name, max_keys = -1)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[bulkhead(key = name, max_keys = "3")]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[bulkhead(key = name, max_keys = 3.0)]
async fn f3(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[bulkhead(key = name, max_keys = 5000000000)]
async fn f4(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[bulkhead(key = name, max_keys)]
async fn f5(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
