//! What stands for the value.

use steadfast::{Rejection, fallback};

#[fallback(value = "text")]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[fallback(default)]
fn f1() -> Result<Quote, Rejection> {
    Ok(Quote)
}

struct Quote;

fn main() {}
