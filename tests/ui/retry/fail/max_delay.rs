//! `max_delay` is a duration above zero, with its unit.

use steadfast::{Rejection, retry};

#[retry(max_delay = "0s")]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[retry(max_delay = "250")]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[retry(max_delay = "5min")]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[retry(max_delay = 250)]
async fn f3(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[retry(max_delay = true)]
async fn f4(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[retry(max_delay = -1)]
async fn f5(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
