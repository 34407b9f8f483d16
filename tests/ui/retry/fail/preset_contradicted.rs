//! What a preset says is known when it is evaluated; the mistake is told there.

use steadfast::{Rejection, retry};

#[retry(preset = fast_api, base_delay = "2s")]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
