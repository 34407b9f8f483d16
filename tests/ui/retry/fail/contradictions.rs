//! Settings that contradict each other, or have no effect.

use steadfast::{Rejection, retry};

#[retry(base_delay = "2s", max_delay = "1s")]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[retry(max_delay = "500ms")]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[retry(base_delay = "2m")]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[retry(backoff = fixed, multiplier = 3.0)]
async fn f3(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[retry(backoff = linear, multiplier = 3.0)]
async fn f4(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[retry(jitter = decorrelated, multiplier = 3.0)]
async fn f5(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[retry(backoff = |n| std::time::Duration::from_secs(n.into()), base_delay = "1s")]
async fn f6(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
