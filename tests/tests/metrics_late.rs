//! A recorder for the whole program that is installed after calls were made.
#![allow(missing_docs)]

use std::{
    thread,
    time::{Duration, Instant},
};

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use steadfast::{Rate, RateLimiter, Rejection, rate_limited};

#[rate_limited("late", rate = "1000/s")]
fn call() -> Result<u32, Rejection> {
    Ok(1)
}

/// What has come since the last look: the sum of a counter, or the number of a histogram's values.
fn came(seen: &Snapshotter, name: &str) -> u64 {
    let all = seen.snapshot().into_vec().into_iter();
    let named = all.filter(|(key, ..)| key.key().name() == name);
    let counted = named.map(|(_, _, _, value)| match value {
        DebugValue::Counter(count) => count,
        DebugValue::Histogram(values) => values.len() as u64,
        DebugValue::Gauge(_) => 0,
    });
    counted.sum()
}

/// Waits for the publisher, which goes by real time.
fn arrives(seen: &Snapshotter, name: &str) -> u64 {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match came(seen, name) {
            0 if Instant::now() < deadline => thread::sleep(Duration::from_millis(10)),
            came => return came,
        }
    }
}

#[test]
fn a_recorder_that_comes_late_gets_what_was_counted_before_and_all_that_follows() {
    let limiter = RateLimiter::builder("early")
        .rate(Rate::per_second(5))
        .build();
    limiter.unwrap().try_acquire(1).unwrap(); // and is gone before anybody could hear of it
    call().unwrap();
    call().unwrap();
    steadfast::metrics::publish(); // to nobody

    let recorder = DebuggingRecorder::new();
    let seen = recorder.snapshotter();
    recorder.install().unwrap();
    assert_eq!(arrives(&seen, "rate_limit_allowed_total"), 2);
    assert_eq!(came(&seen, "call_duration_seconds"), 0, "nobody measured");

    call().unwrap();
    assert_eq!(arrives(&seen, "rate_limit_allowed_total"), 1);
    call().unwrap();
    assert_eq!(came(&seen, "call_duration_seconds"), 1);
}
