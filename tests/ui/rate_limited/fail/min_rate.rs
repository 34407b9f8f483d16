//! `min_rate` is a rate below `rate`.

use steadfast::{Rejection, rate_limited};

#[rate_limited(rate = "5/s", algorithm = adaptive, min_rate = "10/s")]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = "5/s", algorithm = adaptive, min_rate = 1)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
