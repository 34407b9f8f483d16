//! `adaptive_threshold` is a number above 0 and at most 1.

use steadfast::{Rejection, rate_limited};

#[rate_limited(rate = "5/s", algorithm = adaptive, adaptive_threshold = 0)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = "5/s", algorithm = adaptive, adaptive_threshold = 1.5)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
