//! Each mistake of a stack is told, on its token.

use steadfast::{Rejection, bulkhead, retry, timeout};

#[retry(max_attempts = 0, jitter = ful)]
#[bulkhead(max_wait = 5)]
#[timeout(2)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
