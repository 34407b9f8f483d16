//! Settings that have no effect.

use steadfast::{Rejection, rate_limited};

#[rate_limited(rate = "5/s", algorithm = fixed_window, burst = 5)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = "5/s", min_rate = "1/s")]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = "5/s", interval = "1s")]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = "5/s", max_keys = 5)]
async fn f3(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
