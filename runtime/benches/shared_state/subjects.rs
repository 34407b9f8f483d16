//! What is measured.

use std::{hint::black_box, time::Duration};

use steadfast::{Mode, Rate, RateLimiter, Rejection, circuit_breaker, rate_limited};

type Answer = Result<u32, Failure>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

/// A limit that is never reached.
pub(crate) fn plenty(name: &str) -> RateLimiter {
    let builder = RateLimiter::builder(name)
        .rate(Rate::per_second(1_000_000))
        .shared(true);
    builder.build().unwrap()
}

/// The same, with permits taken ahead.
pub(crate) fn leased() -> RateLimiter {
    let builder = RateLimiter::builder("leased").rate(Rate::per_second(1_000_000));
    builder.shared(true).mode(Mode::Lease).build().unwrap()
}

#[circuit_breaker("closed, shared", failure_rate = 0.5, shared)]
pub(crate) async fn closed_shared(x: u32) -> Answer {
    Ok(black_box(x))
}

#[circuit_breaker("closed, local", failure_rate = 0.5)]
pub(crate) async fn closed_local(x: u32) -> Answer {
    Ok(black_box(x))
}

#[rate_limited("spent, shared", rate = "1/h", burst = 1, shared)]
pub(crate) async fn refused_shared(x: u32) -> Answer {
    Ok(black_box(x))
}

#[rate_limited("spent, local", rate = "1/h", burst = 1)]
pub(crate) async fn refused_local(x: u32) -> Answer {
    Ok(black_box(x))
}

/// Spends the limits that refuse, and waits until the clock has been measured, which takes a thread of its
/// own a moment.
pub(crate) async fn prepare() {
    refused_shared(1).await.unwrap();
    refused_local(1).await.unwrap();
    closed_shared(1).await.unwrap();
    closed_local(1).await.unwrap();
    assert!(refused_shared(1).await.is_err());
    assert!(refused_local(1).await.is_err());
    tokio::time::sleep(Duration::from_millis(300)).await;
}
