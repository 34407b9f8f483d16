//! `#[circuit_breaker]`: its arguments on functions, in virtual time.

use std::time::Duration;

use steadfast::{
    CircuitBreaker, CircuitState, Classify, Rejection, circuit_breaker, registry, timeout,
};
use tokio::time::{advance, sleep};

#[derive(Debug, PartialEq, thiserror::Error)]
enum Error {
    #[error("down")]
    Down,
    #[error("not found")]
    NotFound,
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

impl Classify for Error {
    fn is_failure(&self) -> bool {
        *self == Error::Down
    }
}

fn state(name: &str) -> CircuitState {
    registry().circuit_breaker(name).unwrap().state()
}

fn refused<T: std::fmt::Debug>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Rejected(Rejection::CircuitOpen(_))))
}

#[tokio::test(start_paused = true)]
async fn consecutive_failures_open_it_and_probes_close_it() {
    let _test = steadfast::test::isolated();
    #[circuit_breaker(
        "consecutive",
        failure_threshold = 3,
        recovery_timeout = "10s",
        success_threshold = 2
    )]
    async fn call(result: Result<u32, Error>) -> Result<u32, Error> {
        result
    }
    for _ in 0..3 {
        assert_eq!(call(Err(Error::Down)).await, Err(Error::Down));
    }
    assert_eq!(state("consecutive"), CircuitState::Open);
    let refusal = call(Ok(1)).await;
    let Err(Error::Rejected(Rejection::CircuitOpen(open))) = refusal else {
        panic!("{refusal:?}")
    };
    assert_eq!(open.retry_after, Some(Duration::from_secs(10)));
    advance(Duration::from_secs(10)).await;
    assert_eq!(call(Ok(1)).await, Ok(1));
    assert_eq!(state("consecutive"), CircuitState::HalfOpen);
    assert_eq!(call(Ok(2)).await, Ok(2));
    assert_eq!(state("consecutive"), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn classification_predicates_and_values_say_what_counts() {
    let _test = steadfast::test::isolated();
    #[circuit_breaker("classified", failure_threshold = 1)]
    async fn classified(result: Result<u32, Error>) -> Result<u32, Error> {
        result
    }
    #[circuit_breaker("when", failure_threshold = 1, when = |error| *error == Error::NotFound)]
    async fn when(result: Result<u32, Error>) -> Result<u32, Error> {
        result
    }
    #[circuit_breaker("value", failure_threshold = 1, when_value = |value| *value > limit)]
    async fn value(result: Result<u32, Error>, limit: u32) -> Result<u32, Error> {
        result
    }
    classified(Err(Error::NotFound)).await.unwrap_err();
    assert_eq!(state("classified"), CircuitState::Closed);
    classified(Err(Error::Down)).await.unwrap_err();
    assert_eq!(state("classified"), CircuitState::Open);
    when(Err(Error::Down)).await.unwrap_err();
    assert_eq!(state("when"), CircuitState::Closed);
    when(Err(Error::NotFound)).await.unwrap_err();
    assert_eq!(state("when"), CircuitState::Open);
    value(Ok(5), 5).await.unwrap();
    assert_eq!(state("value"), CircuitState::Closed);
    value(Ok(6), 5).await.unwrap();
    assert_eq!(state("value"), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn ignored_errors_are_neither_success_nor_failure() {
    let _test = steadfast::test::isolated();
    #[circuit_breaker("ignoring", failure_threshold = 2, ignore = |error| *error == Error::NotFound)]
    async fn call(result: Result<u32, Error>) -> Result<u32, Error> {
        result
    }
    call(Err(Error::Down)).await.unwrap_err();
    call(Err(Error::NotFound)).await.unwrap_err();
    call(Err(Error::Down)).await.unwrap_err();
    assert_eq!(
        state("ignoring"),
        CircuitState::Open,
        "two failures in a row, nothing in between"
    );
}

#[tokio::test(start_paused = true)]
async fn slow_calls_open_it() {
    let _test = steadfast::test::isolated();
    #[circuit_breaker(
        "slow",
        slow_call = "1s",
        slow_call_rate = 0.5,
        window = 4,
        minimum_calls = 4
    )]
    async fn call(millis: u64) -> Result<(), Error> {
        sleep(Duration::from_millis(millis)).await;
        Ok(())
    }
    for millis in [0, 1001, 1000] {
        call(millis).await.unwrap();
    }
    assert_eq!(state("slow"), CircuitState::Closed);
    call(2000).await.unwrap();
    assert_eq!(
        state("slow"),
        CircuitState::Open,
        "two of four took longer than a second"
    );
}

#[tokio::test(start_paused = true)]
async fn each_key_has_its_circuit() {
    let _test = steadfast::test::isolated();
    #[circuit_breaker("shards", failure_threshold = 1, key = shard)]
    async fn call(shard: u32, result: Result<(), Error>) -> Result<(), Error> {
        result
    }
    call(1, Err(Error::Down)).await.unwrap_err();
    assert!(refused(&call(1, Ok(())).await));
    assert_eq!(call(2, Ok(())).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_counts_for_what_it_is_told_to() {
    let _test = steadfast::test::isolated();
    #[circuit_breaker("lenient", failure_threshold = 1)]
    async fn lenient() -> Result<(), Error> {
        std::future::pending().await
    }
    #[circuit_breaker("strict", failure_threshold = 1, cancelled = failure)]
    async fn strict() -> Result<(), Error> {
        std::future::pending().await
    }
    let brief = Duration::from_millis(5);
    assert!(tokio::time::timeout(brief, lenient()).await.is_err());
    assert!(tokio::time::timeout(brief, strict()).await.is_err());
    assert_eq!(state("lenient"), CircuitState::Closed);
    assert_eq!(state("strict"), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_begun_body_that_an_outer_timeout_cuts_is_a_failure() {
    let _test = steadfast::test::isolated();
    #[timeout("1s")]
    #[circuit_breaker("cut", failure_threshold = 1)]
    async fn call() -> Result<(), Error> {
        std::future::pending().await
    }
    assert!(matches!(
        call().await,
        Err(Error::Rejected(Rejection::TimedOut(_)))
    ));
    assert_eq!(state("cut"), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn it_may_only_watch() {
    let _test = steadfast::test::isolated();
    #[circuit_breaker("watching", failure_threshold = 1, enforce = false)]
    async fn call(result: Result<u32, Error>) -> Result<u32, Error> {
        result
    }
    call(Err(Error::Down)).await.unwrap_err();
    assert_eq!(state("watching"), CircuitState::Open);
    assert_eq!(call(Ok(1)).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn each_object_may_bring_its_own() {
    struct Client {
        breaker: CircuitBreaker,
        calls: u32,
    }
    impl Client {
        fn new() -> Self {
            let breaker = CircuitBreaker::builder("client")
                .failure_threshold(1)
                .build();
            Self {
                breaker: breaker.unwrap(),
                calls: 0,
            }
        }

        #[circuit_breaker(with = &self.breaker)]
        async fn call(&mut self, result: Result<u32, Error>) -> Result<u32, Error> {
            self.calls += 1;
            result
        }
    }
    let (mut one, mut two) = (Client::new(), Client::new());
    one.call(Err(Error::Down)).await.unwrap_err();
    assert!(refused(&one.call(Ok(1)).await));
    assert_eq!(two.call(Ok(1)).await, Ok(1));
    assert_eq!((one.calls, two.calls), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn reject_with_says_what_the_caller_gets() {
    let _test = steadfast::test::isolated();
    #[circuit_breaker("custom", failure_threshold = 1, reject_with = |rejection| format!("{}!", rejection.policy()))]
    async fn call() -> Result<(), String> {
        Err("down".to_owned())
    }
    assert_eq!(call().await.unwrap_err(), "down");
    assert_eq!(call().await.unwrap_err(), "custom!");
}

#[tokio::test]
async fn a_panic_in_the_call_is_a_failure_and_leaves_nothing_behind() {
    let _test = steadfast::test::isolated();
    #[circuit_breaker("panicking", failure_threshold = 1)]
    async fn call() -> Result<(), Error> {
        tokio::task::yield_now().await;
        panic!("as planned")
    }
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            assert!(
                tokio::task::spawn_local(call())
                    .await
                    .unwrap_err()
                    .is_panic()
            );
        })
        .await;
    assert_eq!(state("panicking"), CircuitState::Open);
}

#[test]
fn a_synchronous_function_is_protected_too() {
    let _test = steadfast::test::isolated();
    #[circuit_breaker("sync", failure_threshold = 1, when = |error| *error == Error::Down)]
    fn call(result: Result<u32, Error>) -> Result<u32, Error> {
        result
    }
    call(Err(Error::Down)).unwrap_err();
    assert!(refused(&call(Ok(1))));
    #[circuit_breaker("sync panic", failure_threshold = 1)]
    fn panics() -> Result<u32, Error> {
        panic!("as planned")
    }
    assert!(std::panic::catch_unwind(panics).is_err());
    assert_eq!(state("sync panic"), CircuitState::Open);
}
