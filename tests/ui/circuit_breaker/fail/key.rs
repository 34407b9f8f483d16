//! `key` is anything that can be displayed.

use steadfast::{Rejection, circuit_breaker};

#[circuit_breaker(key = Shard)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[circuit_breaker(key = name.parse::<u32>()?)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[circuit_breaker(key)]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

struct Shard;

fn main() {}
