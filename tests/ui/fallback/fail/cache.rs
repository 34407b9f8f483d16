//! How long an answer is remembered.

use steadfast::{Rejection, fallback};

#[fallback(cache)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[fallback(cache(key = name))]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[fallback(cache(fresh = "5m"))]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[fallback(cache(key = name, fresh = "2s", stale = "1s"))]
async fn f3(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[fallback(cache(key = name, fresh = 5))]
async fn f4(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[fallback(cache(key = name, fresh = "5m", max_entries = 0))]
async fn f5(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[fallback(cache(key = name, fresh = "5m", old = "6m"))]
async fn f6(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[fallback(fresh = "5m", default)]
async fn f7(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
