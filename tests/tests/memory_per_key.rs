//! What a remembered key takes, besides the key itself.
#![allow(missing_docs)]

use std::fmt::Write;

use allocation_counter::measure;
use steadfast::{Bulkhead, CircuitBreaker, Rate, RateLimiter};

/// As many as a limiter remembers if nothing else is said.
const KEYS: u32 = 100_000;

/// Fit where the table keeps short keys.
const SHORT: &str = "tenant-";
/// Does not.
const LONG: &str = "https://partner.example.com/accounts/";

/// Bytes for each of `keys` keys that `remember` is told of, less those of the key.
fn bytes_per_key(keys: u32, prefix: &str, mut remember: impl FnMut(&str)) -> f64 {
    let mut key = String::with_capacity(100);
    let mut length = 0;
    let held = measure(|| {
        for number in 0..keys {
            key.clear();
            let _ = write!(key, "{prefix}{number}");
            length += key.len();
            remember(&key);
        }
    });
    (held.bytes_current as f64 - length as f64) / f64::from(keys)
}

fn of_limiter(keys: u32, prefix: &str) -> f64 {
    let limiter = RateLimiter::builder("per key")
        .rate(Rate::per_second(100))
        .max_keys(keys)
        .build()
        .expect("valid");
    bytes_per_key(keys, prefix, |key| {
        limiter.try_acquire_for(key, 1).expect("a new key");
    })
}

fn of_breaker(keys: u32, prefix: &str) -> f64 {
    let breaker = CircuitBreaker::builder("per key")
        .max_keys(keys)
        .build()
        .expect("valid");
    bytes_per_key(keys, prefix, |key| {
        breaker.try_acquire_for(key).expect("a new key").success();
    })
}

fn of_bulkhead(keys: u32, prefix: &str) -> f64 {
    let bulkhead = Bulkhead::builder("per key")
        .max_keys(keys)
        .build()
        .expect("valid");
    bytes_per_key(keys, prefix, |key| {
        drop(bulkhead.try_acquire_for(key).expect("a new key"));
    })
}

/// After the table has grown it is half empty.
const JUST_GROWN: u32 = 15_000;

/// The most that a key takes in a full table, short or long. Shown by `cargo test -- --nocapture`.
fn bytes(policy: &str, bytes_per_key: impl Fn(u32, &str) -> f64) -> f64 {
    let [short, long] = [SHORT, LONG].map(|prefix| bytes_per_key(KEYS, prefix));
    let grown = bytes_per_key(JUST_GROWN, SHORT);
    println!(
        "{policy}: {short:.1} bytes and the key, {long:.1} and a long key; {grown:.1} just after growing"
    );
    short.max(long)
}

#[test]
fn a_limiter_takes_at_most_100_bytes_and_the_key() {
    let bytes = bytes("rate limiter", of_limiter);
    assert!(bytes <= 100.0, "{bytes:.1} bytes");
}

#[test]
fn a_bulkhead_takes_at_most_100_bytes_and_the_key() {
    let bytes = bytes("bulkhead", of_bulkhead);
    assert!(bytes <= 100.0, "{bytes:.1} bytes");
}

/// One that has seen neither a failure nor a slow call: its window needs no buffer before.
#[test]
fn a_circuit_takes_a_bounded_number_of_bytes() {
    let bytes = bytes("circuit breaker", of_breaker);
    assert!(bytes <= 220.0, "{bytes:.1} bytes");
}
