//! The error type has no place for a rejection.

use steadfast::circuit_breaker;

#[circuit_breaker]
async fn f0() -> Result<u32, Down> {
    Ok(1)
}

#[circuit_breaker]
fn f1() -> std::result::Result<u32, Down> {
    Ok(1)
}

#[circuit_breaker]
async fn f2() -> Answer<u32> {
    Ok(1)
}

type Answer<T> = Result<T, Down>;

#[derive(Debug)]
struct Down;

fn main() {}
