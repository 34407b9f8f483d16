//! Each figure to the last call, also of calls that end in an unusual way.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Barrier,
    task::Poll,
    thread,
};

use super::*;
use steadfast::RedisStore;
use steadfast_servers::RedisServer;

fn poll_once<F: Future + ?Sized>(
    future: &mut std::pin::Pin<Box<F>>,
) -> impl Future<Output = bool> + use<'_, F> {
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready()))
}

fn configure(text: &str) {
    steadfast::registry().configure_toml(text).unwrap();
}

fn breaker(policy: &str, what: &str) -> String {
    format!("circuit_breaker_{what}_total{{policy={policy}}}")
}

fn limit(policy: &str, what: &str) -> String {
    format!("rate_limit_{what}_total{{policy={policy}}}")
}

fn attempts(policy: &str, attempt: &str) -> String {
    format!("retry_attempts_total{{policy={policy},attempt={attempt}}}")
}

fn changes(policy: &str, from: &str, to: &str) -> String {
    format!("circuit_breaker_state_changes_total{{policy={policy},from={from},to={to}}}")
}

#[retry("w.r", max_attempts = 3, base_delay = "1s", jitter = none)]
#[circuit_breaker("w.b", failure_threshold = 100)]
#[rate_limited("w.l", rate = "1000/s", max_wait = "1s")]
#[bulkhead("w.p", max_concurrent = 4)]
#[timeout("w.t", "10s")]
async fn whole(ends: Ends) -> Answer {
    match ends {
        Ends::Well => Ok(1),
        Ends::Badly => Err(Error::Down),
        Ends::Never => pending().await,
        Ends::InPanic => panic!("as the test says"),
    }
}

#[derive(Clone, Copy)]
enum Ends {
    Well,
    Badly,
    Never,
    InPanic,
}

#[test]
fn a_call_that_is_dropped_or_panics_is_counted_where_it_was() {
    run(async |seen| {
        whole(Ends::Well).await.unwrap();
        let mut call = Box::pin(whole(Ends::Never));
        assert!(!poll_once(&mut call).await);
        assert_eq!(seen.count("bulkhead_in_flight{policy=w.p}"), 1);
        drop(call);
        let panics = tokio::spawn(whole(Ends::InPanic)).await;
        assert!(panics.unwrap_err().is_panic());
        // Its first attempt fails, and it is dropped in the delay before the second.
        let mut call = Box::pin(whole(Ends::Badly));
        assert!(!poll_once(&mut call).await);
        drop(call);
        // Never polled: there was no call.
        drop(whole(Ends::Well));

        assert_eq!(seen.values("retry_attempts{policy=w.r}"), [1.0; 4]);
        assert_eq!(seen.count(&attempts("w.r", "first")), 4);
        assert_eq!(seen.count(&attempts("w.r", "retry")), 1);
        assert_eq!(seen.count("retry_exhausted_total{policy=w.r}"), 0);
        assert_eq!(seen.count(&breaker("w.b", "successes")), 1);
        assert_eq!(
            seen.count(&breaker("w.b", "failures")),
            2,
            "the panic is one"
        );
        assert_eq!(seen.count(&limit("w.l", "allowed")), 4);
        assert_eq!(seen.count("bulkhead_in_flight{policy=w.p}"), 0);
        assert_eq!(seen.count("timeout_total{policy=w.t}"), 0);
        assert_eq!(seen.values(&took("exact::whole", "")).len(), 1);
        assert_eq!(seen.values(&took("exact::whole", "cancelled")).len(), 3);
        assert_eq!(seen.values(&took("exact::whole", "error")).len(), 0);
    });
}

#[circuit_breaker("s.b", failure_threshold = 100)]
#[bulkhead("s.p", max_concurrent = 1)]
fn blocking_whole(ends: Ends) -> Answer {
    match ends {
        Ends::Well => Ok(1),
        Ends::InPanic => panic!("as the test says"),
        Ends::Badly | Ends::Never => Err(Error::Down),
    }
}

