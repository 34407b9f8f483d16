//! What is measured: the same function, protected in every way.

use std::{hint::black_box, io};

use steadfast::{Rejection, bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout};

pub(crate) type Answer = io::Result<u32>;

/// An error as users write it: `io::Error` would have to allocate for a refusal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("down")]
    Down,
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

pub(crate) async fn bare(x: u32) -> Answer {
    Ok(black_box(x))
}

#[retry]
pub(crate) async fn retried(x: u32) -> Answer {
    Ok(black_box(x))
}

#[circuit_breaker(failure_rate = 0.5)]
pub(crate) async fn broken(x: u32) -> Answer {
    Ok(black_box(x))
}

#[circuit_breaker("for_all", failure_rate = 0.5, shared)]
pub(crate) async fn broken_for_all(x: u32) -> Answer {
    Ok(black_box(x))
}

#[circuit_breaker(failure_rate = 0.5, slow_call = "1s")]
pub(crate) async fn broken_if_slow(x: u32) -> Answer {
    Ok(black_box(x))
}

#[circuit_breaker(failure_rate = 0.5, window = "60s", slow_call = "1s")]
pub(crate) async fn broken_of_late(x: u32) -> Answer {
    Ok(black_box(x))
}

#[rate_limited(rate = "1000000000/s", max_wait = "1s")]
pub(crate) async fn limited(x: u32) -> Answer {
    Ok(black_box(x))
}

#[rate_limited(rate = "1000000/s", key = key)]
pub(crate) async fn limited_by_key(key: &str, x: u32) -> Answer {
    Ok(black_box(x))
}

#[bulkhead(max_wait = "1s")]
pub(crate) async fn bulkheaded(x: u32) -> Answer {
    Ok(black_box(x))
}

#[timeout("1s")]
pub(crate) async fn timed(x: u32) -> Answer {
    Ok(black_box(x))
}

#[fallback(value = 7)]
pub(crate) async fn answered(x: u32) -> Answer {
    Ok(black_box(x))
}

#[fallback(value = 7)]
#[retry]
#[circuit_breaker(failure_rate = 0.5, slow_call = "1s")]
#[rate_limited(rate = "1000000000/s", max_wait = "1s")]
#[bulkhead(max_wait = "1s")]
#[timeout("1s")]
pub(crate) async fn six(x: u32) -> Answer {
    Ok(black_box(x))
}

#[circuit_breaker(failure_threshold = 1, recovery_timeout = "1h")]
pub(crate) async fn refused(x: u32) -> Result<u32, Failure> {
    match x {
        u32::MAX => Err(Failure::Down),
        x => Ok(black_box(x)),
    }
}

/// As long as host names and tenants are; they lie in no one place.
pub(crate) fn keys() -> Vec<String> {
    (0..10_000).map(|n| format!("tenant-{n}")).collect()
}
