//! A constant of the wrong type.

use steadfast::{Rejection, retry};

#[retry(max_attempts = TEXT)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[retry(base_delay = TEXT)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[retry(multiplier = WHOLE)]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

const TEXT: &str = "3";
const WHOLE: u32 = 2;

fn main() {}
