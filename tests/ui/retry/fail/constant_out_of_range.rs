//! A constant is checked where it is evaluated.

use steadfast::{Rejection, retry};

#[retry(max_attempts = NONE)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

const NONE: u32 = 0;

fn main() {}
