//! Errors in the body are those of the bare function.

use steadfast::{Rejection, retry};

#[retry]
async fn f0() -> Result<u32, Rejection> {
    Ok("text")
}

#[retry]
async fn f1() -> Result<u32, Rejection> {
    let n = "4".parse::<u32>()?;
    Ok(n)
}

#[retry]
async fn f2() -> Result<u32, Rejection> {
    Ok(absent)
}

#[retry]
fn f3() -> Result<u32, Rejection> {
    Ok(String::new())
}

fn main() {}
