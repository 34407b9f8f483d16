//! Each attribute alone on a free `async fn`.

use std::time::Duration;

use steadfast::{Rejection, bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout};
use tokio::time::{Instant, sleep};

use crate::support::{Failure, Tries};

#[retry]
async fn retried_by_default(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[retry(max_attempts = 5, backoff = fixed, base_delay = "10ms", jitter = none)]
async fn retried(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[circuit_breaker]
async fn guarded_by_default(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[circuit_breaker(failure_threshold = 2, recovery_timeout = "1s", success_threshold = 1)]
async fn guarded(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[rate_limited(rate = "2/s")]
async fn limited() -> Result<(), Failure> {
    Ok(())
}

#[bulkhead]
async fn roomy() -> Result<(), Failure> {
    Ok(())
}

#[bulkhead(max_concurrent = 1)]
async fn one_at_a_time() -> Result<(), Failure> {
    sleep(Duration::from_millis(10)).await;
    Ok(())
}

#[timeout("50ms")]
async fn hurried(work: Duration) -> Result<(), Failure> {
    sleep(work).await;
    Ok(())
}

#[fallback(default)]
async fn defaulted(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[fallback(value = 7)]
async fn valued(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[fallback(|error| Ok(if error.is_down() { 8 } else { 9 }))]
async fn answered(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[fallback(stand_in)]
async fn stood_in_for(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

async fn stand_in(tries: &Tries, error: Failure) -> Result<u32, Failure> {
    sleep(Duration::from_millis(1)).await;
    if error.is_down() {
        Ok(10 * tries.made())
    } else {
        Err(error)
    }
}

#[tokio::test(start_paused = true)]
async fn a_bare_retry_makes_three_attempts() {
    let tries = Tries::never_good();
    assert_eq!(retried_by_default(&tries).await, Err(Failure::Down));
    assert_eq!(tries.made(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_retry_runs_the_body_until_it_succeeds() {
    let tries = Tries::good_at(4);
    let start = Instant::now();
    assert_eq!(retried(&tries).await, Ok(4));
    assert_eq!(start.elapsed(), Duration::from_millis(30));
}

#[tokio::test(start_paused = true)]
async fn a_bare_breaker_opens_after_five_failures() {
    let tries = Tries::never_good();
    for _ in 0..5 {
        assert_eq!(guarded_by_default(&tries).await, Err(Failure::Down));
    }
    let refused = guarded_by_default(&tries).await;
    assert!(matches!(
        refused,
        Err(Failure::Rejected(Rejection::CircuitOpen(_)))
    ));
    assert_eq!(tries.made(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_opens_refuses_and_recovers() {
    let tries = Tries::good_at(3);
    assert!(guarded(&tries).await.is_err());
    assert!(guarded(&tries).await.is_err());
    assert!(matches!(
        guarded(&tries).await,
        Err(Failure::Rejected(Rejection::CircuitOpen(_)))
    ));
    sleep(Duration::from_millis(1_001)).await;
    assert_eq!(guarded(&tries).await, Ok(3));
    assert_eq!(guarded(&tries).await, Ok(4));
}

#[tokio::test(start_paused = true)]
async fn a_limiter_refuses_what_is_too_much() {
    assert_eq!(limited().await, Ok(()));
    assert_eq!(limited().await, Ok(()));
    assert!(matches!(
        limited().await,
        Err(Failure::Rejected(Rejection::RateLimited(_)))
    ));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(limited().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_bulkhead_refuses_what_does_not_fit() {
    assert_eq!(roomy().await, Ok(()));
    let (first, second) = tokio::join!(one_at_a_time(), one_at_a_time());
    assert_eq!(first, Ok(()));
    assert!(matches!(
        second,
        Err(Failure::Rejected(Rejection::BulkheadFull(_)))
    ));
    assert_eq!(one_at_a_time().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_cuts_off_what_takes_too_long() {
    assert_eq!(hurried(Duration::from_millis(49)).await, Ok(()));
    let start = Instant::now();
    let cut = hurried(Duration::from_secs(3600)).await;
    assert!(matches!(
        cut,
        Err(Failure::Rejected(Rejection::TimedOut(_)))
    ));
    assert_eq!(start.elapsed(), Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_fallback_answers() {
    let tries = Tries::never_good();
    assert_eq!(defaulted(&tries).await, Ok(0));
    assert_eq!(valued(&tries).await, Ok(7));
    assert_eq!(answered(&tries).await, Ok(8));
    assert_eq!(stood_in_for(&tries).await, Ok(40));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_leaves_a_good_answer_alone() {
    let tries = Tries::good_at(1);
    assert_eq!(defaulted(&tries).await, Ok(1));
    assert_eq!(valued(&tries).await, Ok(2));
    assert_eq!(answered(&tries).await, Ok(3));
    assert_eq!(stood_in_for(&tries).await, Ok(4));
}
