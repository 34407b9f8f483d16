//! Arguments stand in parentheses.

use steadfast::{Rejection, retry, timeout};

#[timeout("1s")]
#[retry = 3]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
