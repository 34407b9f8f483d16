//! An attribute under another name is not seen as a member.

use steadfast::{Rejection, fallback, retry as again};

#[fallback(default)]
#[again]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
