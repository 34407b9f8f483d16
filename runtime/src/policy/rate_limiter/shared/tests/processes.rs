//! Several stores and several processes on one real server, in real time.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use steadfast_servers::{FaultProxy, RedisServer};

use super::{store::limiter, whole::holds_for_the_fleet};
use crate::{
    policy::{
        rate_limiter::{Algorithm, RateLimiter, RateLimiterSettings},
        shared::{Mode, OnStoreError},
    },
    rate::Rate,
    stores::RedisStore,
};

/// So long a time that nothing comes back meanwhile.
const LONG: Duration = Duration::from_secs(360_000_000);

fn shared(count: u32) -> RateLimiterSettings {
    let settings = RateLimiterSettings::new().rate(Rate::new(count, LONG));
    // On a busy machine an answer may be late: that must not add permits of this instance's own.
    settings.shared(true).on_store_error(OnStoreError::Deny)
}

async fn connect(url: &str) -> RedisStore {
    let builder = RedisStore::builder(url).deadline(Duration::from_secs(5));
    builder.connect().await.expect("it answers")
}

#[tokio::test]
async fn a_fleet_shares_every_limit_on_redis() {
    let server = RedisServer::start();
    holds_for_the_fleet(connect(&server.url()).await).await;
}

/// Threads of one instance that take what they get.
fn take_all(limiter: &RateLimiter, calls: u32) -> u32 {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let plain = (0..calls).filter(|_| limiter.acquire_blocking(1).is_ok());
                    u32::try_from(plain.count()).expect("a few")
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .sum()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_their_own_count_together() {
    let server = RedisServer::start();
    for (algorithm, mode) in [
        (Algorithm::TokenBucket, Mode::Exact),
        (Algorithm::SlidingWindow, Mode::Exact),
        (Algorithm::FixedWindow, Mode::Lease),
    ] {
        let mut fleet = Vec::new();
        for _ in 0..3 {
            let settings = shared(1_000).algorithm(algorithm).mode(mode);
            fleet.push(limiter(connect(&server.url()).await, settings));
        }
        let takers: Vec<_> = fleet
            .iter()
            .map(|limiter| {
                let limiter = limiter.clone();
                tokio::task::spawn_blocking(move || take_all(&limiter, 150))
            })
            .collect();
        let mut let_in = 0;
        for taker in takers {
            let_in += taker.await.expect("no panic");
        }
        // What a lease holds when the last one comes is lost, to the fleet's cost.
        let least = if mode == Mode::Lease {
            1_000 - 3 * 100
        } else {
            1_000
        };
        assert!(
            (least..=1_000).contains(&let_in),
            "{algorithm} {mode}: {let_in}"
        );
        fleet[0].reset();
    }
}

const CHILD: &str = "STEADFAST_TEST_LIMIT_URL";

/// What [`processes_count_together`] starts: one process of a fleet.
#[tokio::test(flavor = "multi_thread")]
async fn one_process_of_a_fleet() {
    let Ok(url) = std::env::var(CHILD) else {
        return;
    };
    let limiter = limiter(connect(&url).await, shared(500));
    let let_in = tokio::task::spawn_blocking(move || take_all(&limiter, 100)).await;
    println!("let in: {}.", let_in.expect("no panic"));
}

#[test]
fn processes_count_together() {
    let server = RedisServer::start();
    let program = std::env::current_exe().expect("this test");
    let name = "policy::rate_limiter::shared::tests::processes::one_process_of_a_fleet";
    let processes: Vec<_> = (0..4)
        .map(|_| {
            Command::new(&program)
                .args(["--exact", name, "--nocapture"])
                .env(CHILD, server.url())
                .stdout(Stdio::piped())
                .spawn()
                .expect("another process")
        })
        .collect();
    let mut let_in = Vec::new();
    for process in processes {
        let output = process.wait_with_output().expect("it ends");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let number = text
            .split("let in: ")
            .nth(1)
            .and_then(|rest| rest.split('.').next());
        let_in.push(number.expect(&text).parse::<u32>().expect("a number"));
    }
    assert_eq!(let_in.iter().sum::<u32>(), 500, "{let_in:?}");
}

#[tokio::test]
async fn a_server_that_goes_and_comes_back_is_asked_again() {
    let server = RedisServer::start();
    let proxy = FaultProxy::to(server.port());
    let store = connect(&proxy.url()).await;
    let settings = shared(100)
        .on_store_error(OnStoreError::Local)
        .instances(10);
    let limiter = limiter(store, settings);
    for _ in 0..20 {
        limiter.acquire(1).await.expect("there are a hundred");
    }
    server.kill();
    // By its deadline each call ends; what it had is this instance's share.
    let mut alone = 0;
    for _ in 0..40 {
        alone += u32::from(limiter.acquire(1).await.is_ok());
    }
    assert_eq!(alone, 10);
    server.restart();
    let back = std::time::Instant::now();
    // A generous bound: it is back within a second, on a machine that is not busy.
    while limiter
        .acquire(1)
        .await
        .map_or(true, |allowance| allowance.limit != 100)
    {
        assert!(
            back.elapsed() < Duration::from_secs(20),
            "it does not come back"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
