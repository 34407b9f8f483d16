//! What is returned must be a `Result`.

use steadfast::retry;

#[retry]
async fn f0() {}

#[retry]
async fn f1() -> u32 {
    1
}

#[retry]
fn f2() -> Option<u32> {
    None
}

fn main() {}
