//! A function that is not async cannot be cut off.

use steadfast::{Rejection, timeout};

#[timeout("2s")]
fn f0() -> Result<u32, Rejection> {
    Ok(1)
}

fn main() {}
