//! What a preset says is known when it is evaluated; the mistake is told there.

use steadfast::{Rejection, circuit_breaker};

#[circuit_breaker(preset = low_volume, minimum_calls = 50)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
