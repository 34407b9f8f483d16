//! Settings that have no effect.

use steadfast::{Rejection, bulkhead};

#[bulkhead(max_queue = 5)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[bulkhead(max_keys = 5)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
