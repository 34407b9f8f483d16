//! `?` and `return` have nowhere to go.

use steadfast::{Rejection, retry};

#[retry(on_retry = |event| note(event)?)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[retry(on_retry = |event| return)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn note(_: &steadfast::RetryEvent) -> Result<(), Rejection> {
    Ok(())
}

fn main() {}
