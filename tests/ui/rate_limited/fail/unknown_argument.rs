//! An unknown word: the nearest, and all.

use steadfast::{Rejection, rate_limited};

#[rate_limited(rate = "5/s", bursts = 3)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
