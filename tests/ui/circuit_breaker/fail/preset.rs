//! A preset is one of two words, and what is written beside it must fit it.

use steadfast::{Rejection, circuit_breaker};

#[circuit_breaker(preset = low)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[circuit_breaker(preset = "high")]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[circuit_breaker(preset = fast_api)]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[circuit_breaker(preset = high_volume, window = 20, minimum_calls = 30)]
async fn f3(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
