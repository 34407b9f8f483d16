//! `Retry` as a value, in virtual time.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use steadfast::{
    Backoff, Bulkhead, ConfigError, Delays, Event, Jitter, Rejection, Retry, RetryBuilder, Timeout,
};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

fn exact(name: &str) -> RetryBuilder {
    Retry::builder(name).jitter(Jitter::None)
}

/// Fails so often, then succeeds; remembers when it was called.
struct Flaky {
    failures: u32,
    calls: AtomicU32,
    times: Mutex<Vec<Instant>>,
}

impl Flaky {
    fn new(failures: u32) -> Self {
        Self {
            failures,
            calls: AtomicU32::new(0),
            times: Mutex::default(),
        }
    }

    async fn call(&self) -> Result<u32, String> {
        self.times().push(Instant::now());
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        tokio::task::yield_now().await;
        if call <= self.failures {
            Err(format!("failure {call}"))
        } else {
            Ok(call)
        }
    }

    fn times(&self) -> MutexGuard<'_, Vec<Instant>> {
        self.times.lock().expect("nobody panics under it")
    }

    fn gaps(&self) -> Vec<Duration> {
        let times = self.times();
        times.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn delays_double_until_it_succeeds() {
    let retry = exact("doubling").max_attempts(5).build().unwrap();
    let flaky = Flaky::new(3);
    assert_eq!(retry.call(|| flaky.call()).await, Ok(4));
    assert_eq!(flaky.gaps(), [SECOND, 2 * SECOND, 4 * SECOND]);
}

#[tokio::test(start_paused = true)]
async fn the_caller_gets_the_last_error_unchanged() {
    let retry = exact("last").build().unwrap();
    let flaky = Flaky::new(9);
    assert_eq!(retry.call(|| flaky.call()).await, Err("failure 3".into()));
    assert_eq!(retry.metrics().exhausted, 1);
}

#[tokio::test(start_paused = true)]
async fn one_attempt_is_no_retry() {
    let retry = exact("once").max_attempts(1).build().unwrap();
    let flaky = Flaky::new(1);
    assert_eq!(retry.call(|| flaky.call()).await, Err("failure 1".into()));
}

#[tokio::test(start_paused = true)]
async fn linear_and_fixed_delays_grow_as_they_say() {
    let linear = exact("linear")
        .backoff(Backoff::Linear)
        .max_attempts(5)
        .max_delay(3 * SECOND);
    let flaky = Flaky::new(4);
    assert!(linear.build().unwrap().call(|| flaky.call()).await.is_ok());
    assert_eq!(flaky.gaps(), [SECOND, 2 * SECOND, 3 * SECOND, 3 * SECOND]);

    let fixed = exact("fixed").backoff(Backoff::Fixed).max_attempts(4);
    let flaky = Flaky::new(3);
    assert!(fixed.build().unwrap().call(|| flaky.call()).await.is_ok());
    assert_eq!(flaky.gaps(), [SECOND; 3]);
}

#[tokio::test(start_paused = true)]
async fn full_jitter_stays_below_the_delay_it_spreads() {
    let retry = Retry::builder("spread").max_attempts(4).build().unwrap();
    for _ in 0..50 {
        let flaky = Flaky::new(3);
        assert!(retry.call(|| flaky.call()).await.is_ok());
        // The runtime's timer has a resolution of a millisecond.
        let within = |(gap, most): (&Duration, u32)| *gap <= most * SECOND + SECOND / 500;
        assert!(flaky.gaps().iter().zip([1, 2, 4]).all(within));
    }
}

#[tokio::test(start_paused = true)]
async fn a_running_attempt_is_not_cut_off_by_max_elapsed() {
    let retry = exact("patient").max_elapsed(5 * SECOND).build().unwrap();
    let start = Instant::now();
    let slow = || async {
        sleep(30 * SECOND).await;
        Err::<(), _>("late")
    };
    assert_eq!(retry.call(slow).await, Err("late"));
    assert_eq!(start.elapsed(), 30 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn no_delay_is_begun_that_would_pass_max_elapsed() {
    let retry = exact("hasty")
        .max_attempts(10)
        .max_elapsed(6 * SECOND)
        .build()
        .unwrap();
    let start = Instant::now();
    let flaky = Flaky::new(9);
    assert_eq!(retry.call(|| flaky.call()).await, Err("failure 3".into()));
    assert_eq!(start.elapsed(), 3 * SECOND, "4 s more would have passed it");
}

#[tokio::test(start_paused = true)]
async fn only_errors_that_the_predicate_wants_are_retried() {
    let retry = exact("choosy").max_attempts(5).build().unwrap();
    let answers = Mutex::new(vec![Err(404), Err(503), Err(503)]);
    let call = async || -> Result<(), u16> { answers.lock().unwrap().pop().unwrap() };
    let transient = |status: &u16| *status >= 500;
    assert_eq!(retry.when(transient).call(call).await, Err(404));
    assert_eq!(retry.metrics().retries, 2);
    assert_eq!(retry.metrics().exhausted, 0);
}

/// Real time: a synchronous caller's delays are real sleeps. A few milliseconds.
#[test]
fn a_sync_call_is_retried_too() {
    let retry = exact("sync")
        .base_delay(Duration::from_millis(1))
        .build()
        .unwrap();
    let mut calls = 0;
    let outcome = retry.call_blocking(|| {
        calls += 1;
        if calls < 3 { Err("not yet") } else { Ok(calls) }
    });
    assert_eq!(outcome, Ok(3));
    assert!(retry.metrics().waited >= Duration::from_millis(3));
    let refused = retry
        .when(|_: &&str| false)
        .call_blocking(|| Err::<(), _>("no"));
    assert_eq!(refused, Err("no"));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_around_it_bounds_the_whole() {
    let retry = exact("inner").max_attempts(100).build().unwrap();
    let timeout = Timeout::builder("outer").after(5 * SECOND).build().unwrap();
    let flaky = Flaky::new(99);
    let call = retry.call(|| async { flaky.call().await.map_err(std::io::Error::other) });
    let error = timeout.call(call).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(flaky.calls.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_value_of_a_bulkhead_can_be_retried() {
    let retry = exact("again").build().unwrap();
    let bulkhead = Bulkhead::builder("small")
        .max_concurrent(1)
        .build()
        .unwrap();
    let permit = bulkhead.try_acquire().unwrap();
    tokio::spawn(async move {
        sleep(2 * SECOND).await;
        drop(permit);
    });
    let answer: Result<u32, Rejection> = retry.call(|| bulkhead.call(async { Ok(1) })).await;
    assert_eq!(answer, Ok(1));
}

/// Polls a call `polls` times and drops it.
async fn drop_after<F: Future>(future: F, polls: u32) -> bool {
    let mut future = pin!(future);
    let mut polled = 0;
    std::future::poll_fn(|context| {
        if polled == polls {
            return Poll::Ready(false);
        }
        polled += 1;
        future.as_mut().poll(context).map(|_| true)
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn it_can_be_dropped_at_every_await() {
    let retry = exact("dropped").budget(0.5).build().unwrap();
    let mut dropped = 0u32;
    for polls in 0.. {
        let flaky = Flaky::new(9);
        if drop_after(retry.call(|| flaky.call()), polls).await {
            break;
        }
        dropped += 1;
        let calls = flaky.calls.load(Ordering::Relaxed);
        sleep(60 * SECOND).await;
        assert_eq!(
            calls,
            flaky.calls.load(Ordering::Relaxed),
            "goes on after its end"
        );
    }
    // Not yet begun, three attempts of two polls, two delays of at least two.
    assert!(dropped >= 5, "{dropped}");
    let metrics = retry.metrics();
    assert_eq!(
        metrics.calls,
        u64::from(dropped),
        "one was dropped before it began"
    );
    assert_eq!(metrics.exhausted, 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_passes_through_and_the_call_is_counted() {
    let retry = exact("panics").build().unwrap();
    let task = tokio::spawn({
        let retry = retry.clone();
        async move {
            let mut calls = 0;
            retry
                .call(|| {
                    calls += 1;
                    async move {
                        assert!(calls < 2, "boom");
                        Err::<(), _>("first")
                    }
                })
                .await
        }
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(retry.metrics().by_attempts[1], 1);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_subscriber_hurts_nobody() {
    let test = steadfast::test::isolated();
    let _subscription = test.registry().subscribe(|_| panic!("subscriber"));
    let retry = exact("told").build().unwrap();
    let flaky = Flaky::new(2);
    assert_eq!(retry.call(|| flaky.call()).await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn every_retry_and_the_end_are_told() {
    let test = steadfast::test::isolated();
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let _subscription = test.registry().subscribe(move |event| {
        heard.lock().unwrap().push(event.clone());
    });
    let retry = exact("told").build().unwrap();
    let flaky = Flaky::new(9);
    assert!(retry.call(|| flaky.call()).await.is_err());
    let events = events.lock().unwrap();
    match &events[..] {
        [
            Event::Retry(first),
            Event::Retry(second),
            Event::RetriesExhausted(end),
        ] => {
            assert_eq!((first.attempt, first.delay), (1, SECOND));
            assert_eq!((second.attempt, second.delay), (2, 2 * SECOND));
            assert_eq!((&*end.policy, end.attempts), ("told", 3));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn totals_and_budget_are_exact_between_threads() {
    let retry = exact("crowd")
        .max_attempts(2)
        .base_delay(Duration::from_nanos(1))
        .max_delay(Duration::from_nanos(1))
        .budget(0.25)
        .build()
        .unwrap();
    let calls = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (retry, calls) = (retry.clone(), Arc::clone(&calls));
            tokio::spawn(async move {
                for _ in 0..100 {
                    let call = || async {
                        calls.fetch_add(1, Ordering::Relaxed);
                        Err::<(), _>(())
                    };
                    assert_eq!(retry.call(call).await, Err(()));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let metrics = retry.metrics();
    assert_eq!((metrics.calls, metrics.exhausted), (1600, 1600));
    assert_eq!(
        metrics.calls + metrics.retries,
        calls.load(Ordering::Relaxed)
    );
    assert_eq!(
        metrics.by_attempts[..2],
        [1600 - metrics.retries, metrics.retries]
    );
    // The reserve and a quarter per call, less what was added to a full balance at first.
    assert!(
        (100 + 400 - 16..=100 + 400).contains(&metrics.retries),
        "{metrics:?}"
    );
}

#[test]
fn delays_are_an_ordinary_iterator() {
    let retry = exact("plan")
        .max_attempts(6)
        .max_delay(5 * SECOND)
        .build()
        .unwrap();
    let total: Duration = retry.delays().sum();
    assert_eq!(total, 17 * SECOND);
    let walk = Retry::builder("walk")
        .jitter(Jitter::Decorrelated)
        .max_attempts(1_000_000)
        .build()
        .unwrap();
    assert!(
        walk.delays()
            .all(|delay| (SECOND..=60 * SECOND).contains(&delay))
    );
}

#[test]
fn two_iterators_throw_their_own_dice() {
    let retry = Retry::builder("dice").max_attempts(20).build().unwrap();
    let delays = || retry.delays().collect::<Vec<_>>();
    assert_ne!(delays(), delays());
}

#[test]
fn a_mistake_in_the_settings_is_refused_by_its_name() {
    let cases: [(RetryBuilder, &str); 4] = [
        (Retry::builder("r").max_attempts(0), "max_attempts"),
        (Retry::builder("r").multiplier(0.5), "multiplier"),
        (Retry::builder("r").jitter(Jitter::Fraction(2.0)), "jitter"),
        (Retry::builder("r").max_delay(SECOND / 2), "max_delay"),
    ];
    for (builder, expected) in cases {
        match builder.build().unwrap_err() {
            ConfigError::BadSetting { setting, .. } => assert_eq!(setting, expected),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn the_value_and_its_futures_go_between_threads() {
    fn send<T: Send>(value: T) -> T {
        value
    }
    fn shared<T: Clone + Send + Sync + std::fmt::Debug>(_: &T) {}
    let retry = Retry::builder("sent").build().unwrap();
    shared(&retry);
    send::<Delays>(retry.delays());
    let future = send(retry.call(|| async { Ok::<_, ()>(1) }));
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(pin!(future).poll(&mut context), Poll::Ready(Ok(1)));
    let future = send(retry.when(|_: &()| true).call(|| async { Ok::<_, ()>(1) }));
    assert_eq!(pin!(future).poll(&mut context), Poll::Ready(Ok(1)));
}

/// Without a runtime the happy path still works: it needs no timer.
#[test]
fn a_call_that_succeeds_at_once_needs_no_runtime() {
    let retry = Retry::builder("bare").build().unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut call = pin!(retry.call(|| async { Ok::<_, ()>(1) }));
    assert_eq!(call.as_mut().poll(&mut context), Poll::Ready(Ok(1)));
    let mut call = pin!(retry.call(|| async { Err::<(), _>(()) }));
    let polled = std::panic::catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(&mut context)));
    assert!(polled.is_err(), "a delay needs tokio's timer, and says so");
}
