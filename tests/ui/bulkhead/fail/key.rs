//! `key` is anything that can be displayed.

use steadfast::{Rejection, bulkhead};

#[bulkhead(key = Shard)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[bulkhead(key = return Ok(1))]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

struct Shard;

fn main() {}
