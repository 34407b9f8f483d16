//! An unknown word: the nearest, and all.

use steadfast::{Rejection, timeout};

#[timeout("2s", before = "3s")]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[timeout("2s", reject_wit = |_| 1)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
