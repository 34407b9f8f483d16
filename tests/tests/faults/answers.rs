//! A fleet's fallback cache: what it makes of servers that are away or full, and of keys that hold
//! something else.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use steadfast::{Served, Source, fallback, test::Isolated};
use steadfast_servers::{RedisServer, wait_until};

use crate::{ENDS, SOON, instance::patient};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Quote(u32);

#[fallback("quotes", cache(key = symbol, fresh = "10s", stale = "1h"), shared)]
async fn quote(symbol: &str, answer: Option<u32>) -> Result<Served<Quote>, &'static str> {
    Ok(Quote(answer.ok_or("down")?).into())
}

async fn instance(redis: &RedisServer) -> Isolated {
    let store = patient(&redis.url()).await;
    let isolated = steadfast::test::isolated();
    isolated
        .registry()
        .set_store(store)
        .expect("the first store");
    isolated
}

/// What is answered when the call fails.
async fn recalled(instance: &Isolated, symbol: &str) -> Option<u32> {
    let answer = instance.scope(quote(symbol, None)).await;
    answer.ok().map(|served| served.value.0)
}

async fn good(instance: &Isolated, symbol: &str, answer: u32) {
    let start = Instant::now();
    let served = instance.scope(quote(symbol, Some(answer))).await;
    assert_eq!(served.expect("an answer").source, Source::Primary);
    assert!(start.elapsed() < ENDS, "{:?}", start.elapsed());
}

/// Answers are written in the background.
async fn eventually(one: &Isolated, other: &Isolated, symbol: &str, answer: u32) {
    let start = Instant::now();
    while recalled(other, symbol).await != Some(answer) {
        assert!(start.elapsed() < SOON, "{symbol}");
        good(one, symbol, answer).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is(instance: &Isolated, status: &str) -> bool {
    let health = instance.registry().store_health();
    health.is_some_and(|health| health.status.as_str() == status)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_here_serves_while_the_server_is_away() {
    let redis = RedisServer::start();
    let (one, other) = (instance(&redis).await, instance(&redis).await);
    eventually(&one, &other, "A", 1).await;
    redis.kill();
    wait_until("down", SOON, || is(&one, "down") && is(&other, "down"));
    let start = Instant::now();
    for _ in 0..50 {
        good(&one, "B", 2).await;
        assert_eq!(recalled(&one, "B").await, Some(2));
        assert_eq!(recalled(&one, "A").await, Some(1));
        // The other remembers what it was told, and knows no more.
        assert_eq!(recalled(&other, "A").await, Some(1));
        assert_eq!(recalled(&other, "B").await, None);
    }
    assert!(start.elapsed() < ENDS, "{:?}", start.elapsed());
    redis.restart();
    wait_until("up", SOON, || is(&one, "up") && is(&other, "up"));
    eventually(&one, &other, "C", 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_kept_for_all_is_kept_here() {
    let redis = RedisServer::builder().maxmemory("100mb").start();
    let (one, other) = (instance(&redis).await, instance(&redis).await);
    redis
        .command(&["SET", "filler", &"x".repeat(1 << 20)])
        .expect_ok("SET");
    redis
        .command(&["CONFIG", "SET", "maxmemory", "512kb"])
        .expect_ok("CONFIG");
    good(&one, "A", 1).await;
    assert_eq!(recalled(&one, "A").await, Some(1));
    assert_eq!(recalled(&other, "A").await, None);
    redis
        .command(&["CONFIG", "SET", "maxmemory", "100mb"])
        .expect_ok("CONFIG");
    eventually(&one, &other, "B", 2).await;

    // And where its keys hold something else, which is left alone.
    let keys = redis.command(&["KEYS", "*fallback*"]);
    assert!(!keys.items().is_empty());
    for key in keys.items() {
        redis.command(&["DEL", &key.text()]);
        redis
            .command(&["SADD", &key.text(), "ours"])
            .expect_ok("SADD");
    }
    let third = instance(&redis).await;
    assert_eq!(recalled(&third, "B").await, None);
    good(&third, "B", 3).await;
    assert_eq!(recalled(&third, "B").await, Some(3));
    for key in keys.items() {
        let members = redis.command(&["SMEMBERS", &key.text()]);
        assert_eq!(members.items().len(), 1, "{}", key.text());
    }
    assert!(is(&third, "up"));
    redis.command(&["FLUSHALL"]);
    redis.command(&["SCRIPT", "FLUSH"]);
    let fourth = instance(&redis).await;
    eventually(&third, &fourth, "D", 4).await;
}
