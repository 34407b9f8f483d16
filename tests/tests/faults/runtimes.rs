//! Callers whose runtime is paused, blocked, finished, or not there.

use std::{
    thread,
    time::{Duration, Instant},
};

use steadfast::{
    Bulkhead, OnStoreError, Rate, RateLimiter, RedisStore, Rejection, bulkhead, rate_limited,
    test::isolated,
};
use steadfast_servers::{RedisServer, wait_until};
use tokio::runtime::Builder;

use crate::{
    ENDS, SOON,
    instance::{Instance, patient},
    killed::ample,
    load::in_turn,
};

#[tokio::test(start_paused = true)]
async fn a_paused_clock_is_the_callers_own() {
    let redis = RedisServer::start();
    let store = patient(&redis.url()).await;
    let (instance, (limiter, places)) =
        Instance::with(store, || (ample("calls", OnStoreError::Deny), places(4)));
    let start = Instant::now();
    let tally = in_turn(100, || limiter.acquire(1)).await;
    assert_eq!(tally.granted, 100, "{tally:?}");
    for _ in 0..20 {
        drop(places.acquire().await.expect("a place"));
        // An hour for the caller, and no time for the store.
        tokio::time::advance(Duration::from_secs(3_600)).await;
    }
    assert!(start.elapsed() < SOON);
    let health = instance.health();
    assert_eq!((health.timeouts, health.errors), (0, 0), "{health:?}");
    assert_eq!(instance.outages(), (0, 0));
}

fn places(max_concurrent: u32) -> Bulkhead {
    Bulkhead::builder("places")
        .max_concurrent(max_concurrent)
        .lease(Duration::from_secs(1))
        .shared(true)
        .on_store_error(OnStoreError::Deny)
        .build()
        .expect("good settings")
}

#[test]
fn a_blocked_runtime_loses_no_lease() {
    let redis = RedisServer::start();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let store = patient(&redis.url()).await;
        let (instance, bulkhead) = Instance::with(store, || places(1));
        let other = patient(&redis.url()).await;
        let (_, same) = Instance::with(other, || places(1));
        let held = bulkhead.acquire().await.expect("a place");
        // A body that blocks the only thread there is, for much longer than the lease.
        thread::sleep(Duration::from_millis(2_500));
        assert!(same.acquire().await.is_err());
        assert!(instance.lost().is_empty());
        let start = Instant::now();
        drop(held);
        wait_until("it is given back", SOON, || same.acquire_blocking().is_ok());
        assert!(start.elapsed() < ENDS, "{:?}", start.elapsed());
        assert_eq!(instance.health().timeouts, 0);
    });
}

#[test]
fn a_finished_runtime_takes_no_store_with_it() {
    let redis = RedisServer::start();
    let first = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let first = first.expect("a runtime");
    let store = first.block_on(patient(&redis.url()));
    let (instance, limiter) = Instance::with(store, || ample("calls", OnStoreError::Deny));
    let held = first.block_on(async { limiter.acquire(1).await });
    assert!(held.is_ok(), "{held:?}");
    // Calls under way end with their runtime, and harm nobody.
    for _ in 0..50 {
        let limiter = limiter.clone();
        first.spawn(async move { limiter.acquire(1).await });
    }
    first.shutdown_background();

    let second = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let tally = second.block_on(in_turn(100, || limiter.acquire(1)));
    assert_eq!(tally.granted, 100, "{tally:?}");
    assert_eq!(instance.health().connections, 1);
    drop(second);
    // And without any.
    for _ in 0..100 {
        limiter.acquire_blocking(1).expect("a permit");
    }
    let health = instance.health();
    assert_eq!((health.timeouts, health.outages), (0, 0), "{health:?}");
}

#[rate_limited("sync-limit", rate = "20/h", shared, on_store_error = deny)]
#[bulkhead("sync-places", max_concurrent = 3, lease = "2s", shared, on_store_error = deny)]
fn work() -> Result<(), Rejection> {
    Ok(())
}

#[bulkhead("sync-slow", max_concurrent = 2, lease = "1s", fence = number, shared, on_store_error = deny)]
fn work_slowly(time: Duration) -> Result<u64, Rejection> {
    thread::sleep(time);
    Ok(number)
}

/// Without any runtime, not even a thread of one.
#[test]
fn sync_functions_are_shared_too() {
    let redis = RedisServer::start();
    let test = isolated();
    test.registry()
        .set_store(RedisStore::lazy(&redis.url()).expect("a good url"))
        .expect("the first store");
    wait_until("it is up", SOON, || {
        test.registry()
            .store_health()
            .is_some_and(|health| health.status.as_str() == "up")
    });
    let outcomes: Vec<_> = (0..25).map(|_| work()).collect();
    let granted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(granted, 20, "{outcomes:?}");
    assert!(matches!(outcomes[24], Err(Rejection::RateLimited(_))));

    let first = work_slowly(Duration::ZERO).expect("a place");
    let second = work_slowly(Duration::ZERO).expect("a place");
    assert!(0 < first && first < second, "{first} {second}");
    redis.kill();
    wait_until("it is down", SOON, || {
        test.registry()
            .store_health()
            .is_some_and(|health| health.status.as_str() == "down")
    });
    let start = Instant::now();
    for _ in 0..100 {
        let outcome = work_slowly(Duration::ZERO);
        assert!(
            matches!(outcome, Err(Rejection::StoreUnavailable(_))),
            "{outcome:?}"
        );
    }
    assert!(start.elapsed() < ENDS, "{:?}", start.elapsed());
}

#[test]
fn sync_callers_in_threads_share_one_limit() {
    let redis = RedisServer::start();
    let store = RedisStore::builder(&redis.url())
        .deadline(SOON)
        .lazy()
        .expect("a good url");
    let (instance, limiter) = Instance::with(store, || {
        RateLimiter::builder("threads")
            .rate(Rate::new(100, Duration::from_secs(3_600)))
            .shared(true)
            .on_store_error(OnStoreError::Deny)
            .build()
            .expect("good settings")
    });
    instance.wait_until_up();
    let granted: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let limiter = &limiter;
                scope.spawn(move || {
                    (0..50)
                        .filter(|_| limiter.acquire_blocking(1).is_ok())
                        .count()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .sum()
    });
    assert_eq!(granted, 100);
}
