//! An unknown word: the nearest, and all.

use steadfast::{Rejection, bulkhead};

#[bulkhead(max_concurent = 3)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[bulkhead(max_conncurrent = 3)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
