//! `rate` is how many for what time.

use steadfast::{Rejection, rate_limited};

#[rate_limited]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited("200/s", burst = 5)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = 200)]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = "200")]
async fn f3(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = "200/min")]
async fn f4(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = "0/s")]
async fn f5(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = "5/0s")]
async fn f6(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = "x/s")]
async fn f7(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = name.rate())]
async fn f8(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[rate_limited(rate = TEXT)]
async fn f9(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

const TEXT: &str = "200/s";

fn main() {}
