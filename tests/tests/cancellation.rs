//! A call is dropped, or panics, at every place there is: no permit is lost, no breaker sticks.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use steadfast::{
    CircuitBreaker, CircuitState, Rejection, bulkhead, circuit_breaker, fallback, rate_limited,
    registry, retry, timeout,
};
use tokio::time::{advance, sleep};

/// What the body does when it is polled for the nth time.
#[derive(Clone, Copy, PartialEq)]
enum Script {
    FailSlowly,
    Panic,
}

#[fallback(|error| { tokio::task::yield_now().await; Err(error) })]
#[retry(max_attempts = 3, base_delay = "10ms", jitter = none, on_retry = |_event| tokio::task::yield_now().await)]
#[circuit_breaker("cancelled", failure_threshold = 1_000_000)]
#[rate_limited("cancelled", rate = "1000/s", burst = 1, max_wait = "1m")]
#[bulkhead("cancelled", max_concurrent = 1, max_wait = "1m")]
#[timeout("1s")]
async fn call(script: Script) -> Result<u32, Rejection> {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    sleep(Duration::from_millis(5)).await;
    match script {
        Script::FailSlowly => {
            sleep(Duration::from_secs(9)).await;
            Ok(0)
        }
        Script::Panic => panic!("as planned"),
    }
}

/// Polls at most `polls` times, letting time pass in between; `None` where it had not ended by then.
async fn poll_times<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let polled = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        advance(Duration::from_millis(40)).await;
    }
    None
}

fn assert_nothing_is_held() {
    let bulkhead = registry().bulkhead("cancelled").unwrap().metrics();
    assert_eq!((bulkhead.in_flight, bulkhead.waiting), (0, 0));
    assert_eq!(
        registry()
            .rate_limiter("cancelled")
            .unwrap()
            .metrics()
            .waiting,
        0
    );
}

#[tokio::test(start_paused = true)]
async fn dropped_at_every_await_it_gives_everything_back() {
    let _test = steadfast::test::isolated();
    let mut ended = false;
    for polls in 0.. {
        // Somebody else waits behind it, and must get its turn.
        let mut second = pin!(call(Script::FailSlowly));
        let mut behind = None;
        let outcome = {
            let mut first = pin!(poll_times(call(Script::FailSlowly), polls));
            poll_fn(|context| {
                if behind.is_none()
                    && let Poll::Ready(result) = second.as_mut().poll(context)
                {
                    behind = Some(result);
                }
                first.as_mut().poll(context)
            })
            .await
        };
        let behind = match behind {
            Some(result) => result,
            None => second.await,
        };
        assert!(matches!(behind, Err(Rejection::TimedOut(_))), "{behind:?}");
        assert_nothing_is_held();
        if outcome.is_some() {
            ended = true;
            break;
        }
    }
    assert!(ended);
}

#[tokio::test(start_paused = true)]
async fn a_panic_gives_everything_back() {
    let _test = steadfast::test::isolated();
    let mut future = Box::pin(call(Script::Panic));
    let outcome = loop {
        let polled = poll_fn(|context| {
            Poll::Ready(catch_unwind(AssertUnwindSafe(|| {
                future.as_mut().poll(context)
            })))
        })
        .await;
        match polled {
            Ok(Poll::Pending) => advance(Duration::from_millis(1)).await,
            Ok(Poll::Ready(_)) => panic!("it should panic"),
            Err(panic) => break panic,
        }
    };
    assert_eq!(outcome.downcast_ref(), Some(&"as planned"));
    drop(future);
    assert_nothing_is_held();
    let breaker = registry().circuit_breaker("cancelled").unwrap();
    assert_eq!(
        breaker.metrics().failures,
        1,
        "a panic in the call's own poll is a failure"
    );
}

#[tokio::test(start_paused = true)]
async fn panics_in_predicates_and_callbacks_lose_nothing() {
    let _test = steadfast::test::isolated();
    #[fallback(value = 0, when = |_| place == 4 && panic!("as planned"))]
    #[retry(base_delay = "1ms", jitter = none, when = |_| place != 1 || panic!("as planned"),
        on_retry = |_event| if place == 2 { panic!("as planned") })]
    #[circuit_breaker("panicky", failure_threshold = 1000, when = |_| place != 3 || panic!("as planned"))]
    #[rate_limited("panicky", rate = "1000/s", key = if place == 5 { panic!("as planned") } else { place })]
    #[bulkhead("panicky", max_concurrent = 1)]
    async fn call(place: u32) -> Result<u32, Rejection> {
        Err(refusal().await)
    }
    async fn refusal() -> Rejection {
        let timeout = steadfast::Timeout::builder("t")
            .after(Duration::from_nanos(1))
            .build();
        let late: Result<(), _> = timeout.unwrap().call(std::future::pending()).await;
        late.unwrap_err()
    }
    for place in 0..=5 {
        let mut future = Box::pin(call(place));
        let ended = poll_fn(|context| {
            match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(result)) => Poll::Ready(Some(result)),
                Err(_) => Poll::Ready(None),
            }
        })
        .await;
        drop(future);
        let _ = ended;
        assert_eq!(
            registry().bulkhead("panicky").unwrap().metrics().in_flight,
            0,
            "at {place}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn dropped_probes_never_block_a_half_open_circuit() {
    let _test = steadfast::test::isolated();
    #[circuit_breaker(
        "probed",
        failure_threshold = 1,
        recovery_timeout = "1s",
        success_threshold = 1
    )]
    async fn call(end: Option<Result<(), Rejection>>) -> Result<(), Rejection> {
        match end {
            Some(end) => end,
            None => std::future::pending().await,
        }
    }
    let breaker: CircuitBreaker = {
        call(Some(Ok(()))).await.unwrap();
        registry().circuit_breaker("probed").unwrap()
    };
    breaker.try_acquire().unwrap().failure();
    advance(Duration::from_secs(1)).await;
    for _ in 0..100 {
        let mut probe: Pin<Box<dyn Future<Output = _>>> = Box::pin(call(None));
        assert!(
            probe
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        assert!(call(Some(Ok(()))).await.is_err(), "the only probe is out");
        drop(probe);
        assert_eq!(breaker.state(), CircuitState::HalfOpen);
    }
    call(Some(Ok(()))).await.unwrap();
    assert_eq!(breaker.state(), CircuitState::Closed);
}

/// A call that is dropped because something else unwinds is a cancellation, not a failure.
#[tokio::test]
async fn being_dropped_by_somebody_else_s_panic_is_no_failure() {
    let _test = steadfast::test::isolated();
    #[circuit_breaker("bystander", failure_threshold = 1)]
    async fn call() -> Result<(), Rejection> {
        std::future::pending().await
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut bystander = Box::pin(call());
        assert!(
            bystander
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        panic!("as planned");
    }));
    assert!(outcome.is_err());
    let breaker = registry().circuit_breaker("bystander").unwrap();
    assert_eq!(
        (breaker.state(), breaker.metrics().failures),
        (CircuitState::Closed, 0)
    );
}