#[test]
fn a_blocking_call_that_panics_is_counted() {
    run(async |seen| {
        blocking_whole(Ends::Well).unwrap();
        blocking_whole(Ends::Badly).unwrap_err();
        let panics = catch_unwind(AssertUnwindSafe(|| blocking_whole(Ends::InPanic)));
        assert!(panics.is_err());
        assert_eq!(seen.count(&breaker("s.b", "successes")), 1);
        assert_eq!(seen.count(&breaker("s.b", "failures")), 2);
        assert_eq!(seen.count("bulkhead_in_flight{policy=s.p}"), 0);
        for error in ["", "error", "cancelled"] {
            let times = seen.values(&took("exact::blocking_whole", error));
            assert_eq!(times.len(), 1, "{error}");
        }
    });
}

#[timeout("q.t", "1s")]
#[rate_limited("q.l", rate = "1/h", burst = 1, max_wait = "2h")]
async fn limited_late() -> Answer {
    Ok(1)
}

#[timeout("q.u", "1s")]
#[bulkhead("q.p", max_concurrent = 1, max_wait = "1h")]
async fn held_late() -> Answer {
    pending().await
}

#[test]
fn a_wait_that_is_cut_off_or_given_up_leaves_nothing_behind() {
    run(async |seen| {
        limited_late().await.unwrap();
        // Its turn is later than the timeout: refused at once.
        limited_late().await.unwrap_err();
        assert_eq!(seen.count(&limit("q.l", "allowed")), 1);
        assert_eq!(seen.count(&limit("q.l", "rejected")), 1);
        assert_eq!(seen.count("timeout_total{policy=q.t}"), 0);
        let waits = seen.values("rate_limit_wait_seconds{policy=q.l}");
        assert!(waits.is_empty(), "nobody waited: {waits:?}");
        assert_eq!(
            seen.values(&took("exact::limited_late", "refused")).len(),
            1
        );

        let mut first = Box::pin(held_late());
        assert!(!poll_once(&mut first).await);
        let mut second = Box::pin(held_late());
        assert!(!poll_once(&mut second).await);
        assert_eq!(seen.count("bulkhead_waiting{policy=q.p}"), 1);
        drop(second);
        assert_eq!(seen.count("bulkhead_waiting{policy=q.p}"), 0);
        assert_eq!(seen.count("bulkhead_rejected_total{policy=q.p}"), 0);
        let late = held_late().await.unwrap_err();
        assert!(matches!(late, Error::Rejected(_)));
        assert_eq!(seen.count("bulkhead_waiting{policy=q.p}"), 0);
        let (full, late) = (
            seen.count("bulkhead_rejected_total{policy=q.p}"),
            seen.count("timeout_total{policy=q.u}"),
        );
        assert_eq!((full, late), (1, 0), "no wait passes a deadline");
        drop(first);
        assert_eq!(seen.count("bulkhead_in_flight{policy=q.p}"), 0);
    });
}

#[test]
fn a_caller_who_waits_and_is_refused_is_counted_once() {
    run(async |seen| {
        let bulkhead = Bulkhead::builder("later")
            .max_concurrent(1)
            .max_wait(SECOND)
            .build()
            .unwrap();
        let held = bulkhead.acquire().await.unwrap();
        bulkhead.acquire().await.unwrap_err();
        drop(bulkhead.acquire_for(SECRET).await.unwrap());
        assert_eq!(seen.count("bulkhead_rejected_total{policy=later}"), 1);
        assert_eq!(seen.count("bulkhead_waiting{policy=later}"), 0);
        drop(held);

        let limiter = RateLimiter::builder("later")
            .rate(Rate::per_second(1))
            .burst(1)
            .max_wait(SECOND * 2)
            .build()
            .unwrap();
        limiter.acquire(1).await.unwrap();
        let mut first = Box::pin(limiter.acquire(1));
        assert!(!poll_once(&mut first).await);
        let mut second = Box::pin(limiter.acquire(1));
        assert!(!poll_once(&mut second).await);
        limiter.acquire(1).await.unwrap_err();
        drop(second);
        first.await.unwrap();
        assert_eq!(seen.count(&limit("later", "allowed")), 2);
        assert_eq!(seen.count(&limit("later", "rejected")), 1);
        assert_eq!(
            seen.values("rate_limit_wait_seconds{policy=later}").len(),
            1
        );
    });
}

