//! The policies on a clock whose source steps back, jumps ahead and stands still.

use std::time::Duration;

use proptest::prelude::*;

use crate::{
    CircuitBreaker, CircuitState, Rate, RateLimiter,
    clock::simulated::{Simulated, simulate},
};

const MILLISECOND: u64 = 1_000_000;

/// How far the counters of two cores are apart at most: more than any machine's.
const SKEW: i64 = 40 * MILLISECOND as i64;

/// A thousand a second, a hundred of them at once.
fn limiter() -> RateLimiter {
    RateLimiter::builder("skewed")
        .rate(Rate::per_second(1_000))
        .burst(100)
        .build()
        .expect("valid")
}

/// A thread that goes from core to core: where it was, and where it is.
struct Thread {
    clock: Simulated,
    core: i64,
}

impl Thread {
    fn new() -> Self {
        let clock = simulate();
        Self { clock, core: 0 }
    }

    fn go_to(&mut self, core: i64) {
        self.clock.step(core - self.core);
        self.core = core;
    }
}

/// Cores, by how far they are ahead.
fn cores() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(-SKEW / 2..=SKEW / 2, 1..600)
}

proptest! {
    #[test]
    fn a_limiter_lets_in_who_keeps_to_the_rate_whatever_core_it_is_on(cores in cores()) {
        let (mut thread, limiter) = (Thread::new(), limiter());
        for core in cores {
            thread.go_to(core);
            prop_assert!(limiter.try_acquire(1).is_ok());
            thread.clock.pass(MILLISECOND);
        }
    }

    #[test]
    fn a_limiter_gives_out_no_more_than_the_furthest_core_would(cores in cores()) {
        let (mut thread, limiter) = (Thread::new(), limiter());
        let (mut admitted, mut passed) = (0, 0);
        for core in cores {
            thread.go_to(core);
            while limiter.try_acquire(1).is_ok() {
                admitted += 1;
            }
            passed += 1;
            thread.clock.pass(MILLISECOND);
        }
        prop_assert!(admitted <= 100 + passed + SKEW / MILLISECOND as i64, "{admitted} in {passed} ms");
    }

    #[test]
    fn a_breaker_refuses_nobody_for_a_step_of_the_clock(cores in cores()) {
        let mut thread = Thread::new();
        let breaker = CircuitBreaker::builder("skewed")
            .failure_rate(0.5)
            .window(10)
            .minimum_calls(1)
            .slow_call(Duration::from_millis(100))
            .build()
            .expect("valid");
        for cores in cores.chunks(2) {
            thread.go_to(cores[0]);
            let permit = breaker.try_acquire();
            thread.clock.pass(MILLISECOND);
            // It ends on another core, perhaps before it began.
            thread.go_to(*cores.last().unwrap_or(&0));
            prop_assert!(permit.is_ok());
            permit.into_iter().for_each(|permit| permit.success());
        }
        prop_assert_eq!(breaker.state(), CircuitState::Closed);
        prop_assert_eq!(breaker.metrics().total_slow_calls, 0);
    }
}

#[test]
fn an_open_circuit_is_probed_after_its_recovery_whatever_core_asks() {
    let mut thread = Thread::new();
    let breaker = CircuitBreaker::builder("skewed")
        .failure_threshold(1)
        .recovery_timeout(Duration::from_secs(1))
        .build()
        .expect("valid");
    thread.go_to(SKEW / 2);
    breaker.try_acquire().expect("closed").failure();
    thread.go_to(-SKEW / 2);
    assert!(breaker.try_acquire().is_err());
    thread.clock.pass(1_000 * MILLISECOND + SKEW.unsigned_abs());
    assert!(breaker.try_acquire().is_ok());
}

/// What a thread believes a counter for, in readings.
const BELIEVED: usize = 300;

#[test]
fn a_counter_that_stands_still_locks_nobody_out_of_a_limiter() {
    let (thread, limiter) = (Thread::new(), limiter());
    while limiter.try_acquire(1).is_ok() {}
    thread.clock.pass_unnoticed(1_000 * MILLISECOND);
    let refused = (0..BELIEVED).take_while(|_| limiter.try_acquire(1).is_err());
    assert!(refused.count() < BELIEVED);
}

#[test]
fn a_counter_that_stands_still_keeps_no_circuit_open() {
    let thread = Thread::new();
    let breaker = CircuitBreaker::builder("skewed")
        .failure_threshold(1)
        .recovery_timeout(Duration::from_secs(1))
        .build()
        .expect("valid");
    breaker.try_acquire().expect("closed").failure();
    thread.clock.pass_unnoticed(1_000 * MILLISECOND);
    let refused = (0..BELIEVED).take_while(|_| breaker.try_acquire().is_err());
    assert!(refused.count() < BELIEVED);
}
