//! A server whose clock is set an hour ahead, and back.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use steadfast::{Algorithm, Bulkhead, OnStoreError, Rate, RateLimiter, RedisStore, Rejection};
use steadfast_servers::{FaultProxy, RedisServer, wait_until};

use crate::{ENDS, SOON, instance::Instance};

/// So many calls in this time.
const COUNT: u32 = 10;
const WINDOW: Duration = Duration::from_secs(2);
/// No whole number of windows.
const HOUR: i64 = 3_601;

const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::TokenBucket,
    Algorithm::LeakyBucket,
    Algorithm::FixedWindow,
    Algorithm::SlidingWindow,
    Algorithm::SlidingWindowCounter,
    Algorithm::Adaptive,
];

/// Calls that were let through in this much time, by the bounds of the algorithm, while all clocks are
/// right.
fn bound(algorithm: Algorithm, time: Duration) -> u64 {
    let windows = time.as_secs_f64() / WINDOW.as_secs_f64();
    let count = u64::from(COUNT);
    match algorithm {
        // Windows that began before and end after it.
        Algorithm::FixedWindow => count * (windows as u64 + 2),
        Algorithm::SlidingWindow => count * (windows as u64 + 1),
        // Its worst second sees nearly two windows' worth.
        Algorithm::SlidingWindowCounter => count * (windows as u64 + 2),
        _ => count + (windows * f64::from(COUNT)).ceil() as u64,
    }
}

/// What a caller is told who asks all the time.
#[derive(Clone, Default)]
struct Grants {
    /// When calls were let through.
    at: Arc<Mutex<Vec<Instant>>>,
    /// When a call was refused, and when it would be let through.
    refused: Arc<Mutex<Vec<(Instant, Instant)>>>,
}

impl Grants {
    fn between(&self, from: Instant, to: Instant) -> u64 {
        let grants = self.at.lock().expect("no panic");
        grants.iter().filter(|at| (from..=to).contains(*at)).count() as u64
    }

    /// How long it took after a step until a call was let through; whoever was refused before it waits
    /// for as long as he was told first.
    fn locked_out(&self, step: Instant) -> Option<Duration> {
        let refused = self.refused.lock().expect("no panic");
        let promised = refused.iter().rfind(|(at, _)| *at < step);
        let from = promised.map_or(step, |(_, promised)| step.max(*promised));
        let grants = self.at.lock().expect("no panic");
        let first = grants.iter().find(|&&at| at > step)?;
        Some(first.saturating_duration_since(from))
    }
}

