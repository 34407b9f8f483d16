//! A server that has no memory left.

use std::time::Duration;

use steadfast::{Bulkhead, OnStoreError, Rejection, StoreError};
use steadfast_servers::{RedisServer, wait_until};

use crate::{
    ENDS, SOON,
    instance::{Instance, limiter, patient},
    load::in_turn,
};

/// So full that not even a small write is let through.
fn fill(redis: &RedisServer) {
    let filler = "x".repeat(1 << 20);
    redis.command(&["SET", "filler", &filler]).expect_ok("SET");
    set_limit(redis, "512kb");
}

fn set_limit(redis: &RedisServer, limit: &str) {
    redis
        .command(&["CONFIG", "SET", "maxmemory", limit])
        .expect_ok("CONFIG SET");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_answer_and_places_are_given_back() {
    let redis = RedisServer::builder().maxmemory("100mb").start();
    let store = patient(&redis.url()).await;
    let bulkhead = |name| {
        Bulkhead::builder(name)
            .max_concurrent(1)
            // Much longer than this test: only giving back brings the place back.
            .lease(Duration::from_secs(600))
            .shared(true)
            .on_store_error(OnStoreError::Deny)
            .build()
            .expect("good settings")
    };
    let (instance, (local, allow, deny, places, others)) = Instance::with(store, || {
        (
            limiter("local", OnStoreError::Local),
            limiter("allow", OnStoreError::Allow),
            limiter("deny", OnStoreError::Deny),
            bulkhead("places"),
            bulkhead("other-places"),
        )
    });
    let held = places.acquire().await.expect("a place");
    fill(&redis);

    let tally = in_turn(10, || local.acquire(1)).await;
    assert_eq!((tally.granted, tally.refused), (2, 8), "{tally:?}");
    let tally = in_turn(20, || allow.acquire(1)).await;
    assert_eq!(tally.granted, 20, "{tally:?}");
    let tally = in_turn(20, || deny.acquire(1)).await;
    assert_eq!(
        (tally.away, &tally.causes[..]),
        (20, &[StoreError::Full][..])
    );
    assert!(tally.longest < ENDS, "{tally:?}");
    match others.acquire().await {
        Err(Rejection::StoreUnavailable(away)) => assert_eq!(*away.cause, StoreError::Full),
        other => panic!("{other:?}"),
    }
    // The store itself is well.
    assert_eq!(instance.outages(), (0, 0), "{}", instance.all_told());
    assert_eq!(instance.health().connections, 1);

    let holders = "steadfast:bulkhead:{places}:holders";
    assert_eq!(redis.command(&["EXISTS", holders]).integer(), 1);
    drop(held);
    wait_until("the place is given back", SOON, || {
        redis.command(&["EXISTS", holders]).integer() == 0
    });
    assert!(redis.command(&["SET", "a", "b"]).is_error(), "it is full");

    set_limit(&redis, "100mb");
    let place = places.acquire().await;
    assert!(place.is_ok(), "{place:?}");
    assert_eq!(in_turn(12, || deny.acquire(1)).await.granted, 8);
}
