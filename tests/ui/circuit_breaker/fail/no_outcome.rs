//! What is returned must be a `Result`.

use steadfast::circuit_breaker;

#[circuit_breaker]
async fn f0() -> u32 {
    1
}

#[circuit_breaker]
fn f1() {}

fn main() {}
