//! `enforce` is on or off.

use steadfast::{Rejection, bulkhead};

#[bulkhead(enforce = 1)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[bulkhead(enforce = "yes")]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[bulkhead(enforce)]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
