//! `recovery_factor` is a number above 1.

use steadfast::{Rejection, rate_limited};

#[rate_limited(rate = "5/s", algorithm = adaptive, recovery_factor = 1)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = "5/s", algorithm = adaptive, recovery_factor = 0.5)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = "5/s", algorithm = adaptive, recovery_factor = "twice")]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
