//! Stores at their start.

use std::time::{Duration, Instant};

use steadfast::{OnStoreError, RedisStore, Rejection, StoreError, StoreStatus};
use steadfast_servers::{Cluster, FaultProxy, RedisServer, Sentinels, free_port};

use crate::{
    ENDS,
    instance::{Instance, patient},
    killed::ample,
    load::in_turn,
};

async fn refusal(url: &str) -> StoreError {
    let error = RedisStore::connect(url).await.expect_err("a refusal");
    let words = format!("{error} {error:?}");
    assert!(!words.contains("s3cret"), "{words}");
    error
}

#[tokio::test]
async fn what_cannot_be_reached_is_told() {
    let start = Instant::now();
    let error = refusal(&format!("redis://:s3cret@127.0.0.1:{}/", free_port())).await;
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");

    let redis = RedisServer::start();
    let proxy = FaultProxy::to(redis.port());
    proxy.black_hole();
    let error = refusal(&proxy.url()).await;
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");

    redis.stop_process();
    let error = refusal(&redis.url()).await;
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");

    let error = refusal("redis://no-such-host.invalid/").await;
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    // Half a second each, and the resolver's own time.
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn what_cannot_be_meant_is_told() {
    for url in [
        "",
        "127.0.0.1",
        "http://:s3cret@127.0.0.1/",
        "redis://:s3cret@127.0.0.1:port/",
        "redis://:s3cret@127.0.0.1/?timeout=1",
        "redis+sentinel://:s3cret@127.0.0.1/",
    ] {
        let error = refusal(url).await;
        assert!(
            matches!(error, StoreError::BadUrl { .. }),
            "{url}: {error:?}"
        );
        let lazily = RedisStore::lazy(url).expect_err("a refusal");
        assert_eq!(lazily, error);
    }
    let builder = || RedisStore::builder("redis://127.0.0.1/");
    for bad in [
        builder().deadline(Duration::ZERO),
        builder().connections(0),
        builder().key_prefix("{a}"),
    ] {
        let error = bad.lazy().expect_err("a refusal");
        assert!(matches!(error, StoreError::BadSetting { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn what_is_not_what_the_url_says_is_told() {
    let redis = RedisServer::start();
    let error = refusal(&format!("redis+cluster://127.0.0.1:{}/", redis.port())).await;
    assert!(format!("{error}").contains("cluster"), "{error:?}");
    let sentinels = Sentinels::start();
    let url = sentinels.url().replace("/main", "/other");
    let error = refusal(&url).await;
    assert!(!matches!(error, StoreError::Server { .. }), "{error:?}");
}

/// A server of a cluster is a server, until it is asked for a key of another.
#[tokio::test]
async fn one_server_of_a_cluster_says_where_it_belongs() {
    let cluster = Cluster::builder().without_replicas().start();
    let url = format!("redis://127.0.0.1:{}/", cluster.node(0).port());
    let store = patient(&url).await;
    let (_, limiter) = Instance::with(store, || ample("calls", OnStoreError::Deny));
    let mut granted = 0;
    for key in 0..30 {
        match limiter.acquire_for(&key, 1).await {
            Ok(_) => granted += 1,
            Err(Rejection::StoreUnavailable(away)) => {
                assert!(matches!(*away.cause, StoreError::BadUrl { .. }), "{away:?}");
                assert!(
                    away.cause.to_string().contains("redis+cluster://"),
                    "{away:?}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(granted < 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lazy_store_joins_later() {
    let redis = RedisServer::start();
    redis.kill();
    let store = RedisStore::lazy(&redis.url()).expect("a good url");
    let (instance, (local, deny)) = Instance::with(store, || {
        (
            ample("local", OnStoreError::Local),
            ample("deny", OnStoreError::Deny),
        )
    });
    assert_ne!(instance.health().status, StoreStatus::Up);
    let tally = in_turn(20, || local.acquire(1)).await;
    assert_eq!(tally.granted, 20, "{tally:?}");
    assert!(tally.longest < ENDS, "{tally:?}");
    let tally = in_turn(20, || deny.acquire(1)).await;
    assert_eq!(tally.away, 20, "{tally:?}");
    instance.wait_until_down();

    redis.restart();
    let port_is_open = Instant::now();
    instance.wait_until_up();
    let back = port_is_open.elapsed();
    assert!(back < Duration::from_secs(1), "{back:?}");
    assert_eq!(in_turn(20, || deny.acquire(1)).await.granted, 20);
    assert_eq!(instance.outages(), (1, 1), "{}", instance.all_told());
    eprintln!("lazy: up {back:?} after the port");
}
