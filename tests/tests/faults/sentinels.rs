//! Masters that change, with Sentinels and without.

use std::time::{Duration, Instant};

use steadfast::{OnStoreError, RedisStore, StoreError};
use steadfast_servers::{RedisServer, Sentinels, wait_until};

use crate::{
    ENDS, SOON,
    instance::Instance,
    killed::{ample, used},
    load::{Load, in_turn},
};

fn load_of(limiter: &steadfast::RateLimiter) -> Load {
    let limiter = limiter.clone();
    Load::begin(8, move || {
        let limiter = limiter.clone();
        async move { limiter.acquire(1).await }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_new_master_is_joined_when_the_old_is_killed() {
    let sentinels = Sentinels::start();
    let store = RedisStore::connect(&sentinels.url())
        .await
        .expect("a store");
    let (instance, limiter) = Instance::with(store, || ample("calls", OnStoreError::Deny));
    let load = load_of(&limiter);
    load.wait_for_granted(200);

    let old = sentinels.kill_master();
    instance.wait_until_down();
    let tally = in_turn(100, || limiter.acquire(1)).await;
    assert_eq!(tally.away, 100, "{tally:?}");
    sentinels.wait_for_failover_from(old);
    let took_over = Instant::now();
    instance.wait_until_up();
    let back = took_over.elapsed();
    load.wait_for_granted(200);
    let tally = load.end().await;
    assert!(tally.longest < ENDS, "{tally:?}");
    assert!(back < Duration::from_secs(2), "{back:?}");
    assert_eq!(instance.outages(), (1, 1), "{}", instance.all_told());
    eprintln!(
        "sentinel, master killed: up {back:?} after the failover, longest call {:?}",
        tally.longest
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_new_master_is_joined_when_the_old_becomes_a_replica() {
    let sentinels = Sentinels::start();
    let store = RedisStore::connect(&sentinels.url())
        .await
        .expect("a store");
    let (instance, limiter) = Instance::with(store, || ample("calls", OnStoreError::Deny));
    let load = load_of(&limiter);
    load.wait_for_granted(200);
    let old = sentinels.master();
    let new = sentinels.fail_over();
    // Until it hears of that, it takes writes.
    wait_until("the old one is a replica", SOON, || {
        old.info_is("replication", "role", "slave")
    });
    let took_over = Instant::now();
    instance.wait_until_up();
    load.wait_for_granted(200);
    let back = took_over.elapsed();
    let tally = load.end().await;
    assert!(tally.longest < ENDS, "{tally:?}");
    assert!(back < Duration::from_secs(2), "{back:?}");
    let (downs, ups) = instance.outages();
    assert_eq!(downs, ups, "{}", instance.all_told());
    assert!(downs <= 2, "{}", instance.all_told());
    // It is the new one that counts.
    assert!(new.command(&["DBSIZE"]).integer() > 0);
    assert!(used(&limiter).await >= 200);
    eprintln!(
        "sentinel, master changed: 200 calls {back:?} after it, longest call {:?}, {downs} outages",
        tally.longest
    );
}

/// Nobody tells of it but its error: `READONLY`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_becomes_a_replica_is_away_until_it_is_master_again() {
    let (redis, other) = (RedisServer::start(), RedisServer::start());
    let store = RedisStore::connect(&redis.url()).await.expect("a store");
    let (instance, limiter) = Instance::with(store, || ample("calls", OnStoreError::Deny));
    let load = load_of(&limiter);
    load.wait_for_granted(200);
    let port = other.port().to_string();
    redis.command(&["REPLICAOF", "127.0.0.1", &port]);
    instance.wait_until_down();
    assert!(
        matches!(instance.cause(), Some(StoreError::NotReady { .. })),
        "{:?}",
        instance.cause()
    );
    load.wait_for_ended(500);
    redis.command(&["REPLICAOF", "NO", "ONE"]);
    let again = Instant::now();
    instance.wait_until_up();
    let back = again.elapsed();
    load.wait_for_granted(200);
    let tally = load.end().await;
    assert!(tally.longest < ENDS, "{tally:?}");
    assert!(back < Duration::from_secs(2), "{back:?}");
    assert_eq!(instance.outages(), (1, 1), "{}", instance.all_told());
    assert!(used(&limiter).await > 0);
    eprintln!(
        "READONLY: up {back:?} after it was master again, longest call {:?}",
        tally.longest
    );
}
