//! `kill -9` under load, and a restart.

use std::{
    thread,
    time::{Duration, Instant},
};

use steadfast::{
    Algorithm, OnStoreError, Rate, RateLimiter, RedisStore, Rejection, StoreError, rate_limited,
};
use steadfast_servers::{FaultProxy, RedisServer, wait_until};

use crate::{
    ENDS, SOON,
    instance::{Instance, limiter, patient},
    load::{Load, in_turn},
};

/// A limit that a test does not use up, and that counts exactly.
pub(crate) fn ample(name: &'static str, on_store_error: OnStoreError) -> RateLimiter {
    RateLimiter::builder(name)
        .rate(Rate::new(AMPLE, Duration::from_secs(3_600)))
        .algorithm(Algorithm::SlidingWindow)
        .shared(true)
        .on_store_error(on_store_error)
        .build()
        .expect("good settings")
}

pub(crate) const AMPLE: u32 = 200_000;

/// How many permits the server has given out of an [`ample`] limit.
pub(crate) async fn used(limiter: &RateLimiter) -> u64 {
    let mut tries = 0;
    loop {
        match limiter.acquire(1).await {
            Ok(allowance) => return u64::from(allowance.limit - allowance.remaining - 1),
            // Right after an outage, on a machine with much to do, the deadline may pass.
            Err(error) if tries == 20 => panic!("{error}"),
            Err(_) => tries += 1,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_go_on_by_themselves_and_are_one_again() {
    let redis = RedisServer::start();
    let proxies = [(); 2].map(|()| FaultProxy::to(redis.port()));
    let mut instances = Vec::new();
    for proxy in &proxies {
        let store = RedisStore::connect(&proxy.url()).await.expect("a store");
        instances.push(Instance::with(store, || {
            ample("calls", OnStoreError::Local)
        }));
    }
    let loads: Vec<_> = instances
        .iter()
        .map(|(_, limiter)| load_of(limiter))
        .collect();
    loads.iter().for_each(|load| load.wait_for_granted(200));

    let killed = Instant::now();
    redis.kill();
    for (instance, _) in &instances {
        instance.wait_until_down();
    }
    // The share of each is ample: nobody notices.
    loads.iter().for_each(|load| load.wait_for_granted(200));
    // Longer than a call may take: see `ENDS`.
    thread::sleep((ENDS * 2).saturating_sub(killed.elapsed()));
    let tried: Vec<_> = proxies.iter().map(FaultProxy::connections).collect();
    assert!(proxies.iter().all(|proxy| proxy.open_connections() <= 1));

    redis.restart();
    let port_is_open = Instant::now();
    for (instance, _) in &instances {
        instance.wait_until_up();
    }
    let back = port_is_open.elapsed();
    loads.iter().for_each(|load| load.wait_for_granted(200));
    let mut longest = Duration::ZERO;
    for load in loads {
        let tally = load.end().await;
        assert_eq!((tally.refused, tally.away), (0, 0), "{tally:?}");
        longest = longest.max(tally.longest);
    }

    assert!(longest < ENDS, "{longest:?}");
    assert!(back < Duration::from_secs(1), "{back:?}");
    // One again: what one takes, the other sees.
    let (_, observer) = Instance::with(patient(&redis.url()).await, || {
        ample("calls", OnStoreError::Deny)
    });
    for (_, limiter) in &instances {
        let mut tries = 0;
        loop {
            let before = used(&observer).await;
            let tally = in_turn(10, || limiter.acquire(1)).await;
            assert_eq!(tally.granted, 10);
            if used(&observer).await == before + 11 {
                break;
            }
            // A deadline passed, on a machine with much else to do.
            tries += 1;
            assert!(tries < 10);
        }
    }
    for ((instance, _), (proxy, tried)) in instances.iter().zip(proxies.iter().zip(tried)) {
        assert_eq!(instance.outages(), (1, 1), "{}", instance.all_told());
        assert_eq!(instance.health().outages, 1);
        assert_eq!(instance.health().connections, 2);
        // One after the other, with a pause between them that grows.
        assert!(tried <= 40, "{tried} connections in {:?}", ENDS * 2);
        assert_eq!(proxy.open_connections(), 1);
    }
    eprintln!("killed: up {back:?} after the port, longest call {longest:?}");
}

fn load_of(limiter: &RateLimiter) -> Load {
    let limiter = limiter.clone();
    Load::begin(8, move || {
        let limiter = limiter.clone();
        async move { limiter.acquire(1).await }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_limiter_does_what_it_was_told_to() {
    let redis = RedisServer::start();
    let store = patient(&redis.url()).await;
    let (instance, [local, allow, deny]) = Instance::with(store, || {
        [
            limiter("local", OnStoreError::Local),
            limiter("allow", OnStoreError::Allow),
            limiter("deny", OnStoreError::Deny),
        ]
    });
    redis.kill();
    instance.wait_until_down();

    // Its share: of 8 for 4 instances.
    let tally = in_turn(10, || local.acquire(1)).await;
    assert_eq!((tally.granted, tally.refused), (2, 8));
    let tally = in_turn(20, || allow.acquire(1)).await;
    assert_eq!(tally.granted, 20);
    let tally = in_turn(20, || deny.acquire(1)).await;
    assert_eq!(tally.away, 20);
    assert!(
        matches!(tally.causes[..], [StoreError::Unreachable { .. }]),
        "{:?}",
        tally.causes
    );

    redis.restart();
    instance.wait_until_up();
    // The server has forgotten, and gives all 8.
    for limiter in [&local, &allow, &deny] {
        let tally = in_turn(12, || limiter.acquire(1)).await;
        assert_eq!((tally.granted, tally.refused), (8, 4), "{}", limiter.name());
    }
    assert_eq!(instance.outages(), (1, 1));
}

#[rate_limited("partner-api", rate = "100/h", shared, on_store_error = deny)]
async fn charge() -> Result<u32, Rejection> {
    Ok(1)
}

#[rate_limited("partner-api", rate = "100/h", shared, on_store_error = deny)]
fn charge_blocking() -> Result<u32, Rejection> {
    Ok(1)
}

#[tokio::test]
async fn an_annotated_function_is_refused_and_called_again() {
    let redis = RedisServer::start();
    let test = steadfast::test::isolated();
    let store = patient(&redis.url()).await;
    test.registry().set_store(store).expect("the first store");
    let is_down = || {
        let health = test.registry().store_health().expect("a store");
        health.status.as_str() == "down"
    };
    assert_eq!(charge().await, Ok(1));
    assert_eq!(charge_blocking(), Ok(1));

    redis.kill();
    wait_until("the store is down", SOON, is_down);
    for outcome in [charge().await, charge_blocking()] {
        let Err(Rejection::StoreUnavailable(unavailable)) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(&*unavailable.policy, "partner-api");
    }

    redis.restart();
    wait_until("the store is up", SOON, || !is_down());
    assert_eq!(charge().await, Ok(1));
    assert_eq!(charge_blocking(), Ok(1));
    let limiter = test.registry().rate_limiter("partner-api").expect("known");
    assert_eq!(limiter.acquire(1).await.expect("a permit").remaining, 97);
}