#[retry("broke", max_attempts = 4, base_delay = "1ms", budget = 0.0001)]
async fn on_a_budget(good: bool) -> Answer {
    good.then_some(1).ok_or(Error::Down)
}

#[retry("poll", max_attempts = 3, base_delay = "1ms", until = |n: &u32| *n > 5)]
async fn polled() -> Answer {
    Ok(1)
}

#[test]
fn retries_that_a_budget_refuses_are_no_attempts() {
    run(async |seen| {
        const CALLS: i64 = 60;
        for _ in 0..CALLS {
            on_a_budget(false).await.unwrap_err();
        }
        let retries = seen.count(&attempts("broke", "retry"));
        assert_eq!(retries, 100, "the reserve");
        assert_eq!(seen.count(&attempts("broke", "first")), CALLS);
        assert_eq!(seen.count("retry_exhausted_total{policy=broke}"), CALLS);
        let made: f64 = seen.values("retry_attempts{policy=broke}").iter().sum();
        assert_eq!(made, (CALLS + retries) as f64);

        polled().await.unwrap_err();
        assert_eq!(seen.count("retry_exhausted_total{policy=poll}"), 1);
        assert_eq!(seen.count(&attempts("poll", "retry")), 2);
        let unmet = seen.values(&took("exact::polled", "condition_not_met"));
        assert_eq!(unmet.len(), 1);
    });
}

#[fallback(value = 7)]
#[retry("o.r", max_attempts = 2, base_delay = "1ms")]
#[circuit_breaker("o.b", failure_threshold = 1)]
#[rate_limited("o.l", rate = "1/h")]
#[bulkhead("o.p", max_concurrent = 1)]
#[timeout("o.t", "1s")]
async fn switched(good: bool) -> Answer {
    good.then_some(1).ok_or(Error::Down)
}

#[test]
fn what_is_switched_off_counts_nothing_and_goes_on_where_it_was() {
    run(async |seen| {
        switched(true).await.unwrap();
        let names = [
            attempts("o.r", "first"),
            breaker("o.b", "successes"),
            limit("o.l", "allowed"),
        ];
        for name in &names {
            assert_eq!(seen.count(name), 1, "{name}");
        }
        let kinds = [
            ("retry", "o.r"),
            ("circuit_breaker", "o.b"),
            ("rate_limiter", "o.l"),
            ("bulkhead", "o.p"),
            ("timeout", "o.t"),
        ];
        let off: String = kinds
            .iter()
            .map(|(kind, name)| format!("[{kind}.\"{name}\"]\nenabled = false\n"))
            .collect();
        configure(&off);
        for _ in 0..3 {
            switched(true).await.unwrap();
            switched(false).await.unwrap();
        }
        for name in &names {
            assert_eq!(seen.count(name), 1, "{name}");
        }
        assert_eq!(seen.count(&breaker("o.b", "failures")), 0);
        assert_eq!(seen.states("o.b"), [0; 5]);
        assert_eq!(seen.count(&limit("o.l", "rejected")), 0);
        let fallback = format!(
            "fallback_total{{policy={}::switched,source=fallback}}",
            module_path!()
        );
        assert_eq!(seen.count(&fallback), 3);
        configure("");
        assert_eq!(seen.states("o.b"), [1, 0, 0, 0, 0]);
        switched(true).await.unwrap(); // of the fallback: the limit is used up
        assert_eq!(seen.count(&limit("o.l", "rejected")), 1);
    });
}

#[circuit_breaker("forced", failure_threshold = 5)]
async fn forced(good: bool) -> Answer {
    good.then_some(1).ok_or(Error::Down)
}

