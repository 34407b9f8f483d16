//! `clone` lists parameters taken by value.

use steadfast::{Rejection, fallback};

#[fallback(default, clone(ordre))]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[fallback(default, clone(name))]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn main() {}
