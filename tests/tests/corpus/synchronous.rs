//! Synchronous functions: every attribute but `#[timeout]`, alone and stacked. They really sleep, so
//! their delays are a millisecond.

use std::time::Duration;

use steadfast::{Rejection, bulkhead, circuit_breaker, fallback, rate_limited, retry};

use crate::support::{Failure, Tries};

#[retry(max_attempts = 4, base_delay = "1ms")]
fn retried(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[circuit_breaker(failure_threshold = 2)]
fn guarded(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[rate_limited(rate = "2/h")]
fn limited() -> Result<(), Failure> {
    Ok(())
}

#[rate_limited(rate = "1000/s", burst = 1, max_wait = "1s")]
fn waits_for_its_turn() -> Result<(), Failure> {
    Ok(())
}

#[bulkhead(max_concurrent = 1)]
fn entered_again(depth: u32) -> Result<u32, Failure> {
    if depth == 0 {
        Ok(0)
    } else {
        entered_again(depth - 1)
    }
}

#[fallback(|error| Err(if error.is_down() { Failure::Gone(1) } else { error }))]
fn answered(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[fallback(stand_in)]
fn stood_in_for(tries: &Tries, plus: u32) -> Result<u32, Failure> {
    tries.ask().map(|n| n + plus)
}

fn stand_in(_tries: &Tries, plus: u32, _error: Failure) -> Result<u32, Failure> {
    Ok(100 + plus)
}

#[fallback(value = limit)]
#[retry(max_attempts = 3, base_delay = "1ms", when = |error| error.is_down())]
#[circuit_breaker(failure_rate = 0.9, window = 50)]
#[rate_limited(rate = "1000/s")]
#[bulkhead(max_concurrent = 2, max_wait = "10ms")]
fn stacked(tries: &Tries, limit: u32) -> Result<u32, Failure> {
    let n = tries.ask()?;
    if n > limit {
        return Err(Failure::Gone(410));
    }
    Ok(n)
}

#[retry(max_attempts = 3, base_delay = "1ms", on_retry = |event| seen.push(event.attempt))]
fn tells(tries: &Tries, seen: &mut Vec<u32>) -> Result<u32, Failure> {
    tries.ask()
}

#[test]
fn a_retry_runs_the_body_until_it_succeeds() {
    let tries = Tries::good_at(4);
    assert_eq!(retried(&tries), Ok(4));
}

#[test]
fn a_breaker_opens() {
    let tries = Tries::never_good();
    assert_eq!(guarded(&tries), Err(Failure::Down));
    assert_eq!(guarded(&tries), Err(Failure::Down));
    assert!(matches!(
        guarded(&tries),
        Err(Failure::Rejected(Rejection::CircuitOpen(_)))
    ));
}

#[test]
fn a_limiter_refuses_what_is_too_much() {
    assert_eq!(limited(), Ok(()));
    assert_eq!(limited(), Ok(()));
    assert!(limited().is_err());
}

#[test]
fn a_limiter_waits_where_it_may() {
    let start = std::time::Instant::now();
    for _ in 0..5 {
        assert_eq!(waits_for_its_turn(), Ok(()));
    }
    assert!(start.elapsed() >= Duration::from_millis(3));
}

#[test]
fn a_bulkhead_is_full_for_a_call_from_within() {
    assert_eq!(entered_again(0), Ok(0));
    assert!(matches!(
        entered_again(1),
        Err(Failure::Rejected(Rejection::BulkheadFull(_)))
    ));
    assert_eq!(entered_again(0), Ok(0));
}

#[test]
fn fallbacks_answer() {
    let tries = Tries::never_good();
    assert_eq!(answered(&tries), Err(Failure::Gone(1)));
    assert_eq!(stood_in_for(&tries, 5), Ok(105));
}

#[test]
fn a_stack_of_five_retries_and_falls_back() {
    assert_eq!(stacked(&Tries::good_at(3), 10), Ok(3));
    let tries = Tries::good_at(1);
    assert_eq!(stacked(&tries, 0), Ok(0), "not retried, but answered");
    assert_eq!(tries.made(), 1);
}

#[test]
fn a_callback_may_change_a_parameter() {
    let mut seen = Vec::new();
    assert_eq!(tells(&Tries::good_at(3), &mut seen), Ok(3));
    assert_eq!(seen, [1, 2]);
}
