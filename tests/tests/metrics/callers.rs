//! What a call does for its figures.

use std::{
    sync::{Arc, Mutex},
    thread::{self, ThreadId},
    time::Instant,
};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use steadfast::{Rejection, bulkhead, retry};

use super::SECOND;

/// How often threads told histograms something.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<(ThreadId, usize)>>);

impl HistogramFn for Told {
    fn record(&self, value: f64) {
        self.record_many(value, 1);
    }

    fn record_many(&self, _: f64, count: usize) {
        self.0.lock().unwrap().push((thread::current().id(), count));
    }
}

/// Knows of histograms alone.
#[derive(Default)]
struct Slow(Arc<Told>);

impl Recorder for Slow {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::clone(&self.0))
    }
}

#[retry("quick", max_attempts = 2)]
#[bulkhead("quick", max_concurrent = 8)]
async fn quick() -> Result<u32, Rejection> {
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn a_call_allocates_nothing_and_leaves_the_recorder_to_another_thread() {
    const CALLS: usize = 1_000;
    let recorder = Slow::default();
    metrics::with_local_recorder(&recorder, || {
        let call = || {
            let waker = std::task::Waker::noop();
            let mut context = std::task::Context::from_waker(waker);
            let polled = std::pin::pin!(quick()).poll(&mut context);
            assert!(polled.is_ready());
        };
        call(); // finds its policies, and makes room for its times
        let measured = allocation_counter::measure(|| (1..CALLS).for_each(|_| call()));
        assert_eq!(measured.count_total, 0);
    });
    // Times and attempts of each.
    let deadline = Instant::now() + SECOND * 30;
    let told = || recorder.0.0.lock().unwrap().clone();
    while told().iter().map(|(_, count)| count).sum::<usize>() < 2 * CALLS {
        assert!(Instant::now() < deadline, "{:?}", told());
        // The publisher goes by real time.
        thread::sleep(SECOND / 100);
    }
    let here = thread::current().id();
    assert!(told().iter().all(|&(thread, _)| thread != here));
}
