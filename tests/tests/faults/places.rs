//! A fleet's bulkhead: what it makes of servers that are away.

use std::time::{Duration, Instant};

use steadfast::{Bulkhead, OnStoreError, RedisStore, Rejection, StoreError};
use steadfast_servers::{FaultProxy, RedisServer, wait_until};

use crate::{
    ENDS, SOON,
    instance::{Instance, patient},
    load::Load,
};

const LEASE: Duration = Duration::from_secs(1);

fn bulkhead(name: &'static str, places: u32, on_store_error: OnStoreError) -> Bulkhead {
    Bulkhead::builder(name)
        .max_concurrent(places)
        .lease(LEASE)
        .shared(true)
        .instances(4)
        .on_store_error(on_store_error)
        .build()
        .expect("good settings")
}

/// As many places as there are, at most `most`.
async fn fill(
    bulkhead: &Bulkhead,
    most: usize,
) -> (Vec<steadfast::BulkheadPermit>, Option<Rejection>) {
    let mut held = Vec::new();
    while held.len() < most {
        match bulkhead.acquire().await {
            Ok(permit) => held.push(permit),
            Err(rejection) => return (held, Some(rejection)),
        }
    }
    (held, None)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_does_what_it_was_told_to() {
    let redis = RedisServer::start();
    let (instance, [local, allow, deny]) = Instance::with(patient(&redis.url()).await, || {
        [
            bulkhead("local", 8, OnStoreError::Local),
            bulkhead("allow", 8, OnStoreError::Allow),
            bulkhead("deny", 8, OnStoreError::Deny),
        ]
    });
    let mut before = Vec::new();
    for bulkhead in [&local, &allow, &deny] {
        before.push(bulkhead.acquire().await.expect("a place"));
    }
    let fences: Vec<_> = before.iter().filter_map(|permit| permit.fence()).collect();
    redis.kill();
    instance.wait_until_down();

    // Its share of 8 for 4 instances, with the one that it holds.
    let (alone, why) = fill(&local, 20).await;
    assert_eq!(alone.len(), 1);
    assert!(matches!(why, Some(Rejection::BulkheadFull(_))), "{why:?}");
    let (open, why) = fill(&allow, 20).await;
    assert_eq!((open.len(), why), (20, None));
    let (shut, why) = fill(&deny, 20).await;
    assert_eq!(shut.len(), 0);
    match why {
        Some(Rejection::StoreUnavailable(away)) => {
            assert!(
                matches!(*away.cause, StoreError::Unreachable { .. }),
                "{away:?}"
            );
        }
        other => panic!("{other:?}"),
    }
    // Without the store there is no fence.
    assert!(
        alone
            .iter()
            .chain(&open)
            .all(|permit| permit.fence().is_none())
    );

    redis.restart();
    instance.wait_until_up();
    // The server knows nothing of the three: each is told, once.
    wait_until("lost places are told", SOON, || instance.lost().len() >= 3);
    drop((before, alone, open));
    // All are there again. A call that runs without a place may have to end first.
    for bulkhead in [&local, &allow, &deny] {
        let begun = Instant::now();
        loop {
            let (held, _) = fill(bulkhead, 20).await;
            if held.len() == 8 {
                assert!(
                    held.iter()
                        .all(|permit| permit.fence() > fences.iter().max().copied())
                );
                break;
            }
            assert!(held.len() < 8, "{} places", held.len());
            assert!(begun.elapsed() < LEASE + ENDS, "{} places", held.len());
            drop(held);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let mut lost = instance.lost();
    lost.sort_unstable();
    assert_eq!(lost, fences);
    assert_eq!(instance.outages(), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_on_while_the_server_is_killed() {
    let redis = RedisServer::start();
    let store = RedisStore::connect(&redis.url()).await.expect("a store");
    let (instance, places) = Instance::with(store, || bulkhead("places", 16, OnStoreError::Local));
    let calls = places.clone();
    let load = Load::begin(16, move || {
        let places = calls.clone();
        async move {
            places
                .call(async {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    Ok::<_, Rejection>(())
                })
                .await
        }
    });
    load.wait_for_granted(200);
    let killed = Instant::now();
    redis.kill();
    instance.wait_until_down();
    load.wait_for_granted(200);
    // Longer than a call may take: see `ENDS`.
    tokio::time::sleep((ENDS * 3 / 2).saturating_sub(killed.elapsed())).await;
    redis.restart();
    instance.wait_until_up();
    load.wait_for_granted(200);
    let tally = load.end().await;
    assert!(tally.longest < ENDS, "{tally:?}");
    assert_eq!(tally.away, 0, "{tally:?}");
    assert_eq!(instance.outages(), (1, 1));
    wait_until("nothing is left", SOON, || {
        let holders = "steadfast:bulkhead:{places}:holders";
        redis.command(&["EXISTS", holders]).integer() == 0
    });
    assert_eq!(places.metrics().in_flight, 0);
    eprintln!(
        "places: longest call {:?} around a kill, {} through",
        tally.longest, tally.granted
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_could_not_be_renewed_is_anothers_and_told_once() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::to(redis.port());
    let store = RedisStore::connect(&proxy.url()).await.expect("a store");
    let (cut_off, places) = Instance::with(store, || bulkhead("places", 1, OnStoreError::Deny));
    let (other, same) = Instance::with(patient(&redis.url()).await, || {
        bulkhead("places", 1, OnStoreError::Deny)
    });
    let held = places.acquire().await.expect("a place");
    proxy.black_hole();
    let since = Instant::now();
    let mut taken = None;
    wait_until("the other has the place", SOON, || {
        taken = same.acquire_blocking().ok();
        taken.is_some()
    });
    let free = since.elapsed();
    assert!(free < LEASE + ENDS, "{free:?}");
    let taken = taken.expect("a place");
    assert!(
        taken.fence() > held.fence(),
        "{:?} {:?}",
        taken.fence(),
        held.fence()
    );

    proxy.pass();
    cut_off.wait_until_up();
    wait_until("it is told", SOON, || !cut_off.lost().is_empty());
    let fence = held.fence();
    // Who has lost a place gives nobody else's back.
    drop(held);
    tokio::time::sleep(LEASE).await;
    assert_eq!(cut_off.lost(), fence.into_iter().collect::<Vec<_>>());
    assert!(places.acquire().await.is_err());
    assert!(other.lost().is_empty());
    drop(taken);
    wait_until("the place is free", SOON, || {
        places.acquire_blocking().is_ok()
    });
}
