//! What a recorder gets of each policy.
#![allow(missing_docs)]

mod callers;
mod exact;
mod rounds;

use std::{
    collections::BTreeMap,
    future::pending,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use metrics::with_local_recorder;
use metrics_util::{
    CompositeKey, MetricKind,
    debugging::{DebugValue, DebuggingRecorder, Snapshotter},
};

use steadfast::{
    Bulkhead, CircuitBreaker, CircuitState, Fallback, MemoryStore, Rate, RateLimiter, Rejection,
    Retry, Timeout, bulkhead, circuit_breaker, fallback,
    metrics::{SERIES, SeriesKind, publish},
    rate_limited, retry, timeout,
};

const SECOND: Duration = Duration::from_secs(1);
const SECRET: &str = "alice@example.org";

/// A recorder in force on this thread alone, and what it has got.
struct Recorded {
    recorder: DebuggingRecorder,
    snapshotter: Snapshotter,
    /// Snapshots take out what they show of histograms and counters.
    histograms: BTreeMap<String, Vec<f64>>,
    counts: BTreeMap<String, i64>,
}

/// As it is written in Prometheus: `name{label="value"}`.
fn spelt(key: &CompositeKey) -> String {
    let labels: Vec<_> = key
        .key()
        .labels()
        .map(|label| format!("{}={}", label.key(), label.value()))
        .collect();
    format!("{}{{{}}}", key.key().name(), labels.join(","))
}

impl Recorded {
    fn new() -> Self {
        let recorder = DebuggingRecorder::new();
        Self {
            snapshotter: recorder.snapshotter(),
            recorder,
            histograms: BTreeMap::new(),
            counts: BTreeMap::new(),
        }
    }

    /// On a runtime of one thread with paused time, under a registry of its own.
    fn run<T>(&mut self, test: impl AsyncFnOnce(&mut Self) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let recorder = DebuggingRecorder::new();
        self.snapshotter = recorder.snapshotter();
        let _isolated = steadfast::test::isolated();
        with_local_recorder(&recorder, || runtime.block_on(test(self)))
    }

    fn look(&mut self) {
        publish();
        for (key, unit, description, value) in self.snapshotter.snapshot().into_vec() {
            let name = spelt(&key);
            let series = SERIES.iter().find(|s| s.name == key.key().name());
            let series = series.unwrap_or_else(|| panic!("{name} is not in the table"));
            assert!(description.is_some() && unit.is_some(), "{name}");
            let kind = match series.kind {
                SeriesKind::Counter => MetricKind::Counter,
                SeriesKind::Gauge => MetricKind::Gauge,
                SeriesKind::Histogram => MetricKind::Histogram,
            };
            assert_eq!(key.kind(), kind, "{name}");
            assert!(key.key().labels().all(|l| series.labels.contains(&l.key())));
            assert!(!name.contains("alice"), "{name}");
            match value {
                DebugValue::Counter(count) => {
                    *self.counts.entry(name).or_default() += count.cast_signed();
                }
                #[allow(clippy::cast_possible_truncation)]
                DebugValue::Gauge(number) => {
                    self.counts.insert(name, number.0 as i64);
                }
                DebugValue::Histogram(values) => {
                    let values = values.into_iter().map(|value| value.0);
                    self.histograms.entry(name).or_default().extend(values);
                }
            }
        }
    }

    fn count(&mut self, name: &str) -> i64 {
        self.look();
        let counts = &self.counts;
        *counts
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {counts:#?}"))
    }

    fn is_there(&mut self, name: &str) -> bool {
        self.look();
        self.counts.contains_key(name)
    }

    fn values(&mut self, name: &str) -> Vec<f64> {
        self.look();
        let mut values = self.histograms.get(name).cloned().unwrap_or_default();
        values.sort_by(f64::total_cmp);
        values
    }

    /// In which states how many circuits are.
    fn states(&mut self, policy: &str) -> [i64; 5] {
        ["closed", "open", "half_open", "forced_open", "disabled"].map(|state| {
            self.count(&format!(
                "circuit_breaker_state{{policy={policy},state={state}}}"
            ))
        })
    }
}

fn run<T>(test: impl AsyncFnOnce(&mut Recorded) -> T) -> T {
    Recorded::new().run(test)
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("down")]
    Down,
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

type Answer = Result<u32, Error>;

#[test]
fn a_breaker_shows_its_state_its_outcomes_and_its_changes() {
    run(async |seen| {
        let breaker = CircuitBreaker::builder("b")
            .failure_threshold(2)
            .success_threshold(1)
            .recovery_timeout(SECOND)
            .build()
            .unwrap();
        assert_eq!(seen.states("b"), [1, 0, 0, 0, 0]);
        let change = |from, to| {
            format!("circuit_breaker_state_changes_total{{policy=b,from={from},to={to}}}")
        };
        assert_eq!(seen.count(&change("closed", "open")), 0);
        assert!(!seen.is_there(&change("closed", "disabled")));

        let _: Answer = breaker.call(async { Ok(1) }).await;
        for _ in 0..2 {
            let _: Answer = breaker.call(async { Err(Error::Down) }).await;
        }
        let _: Answer = breaker.call(async { Ok(1) }).await;
        assert_eq!(seen.states("b"), [0, 1, 0, 0, 0]);
        assert_eq!(seen.count("circuit_breaker_successes_total{policy=b}"), 1);
        assert_eq!(seen.count("circuit_breaker_failures_total{policy=b}"), 2);
        assert_eq!(seen.count("circuit_breaker_rejected_total{policy=b}"), 1);
        assert_eq!(seen.count("circuit_breaker_slow_calls_total{policy=b}"), 0);
        assert_eq!(seen.count(&change("closed", "open")), 1);

        tokio::time::advance(SECOND).await;
        let probe = breaker.try_acquire().unwrap();
        assert_eq!(seen.states("b"), [0, 0, 1, 0, 0]);
        probe.success();
        assert_eq!(seen.states("b"), [1, 0, 0, 0, 0]);
        assert_eq!(seen.count(&change("half_open", "closed")), 1);
        breaker.force_open();
        assert_eq!(seen.states("b"), [0, 0, 0, 1, 0]);
        breaker.disable();
        assert_eq!(seen.states("b"), [0, 0, 0, 0, 1]);
        assert_eq!(seen.count(&change("forced_open", "disabled")), 1);
    });
}

#[test]
fn a_breaker_with_keys_counts_the_circuits_in_each_state_and_tells_no_key() {
    run(async |seen| {
        let breaker = CircuitBreaker::builder("hosts")
            .failure_threshold(1)
            .recovery_timeout(SECOND)
            .build()
            .unwrap();
        for host in [SECRET, "bob", "carol"] {
            breaker.try_acquire_for(host).unwrap().success();
        }
        assert_eq!(seen.states("hosts"), [3, 0, 0, 0, 0]);
        breaker.try_acquire_for(SECRET).unwrap().failure();
        breaker.try_acquire_for("bob").unwrap().failure();
        assert_eq!(seen.states("hosts"), [1, 2, 0, 0, 0]);
        breaker.force_open();
        assert_eq!(seen.states("hosts"), [0, 0, 0, 1, 0]);
        breaker.reset();
        assert_eq!(seen.states("hosts"), [0; 5], "it remembers none");
        assert_eq!(
            seen.count("circuit_breaker_failures_total{policy=hosts}"),
            2
        );
    });
}

#[test]
fn a_circuit_of_a_key_that_nobody_uses_any_more_is_in_no_state() {
    run(async |seen| {
        let breaker = CircuitBreaker::builder("gone")
            .failure_threshold(1)
            .recovery_timeout(SECOND)
            .build()
            .unwrap();
        breaker.try_acquire_for(SECRET).unwrap().failure();
        assert_eq!(seen.states("gone"), [0, 1, 0, 0, 0]);
        tokio::time::advance(SECOND * 60).await;
        assert_eq!(seen.states("gone"), [0; 5]);
    });
}

#[test]
fn a_retry_shows_attempts_of_calls_and_in_all() {
    run(async |seen| {
        let retry = Retry::builder("r")
            .max_attempts(20)
            .base_delay(Duration::from_millis(1))
            .build()
            .unwrap();
        for failures in [0_u32, 2, 17, 25] {
            let tries = AtomicU32::new(0);
            let make = async || match tries.fetch_add(1, Relaxed) < failures {
                true => Err("busy"),
                false => Ok(()),
            };
            let _ = retry.call(make).await;
        }
        assert_eq!(retry.call_blocking(|| Ok::<_, ()>(7)), Ok(7));
        assert_eq!(
            seen.values("retry_attempts{policy=r}"),
            [1., 1., 3., 18., 20.]
        );
        assert_eq!(
            seen.count("retry_attempts_total{policy=r,attempt=first}"),
            5
        );
        assert_eq!(
            seen.count("retry_attempts_total{policy=r,attempt=retry}"),
            2 + 17 + 19
        );
        assert_eq!(seen.count("retry_exhausted_total{policy=r}"), 1);
    });
}

#[test]
fn a_limiter_shows_what_it_allows_and_refuses_and_how_long_calls_wait() {
    run(async |seen| {
        let limiter = RateLimiter::builder("l")
            .rate(Rate::per_second(1))
            .burst(2)
            .max_wait(SECOND)
            .build()
            .unwrap();
        limiter.acquire(1).await.unwrap();
        limiter.acquire(1).await.unwrap();
        assert_eq!(seen.values("rate_limit_wait_seconds{policy=l}"), [0.0; 0]);
        limiter.acquire(1).await.unwrap();
        limiter.try_acquire(1).unwrap_err();
        limiter.try_acquire_for(SECRET, 2).unwrap();
        limiter.try_acquire_for(SECRET, 1).unwrap_err();
        assert_eq!(seen.count("rate_limit_allowed_total{policy=l}"), 4);
        assert_eq!(seen.count("rate_limit_rejected_total{policy=l}"), 2);
        let waits = seen.values("rate_limit_wait_seconds{policy=l}");
        assert!(
            waits.len() == 1 && (waits[0] - 1.0).abs() < 0.01,
            "{waits:?}"
        );
    });
}

#[rate_limited("vip", rate = "1/s", bypass = vip)]
async fn ask(vip: bool) -> Answer {
    Ok(1)
}

#[test]
fn what_goes_past_a_limit_is_counted() {
    run(async |seen| {
        ask(false).await.unwrap();
        ask(true).await.unwrap();
        ask(true).await.unwrap();
        assert_eq!(seen.count("rate_limit_bypassed_total{policy=vip}"), 2);
        assert_eq!(seen.count("rate_limit_allowed_total{policy=vip}"), 1);
    });
}

#[test]
fn a_shared_limiter_shows_the_same_and_its_store_is_up() {
    run(async |seen| {
        steadfast::registry().set_store(MemoryStore::new()).unwrap();
        assert_eq!(seen.count("store_up{}"), 1);
        let limiter = RateLimiter::builder("fleet")
            .rate(Rate::per_second(1))
            .shared(true)
            .max_wait(SECOND * 2)
            .install()
            .unwrap();
        limiter.acquire_for(SECRET, 1).await.unwrap();
        limiter.acquire_for(SECRET, 1).await.unwrap();
        assert_eq!(seen.count("rate_limit_allowed_total{policy=fleet}"), 2);
        let waits = seen.values("rate_limit_wait_seconds{policy=fleet}");
        assert!(waits.len() == 1 && waits[0] > 0.5, "{waits:?}");
    });
}

#[test]
fn a_wait_that_blocks_a_thread_is_told_as_well() {
    let mut seen = Recorded::new();
    let recorder = std::mem::take(&mut seen.recorder);
    let limiter = with_local_recorder(&recorder, || {
        RateLimiter::builder("blocking")
            .rate(Rate::per_second(20))
            .burst(1)
            .max_wait(SECOND * 60)
            .build()
            .unwrap()
    });
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        // In real time: a second call waits for 50 ms, unless the machine stood still for as long.
        limiter.acquire_blocking(1).unwrap();
        let waits = seen.values("rate_limit_wait_seconds{policy=blocking}");
        if !waits.is_empty() {
            assert!(waits.iter().all(|&wait| wait > 0.0), "{waits:?}");
            break;
        }
        assert!(std::time::Instant::now() < deadline, "no wait is told");
    }
}

#[test]
fn shared_breakers_and_bulkheads_show_what_this_instance_does() {
    run(async |seen| {
        steadfast::registry().set_store(MemoryStore::new()).unwrap();
        let breaker = CircuitBreaker::builder("all")
            .failure_threshold(1)
            .shared(true)
            .install()
            .unwrap();
        breaker.try_acquire().unwrap().success();
        assert_eq!(seen.states("all"), [1, 0, 0, 0, 0]);
        breaker.try_acquire().unwrap().failure();
        assert_eq!(seen.states("all"), [0, 1, 0, 0, 0]);
        let bulkhead = Bulkhead::builder("all")
            .max_concurrent(1)
            .shared(true)
            .install()
            .unwrap();
        let held = bulkhead.acquire().await.unwrap();
        bulkhead.acquire().await.unwrap_err();
        assert_eq!(seen.count("bulkhead_in_flight{policy=all}"), 1);
        assert_eq!(seen.count("bulkhead_rejected_total{policy=all}"), 1);
        drop(held);
        assert_eq!(seen.count("bulkhead_in_flight{policy=all}"), 0);
    });
}

#[test]
fn a_bulkhead_shows_who_is_in_who_waits_and_who_was_refused() {
    run(async |seen| {
        let bulkhead = Bulkhead::builder("p")
            .max_concurrent(2)
            .max_wait(SECOND)
            .build()
            .unwrap();
        let one = bulkhead.try_acquire().unwrap();
        let two = bulkhead.try_acquire().unwrap();
        let other = bulkhead.try_acquire_for(SECRET).unwrap();
        bulkhead.try_acquire().unwrap_err();
        assert_eq!(seen.count("bulkhead_in_flight{policy=p}"), 3);
        assert_eq!(seen.count("bulkhead_rejected_total{policy=p}"), 1);
        let mut waiting = Box::pin(bulkhead.acquire());
        let polled = std::future::poll_fn(|context| {
            std::task::Poll::Ready(waiting.as_mut().poll(context).is_pending())
        });
        assert!(polled.await);
        assert_eq!(seen.count("bulkhead_waiting{policy=p}"), 1);
        drop((waiting, one, two, other));
        assert_eq!(seen.count("bulkhead_waiting{policy=p}"), 0);
        assert_eq!(seen.count("bulkhead_in_flight{policy=p}"), 0);
    });
}

#[test]
fn timeouts_and_fallbacks_are_counted() {
    run(async |seen| {
        let timeout = Timeout::builder("t").after(SECOND).build().unwrap();
        let late: Answer = timeout.call(pending()).await;
        assert!(late.is_err());
        assert_eq!(seen.count("timeout_total{policy=t}"), 1);

        let fallback = Fallback::builder("f")
            .fresh(SECOND * 300)
            .stale(SECOND * 3_600)
            .build()
            .unwrap();
        let sources = |source| format!("fallback_total{{policy=f,source={source}}}");
        assert_eq!(seen.count(&sources("cache")), 0);
        let cached = || fallback.cached(SECRET);
        let good: Result<u32, &str> = cached().call(async { Ok(1) }).await;
        let kept: Result<u32, &str> = cached().call(async { Err("down") }).await;
        tokio::time::advance(SECOND * 600).await;
        let stale: Result<u32, &str> = cached().call(async { Err("down") }).await;
        let own = fallback.or_else(async |_| Ok::<_, &str>(2));
        assert_eq!((good, kept, stale), (Ok(1), Ok(1), Ok(1)));
        assert_eq!(own.call(async { Err("down") }).await, Ok(2));
        for source in ["cache", "stale_cache", "fallback"] {
            assert_eq!(seen.count(&sources(source)), 1, "{source}");
        }
    });
}

#[retry(max_attempts = 2, base_delay = "1s", jitter = none)]
#[circuit_breaker(failure_threshold = 3)]
async fn flaky(good: bool) -> Answer {
    tokio::time::sleep(SECOND / 4).await;
    good.then_some(1).ok_or(Error::Down)
}

#[fallback(value = 7)]
#[bulkhead(max_concurrent = 1)]
async fn answered() -> Answer {
    Err(Error::Down)
}

#[timeout("1s")]
async fn endless() -> Answer {
    pending().await
}

#[rate_limited(rate = "1/h")]
fn blocking() -> Answer {
    Ok(1)
}

fn took(function: &str, error: &str) -> String {
    let function = format!(
        "call_duration_seconds{{code_function_name={}::{function}",
        module_path!()
    );
    match error {
        "" => format!("{function}}}"),
        error => format!("{function},error_type={error}}}"),
    }
}

#[test]
fn the_time_of_a_function_is_that_of_its_whole_stack() {
    run(async |seen| {
        flaky(true).await.unwrap();
        flaky(false).await.unwrap_err();
        flaky(false).await.unwrap_err();
        assert_eq!(seen.values(&took("flaky", "")), [0.25]);
        // Two attempts with a second in between; the circuit was open for the second attempt of the last.
        assert_eq!(seen.values(&took("flaky", "error")), [1.5]);
        assert_eq!(seen.values(&took("flaky", "refused")).len(), 1);
        answered().await.unwrap();
        assert_eq!(seen.values(&took("answered", "")), [0.0]);
        endless().await.unwrap_err();
        assert_eq!(seen.values(&took("endless", "timeout")), [1.0]);
        let dropped = tokio::time::timeout(SECOND / 2, endless()).await;
        assert!(dropped.is_err());
        assert_eq!(seen.values(&took("endless", "cancelled")), [0.5]);
        blocking().unwrap();
        blocking().unwrap_err();
        assert_eq!(seen.values(&took("blocking", "")).len(), 1);
        assert_eq!(seen.values(&took("blocking", "refused")).len(), 1);
    });
}

#[test]
fn policies_of_one_name_add_up_and_leave_their_counts_when_they_go() {
    run(async |seen| {
        let make = || {
            CircuitBreaker::builder("twin")
                .failure_threshold(1)
                .build()
                .unwrap()
        };
        let (one, two) = (make(), make());
        for breaker in [&one, &two] {
            breaker.try_acquire().unwrap().success();
        }
        two.try_acquire().unwrap().failure();
        assert_eq!(two.state(), CircuitState::Open);
        assert_eq!(seen.states("twin"), [1, 1, 0, 0, 0]);
        assert_eq!(
            seen.count("circuit_breaker_successes_total{policy=twin}"),
            2
        );
        one.try_acquire().unwrap().success();
        drop((one, two));
        assert_eq!(
            seen.count("circuit_breaker_successes_total{policy=twin}"),
            3
        );
        assert_eq!(seen.states("twin"), [0; 5]);
    });
}

#[test]
fn a_reset_takes_nothing_back() {
    run(async |seen| {
        let limiter = RateLimiter::builder("again")
            .rate(Rate::per_second(1))
            .install()
            .unwrap();
        let name = "rate_limit_allowed_total{policy=again}";
        limiter.try_acquire(1).unwrap();
        assert_eq!(seen.count(name), 1);
        steadfast::registry().reset();
        assert_eq!(seen.count(name), 1);
        limiter.try_acquire(1).unwrap();
        assert_eq!(limiter.metrics().allowed, 1);
        assert_eq!(seen.count(name), 2);
    });
}

#[test]
fn figures_arrive_by_themselves_while_nothing_is_called() {
    let mut seen = Recorded::new();
    let recorder = std::mem::take(&mut seen.recorder);
    let limiter = with_local_recorder(&recorder, || {
        RateLimiter::builder("idle")
            .rate(Rate::per_second(5))
            .build()
            .unwrap()
    });
    limiter.try_acquire(1).unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    let arrived = || {
        let snapshot = seen.snapshotter.snapshot().into_vec();
        snapshot.into_iter().any(|(key, _, _, value)| {
            spelt(&key) == "rate_limit_allowed_total{policy=idle}"
                && matches!(value, DebugValue::Counter(1))
        })
    };
    while !arrived() {
        assert!(std::time::Instant::now() < deadline, "nobody publishes");
        // The publisher goes by real time.
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn threads_that_publish_together_publish_nothing_twice() {
    let mut seen = Recorded::new();
    let recorder = std::mem::take(&mut seen.recorder);
    let bulkhead = with_local_recorder(&recorder, || {
        Bulkhead::builder("crowd")
            .max_concurrent(8)
            .build()
            .unwrap()
    });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let held = bulkhead.try_acquire();
                    publish();
                    drop(held);
                }
            });
            scope.spawn(|| (0..200).for_each(|_| publish()));
        }
    });
    assert_eq!(seen.count("bulkhead_in_flight{policy=crowd}"), 0);
    let _all: Vec<_> = (0..8).map(|_| bulkhead.try_acquire().unwrap()).collect();
    bulkhead.try_acquire().unwrap_err();
    assert_eq!(seen.count("bulkhead_in_flight{policy=crowd}"), 8);
    assert_eq!(seen.count("bulkhead_rejected_total{policy=crowd}"), 1);
}
