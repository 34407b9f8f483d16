//! A recorder for the whole program that is installed after calls were made.
#![allow(missing_docs)]

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use steadfast::{Rate, RateLimiter, Rejection, rate_limited};

#[rate_limited("late", rate = "1000/s")]
fn call() -> Result<u32, Rejection> {
    Ok(1)
}

/// What has come in all: the sum of a counter, or the number of a histogram's values.
struct Seen {
    snapshotter: Snapshotter,
    came: BTreeMap<String, u64>,
}

impl Seen {
    fn came(&mut self, name: &str) -> u64 {
        for (key, _, _, value) in self.snapshotter.snapshot().into_vec() {
            let new = match value {
                DebugValue::Counter(count) => count,
                DebugValue::Histogram(values) => values.len() as u64,
                DebugValue::Gauge(_) => 0,
            };
            *self.came.entry(key.key().name().to_owned()).or_default() += new;
        }
        self.came.get(name).copied().unwrap_or_default()
    }

    /// Waits for the publisher, which goes by real time.
    fn reaches(&mut self, name: &str, count: u64) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.came(name) < count && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(self.came(name), count, "{name}");
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
    let mut seen = Seen {
        snapshotter: recorder.snapshotter(),
        came: BTreeMap::new(),
    };
    recorder.install().unwrap();
    seen.reaches("rate_limit_allowed_total", 2);
    steadfast::metrics::publish();
    assert_eq!(seen.came("call_duration_seconds"), 0, "nobody measured");

    call().unwrap();
    seen.reaches("rate_limit_allowed_total", 3);
    seen.reaches("call_duration_seconds", 1);
    call().unwrap();
    steadfast::metrics::publish();
    seen.reaches("call_duration_seconds", 2);
}
