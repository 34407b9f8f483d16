//! What `publish` promises while others do the same.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use steadfast::{CircuitBreaker, Rate, RateLimiter, metrics::publish};

use super::{Recorded, SECOND, run};

/// A counter that somebody is held up at, on the way to it.
#[derive(Default)]
struct Held {
    count: AtomicU64,
    is_held: Mutex<bool>,
    changed: Condvar,
    asks_for_more: AtomicBool,
}

impl CounterFn for Held {
    fn increment(&self, value: u64) {
        if self.asks_for_more.load(SeqCst) {
            publish();
        }
        if value > 0 {
            let mut is_held = self.is_held.lock().unwrap();
            *is_held = true;
            self.changed.notify_all();
            let held = self.changed.wait_while(is_held, |is_held| *is_held);
            drop(held.unwrap());
        }
        self.count.fetch_add(value, SeqCst);
    }

    fn absolute(&self, _: u64) {}
}

impl Held {
    fn wait_until_held(&self) {
        let is_held = self.is_held.lock().unwrap();
        let held = self.changed.wait_while(is_held, |is_held| !*is_held);
        drop(held.unwrap());
    }

    fn let_go(&self) {
        *self.is_held.lock().unwrap() = false;
        self.changed.notify_all();
    }
}

/// Knows of permits alone.
#[derive(Default)]
struct Permits(Arc<Held>);

impl Recorder for Permits {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match key.name() {
            "rate_limit_allowed_total" => Counter::from_arc(Arc::clone(&self.0)),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

fn limiter(recorder: &Permits) -> RateLimiter {
    metrics::with_local_recorder(recorder, || {
        RateLimiter::builder("rounds")
            .rate(Rate::per_second(5))
            .build()
            .unwrap()
    })
}

#[test]
fn all_is_there_when_it_returns_though_another_thread_was_bringing_it() {
    let recorder = Permits::default();
    let (limiter, held) = (limiter(&recorder), &recorder.0);
    limiter.try_acquire(1).unwrap();
    thread::scope(|scope| {
        scope.spawn(publish); // or the publisher's own thread has it
        held.wait_until_held();
        scope.spawn(|| {
            // Long enough for who does not wait to come back with nothing.
            thread::sleep(Duration::from_millis(50));
            held.let_go();
        });
        publish();
        assert_eq!(held.count.load(SeqCst), 1);
    });
}

#[test]
fn a_recorder_may_call_it_from_within() {
    let recorder = Permits::default();
    let (limiter, held) = (limiter(&recorder), &recorder.0);
    held.asks_for_more.store(true, SeqCst);
    limiter.try_acquire(1).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            held.wait_until_held();
            held.let_go();
        });
        publish();
    });
    assert_eq!(held.count.load(SeqCst), 1);
}

/// In a registry of its own, under a recorder of its own, on a thread of its own.
fn elsewhere(act: impl FnOnce(&DebuggingRecorder) + Send) {
    thread::scope(|scope| {
        scope.spawn(|| {
            let _isolated = steadfast::test::isolated();
            let recorder = DebuggingRecorder::new();
            metrics::with_local_recorder(&recorder, || act(&recorder));
        });
    });
}

#[test]
fn what_a_policy_shows_later_goes_to_the_recorder_that_it_has() {
    let mut seen = Recorded::new();
    let recorder = DebuggingRecorder::new();
    seen.snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let breaker = CircuitBreaker::builder("loyal").build().unwrap();
        breaker.force_open();
        elsewhere(|other| {
            publish();
            let told = other.snapshotter().snapshot().into_vec();
            let told: Vec<_> = told.iter().map(|(key, ..)| super::spelt(key)).collect();
            assert!(!told.iter().any(|name| name.contains("loyal")), "{told:?}");
        });
        let change = "circuit_breaker_state_changes_total{policy=loyal,from=closed,to=forced_open}";
        assert_eq!(seen.count(change), 1);
    });
}

#[test]
fn the_state_of_a_circuit_is_told_by_the_clock_of_its_own_test() {
    run(async |seen| {
        let breaker = CircuitBreaker::builder("clock")
            .failure_threshold(1)
            .recovery_timeout(SECOND)
            .build()
            .unwrap();
        breaker.try_acquire_for("host").unwrap().failure();
        assert_eq!(seen.states("clock"), [0, 1, 0, 0, 0]);
        tokio::time::advance(SECOND * 60).await;
        publish();
        elsewhere(|_| publish()); // where it is still the same second
        let open = "circuit_breaker_state{policy=clock,state=open}";
        let told = seen.snapshotter.snapshot().into_vec();
        let told = told.into_iter().find(|(key, ..)| super::spelt(key) == open);
        assert!(matches!(told, Some((.., DebugValue::Gauge(number))) if number.0 == 0.0));
    });
}
