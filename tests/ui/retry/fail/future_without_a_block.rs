//! A returned future ends in its block.

use steadfast::{Rejection, retry};

#[retry]
fn f0() -> impl Future<Output = Result<u32, Rejection>> {
    std::future::ready(Ok(1))
}

fn main() {}
