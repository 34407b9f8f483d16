//! A setting is one value for all calls.

use steadfast::{Rejection, retry};

#[retry(max_attempts = name.len() as u32)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[retry(max_attempts = N)]
async fn f1<const N: u32>() -> Result<u32, Rejection> {
    Ok(1)
}

#[retry(base_delay = Self::DELAY)]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
