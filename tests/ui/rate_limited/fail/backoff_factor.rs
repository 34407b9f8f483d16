//! `backoff_factor` is a number above 0 and below 1.

use steadfast::{Rejection, rate_limited};

#[rate_limited(rate = "5/s", algorithm = adaptive, backoff_factor = 0)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = "5/s", algorithm = adaptive, backoff_factor = 1)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = "5/s", algorithm = adaptive, backoff_factor = "half")]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
