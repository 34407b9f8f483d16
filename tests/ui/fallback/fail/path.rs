//! A path is a function of the same parameters and the error.

use steadfast::{Rejection, fallback};

#[fallback(too_few)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[fallback(other_types)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[fallback(not_async)]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[fallback(other_answer)]
async fn f3(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[fallback(absent)]
async fn f4(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[fallback(too_few)]
async fn f5((a, b): (u32, u32)) -> Result<u32, Rejection> {
    Ok(a + b)
}

async fn too_few(_: String) -> Result<usize, Rejection> {
    Ok(2)
}

async fn other_types(_: u32, _: &str, _: Rejection) -> Result<usize, Rejection> {
    Ok(2)
}

fn not_async(_: String, _: &str, _: Rejection) -> Result<usize, Rejection> {
    Ok(2)
}

async fn other_answer(_: String, _: &str, _: Rejection) -> u32 {
    2
}

fn main() {}