#[test]
fn a_breaker_that_a_file_forces_shows_it() {
    run(async |seen| {
        forced(true).await.unwrap();
        configure("[circuit_breaker.forced]\nforce = \"open\"");
        assert_eq!(seen.states("forced"), [0, 0, 0, 1, 0]);
        forced(true).await.unwrap_err();
        assert_eq!(seen.count(&breaker("forced", "rejected")), 1);
        assert_eq!(seen.count(&changes("forced", "closed", "forced_open")), 1);
        configure("[circuit_breaker.forced]\nforce = \"closed\"");
        assert_eq!(seen.states("forced"), [0, 0, 0, 0, 1]);
        for _ in 0..9 {
            forced(false).await.unwrap_err();
        }
        assert_eq!(seen.count(&breaker("forced", "rejected")), 1);
        configure("");
        assert_eq!(seen.states("forced"), [1, 0, 0, 0, 0]);
        assert_eq!(seen.count(&breaker("forced", "successes")), 1);
    });
}

/// Under a recorder of this thread, as that of a program would be.
fn recorded(make: impl FnOnce()) -> Recorded {
    let mut seen = Recorded::new();
    let recorder = std::mem::take(&mut seen.recorder);
    with_local_recorder(&recorder, make);
    seen
}

#[retry("many", max_attempts = 2, base_delay = "1ms")]
#[circuit_breaker("many", failure_threshold = 1_000_000)]
#[rate_limited("many", rate = "1000000000/s")]
#[bulkhead("many", max_concurrent = 1000)]
fn many(good: bool) -> Answer {
    good.then_some(1).ok_or(Error::Down)
}

#[test]
fn what_many_threads_did_is_there_when_they_are_gone() {
    const THREADS: usize = 100; // more than have a place of their own
    const CALLS: usize = 200;
    let mut seen = recorded(|| many(true).map(drop).unwrap());
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                barrier.wait();
                for call in 0..CALLS {
                    let _ = many(call > 0);
                }
            });
        }
    });
    let all = (THREADS * CALLS) as i64 + 1;
    let (bad, good) = (THREADS as i64, all - THREADS as i64);
    assert_eq!(seen.count(&attempts("many", "first")), all);
    assert_eq!(seen.count(&attempts("many", "retry")), bad);
    assert_eq!(seen.count("retry_exhausted_total{policy=many}"), bad);
    assert_eq!(seen.count(&breaker("many", "successes")), good);
    assert_eq!(seen.count(&breaker("many", "failures")), 2 * bad);
    assert_eq!(seen.count(&limit("many", "allowed")), all + bad);
    assert_eq!(seen.count(&limit("many", "rejected")), 0);
    assert_eq!(seen.count("bulkhead_in_flight{policy=many}"), 0);
    assert_eq!(seen.values("retry_attempts{policy=many}").len() as i64, all);
    assert_eq!(seen.values(&took("exact::many", "")).len() as i64, good);
    assert_eq!(seen.values(&took("exact::many", "error")).len() as i64, bad);
}

#[test]
fn no_counter_goes_back_when_a_policy_is_made_again() {
    let mut seen = recorded(|| {});
    let recorder = DebuggingRecorder::new();
    seen.snapshotter = recorder.snapshotter();
    with_local_recorder(&recorder, || {
        for round in 1..=5 {
            let limiter = RateLimiter::builder("phoenix")
                .rate(Rate::per_second(1))
                .build()
                .unwrap();
            limiter.try_acquire(1).unwrap();
            limiter.try_acquire(1).unwrap_err();
            drop(limiter);
            assert_eq!(seen.count(&limit("phoenix", "allowed")), round);
            assert_eq!(seen.count(&limit("phoenix", "rejected")), round);
        }
    });
}

#[test]
fn registries_side_by_side_add_up_their_counts() {
    let mut seen = Recorded::new();
    let recorder = DebuggingRecorder::new();
    seen.snapshotter = recorder.snapshotter();
    with_local_recorder(&recorder, || {
        let one = steadfast::test::isolated();
        let _ = blocking_whole(Ends::Well);
        drop(one);
        let _two = steadfast::test::isolated();
        let _ = blocking_whole(Ends::Well);
        assert_eq!(seen.count(&breaker("s.b", "successes")), 2);
        assert_eq!(seen.values(&took("exact::blocking_whole", "")).len(), 2);
        assert_eq!(seen.states("s.b"), [1, 0, 0, 0, 0], "one is gone");
    });
}

