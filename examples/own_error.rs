//! Your own error type: one variant for what a policy refuses, one trait to say what is worth
//! another attempt.
//!
//! cargo run --example own_error

use std::time::Duration;
use steadfast::{Classify, Rejection, circuit_breaker, rate_limited, retry};

#[derive(Debug, thiserror::Error)]
enum ShopError {
    #[error("no such order")]
    NotFound,
    #[error("the shop is busy")]
    Busy { retry_after: Duration },
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

/// Every attribute on every function with this error goes by it.
impl Classify for ShopError {
    fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after } => Some(*retry_after),
            _ => None,
        }
    }
}

#[retry(max_attempts = 3, base_delay = "10ms", attempt = n)]
#[circuit_breaker(failure_threshold = 3)]
#[rate_limited(rate = "1/s", burst = 4)]
async fn order(number: u32) -> Result<&'static str, ShopError> {
    println!("  attempt {n} for order {number}");
    match (number, n) {
        (404, _) => Err(ShopError::NotFound),
        (_, 1) => Err(ShopError::Busy {
            retry_after: Duration::from_millis(100),
        }),
        _ => Ok("on its way"),
    }
}

#[tokio::main]
async fn main() {
    println!(
        "Busy is worth another attempt, as soon as the shop allows; \"no such order\" is not."
    );
    println!("And the last attempt goes over the rate limit:");
    for number in [1, 404, 2] {
        match order(number).await {
            Ok(state) => println!("  {state}"),
            Err(ShopError::Rejected(Rejection::RateLimited(refused))) => {
                println!(
                    "  refused by {}, try again in {:?}",
                    refused.policy, refused.retry_after
                );
            }
            Err(error) => println!("  {error}"),
        }
    }
}
