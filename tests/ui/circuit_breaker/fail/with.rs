//! `with` gives a policy of the kind.

use steadfast::{Rejection, circuit_breaker};

#[circuit_breaker(with = name)]
async fn f0(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[circuit_breaker(with = breaker(), window = 5)]
async fn f1(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

#[circuit_breaker("name", with = breaker())]
async fn f2(order: String, name: &str) -> Result<usize, Rejection> {
    Ok(order.len() + name.len())
}

fn breaker() -> steadfast::CircuitBreaker {
    unimplemented!() // the case does not compile: nobody calls it
}

fn main() {}
