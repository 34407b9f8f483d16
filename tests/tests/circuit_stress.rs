//! A circuit breaker under many threads: nothing lost, nothing admitted twice.
#![allow(clippy::unwrap_used)] // helpers of tests, not only the tests themselves

use std::{
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use steadfast::{CircuitBreaker, CircuitState};

const HOUR: Duration = Duration::from_secs(3_600);

/// Opened, and half-open for the next caller: an open time of a nanosecond is over at once.
fn due(probes: u32) -> CircuitBreaker {
    let breaker = CircuitBreaker::builder("stress")
        .failure_threshold(1)
        .recovery_timeout(Duration::from_nanos(1))
        .half_open_timeout(HOUR)
        .half_open_requests(probes)
        .success_threshold(probes)
        .build()
        .unwrap();
    breaker.try_acquire().unwrap().failure();
    breaker
}

#[test]
fn half_open_admits_exactly_its_probes_of_a_thousand_callers() {
    for round in 0..50 {
        let probes = 1 + round % 7;
        let breaker = due(probes);
        let admitted = AtomicU64::new(0);
        let together = Barrier::new(50);
        thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| {
                    together.wait();
                    let permits: Vec<_> =
                        (0..20).filter_map(|_| breaker.try_acquire().ok()).collect();
                    admitted.fetch_add(permits.len() as u64, Relaxed);
                    // Nobody gives a place back before all have asked.
                    together.wait();
                    permits.into_iter().for_each(steadfast::Permit::success);
                });
            }
        });
        assert_eq!(admitted.load(Relaxed), u64::from(probes));
        assert_eq!(breaker.state(), CircuitState::Closed);
    }
}

#[test]
fn no_outcome_is_lost_between_threads() {
    let breaker = CircuitBreaker::builder("stress")
        .failure_threshold(u32::MAX)
        .window(1_000_000)
        .build()
        .unwrap();
    let calls = 20_000_u64;
    thread::scope(|scope| {
        for thread in 0..8 {
            let breaker = breaker.clone();
            scope.spawn(move || {
                for n in 0..calls {
                    let permit = breaker.try_acquire().unwrap();
                    match (n + thread) % 10 {
                        0 => permit.failure(),
                        1 => drop(permit),
                        _ => permit.success(),
                    }
                }
            });
        }
    });
    let metrics = breaker.metrics();
    let tenth = 8 * calls / 10;
    assert_eq!((metrics.calls, metrics.failures), (9 * tenth, tenth));
    assert_eq!(metrics.total_successes, 8 * tenth);
    assert_eq!(metrics.total_failures, tenth);
    assert_eq!(metrics.total_ignored, tenth);
}

/// Successes on a clean window are not written down. A failure among them must still be found in it
/// until a whole window of successes has followed.
#[test]
fn failures_on_a_clean_window_are_never_lost() {
    let breaker = CircuitBreaker::builder("stress")
        .failure_threshold(u32::MAX)
        .window(1_000)
        .build()
        .unwrap();
    for _ in 0..2_000 {
        breaker.try_acquire().unwrap().success();
    }
    for _ in 0..200 {
        let together = Barrier::new(4);
        thread::scope(|scope| {
            for thread in 0..4 {
                let (breaker, together) = (&breaker, &together);
                scope.spawn(move || {
                    together.wait();
                    for n in 0..100 {
                        let permit = breaker.try_acquire().unwrap();
                        if n == 50 + thread {
                            permit.failure()
                        } else {
                            permit.success()
                        }
                    }
                });
            }
        });
        assert_eq!(breaker.metrics().failures, 4);
        for _ in 0..1_000 {
            breaker.try_acquire().unwrap().success();
        }
        assert_eq!(breaker.metrics().failures, 0);
    }
}

#[test]
fn storms_of_everything_leave_a_breaker_that_works() {
    let breaker = CircuitBreaker::builder("stress")
        .failure_rate(0.5)
        .window(20)
        .recovery_timeout(Duration::from_nanos(1))
        .build()
        .unwrap();
    thread::scope(|scope| {
        for thread in 0..6_u64 {
            let breaker = breaker.clone();
            scope.spawn(move || {
                for n in 0..20_000_u64 {
                    if n % 4_001 == thread * 500 {
                        [CircuitBreaker::force_open, CircuitBreaker::disable][n as usize % 2](
                            &breaker,
                        );
                        breaker.reset();
                    }
                    let Ok(permit) = breaker.try_acquire() else {
                        continue;
                    };
                    match (n * 31 + thread) % 3 {
                        0 => permit.success(),
                        1 => permit.failure(),
                        _ => drop(permit),
                    }
                }
            });
        }
    });
    breaker.reset();
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.metrics().calls, 1);
}
