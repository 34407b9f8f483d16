//! `#[fallback]` in all its forms.

use std::time::Duration;

use steadfast::{
    Classify, Rejection, Served, Source, circuit_breaker, fallback, registry, retry, timeout,
};
use tokio::time::advance;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
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
        *self != Error::NotFound
    }
}

type Answer = Result<u32, Error>;

#[tokio::test]
async fn a_closure_gets_the_error_by_value_sees_the_parameters_and_may_await_and_fail() {
    #[fallback(|error| {
        tokio::task::yield_now().await;
        let other: Answer = if *name == *"good" { Ok(1) } else { Err(error) };
        Ok(other? + 1)
    })]
    async fn call(name: &str) -> Answer {
        Err(Error::Down)
    }
    assert_eq!(call("good").await, Ok(2));
    assert_eq!(call("bad").await, Err(Error::Down));
}

#[tokio::test]
async fn a_path_gets_the_parameters_and_the_error() {
    struct Client(u32);
    impl Client {
        #[fallback(Self::ask_replica)]
        async fn read(&self, key: u32, scale: u32) -> Answer {
            Err(Error::Down)
        }

        async fn ask_replica(&self, key: u32, scale: u32, error: Error) -> Answer {
            assert_eq!(error, Error::Down);
            Ok((self.0 + key) * scale)
        }
    }
    async fn other(key: u32, _error: Error) -> Answer {
        Ok(key)
    }
    #[fallback(other)]
    async fn free(key: u32) -> Answer {
        Err(Error::Down)
    }
    assert_eq!(Client(1).read(2, 10).await, Ok(30));
    assert_eq!(free(7).await, Ok(7));
}

#[tokio::test]
async fn a_value_or_the_default() {
    #[fallback(value = n * 2)]
    async fn value(n: u32) -> Answer {
        Err(Error::Down)
    }
    #[fallback(default)]
    async fn default() -> Answer {
        Err(Error::Down)
    }
    assert_eq!(value(21).await, Ok(42));
    assert_eq!(default().await, Ok(0));
}

#[tokio::test]
async fn it_serves_what_classification_calls_a_failure_or_what_it_is_told_to() {
    #[fallback(value = 1)]
    async fn classified(error: Error) -> Answer {
        Err(error)
    }
    #[fallback(value = 1, when = |error| *error == Error::NotFound)]
    async fn told(error: Error) -> Answer {
        Err(error)
    }
    assert_eq!(classified(Error::Down).await, Ok(1));
    assert_eq!(classified(Error::NotFound).await, Err(Error::NotFound));
    assert_eq!(told(Error::Down).await, Err(Error::Down));
    assert_eq!(told(Error::NotFound).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn it_serves_refusals_and_timeouts() {
    let _test = steadfast::test::isolated();
    #[fallback(|error| match error {
        Error::Rejected(Rejection::CircuitOpen(_)) => Ok(1),
        Error::Rejected(Rejection::TimedOut(_)) => Ok(2),
        other => Err(other),
    })]
    #[circuit_breaker("f", failure_threshold = 1)]
    #[timeout("1s")]
    async fn call() -> Answer {
        std::future::pending().await
    }
    assert_eq!(call().await, Ok(2));
    assert_eq!(call().await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn an_earlier_answer_comes_first_and_says_how_old_it_is() {
    let _test = steadfast::test::isolated();
    #[fallback("weather", cache(key = city, fresh = "5m", stale = "1h"), |_error| Ok(Served::from(0)))]
    async fn weather(city: &str, answer: Answer) -> Result<Served<u32>, Error> {
        Ok(answer?.into())
    }
    let good = weather("Oslo", Ok(7)).await.unwrap();
    assert_eq!((*good, good.source, good.age), (7, Source::Primary, None));

    advance(Duration::from_secs(60)).await;
    let cached = weather("Oslo", Err(Error::Down)).await.unwrap();
    assert_eq!((*cached, cached.source), (7, Source::Cache));
    assert_eq!(cached.age, Some(Duration::from_secs(60)));
    assert!(cached.degraded());

    advance(Duration::from_secs(600)).await;
    let stale = weather("Oslo", Err(Error::Down)).await.unwrap();
    assert_eq!((*stale, stale.source), (7, Source::StaleCache));
    assert!(!stale.warnings.is_empty());

    let other = weather("Rome", Err(Error::Down)).await.unwrap();
    assert_eq!((*other, other.source), (0, Source::Fallback));

    advance(Duration::from_secs(3600)).await;
    assert_eq!(
        weather("Oslo", Err(Error::Down)).await.unwrap().source,
        Source::Fallback
    );

    let metrics = registry().fallback("weather").unwrap().metrics();
    assert_eq!((metrics.cached, metrics.stale, metrics.answered), (1, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_cache_alone_lets_the_error_pass_where_it_has_nothing() {
    let _test = steadfast::test::isolated();
    #[fallback(cache(key = key, fresh = "1m"))]
    async fn call(key: String, answer: Answer) -> Answer {
        drop(key);
        answer
    }
    let key = || "k".to_owned();
    assert_eq!(call(key(), Err(Error::Down)).await, Err(Error::Down));
    assert_eq!(call(key(), Ok(3)).await, Ok(3));
    assert_eq!(call(key(), Err(Error::Down)).await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn consumed_parameters_are_cloned_for_the_answer() {
    #[fallback(clone(order), |_error| Ok(u32::try_from(order.len()).unwrap()))]
    async fn call(order: String) -> Answer {
        drop(order);
        Err(Error::Down)
    }
    assert_eq!(call("four".to_owned()).await, Ok(4));
}

#[tokio::test(start_paused = true)]
async fn a_restricted_fallback_may_stand_below_a_retry() {
    #[retry(base_delay = "1ms")]
    #[fallback(value = 9, when = |error| *error == Error::NotFound)]
    async fn call(calls: &mut u32, error: Error) -> Answer {
        *calls += 1;
        Err(error.clone())
    }
    let mut calls = 0;
    assert_eq!(call(&mut calls, Error::NotFound).await, Ok(9));
    assert_eq!(call(&mut calls, Error::Down).await, Err(Error::Down));
    assert_eq!(calls, 1 + 3);
}

#[test]
fn synchronous_functions_fall_back_too() {
    fn other(n: u32, _error: Error) -> Answer {
        Ok(n + 1)
    }
    #[fallback(other)]
    fn path(n: u32) -> Answer {
        Err(Error::Down)
    }
    #[fallback(|error| Err(error))]
    fn closure(_n: u32) -> Answer {
        Err(Error::Down)
    }
    assert_eq!(path(1), Ok(2));
    assert_eq!(closure(1), Err(Error::Down));
}
