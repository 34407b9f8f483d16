//! Keys that move, and masters that change, in a cluster.

use std::{
    thread,
    time::{Duration, Instant},
};

use steadfast::{Algorithm, OnStoreError, Rate, RateLimiter, RedisStore};
use steadfast_servers::Cluster;

use crate::{
    ENDS, SOON,
    instance::Instance,
    killed::{AMPLE, used},
    load::{Load, in_turn},
};

/// A policy of this name has its keys on the slot of its name.
fn tag(name: &str) -> String {
    format!("{{{name}}}")
}

/// A limit on each of the first three members.
fn names(cluster: &Cluster) -> [String; 3] {
    [0, 1, 2].map(|member| {
        (0..)
            .map(|number| format!("limit-{number}"))
            .find(|name| cluster.master_of(&tag(name)) == member)
            .expect("names without end")
    })
}

fn limiter(name: &str) -> RateLimiter {
    RateLimiter::builder(name.to_owned())
        .rate(Rate::new(AMPLE, Duration::from_secs(3_600)))
        .algorithm(Algorithm::SlidingWindow)
        .shared(true)
        .on_store_error(OnStoreError::Deny)
        .build()
        .expect("good settings")
}

fn load_of(limiter: &RateLimiter, callers: usize) -> Load {
    let limiter = limiter.clone();
    Load::begin(callers, move || {
        let limiter = limiter.clone();
        async move { limiter.acquire(1).await }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resharding_is_not_noticed() {
    let cluster = Cluster::builder().without_replicas().start();
    let name = names(&cluster)[0].clone();
    let slot = cluster.slot_of(&tag(&name));
    let mut instances = Vec::new();
    for _ in 0..2 {
        // Time enough: only errors are wanted here.
        let store = RedisStore::builder(&cluster.url()).deadline(SOON);
        let store = store.connect().await.expect("a store");
        instances.push(Instance::with(store, || limiter(&name)));
    }
    let loads: Vec<_> = instances
        .iter()
        .map(|(_, limiter)| load_of(limiter, 8))
        .collect();
    loads.iter().for_each(|load| load.wait_for_granted(200));
    let mut moves = 0;
    for (from, to) in [(0, 1), (1, 2), (2, 0), (0, 2), (2, 1), (1, 0)] {
        let migration = cluster.migrate(slot, from, to);
        // Half-way: whoever asks for the key is told where it is.
        loads.iter().for_each(|load| load.wait_for_granted(50));
        moves += migration.move_keys();
        loads.iter().for_each(|load| load.wait_for_granted(50));
        migration.finish();
        loads.iter().for_each(|load| load.wait_for_granted(50));
    }
    let mut granted = 0;
    for load in loads {
        let tally = load.end().await;
        assert_eq!((tally.refused, tally.away), (0, 0), "{tally:?}");
        granted += tally.granted;
    }
    assert!(moves >= 6, "{moves} keys were moved");
    for (instance, limiter) in &instances {
        let health = instance.health();
        assert_eq!((health.errors, health.timeouts), (0, 0), "{health:?}");
        assert_eq!(instance.outages(), (0, 0));
        // Whoever is asked says the same.
        assert_eq!(used(limiter).await, granted);
        granted += 1;
    }
    eprintln!("resharding: {moves} moves in {granted} calls, no error");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_shard_without_a_master_is_away() {
    let cluster = Cluster::start();
    let names = names(&cluster);
    // As large as no machine is slow: a healthy shard has no excuse.
    let store = RedisStore::builder(&cluster.url()).deadline(Duration::from_millis(400));
    let store = store.connect().await.expect("a store");
    let (instance, limiters) = Instance::with(store, || names.each_ref().map(|name| limiter(name)));
    let loads = limiters.each_ref().map(|limiter| load_of(limiter, 4));
    loads.iter().for_each(|load| load.wait_for_granted(100));

    let killed = Instant::now();
    let old = cluster.kill_master_of(&tag(&names[0]));
    // While it has no master, those who ask are told so at once.
    thread::sleep(Duration::from_millis(200));
    let tally = in_turn(5, || limiters[0].acquire(1)).await;
    assert_eq!(tally.away, 5, "{tally:?}");
    let new = cluster.wait_for_failover_from(old, &tag(&names[0]));
    let took_over = killed.elapsed();
    assert_ne!(new, old);
    loads.iter().for_each(|load| load.wait_for_granted(100));
    let back = killed.elapsed().saturating_sub(took_over);
    let mut longest = Vec::new();
    for (load, is_healthy) in loads.into_iter().zip([false, true, true]) {
        let tally = load.end().await;
        assert_eq!(tally.refused, 0, "{tally:?}");
        if is_healthy {
            assert_eq!(tally.away, 0, "{tally:?}");
        } else {
            assert!(tally.away > 0, "{tally:?}");
        }
        longest.push(tally.longest);
    }
    assert!(longest.iter().all(|&longest| longest < ENDS), "{longest:?}");
    let (down, up) = instance.outages();
    assert_eq!(down, up, "{}", instance.all_told());
    eprintln!(
        "cluster failover: the cluster took {took_over:?}, 100 calls of each shard {back:?} after it, longest calls {longest:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_becomes_a_replica_is_left() {
    let cluster = Cluster::start();
    let names = names(&cluster);
    let store = RedisStore::builder(&cluster.url()).deadline(Duration::from_millis(400));
    let store = store.connect().await.expect("a store");
    let (instance, limiters) = Instance::with(store, || names.each_ref().map(|name| limiter(name)));
    let loads = limiters.each_ref().map(|limiter| load_of(limiter, 4));
    loads.iter().for_each(|load| load.wait_for_granted(100));
    let new = cluster.fail_over(&tag(&names[0]));
    assert!(new >= 3, "a replica took over");
    loads.iter().for_each(|load| load.wait_for_granted(100));
    for (load, is_healthy) in loads.into_iter().zip([false, true, true]) {
        let tally = load.end().await;
        assert!(tally.longest < ENDS, "{tally:?}");
        assert!(!is_healthy || tally.away == 0, "{tally:?}");
        eprintln!("cluster, master changed by hand: {tally:?}");
    }
    // The store was never away as a whole.
    assert_eq!(instance.outages(), (0, 0), "{}", instance.all_told());
}
