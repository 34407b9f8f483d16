//! A parameter that the body consumes is named in `clone(..)`.

use steadfast::{Rejection, retry};

#[retry]
async fn f0(order: String) -> Result<usize, Rejection> {
    Ok(order.into_bytes().len())
}

fn main() {}
