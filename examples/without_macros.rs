//! The policies are plain values, too: build them, pass them around, call through them.
//!
//! cargo run --example without_macros

use std::error::Error;
use std::time::Duration;
use steadfast::{CircuitBreaker, Rate, RateLimiter, Retry};

type AnyError = Box<dyn Error + Send + Sync>;

async fn ping(attempt: u32) -> Result<&'static str, AnyError> {
    if attempt < 2 {
        Err("no answer".into())
    } else {
        Ok("pong")
    }
}

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let retry = Retry::builder("pings")
        .max_attempts(4)
        .base_delay(Duration::from_millis(20))
        .build()?;
    let breaker = CircuitBreaker::builder("pings")
        .failure_threshold(3)
        .build()?;
    let limiter = RateLimiter::builder("pings")
        .rate(Rate::per_second(10))
        .burst(2)
        .build()?;

    println!("Called through two of them:");
    let mut attempt = 0;
    let answer = retry
        .call(|| {
            attempt += 1;
            breaker.call(ping(attempt))
        })
        .await;
    println!(
        "  {answer:?} at attempt {attempt}; the breaker is {:?}",
        breaker.state()
    );

    println!("Asked for a permit, used step by step:");
    for _ in 0..3 {
        match limiter.try_acquire(1) {
            Ok(allowance) => println!("  allowed, {} left", allowance.remaining),
            Err(refused) => println!("  refused, try again in {:?}", refused.retry_after),
        }
    }
    let permit = breaker.try_acquire()?;
    permit.failure();
    println!(
        "  failures in the breaker's window: {}",
        breaker.metrics().failures
    );

    println!("The delays that the retry would make:");
    for delay in retry.delays() {
        println!("  {delay:?}");
    }
    Ok(())
}
