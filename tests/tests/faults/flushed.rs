//! Scripts and keys that are gone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use steadfast::{Bulkhead, OnStoreError, Rate, RateLimiter, RedisStore};
use steadfast_servers::{RedisServer, wait_until};

use crate::{
    SOON,
    instance::{Instance, patient},
    killed::{ample, used},
    load::{Load, in_turn},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_are_flushed_all_the_time() {
    let redis = RedisServer::start();
    let mut instances = Vec::new();
    for _ in 0..2 {
        // Time enough: only errors are wanted here.
        let store = RedisStore::builder(&redis.url()).deadline(SOON);
        let store = store.connect().await.expect("a store");
        instances.push(Instance::with(store, || ample("calls", OnStoreError::Deny)));
    }
    let loads: Vec<_> = instances
        .iter()
        .map(|(_, limiter)| {
            let limiter = limiter.clone();
            Load::begin(8, move || {
                let limiter = limiter.clone();
                async move { limiter.acquire(1).await }
            })
        })
        .collect();
    let stop = Arc::new(AtomicBool::new(false));
    let flushing = {
        let (stop, mut client) = (Arc::clone(&stop), redis.client().expect("a connection"));
        std::thread::spawn(move || {
            let mut flushes = 0;
            while !stop.load(Relaxed) {
                client.command(&["SCRIPT", "FLUSH"]).expect("a reply");
                flushes += 1;
            }
            flushes
        })
    };
    loads.iter().for_each(|load| load.wait_for_granted(1_000));
    stop.store(true, Relaxed);
    let flushes = flushing.join().expect("no panic");
    let mut granted = 0;
    for load in loads {
        let tally = load.end().await;
        assert_eq!((tally.refused, tally.away), (0, 0), "{tally:?}");
        granted += tally.granted;
    }
    assert!(flushes > 100, "{flushes}");
    for (instance, _) in &instances {
        let health = instance.health();
        assert_eq!((health.errors, health.timeouts), (0, 0), "{health:?}");
        assert_eq!(instance.outages(), (0, 0));
    }
    assert_eq!(used(&instances[0].1).await, granted);
    eprintln!("scripts flushed: {flushes} times in {granted} calls, no error");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_that_are_flushed_start_anew() {
    let redis = RedisServer::start();
    let mut instances = Vec::new();
    for _ in 0..2 {
        let store = patient(&redis.url()).await;
        instances.push(Instance::with(store, || {
            RateLimiter::builder("few")
                .rate(Rate::new(5, Duration::from_secs(2)))
                .shared(true)
                .on_store_error(OnStoreError::Deny)
                .build()
                .expect("good settings")
        }));
    }
    let [(_, one), (_, other)] = &instances[..] else {
        panic!("two instances");
    };
    assert_eq!(in_turn(5, || one.acquire(1)).await.granted, 5);
    redis.command(&["FLUSHALL"]);
    assert_eq!(in_turn(5, || other.acquire(1)).await.granted, 5);
    redis.command(&["FLUSHALL"]);
    assert_eq!(in_turn(5, || one.acquire(1)).await.granted, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_that_are_flushed_are_told_and_fences_still_rise() {
    let redis = RedisServer::start();
    let store = patient(&redis.url()).await;
    let places = || {
        Bulkhead::builder("places")
            .max_concurrent(3)
            .lease(Duration::from_secs(1))
            .shared(true)
            .on_store_error(OnStoreError::Deny)
            .build()
            .expect("good settings")
    };
    let (instance, bulkhead) = Instance::with(store, places);
    // Which has heard of no fence.
    let (_other, same) = Instance::with(patient(&redis.url()).await, places);
    let held = [
        bulkhead.acquire().await.expect("a place"),
        bulkhead.acquire().await.expect("a place"),
    ];
    let mut fences: Vec<_> = held.iter().map(|permit| permit.fence()).collect();
    redis.command(&["FLUSHALL"]);
    wait_until("both are told", SOON, || instance.lost().len() >= 2);
    let next = [
        same.acquire().await.expect("a place"),
        bulkhead.acquire().await.expect("a place"),
    ];
    fences.extend(next.each_ref().map(|permit| permit.fence()));
    assert!(fences.iter().all(Option::is_some), "{fences:?}");
    assert!(fences.is_sorted_by(|a, b| a < b), "{fences:?}");
    drop(held);
    let mut lost = instance.lost();
    lost.sort_unstable();
    let lost: Vec<_> = lost.into_iter().map(Some).collect();
    assert_eq!(lost, fences[..2]);
    drop(next);
}