async fn ask_all_the_time(limiter: RateLimiter, grants: Grants, stop: Arc<AtomicBool>) {
    while !stop.load(Relaxed) {
        match limiter.acquire(1).await {
            Ok(_) => grants.at.lock().expect("no panic").push(Instant::now()),
            Err(Rejection::RateLimited(limited)) => {
                let now = Instant::now();
                let promised = now + limited.retry_after.expect("a time");
                grants
                    .refused
                    .lock()
                    .expect("no panic")
                    .push((now, promised));
            }
            // On a machine with much to do a deadline passes now and then; nothing is let through.
            Err(Rejection::StoreUnavailable(_)) => {}
            Err(other) => panic!("{other}"),
        }
        // Often enough to find the moment.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_lock_out_for_a_window_at_most_and_grant_one_burst_more_at_most() {
    let redis = RedisServer::builder().clock_offset(0).start();
    let store = RedisStore::connect(&redis.url()).await.expect("a store");
    let (instance, limiters) = Instance::with(store, || {
        ALGORITHMS.map(|algorithm| {
            RateLimiter::builder(format!("{algorithm:?}"))
                .rate(Rate::new(COUNT, WINDOW))
                .algorithm(algorithm)
                .shared(true)
                .on_store_error(OnStoreError::Deny)
                .build()
                .expect("good settings")
        })
    });
    let stop = Arc::new(AtomicBool::new(false));
    let grants = ALGORITHMS.map(|_| Grants::default());
    let begun = Instant::now();
    let callers: Vec<_> = limiters
        .iter()
        .zip(&grants)
        .map(|(limiter, grants)| {
            tokio::spawn(ask_all_the_time(
                limiter.clone(),
                grants.clone(),
                Arc::clone(&stop),
            ))
        })
        .collect();

    let mut steps = vec![(begun, "begun")];
    for (offset, what) in [
        (HOUR, "ahead"),
        (0, "back"),
        (-HOUR, "an hour behind"),
        (0, "right again"),
    ] {
        // What is tested is what time does.
        tokio::time::sleep(WINDOW * 5 / 4).await;
        steps.push((Instant::now(), what));
        redis.set_clock_offset(offset);
    }
    tokio::time::sleep(WINDOW * 5 / 4).await;
    steps.push((Instant::now(), "the end"));
    stop.store(true, Relaxed);
    for caller in callers {
        caller.await.expect("no panic");
    }

    for (algorithm, grants) in ALGORITHMS.iter().zip(&grants) {
        let mut seen = Vec::new();
        for step in steps.windows(2) {
            let [(from, what), (to, _)] = step else {
                continue;
            };
            let locked_out = grants.locked_out(*from);
            let number = grants.between(*from, *to);
            seen.push((*what, number, locked_out));
            // One window at most, and what a busy machine adds.
            assert!(
                locked_out.is_some_and(|locked_out| locked_out < WINDOW + ENDS),
                "{algorithm:?}: {seen:?}"
            );
            // One burst more than while clocks are right.
            let most = bound(*algorithm, *to - *from) + u64::from(COUNT);
            assert!(number <= most, "{algorithm:?}: more than {most}: {seen:?}");
        }
        for steps in steps.windows(3) {
            let (from, to) = (steps[0].0, steps[2].0);
            let most = bound(*algorithm, to - from) + u64::from(COUNT);
            let number = grants.between(from, to);
            assert!(
                number <= most,
                "{algorithm:?}: {number} of {most} around a step: {seen:?}"
            );
        }
        eprintln!("clock, {algorithm:?}: {seen:?}");
    }
    assert_eq!(instance.outages(), (0, 0));
}

fn places(max_concurrent: u32) -> Bulkhead {
    Bulkhead::builder("places")
        .max_concurrent(max_concurrent)
        .lease(WINDOW)
        .shared(true)
        .on_store_error(OnStoreError::Deny)
        .build()
        .expect("good settings")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_hold_while_they_are_renewed_and_end_when_they_are_not() {
    // Side by side: each takes its time.
    for case in [HOUR, -HOUR].map(|offset| tokio::spawn(leases_at(offset))) {
        case.await.expect("no panic");
    }
}

async fn leases_at(offset: i64) {
    let redis = RedisServer::builder().clock_offset(0).start();
    let proxy = FaultProxy::to(redis.port());
    let store = RedisStore::connect(&proxy.url()).await.expect("a store");
    let (holder, held) = Instance::with(store, || places(1));
    let store = RedisStore::connect(&redis.url()).await.expect("a store");
    let (other, wanted) = Instance::with(store, || places(1));
    let permit = held.acquire().await.expect("a place");
    let fence = permit.fence().expect("a fence");

    redis.set_clock_offset(offset);
    let mut taken = Vec::new();
    let begun = Instant::now();
    // Two leases and a half.
    while begun.elapsed() < WINDOW * 5 / 2 {
        if let Ok(permit) = wanted.acquire().await {
            taken.push(permit);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Ahead, the lease may be over; the place is then another's, once, and its holder is told.
    assert!(taken.len() <= 1, "{offset}: one burst more at most");
    wait_until("who lost a place is told", SOON, || {
        holder.lost().len() + other.lost().len() == taken.len()
    });
    for permit in &taken {
        assert!(permit.fence() > Some(fence), "{offset}");
    }

    // Its process ends without giving the place back.
    taken.clear();
    proxy.refuse();
    let gone = Instant::now();
    wait_until("the place is free", SOON, || {
        wanted.acquire_blocking().is_ok()
    });
    let locked_out = gone.elapsed();
    assert!(locked_out < WINDOW + ENDS, "{offset}: {locked_out:?}");
    // A step back, and the fence rises all the same.
    let last = wanted.acquire().await.expect("a place").fence();
    assert!(last > Some(fence), "{offset}: {last:?} after {fence}");
    eprintln!(
        "clock {offset:+} s: place lost {} times, free {locked_out:?} after its holder was gone",
        holder.lost().len()
    );
    drop(permit);
}
