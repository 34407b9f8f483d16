//! Callers that are dropped at any await.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use steadfast::{Algorithm, Bulkhead, OnStoreError, Rate, RateLimiter, RedisStore, Rejection};
use steadfast_servers::{FaultProxy, RedisServer, wait_until};

use crate::{ENDS, SOON, instance::Instance};

const LEASE: Duration = Duration::from_secs(1);
const PLACES: u32 = 4;

fn places() -> Bulkhead {
    Bulkhead::builder("places")
        .max_concurrent(PLACES)
        .max_wait(Duration::from_millis(50))
        .lease(LEASE)
        .shared(true)
        .on_store_error(OnStoreError::Deny)
        .build()
        .expect("good settings")
}

/// A different one each time.
fn some_time() -> Duration {
    Duration::from_micros(fastrand::u64(0..20_000))
}

/// How many are inside, of all instances.
#[derive(Clone, Default)]
struct Inside {
    now: Arc<AtomicI64>,
    most: Arc<AtomicI64>,
}

struct Entered(Inside);

impl Inside {
    fn enter(&self) -> Entered {
        let now = self.now.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(now, SeqCst);
        Entered(self.clone())
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_place_outlives_its_lease() {
    let redis = RedisServer::start();
    let inside = Inside::default();
    let mut instances = Vec::new();
    for delay in [Duration::ZERO, Duration::from_millis(2)] {
        let proxy = FaultProxy::to(redis.port());
        let store = RedisStore::builder(&proxy.url()).deadline(Duration::from_secs(2));
        let store = store.connect().await.expect("a store");
        // So that many are dropped while the answer is on its way.
        proxy.delay(delay);
        let (instance, bulkhead) = Instance::with(store, places);
        instances.push((instance, bulkhead, proxy));
    }
    let mut calls = Vec::new();
    for _ in 0..600 {
        for (_, bulkhead, _) in &instances {
            let (bulkhead, inside) = (bulkhead.clone(), inside.clone());
            calls.push(tokio::spawn(async move {
                let call = bulkhead.call(async {
                    let entered = inside.enter();
                    tokio::time::sleep(some_time() / 4).await;
                    drop(entered);
                    Ok::<_, Rejection>(())
                });
                // Dropped at whatever it waits for by then.
                tokio::time::timeout(some_time(), call).await.is_err()
            }));
        }
        tokio::time::sleep(some_time() / 40).await;
    }
    let mut dropped = 0;
    let total = calls.len();
    for call in calls {
        dropped += usize::from(call.await.expect("no panic"));
    }
    let ended = Instant::now();
    let most = inside.most.load(SeqCst);
    assert!(dropped > total / 20, "{dropped} of {total} dropped");
    assert!(most <= i64::from(PLACES), "{most} inside");
    assert_eq!(inside.now.load(SeqCst), 0);

    // All places are there again, for whoever comes.
    let mut held = Vec::new();
    wait_until("all places are free", SOON, || {
        held.clear();
        (0..PLACES).all(|_| {
            instances[0]
                .1
                .acquire_blocking()
                .map(|permit| held.push(permit))
                .is_ok()
        })
    });
    let free = ended.elapsed();
    assert!(free < LEASE + ENDS, "{free:?}");
    assert!(
        instances[1].1.acquire().await.is_err(),
        "there are no more than {PLACES}"
    );
    for (instance, bulkhead, _) in &instances {
        assert_eq!(instance.health().errors, 0, "{:?}", instance.health());
        assert_eq!(bulkhead.metrics().waiting, 0);
    }
    eprintln!(
        "dropped: {dropped} of {total} calls, {most} inside at most, all free after {free:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_is_charged_for_no_more_than_the_calls_there_were() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::to(redis.port());
    let store = RedisStore::builder(&proxy.url()).deadline(Duration::from_secs(2));
    let store = store.connect().await.expect("a store");
    let (instance, limiter) = Instance::with(store, || {
        RateLimiter::builder("calls")
            .rate(Rate::new(100_000, Duration::from_secs(3_600)))
            .algorithm(Algorithm::SlidingWindow)
            .max_wait(Duration::from_millis(20))
            .shared(true)
            .on_store_error(OnStoreError::Deny)
            .build()
            .expect("good settings")
    });
    proxy.delay(Duration::from_millis(2));
    let mut calls = Vec::new();
    for _ in 0..1_000 {
        let limiter = limiter.clone();
        calls.push(tokio::spawn(async move {
            let acquire = limiter.acquire(1);
            matches!(
                tokio::time::timeout(some_time() / 2, acquire).await,
                Ok(Ok(_))
            )
        }));
        tokio::time::sleep(some_time() / 40).await;
    }
    let (mut granted, total) = (0, calls.len());
    for call in calls {
        granted += usize::from(call.await.expect("no panic"));
    }
    proxy.pass();
    assert!(granted < total && granted > 0, "{granted} of {total}");
    let used = crate::killed::used(&limiter).await as usize;
    assert!(
        (granted..=total).contains(&used),
        "{granted} granted, {used} used, {total} calls"
    );
    assert_eq!(limiter.metrics().waiting, 0);
    assert_eq!(
        (instance.health().errors, instance.health().in_flight),
        (0, 0)
    );
    eprintln!("dropped: {granted} of {total} calls granted, {used} charged");
}