#[test]
fn what_happens_while_the_store_is_away_is_counted_once() {
    run(async |seen| {
        let store = MemoryStore::at_rest();
        steadfast::registry().set_store(store.clone()).unwrap();
        let limiter = RateLimiter::builder("away")
            .rate(Rate::per_second(1))
            .burst(1)
            .shared(true)
            .max_wait(SECOND * 2)
            .install()
            .unwrap();
        limiter.acquire(1).await.unwrap();
        store.disconnect();
        assert_eq!(seen.count("store_up{}"), 0);
        // By its own share: one at once, one after a second, and one too many.
        limiter.acquire(1).await.unwrap();
        let before = seen.values("rate_limit_wait_seconds{policy=away}").len();
        limiter.acquire(1).await.unwrap();
        let waits = seen.values("rate_limit_wait_seconds{policy=away}");
        assert_eq!(waits.len(), before + 1, "{waits:?}");
        assert!(waits.iter().any(|&wait| wait > 0.5), "{waits:?}");
        limiter.acquire(9).await.unwrap_err();
        assert_eq!(seen.count(&limit("away", "allowed")), 3);
        assert_eq!(seen.count(&limit("away", "rejected")), 1);
        store.restore();
        assert_eq!(seen.count("store_up{}"), 1);
    });
}

/// On a real server: in real time.
#[tokio::test]
async fn calls_that_a_real_store_decides_are_counted_to_the_last() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let test = steadfast::test::isolated();
    test.registry().set_store(store).unwrap();
    let mut seen = Recorded::new();
    let recorder = DebuggingRecorder::new();
    seen.snapshotter = recorder.snapshotter();
    let (limiter, bulkhead) = with_local_recorder(&recorder, || {
        let limiter = RateLimiter::builder("redis")
            .rate(Rate::new(7, SECOND * 3_600))
            .shared(true);
        let bulkhead = Bulkhead::builder("redis").max_concurrent(2).shared(true);
        (limiter.install().unwrap(), bulkhead.install().unwrap())
    });
    for call in 0..20 {
        assert_eq!(limiter.acquire(1).await.is_ok(), call < 7, "{call}");
    }
    assert_eq!(seen.count(&limit("redis", "allowed")), 7);
    assert_eq!(seen.count(&limit("redis", "rejected")), 13);
    let waits = seen.values("rate_limit_wait_seconds{policy=redis}");
    assert!(
        waits.len() <= 20 && waits.iter().all(|&wait| wait > 0.0 && wait < 30.0),
        "{waits:?}"
    );
    let held = (
        bulkhead.acquire().await.unwrap(),
        bulkhead.acquire().await.unwrap(),
    );
    bulkhead.acquire().await.unwrap_err();
    assert_eq!(seen.count("bulkhead_in_flight{policy=redis}"), 2);
    assert_eq!(seen.count("bulkhead_rejected_total{policy=redis}"), 1);
    drop(held);
    assert_eq!(seen.count("bulkhead_in_flight{policy=redis}"), 0);
}

#[retry("unused", max_attempts = 2)]
#[circuit_breaker("unused", failure_threshold = 2)]
#[allow(dead_code)]
fn unused() -> Answer {
    Ok(1)
}

#[test]
fn a_snapshot_has_everything_shown_before_its_first_call() {
    run(async |seen| {
        let name = breaker("unused", "failures");
        assert!(!seen.is_there(&name));
        let _ = steadfast::registry().snapshot();
        assert_eq!(seen.count(&name), 0);
        assert_eq!(seen.states("unused"), [1, 0, 0, 0, 0]);
        assert_eq!(seen.count(&attempts("unused", "first")), 0);
        for error in ["", "error"] {
            let times = took("exact::unused", error);
            assert!(seen.histograms.contains_key(&times), "{error}");
        }
    });
}

