//! Stacks: six attributes, and the pairs that people write most.

use std::time::Duration;

use steadfast::{Rejection, bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout};
use tokio::time::sleep;

use crate::support::{Failure, Tries};

#[fallback(|error| last_known(symbol, &error).await)]
#[retry(max_attempts = 4, base_delay = "10ms", when = Failure::is_down)]
#[circuit_breaker(failure_rate = 0.5, window = 100, recovery_timeout = "30s")]
#[rate_limited(rate = "200/s", burst = 50, max_wait = "250ms")]
#[bulkhead(max_concurrent = 16)]
#[timeout("2s")]
async fn quote(symbol: &str, tries: &Tries) -> Result<String, Failure> {
    let n = tries.ask()?;
    Ok(format!("{symbol} {n}"))
}

async fn last_known(symbol: &str, error: &Failure) -> Result<String, Failure> {
    sleep(Duration::from_millis(1)).await;
    Ok(format!("{symbol}, {error}"))
}

#[timeout("10s")]
#[retry(max_attempts = 2, base_delay = "10ms", jitter = none)]
#[timeout("1s")]
async fn bounded_twice(tries: &Tries, work: Duration) -> Result<u32, Failure> {
    let n = tries.ask();
    sleep(work).await;
    n
}

#[fallback(value = 0)]
#[retry(base_delay = "10ms")]
async fn never_rejected(tries: &Tries) -> Result<u32, std::num::ParseIntError> {
    match tries.ask() {
        Ok(n) => Ok(n),
        Err(_) => "no number".parse(),
    }
}

#[retry(base_delay = "10ms")]
#[circuit_breaker(failure_threshold = 2)]
async fn opened_by_its_own_attempts(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[circuit_breaker("corpus outer", failure_threshold = 2)]
#[circuit_breaker("corpus inner", failure_threshold = 50)]
#[bulkhead("corpus wide", max_concurrent = 20)]
#[bulkhead("corpus narrow", max_concurrent = 1)]
async fn several_of_a_kind(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[timeout("1s")]
#[circuit_breaker(failure_threshold = 1)]
async fn a_cut_call_is_a_failure(work: Duration) -> Result<(), Failure> {
    sleep(work).await;
    Ok(())
}

#[bulkhead(max_concurrent = 1)]
#[rate_limited(rate = "1/h")]
async fn gives_back(_unused: &str) -> Result<(), Failure> {
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_readme_stack_retries() {
    let tries = Tries::good_at(3);
    assert_eq!(quote("XYZ", &tries).await.unwrap(), "XYZ 3");
}

#[tokio::test(start_paused = true)]
async fn the_readme_stack_falls_back() {
    let tries = Tries::never_good();
    assert_eq!(quote("XYZ", &tries).await.unwrap(), "XYZ, down");
    assert_eq!(tries.made(), 4);
}

#[tokio::test(start_paused = true)]
async fn timeouts_may_stand_at_several_heights() {
    let tries = Tries::never_good();
    match bounded_twice(&tries, Duration::from_secs(3)).await {
        Err(Failure::Rejected(Rejection::TimedOut(cut))) => {
            assert_eq!(cut.after, Duration::from_secs(1));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(tries.made(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stack_that_cannot_reject_needs_no_room_in_the_error() {
    assert_eq!(never_rejected(&Tries::good_at(2)).await, Ok(2));
    assert_eq!(never_rejected(&Tries::never_good()).await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_retried() {
    let tries = Tries::never_good();
    let refused = opened_by_its_own_attempts(&tries).await;
    assert!(matches!(
        refused,
        Err(Failure::Rejected(Rejection::CircuitOpen(_)))
    ));
    assert_eq!(tries.made(), 2);
}

#[tokio::test(start_paused = true)]
async fn several_of_a_kind_stand_side_by_side() {
    let tries = Tries::never_good();
    for _ in 0..2 {
        assert_eq!(several_of_a_kind(&tries).await, Err(Failure::Down));
    }
    match several_of_a_kind(&tries).await {
        Err(Failure::Rejected(Rejection::CircuitOpen(open))) => {
            assert_eq!(open.policy, "corpus outer");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_above_a_breaker_is_counted_by_it() {
    assert!(
        a_cut_call_is_a_failure(Duration::from_secs(2))
            .await
            .is_err()
    );
    assert!(matches!(
        a_cut_call_is_a_failure(Duration::ZERO).await,
        Err(Failure::Rejected(Rejection::CircuitOpen(_)))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_permit_above_a_refusal_is_given_back() {
    assert_eq!(gives_back("").await, Ok(()));
    for _ in 0..3 {
        assert!(matches!(
            gives_back("").await,
            Err(Failure::Rejected(Rejection::RateLimited(_)))
        ));
    }
}
