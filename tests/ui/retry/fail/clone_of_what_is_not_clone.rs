//! `clone` needs `Clone`.

use steadfast::{Rejection, retry};

#[retry(clone(order))]
async fn f0(order: Order) -> Result<u32, Rejection> {
    drop(order);
    Ok(1)
}

struct Order;

fn main() {}
