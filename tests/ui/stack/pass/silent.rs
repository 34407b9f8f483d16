//! Nothing is said of a function that is right, and of what only its attributes use.
#![deny(warnings)]
#![no_implicit_prelude]

use ::steadfast::{Rejection, bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout};

#[fallback(|error| stand_in(symbol, error))]
#[retry(max_attempts = 2, attempt = n, on_retry = |event| note(event))]
#[circuit_breaker(key = symbol)]
#[rate_limited(rate = "1/s", cost = cost)]
#[bulkhead]
#[timeout("1s")]
async fn call(symbol: &str, cost: u32) -> ::std::result::Result<u32, Rejection> {
    ::std::result::Result::Ok(n)
}

fn stand_in(symbol: &str, error: Rejection) -> ::std::result::Result<u32, Rejection> {
    if symbol.is_empty() {
        return ::std::result::Result::Err(error);
    }
    ::std::result::Result::Ok(0)
}

fn note(event: &::steadfast::RetryEvent) {
    ::std::println!("{}", event.attempt);
}

fn main() {
    ::std::mem::drop(call("symbol", 1));
}
