//! How the policies of one stack, and of stacks that call each other, behave together.

use std::time::Duration;

use steadfast::{
    CircuitState, Rejection, bulkhead, circuit_breaker, fallback, rate_limited, registry, retry,
    timeout,
};
use tokio::time::{Instant, advance, sleep};

#[derive(Debug, PartialEq, thiserror::Error)]
enum Error {
    #[error("down")]
    Down,
    #[error(transparent)]
    Rejected(#[from] Rejection),
    #[error("inner call failed")]
    Inner(#[source] Box<Error>),
}

fn state(name: &str) -> CircuitState {
    registry().circuit_breaker(name).unwrap().state()
}

#[tokio::test(start_paused = true)]
async fn all_six_together() {
    let _test = steadfast::test::isolated();
    #[derive(Default)]
    struct Client {
        calls: u32,
    }
    impl Client {
        #[fallback(|_error| Ok(format!("stale {symbol}")))]
        #[retry(max_attempts = 2, base_delay = "100ms", jitter = none)]
        #[circuit_breaker("six", failure_threshold = 4, recovery_timeout = "30s")]
        #[rate_limited("six", rate = "200/s", burst = 50, max_wait = "250ms")]
        #[bulkhead("six", max_concurrent = 16)]
        #[timeout("2s")]
        async fn quote(&mut self, symbol: &str) -> Result<String, Error> {
            self.calls += 1;
            if symbol == "slow" {
                sleep(Duration::from_secs(3)).await;
            }
            if symbol == "bad" {
                Err(Error::Down)
            } else {
                Ok(symbol.to_owned())
            }
        }
    }
    let mut client = Client::default();
    assert_eq!(client.quote("A").await.unwrap(), "A");
    assert_eq!(client.quote("bad").await.unwrap(), "stale bad");
    assert_eq!(client.calls, 3);
    let start = Instant::now();
    assert_eq!(client.quote("slow").await.unwrap(), "stale slow");
    assert_eq!(
        start.elapsed(),
        Duration::from_millis(4100),
        "two attempts of two seconds, one delay"
    );
    assert_eq!(state("six"), CircuitState::Open, "two errors, two timeouts");
    assert_eq!(client.quote("A").await.unwrap(), "stale A");
    assert_eq!(client.calls, 5, "the open circuit made no call");
    advance(Duration::from_secs(30)).await;
    assert_eq!(client.quote("A").await.unwrap(), "A");
}

#[tokio::test(start_paused = true)]
async fn an_inner_refusal_is_neither_counted_nor_retried_and_gives_back_what_was_taken() {
    let _test = steadfast::test::isolated();
    #[retry(base_delay = "1s")]
    #[circuit_breaker("outer", failure_threshold = 1)]
    #[rate_limited("outer", rate = "2/s")]
    #[bulkhead("full", max_concurrent = 1)]
    async fn call() -> Result<(), Error> {
        sleep(Duration::from_millis(1)).await;
        Ok(())
    }
    let _taken = {
        // The bulkhead exists once the first call has named it.
        call().await.unwrap();
        registry().bulkhead("full").unwrap().try_acquire().unwrap()
    };
    let before = registry().rate_limiter("outer").unwrap().metrics();
    for _ in 0..10 {
        let start = Instant::now();
        let result = call().await;
        assert!(
            matches!(result, Err(Error::Rejected(Rejection::BulkheadFull(_)))),
            "{result:?}"
        );
        assert_eq!(start.elapsed(), Duration::ZERO, "not retried");
    }
    assert_eq!(state("outer"), CircuitState::Closed);
    let after = registry().rate_limiter("outer").unwrap().metrics();
    assert_eq!(after.rejected, before.rejected, "every permit came back");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_inside_another_function_s_error_is_recognised() {
    let _test = steadfast::test::isolated();
    #[circuit_breaker("inner", failure_threshold = 1)]
    async fn inner() -> Result<(), Error> {
        Err(Error::Down)
    }
    #[retry(base_delay = "1s")]
    #[circuit_breaker("caller", failure_threshold = 2)]
    async fn outer() -> Result<(), Error> {
        inner().await.map_err(|error| Error::Inner(Box::new(error)))
    }
    #[retry(base_delay = "1s")]
    async fn dynamic() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(inner().await?)
    }
    #[retry(base_delay = "1s")]
    async fn any() -> anyhow::Result<()> {
        Ok(inner().await?)
    }
    // The first attempt fails for real; the second is refused by the inner circuit, and that is final.
    let error = outer().await.unwrap_err();
    assert!(matches!(error, Error::Inner(inner) if matches!(*inner, Error::Rejected(_))));
    assert_eq!(state("inner"), CircuitState::Open);
    for _ in 0..5 {
        outer().await.unwrap_err();
    }
    assert_eq!(
        state("caller"),
        CircuitState::Closed,
        "one failure; refusals do not count"
    );
    let start = Instant::now();
    dynamic().await.unwrap_err();
    any().await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::ZERO, "not retried");
}

#[tokio::test(start_paused = true)]
async fn waits_below_a_breaker_are_no_part_of_a_slow_call() {
    let _test = steadfast::test::isolated();
    #[circuit_breaker(
        "patient",
        slow_call = "1s",
        slow_call_rate = 0.5,
        window = 1,
        minimum_calls = 1
    )]
    #[rate_limited("patient", rate = "1/10s", max_wait = "1m")]
    #[bulkhead("patient", max_concurrent = 1, max_wait = "1m")]
    async fn call() -> Result<(), Error> {
        sleep(Duration::from_millis(900)).await;
        Ok(())
    }
    call().await.unwrap();
    let start = Instant::now();
    call().await.unwrap();
    assert!(start.elapsed() > Duration::from_secs(9));
    assert_eq!(state("patient"), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_would_pass_the_deadline_is_not_begun() {
    let _test = steadfast::test::isolated();
    #[timeout("2s")]
    #[rate_limited("hasty", rate = "1/10s", max_wait = "1m")]
    async fn call() -> Result<(), Error> {
        Ok(())
    }
    call().await.unwrap();
    let start = Instant::now();
    let result = call().await;
    assert!(
        matches!(result, Err(Error::Rejected(Rejection::RateLimited(_)))),
        "{result:?}"
    );
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn several_of_one_kind_under_different_names() {
    let _test = steadfast::test::isolated();
    #[rate_limited("per minute", rate = "3/m")]
    #[rate_limited("per second", rate = "2/s")]
    async fn call() -> Result<(), Error> {
        Ok(())
    }
    assert!(call().await.is_ok() && call().await.is_ok());
    let refused_by = |result: Result<(), Error>| match result {
        Err(Error::Rejected(rejection)) => rejection.policy().to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused_by(call().await), "per second");
    advance(Duration::from_secs(1)).await;
    assert!(
        call().await.is_ok(),
        "the refused call was given back to the minute"
    );
    assert_eq!(refused_by(call().await), "per minute");
}

#[tokio::test(start_paused = true)]
async fn reject_with_on_top_serves_the_whole_stack() {
    let _test = steadfast::test::isolated();
    #[rate_limited("top", rate = "1/s", reject_with = |rejection| rejection.policy().to_string())]
    #[bulkhead("below", max_concurrent = 1)]
    async fn call() -> Result<(), String> {
        Ok(())
    }
    call().await.unwrap();
    assert_eq!(call().await.unwrap_err(), "top");
    advance(Duration::from_secs(1)).await;
    let _taken = registry().bulkhead("below").unwrap().try_acquire().unwrap();
    assert_eq!(call().await.unwrap_err(), "below");
}

#[tokio::test(start_paused = true)]
async fn a_future_that_was_send_stays_send() {
    let _test = steadfast::test::isolated();
    #[fallback(value = 0)]
    #[retry(base_delay = "1ms")]
    #[circuit_breaker("send", failure_threshold = 9)]
    #[rate_limited("send", rate = "9/s", max_wait = "1s")]
    #[bulkhead("send", max_concurrent = 9, max_wait = "1s")]
    #[timeout("1s")]
    async fn call(name: String) -> Result<usize, Error> {
        sleep(Duration::from_millis(1)).await;
        Ok(name.len())
    }
    assert_eq!(tokio::spawn(call("four".to_owned())).await.unwrap(), Ok(4));
}
