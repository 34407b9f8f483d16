//! `interval` is a duration above zero, with its unit.

use steadfast::{Rejection, rate_limited};

#[rate_limited(rate = "5/s", algorithm = adaptive, interval = "0s")]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = "5/s", algorithm = adaptive, interval = "250")]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = "5/s", algorithm = adaptive, interval = "5min")]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = "5/s", algorithm = adaptive, interval = 250)]
async fn f3(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = "5/s", algorithm = adaptive, interval = true)]
async fn f4(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = "5/s", algorithm = adaptive, interval = -1)]
async fn f5(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
