//! A great many different keys.

use std::{
    fs,
    time::{Duration, Instant},
};

use steadfast::{Bulkhead, OnStoreError, Rate, RateLimiter, RedisStore};
use steadfast_servers::{RedisServer, Reply};

use crate::{instance::Instance, processes};

/// Keys that are remembered.
const MAX_KEYS: u32 = 2_000;
/// Callers at a time.
const CALLERS: u64 = 256;

/// How many keys: a million with `STEADFAST_FAULTS_KEYS=1000000`, which takes some minutes.
const KEYS: &str = "STEADFAST_FAULTS_KEYS";
const FEWER: u64 = 60_000;

fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kilobytes.map_or(0, |number| number.trim().parse().expect("a number"))
}

/// In a process of its own, whose memory is nobody else's.
#[test]
fn local_memory_is_bounded_and_keys_expire() {
    let redis = RedisServer::start();
    let number = std::env::var(KEYS).map_or(FEWER, |number| number.parse().expect("a number"));
    let job = format!("{} {number}", redis.url());
    let child = processes::spawn("crowd::many_keys", &job);
    let [granted, places, few, many, after, micros] = processes::numbers(child)[..] else {
        panic!("six numbers");
    };
    assert_eq!(granted, u128::from(number), "each key has its own limit");
    // Places of keys for which there is no room here are few.
    assert!(places > 0 && places <= u128::from(number / 10), "{places}");
    // Kilobytes. Both have seen more keys than they remember; the second ten times as many.
    let grown = many.saturating_sub(few);
    assert!(grown < 8_000, "{few} kB after a tenth, {many} kB after all");
    // And while the store is away.
    let grown_alone = after.saturating_sub(many);
    assert!(
        grown_alone < 8_000,
        "{many} kB, {after} kB after as many without the store"
    );

    let mut client = redis.client().expect("a connection");
    let mut cursor = "0".to_owned();
    let mut sampled = 0;
    loop {
        let reply = client
            .command(&["SCAN", &cursor, "COUNT", "500"])
            .expect("a reply");
        let [next, keys] = reply.items() else {
            panic!("{reply:?}")
        };
        for key in keys.items() {
            let Reply::Bulk(key) = key else {
                panic!("{key:?}")
            };
            let ttl = client
                .command(&[b"PTTL", &key[..]])
                .expect("a reply")
                .integer();
            // -2: it has expired since. Fences outlive their leases, so that they rise.
            let key = String::from_utf8_lossy(key);
            assert!(ttl == -2 || ttl > 0, "{key} never expires");
            sampled += 1;
        }
        cursor = next.text();
        if cursor == "0" || sampled > 20_000 {
            break;
        }
    }
    assert!(sampled > 1_000, "{sampled}");
    eprintln!(
        "crowd: {number} keys in {} ms; {few} kB resident after a tenth, {many} kB after all, {after} kB after as many without the store; {sampled} keys sampled, all expire",
        micros / 1_000
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process that the other test of this module starts"]
async fn many_keys() {
    let Some(job) = processes::job() else { return };
    let number: u64 = job[1].parse().expect("a number");
    let store = RedisStore::builder(&job[0]).deadline(crate::SOON);
    let store = store.connect().await.expect("a store");
    let (_, (keyed, places)) = Instance::with(store, || {
        let places = Bulkhead::builder("places")
            .max_concurrent(2)
            .max_keys(MAX_KEYS)
            .shared(true)
            .on_store_error(OnStoreError::Deny)
            .build()
            .expect("good settings");
        (limiter(OnStoreError::Deny), places)
    });
    let start = Instant::now();
    let tenth = number / 10;
    let mut granted = each(0, tenth, &keyed).await;
    let seats = occupy(tenth, &places).await;
    let few = resident();
    granted += each(tenth, number, &keyed).await;
    let many = resident();
    let took = start.elapsed();
    // Another store, that is away.
    let nowhere = RedisStore::lazy("redis://127.0.0.1:1/").expect("a good url");
    let (_, local) = Instance::with(nowhere, || limiter(OnStoreError::Local));
    each(0, number, &local).await;
    let after = resident();
    for number in [granted, seats, few, many, after, took.as_micros() as u64] {
        println!("number {number}");
    }
}

fn limiter(on_store_error: OnStoreError) -> RateLimiter {
    RateLimiter::builder("keys")
        .rate(Rate::new(2, Duration::from_secs(600)))
        .max_keys(MAX_KEYS)
        .shared(true)
        .on_store_error(on_store_error)
        .build()
        .expect("good settings")
}

/// One call for each key; how many were let through.
async fn each(from: u64, to: u64, limiter: &RateLimiter) -> u64 {
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let limiter = limiter.clone();
            tokio::spawn(async move {
                let mut granted = 0;
                for key in (from + caller..to).step_by(CALLERS as usize) {
                    granted += u64::from(limiter.acquire_for(&key, 1).await.is_ok());
                }
                granted
            })
        })
        .collect();
    sum(callers).await
}

async fn occupy(number: u64, places: &Bulkhead) -> u64 {
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let places = places.clone();
            tokio::spawn(async move {
                let mut granted = 0;
                for key in (caller..number).step_by(CALLERS as usize) {
                    granted += u64::from(places.acquire_for(&key).await.is_ok());
                }
                granted
            })
        })
        .collect();
    sum(callers).await
}

async fn sum(callers: Vec<tokio::task::JoinHandle<u64>>) -> u64 {
    let mut sum = 0;
    for caller in callers {
        sum += caller.await.expect("no panic");
    }
    sum
}
