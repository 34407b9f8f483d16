//! A runtime's attribute belongs below the stack.

use steadfast::{Rejection, retry};

#[tokio::main]
#[retry]
async fn f0() -> Result<u32, Rejection> {
    Ok(1)
}

fn main() {}