#[test]
fn places_held_while_the_store_is_away_are_shown_and_given_back() {
    run(async |seen| {
        let store = MemoryStore::at_rest();
        steadfast::registry().set_store(store.clone()).unwrap();
        let bulkhead = Bulkhead::builder("away")
            .max_concurrent(2)
            .shared(true)
            .install()
            .unwrap();
        let before = bulkhead.acquire().await.unwrap();
        store.disconnect();
        let during = bulkhead.acquire().await.unwrap();
        let keyed = bulkhead.acquire_for(SECRET).await.unwrap();
        assert_eq!(seen.count("bulkhead_in_flight{policy=away}"), 3);
        let refused = [bulkhead.acquire().await, bulkhead.acquire().await];
        let refused = refused.iter().filter(|permit| permit.is_err()).count();
        assert_eq!(
            seen.count("bulkhead_rejected_total{policy=away}"),
            i64::try_from(refused).unwrap()
        );
        drop((before, during, keyed));
        assert_eq!(seen.count("bulkhead_in_flight{policy=away}"), 0);
        store.restore();
        assert_eq!(seen.count("bulkhead_in_flight{policy=away}"), 0);

        let breaker = CircuitBreaker::builder("away")
            .failure_threshold(2)
            .shared(true)
            .install()
            .unwrap();
        breaker.try_acquire().unwrap().failure();
        store.disconnect();
        breaker.try_acquire().unwrap().failure();
        assert_eq!(seen.states("away"), [0, 1, 0, 0, 0]);
        assert!(breaker.try_acquire().is_err());
        assert_eq!(seen.count(&self::breaker("away", "failures")), 2);
        assert_eq!(seen.count(&self::breaker("away", "rejected")), 1);
        assert_eq!(seen.count(&changes("away", "closed", "open")), 1);
    });
}

#[test]
fn a_limiter_that_holds_permits_ahead_counts_calls_not_permits() {
    run(async |seen| {
        steadfast::registry()
            .set_store(MemoryStore::at_rest())
            .unwrap();
        let limiter = RateLimiter::builder("ahead")
            .rate(Rate::new(100, SECOND * 3_600))
            .shared(true)
            .mode(steadfast::Mode::Lease)
            .install()
            .unwrap();
        let mut let_in = 0;
        for _ in 0..150 {
            let_in += i64::from(limiter.acquire(1).await.is_ok());
        }
        assert!(let_in <= 100, "{let_in}");
        assert_eq!(seen.count(&limit("ahead", "allowed")), let_in);
        assert_eq!(seen.count(&limit("ahead", "rejected")), 150 - let_in);
    });
}

#[test]
fn a_call_that_costs_much_or_only_watches_is_counted_as_one() {
    run(async |seen| {
        let limiter = RateLimiter::builder("watch")
            .rate(Rate::new(10, SECOND * 3_600))
            .enforce(false)
            .build()
            .unwrap();
        limiter.try_acquire(9).unwrap();
        limiter.try_acquire(9).unwrap();
        assert_eq!(seen.count(&limit("watch", "allowed")), 1);
        assert_eq!(seen.count(&limit("watch", "rejected")), 1);
        let bulkhead = Bulkhead::builder("watch")
            .max_concurrent(1)
            .enforce(false)
            .build()
            .unwrap();
        let held = (
            bulkhead.try_acquire().unwrap(),
            bulkhead.try_acquire().unwrap(),
        );
        assert_eq!(seen.count("bulkhead_rejected_total{policy=watch}"), 1);
        assert_eq!(
            seen.count("bulkhead_in_flight{policy=watch}"),
            2,
            "it is in all the same"
        );
        drop(held);
        assert_eq!(seen.count("bulkhead_in_flight{policy=watch}"), 0);
        let breaker = CircuitBreaker::builder("watch")
            .failure_threshold(1)
            .enforce(false)
            .build()
            .unwrap();
        breaker.try_acquire().unwrap().failure();
        breaker.try_acquire().unwrap().success();
        assert_eq!(seen.count(&self::breaker("watch", "rejected")), 1);
        assert_eq!(seen.count(&self::breaker("watch", "successes")), 1);
    });
}
