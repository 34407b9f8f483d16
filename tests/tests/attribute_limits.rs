//! `#[rate_limited]`, `#[bulkhead]` and `#[timeout]`: their arguments on functions, in virtual time.

use std::time::Duration;

use steadfast::{Rate, Rejection, bulkhead, rate_limited, registry, timeout};
use tokio::time::{Instant, advance, sleep};

const SECOND: Duration = Duration::from_secs(1);

fn limited<T: std::fmt::Debug>(result: Result<T, Rejection>) -> steadfast::RateLimited {
    match result {
        Err(Rejection::RateLimited(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn calls_above_the_rate_are_refused_with_what_the_caller_needs() {
    let _test = steadfast::test::isolated();
    #[rate_limited("basic", rate = "2/s")]
    async fn call() -> Result<(), Rejection> {
        Ok(())
    }
    call().await.unwrap();
    call().await.unwrap();
    let error = limited(call().await);
    assert_eq!((error.limit, error.remaining), (2, 0));
    assert_eq!(
        (error.retry_after, error.reset_after),
        (Some(SECOND / 2), SECOND)
    );
    advance(SECOND / 2).await;
    call().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_caller_may_wait_for_its_turn_but_not_in_vain() {
    let _test = steadfast::test::isolated();
    #[rate_limited("waiting", rate = "1/s", max_wait = "1500ms")]
    async fn call(order: &std::cell::RefCell<Vec<u32>>, n: u32) -> Result<(), Rejection> {
        order.borrow_mut().push(n);
        Ok(())
    }
    let order = std::cell::RefCell::new(Vec::new());
    let start = Instant::now();
    call(&order, 0).await.unwrap();
    let (first, second) = tokio::join!(call(&order, 1), call(&order, 2));
    first.unwrap();
    let error = limited(second);
    assert_eq!(
        error.retry_after,
        Some(2 * SECOND),
        "behind the one who waits"
    );
    assert_eq!(start.elapsed(), SECOND);
    assert_eq!(*order.borrow(), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn keys_costs_rates_and_bypass_see_the_parameters() {
    let _test = steadfast::test::isolated();
    #[rate_limited("tenants", rate = plan, key = tenant, cost = size, bypass = urgent)]
    async fn call(tenant: &str, plan: Rate, size: u32, urgent: bool) -> Result<(), Rejection> {
        Ok(())
    }
    let (small, large) = (Rate::per_second(2), Rate::per_second(10));
    call("a", small, 2, false).await.unwrap();
    limited(call("a", small, 1, false).await);
    call("b", large, 10, false).await.unwrap();
    limited(call("b", large, 1, false).await);
    call("b", large, 1, true).await.unwrap();
    let never = limited(call("c", small, 3, false).await);
    assert_eq!(never.retry_after, None, "more than it ever holds");
    assert_eq!(
        registry()
            .rate_limiter("tenants")
            .unwrap()
            .metrics()
            .bypassed,
        1
    );
}

#[tokio::test(start_paused = true)]
async fn every_algorithm_keeps_its_rate() {
    let _test = steadfast::test::isolated();
    macro_rules! algorithm {
        ($name:ident, $text:literal, $least:literal) => {
            #[rate_limited($text, rate = "5/s", algorithm = $name)]
            async fn $name() -> Result<(), Rejection> {
                Ok(())
            }
            let mut allowed = 0;
            for _ in 0..100 {
                allowed += u32::from($name().await.is_ok());
                advance(SECOND / 10).await;
            }
            // Ten seconds at five a second, and at most one burst on top; the weighted counter rounds
            // against the caller.
            assert!(
                ($least..=55).contains(&allowed), "{}: {allowed}", $text);
        };
    }
    algorithm!(token_bucket, "token", 50);
    algorithm!(leaky_bucket, "leaky", 50);
    algorithm!(fixed_window, "fixed", 50);
    algorithm!(sliding_window, "log", 50);
    algorithm!(sliding_window_counter, "counter", 40);
    algorithm!(adaptive, "adapting", 50);
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_limit_follows_the_success_of_its_calls() {
    let _test = steadfast::test::isolated();
    #[rate_limited("adaptive", rate = "100/s", algorithm = adaptive, min_rate = "10/s", interval = "1s",
        adaptive_threshold = 0.5, backoff_factor = 0.5, recovery_factor = 2.0)]
    async fn call(good: bool) -> Result<(), std::io::Error> {
        if good {
            Ok(())
        } else {
            Err(std::io::Error::other("down"))
        }
    }
    let limit = || registry().rate_limiter("adaptive").unwrap().metrics().limit;
    let before = limit();
    for _ in 0..100 {
        let _ = call(false).await;
        advance(SECOND / 20).await;
    }
    let backed_off = limit();
    for _ in 0..200 {
        let _ = call(true).await;
        advance(SECOND / 20).await;
    }
    let recovered = limit();
    assert_eq!((before, backed_off, recovered), (100, 10, 100));
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_only_watches_lets_through() {
    let _test = steadfast::test::isolated();
    #[rate_limited("watching", rate = "1/s", enforce = false)]
    async fn call() -> Result<(), Rejection> {
        Ok(())
    }
    for _ in 0..5 {
        call().await.unwrap();
    }
    assert_eq!(
        registry()
            .rate_limiter("watching")
            .unwrap()
            .metrics()
            .rejected,
        4
    );
}

#[tokio::test(start_paused = true)]
async fn a_bulkhead_bounds_what_runs_at_once_and_lets_callers_wait_in_order() {
    let _test = steadfast::test::isolated();
    #[bulkhead("b", max_concurrent = 2, max_wait = "10s", max_queue = 2)]
    async fn call(n: u32, order: &std::cell::RefCell<Vec<u32>>) -> Result<(), Rejection> {
        order.borrow_mut().push(n);
        sleep(SECOND).await;
        Ok(())
    }
    let order = std::cell::RefCell::new(Vec::new());
    let start = Instant::now();
    let results = tokio::join!(
        call(0, &order),
        call(1, &order),
        call(2, &order),
        call(3, &order),
        call(4, &order)
    );
    assert!(
        matches!(results.4, Err(Rejection::BulkheadFull(_))),
        "the queue is full"
    );
    assert!(
        results
            .0
            .and(results.1)
            .and(results.2)
            .and(results.3)
            .is_ok()
    );
    assert_eq!(*order.borrow(), [0, 1, 2, 3]);
    assert_eq!(start.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_bulkhead_may_be_one_per_key() {
    let _test = steadfast::test::isolated();
    #[bulkhead("keyed", max_concurrent = 1, key = host)]
    async fn call(host: &str) -> Result<(), Rejection> {
        sleep(SECOND).await;
        Ok(())
    }
    let results = tokio::join!(call("a"), call("b"), call("a"));
    assert!(results.0.is_ok() && results.1.is_ok());
    assert!(matches!(results.2, Err(Rejection::BulkheadFull(_))));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_may_depend_on_the_parameters() {
    const LIMIT: Duration = Duration::from_secs(3);
    #[timeout(after = patience)]
    async fn own(patience: Duration) -> Result<(), Rejection> {
        std::future::pending().await
    }
    #[timeout(after = LIMIT)]
    async fn constant() -> Result<(), Rejection> {
        std::future::pending().await
    }
    #[timeout("named", "4s")]
    async fn named() -> Result<(), Rejection> {
        std::future::pending().await
    }
    for (call, expected) in [
        (
            Box::pin(own(2 * SECOND))
                as std::pin::Pin<Box<dyn Future<Output = Result<(), Rejection>>>>,
            2,
        ),
        (Box::pin(constant()), 3),
        (Box::pin(named()), 4),
    ] {
        let start = Instant::now();
        assert!(matches!(call.await, Err(Rejection::TimedOut(_))));
        assert_eq!(start.elapsed(), expected * SECOND);
    }
    assert_eq!(registry().timeout("named").unwrap().metrics().timed_out, 1);
}

#[tokio::test(start_paused = true)]
async fn timeouts_stand_at_several_heights() {
    use steadfast::retry;
    #[timeout("whole", "2500ms")]
    #[retry(max_attempts = 10, backoff = fixed, base_delay = "100ms", jitter = none)]
    #[timeout("each", "1s")]
    async fn call(calls: &mut u32) -> Result<(), Rejection> {
        *calls += 1;
        std::future::pending().await
    }
    let start = Instant::now();
    let mut calls = 0;
    let result = call(&mut calls).await;
    assert!(
        matches!(&result, Err(Rejection::TimedOut(error)) if error.policy == "whole"),
        "{result:?}"
    );
    assert_eq!((calls, start.elapsed()), (3, Duration::from_millis(2500)));
}

#[test]
fn synchronous_functions_wait_in_real_time() {
    let _test = steadfast::test::isolated();
    #[rate_limited("sync rate", rate = "100/s", burst = 1, max_wait = "1s")]
    fn paced() -> Result<(), Rejection> {
        Ok(())
    }
    #[bulkhead("sync bulkhead", max_concurrent = 1, max_wait = "5s")]
    fn guarded(inside: &std::sync::atomic::AtomicU32) -> Result<(), Rejection> {
        use std::sync::atomic::Ordering::SeqCst;
        assert_eq!(inside.fetch_add(1, SeqCst), 0);
        std::thread::yield_now();
        inside.fetch_sub(1, SeqCst);
        Ok(())
    }
    let start = std::time::Instant::now();
    paced().unwrap();
    paced().unwrap();
    assert!(start.elapsed() >= Duration::from_millis(10));
    let inside = std::sync::atomic::AtomicU32::new(0);
    // The isolation belongs to this thread; the others share the program's bulkhead of that name.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..100).for_each(|_| guarded(&inside).unwrap()));
        }
    });
}
