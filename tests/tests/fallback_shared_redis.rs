//! Shared answers on a real server, which the tests start themselves, in real time.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use steadfast::{
    RedisStore, Registry, Served, Source, fallback,
    test::{Isolated, isolated},
};
use steadfast_servers::{FaultProxy, RedisServer};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Quote {
    text: String,
}

type Answer = Result<Served<Quote>, &'static str>;

/// A write of a key each second at the most, the least there is.
#[fallback("quotes", cache(key = symbol, fresh = "10s", stale = "1h"), shared)]
async fn quote(symbol: &str, answer: Result<&str, &'static str>) -> Answer {
    let text = answer?.to_owned();
    Ok(Quote { text }.into())
}

#[fallback("quotes", cache(key = symbol, fresh = "10s", stale = "1h"), shared)]
fn quote_blocking(symbol: &str, answer: Result<&str, &'static str>) -> Answer {
    let text = answer?.to_owned();
    Ok(Quote { text }.into())
}

async fn instance(url: &str) -> (Isolated, Registry) {
    let store = RedisStore::connect(url).await.unwrap();
    let isolated = isolated();
    let registry = isolated.registry();
    registry.set_store(store).unwrap();
    (isolated, registry)
}

/// What an instance answers with when its call fails.
async fn bad(instance: &Isolated, symbol: &str) -> Option<String> {
    let answer = instance.scope(quote(symbol, Err("down"))).await;
    answer.ok().map(|served| served.into_inner().text)
}

async fn good(instance: &Isolated, symbol: &str, text: &str) {
    let answer = instance.scope(quote(symbol, Ok(text))).await.unwrap();
    assert_eq!(answer.source, Source::Primary);
}

/// Answers are written in the background: how soon they are there depends on what else the machine does.
async fn eventually(instance: &Isolated, symbol: &str, text: &str) {
    let start = Instant::now();
    while bad(instance, symbol).await.as_deref() != Some(text) {
        assert!(start.elapsed() < Duration::from_secs(20), "no {text}");
        // Real time passes in real time.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The same, while the first instance goes on to succeed.
async fn eventually_from(one: &Isolated, other: &Isolated, symbol: &str, text: &str) {
    let start = Instant::now();
    while bad(other, symbol).await.as_deref() != Some(text) {
        assert!(start.elapsed() < Duration::from_secs(30), "no {text}");
        good(one, symbol, text).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_one_instance_serves_another_whatever_its_size() {
    let server = RedisServer::start();
    let (one, _) = instance(&server.url()).await;
    let (other, registry) = instance(&server.url()).await;
    assert_eq!(bad(&other, "X").await, None);
    good(&one, "X", "seven").await;
    eventually(&other, "X", "seven").await;
    server.command(&["SCRIPT", "FLUSH"]);
    let large = "x".repeat(1_000_000);
    good(&one, "Y", &large).await;
    eventually(&other, "Y", &large).await;
    let metrics = registry.fallback("quotes").unwrap().metrics();
    assert_eq!(metrics.from_store, 2);
    let cached = other.scope(quote("X", Err("down"))).await.unwrap();
    assert_eq!(cached.source, Source::Cache);
    assert!(cached.age.is_some_and(|age| age < Duration::from_secs(60)));
    // Everything goes by itself, within the hour that an answer may be old, and soon after.
    let keys = server.command(&["KEYS", "*"]);
    assert_eq!(keys.items().len(), 2, "{keys:?}");
    for key in keys.items() {
        let left = server.command(&["PTTL".to_owned(), key.text()]).integer();
        assert!((3_000_000..=3_600_001).contains(&left), "{left}");
    }
}

#[test]
fn a_synchronous_function_waits_for_the_server() {
    let server = RedisServer::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (_one, _) = runtime.block_on(instance(&server.url()));
    quote_blocking("X", Ok("seven")).unwrap();
    let (_other, _) = runtime.block_on(instance(&server.url()));
    let start = Instant::now();
    while quote_blocking("X", Err("down")).is_err() {
        assert!(start.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_server_each_instance_goes_on_by_itself_and_they_meet_again() {
    let server = RedisServer::start();
    let (one, _) = instance(&server.url()).await;
    let (other, _) = instance(&server.url()).await;
    good(&one, "X", "seven").await;
    eventually(&other, "X", "seven").await;
    server.kill();
    let start = Instant::now();
    for n in 0..100 {
        good(&one, "Y", &n.to_string()).await;
        assert_eq!(bad(&one, "Y").await, Some(n.to_string()));
        assert_eq!(bad(&other, "Y").await, None);
    }
    // A few of them wait for their deadline of 50 ms, the others not at all; generous for a machine
    // under load, and far below what a hundred deadlines take.
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
    server.restart();
    eventually_from(&one, &other, "Y", "eight").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_flushed_is_filled_again() {
    let server = RedisServer::start();
    let (one, registry) = instance(&server.url()).await;
    good(&one, "X", "seven").await;
    let (other, _) = instance(&server.url()).await;
    eventually(&other, "X", "seven").await;
    server.command(&["FLUSHALL"]);
    let (third, _) = instance(&server.url()).await;
    assert_eq!(bad(&third, "X").await, None);
    eventually_from(&one, &third, "X", "eight").await;
    registry.reset();
    let start = Instant::now();
    while !server.command(&["KEYS", "*"]).items().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(20), "still there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (fourth, _) = instance(&server.url()).await;
    assert_eq!(bad(&fourth, "X").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_holds_nobody_up() {
    let server = RedisServer::start();
    let proxy = FaultProxy::to(server.port());
    let (one, _) = instance(&proxy.url()).await;
    let (other, _) = instance(&proxy.url()).await;
    good(&one, "X", "seven").await;
    eventually(&other, "X", "seven").await;
    proxy.black_hole();
    let start = Instant::now();
    for _ in 0..50 {
        good(&one, "Y", "seven").await;
        assert_eq!(bad(&other, "Y").await, None);
        assert_eq!(bad(&other, "X").await, Some("seven".to_owned()));
    }
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
}
