//! From one end of what can be set to the other while calls run and wait: nothing overflows, nobody is left
//! behind, and what is ordinary afterwards works as ever.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    Policy, Switch,
    bulkhead::{Bulkhead, BulkheadSettings},
    circuit_breaker::{CircuitBreaker, CircuitBreakerSettings, Window},
    rate_limiter::{Algorithm, RateLimiter, RateLimiterSettings, Request},
    retry::{Retry, RetrySettings},
    settings::PolicySettings,
    timeout::{Timeout, TimeoutSettings},
};
use crate::{
    algorithm::{backoff::Backoff, jitter::Jitter},
    call::Call,
    rate::Rate,
};

const SECOND: Duration = Duration::from_secs(1);

fn count() -> impl Strategy<Value = u32> {
    prop_oneof![
        Just(1),
        Just(2),
        Just(1 << 30),
        Just(u32::MAX - 1),
        Just(u32::MAX),
        1u32..50
    ]
}

fn time() -> impl Strategy<Value = Duration> {
    let ends = [
        Duration::from_nanos(1),
        Duration::from_nanos(u64::MAX / 2),
        Duration::from_nanos(u64::MAX),
        Duration::from_secs(86_400 * 365 * 300),
        Duration::MAX,
    ];
    prop_oneof![
        prop::sample::select(ends.to_vec()),
        (1u64..5_000).prop_map(Duration::from_millis)
    ]
}

fn switch() -> impl Strategy<Value = Switch> {
    prop_oneof![4 => Just(Switch::On), 1 => Just(Switch::Off)]
}

/// What can be set: the rest is refused where it is written.
fn checked<S: PolicySettings>(settings: &S) -> bool {
    settings.check().is_ok() && settings.missing().is_none()
}

fn run(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(test);
}

fn limits() -> impl Strategy<Value = RateLimiterSettings> {
    let waits = prop::option::of(time());
    let algorithms = prop::sample::select(Algorithm::ALL.to_vec());
    (
        algorithms,
        count(),
        time(),
        prop::option::of(count()),
        waits,
        time(),
    )
        .prop_map(|(algorithm, count, per, burst, max_wait, interval)| {
            let rate = Rate::new(count, per);
            let mut settings = RateLimiterSettings::new().rate(rate).algorithm(algorithm);
            let is_bucket = matches!(algorithm, Algorithm::TokenBucket | Algorithm::LeakyBucket);
            settings.burst = burst.filter(|_| is_bucket);
            settings.interval = (algorithm == Algorithm::Adaptive).then_some(interval);
            settings.max_wait = max_wait;
            settings
        })
}

fn circuits() -> impl Strategy<Value = CircuitBreakerSettings> {
    let window = prop_oneof![
        count().prop_map(Window::Count),
        time().prop_map(Window::Time)
    ];
    (
        window,
        count(),
        time(),
        time(),
        count(),
        prop::option::of(time()),
    )
        .prop_map(|(window, threshold, recovery, lost, places, slow)| {
            let mut settings = CircuitBreakerSettings::new()
                .window(window)
                .failure_threshold(threshold)
                .failure_rate(1.0)
                .minimum_calls(1)
                .recovery_timeout(recovery)
                .max_recovery_timeout(Duration::MAX)
                .recovery_jitter(1.0)
                .half_open_timeout(lost)
                .half_open_requests(places)
                .success_threshold(places);
            settings.slow_call = slow;
            settings
        })
}

fn places() -> impl Strategy<Value = BulkheadSettings> {
    (count(), prop::option::of((time(), count()))).prop_map(|(most, waits)| {
        let settings = BulkheadSettings::new().max_concurrent(most);
        match waits {
            None => settings,
            Some((time, queue)) => settings.max_wait(time).max_queue(queue),
        }
    })
}

fn delays() -> impl Strategy<Value = RetrySettings> {
    (
        count(),
        time(),
        time(),
        prop::sample::select(vec![1.0, 2.0, 1e300]),
        prop::option::of(time()),
    )
        .prop_map(|(attempts, base, most, multiplier, elapsed)| {
            let mut settings = RetrySettings::new()
                .max_attempts(attempts)
                .backoff(Backoff::Exponential)
                .base_delay(base)
                .max_delay(most)
                .multiplier(multiplier)
                .jitter(Jitter::Decorrelated);
            settings.max_elapsed = elapsed;
            settings
        })
}

proptest! {
    #[test]
    fn a_limiter_goes_from_one_end_to_the_other(
        turns in prop::collection::vec((limits(), switch(), 0u64..3_000, count()), 1..12),
    ) {
        run(async {
            let ordinary = RateLimiterSettings::new().rate(Rate::per_second(10));
            let limiter: RateLimiter = super::build("x".into(), &ordinary).unwrap();
            let mut waiting = Vec::new();
            for (settings, switch, millis, cost) in turns {
                if checked(&settings) {
                    limiter.reconfigure(&settings, switch);
                }
                for cost in [0, 1, cost] {
                    let _ = limiter.try_acquire(cost);
                    let _ = limiter.try_acquire_for(&"key", cost);
                    let (limiter, to_key) = (limiter.clone(), millis % 2 == 0);
                    waiting.push(tokio::spawn(async move {
                        match to_key {
                            true => drop(limiter.acquire_for(&"key", cost).await),
                            false => drop(limiter.acquire(cost).await),
                        }
                    }));
                    tokio::task::yield_now().await;
                }
                tokio::time::advance(Duration::from_millis(millis)).await;
            }
            limiter.reconfigure(&ordinary, Switch::On);
            for waiting in waiting {
                let ended = tokio::time::timeout(SECOND, waiting).await;
                ended.expect("nobody waits any more").expect("no panic");
            }
            assert_eq!(limiter.metrics().waiting, 0);
            // Twice what it holds is owed at most.
            limiter.reset();
            assert!(limiter.try_acquire(10).is_ok() && limiter.try_acquire(1).is_err());
        });
    }

    #[test]
    fn rates_of_calls_go_from_one_end_to_the_other(
        rates in prop::collection::vec((0u32..3, count(), time(), 0u64..3_000), 1..20),
    ) {
        run(async {
            for algorithm in Algorithm::ALL {
                let settings = RateLimiterSettings::new().rate(Rate::OF_THE_CALL).algorithm(algorithm);
                let limiter: RateLimiter = super::build("x".into(), &settings).unwrap();
                for &(cost, count, per, millis) in &rates {
                    for rate in [Rate::new(count, per), Rate::new(0, per), Rate::new(count, Duration::ZERO)] {
                        let call = Call::new();
                        let request = Request::new().key("key").rate(rate).cost(cost);
                        drop(limiter.enter_blocking(&call, request));
                    }
                    tokio::time::advance(Duration::from_millis(millis)).await;
                }
            }
        });
    }

    #[test]
    fn a_breaker_goes_from_one_end_to_the_other(
        turns in prop::collection::vec((circuits(), switch(), 0u64..3_000, 0u8..4), 1..40),
    ) {
        run(async {
            let ordinary = CircuitBreakerSettings::new().failure_threshold(2);
            let breaker: CircuitBreaker = super::build("x".into(), &ordinary).unwrap();
            let mut running = Vec::new();
            for (settings, switch, millis, end) in turns {
                if checked(&settings) {
                    breaker.reconfigure(&settings, switch);
                }
                running.extend(breaker.try_acquire());
                running.extend(breaker.try_acquire_for(&end));
                tokio::time::advance(Duration::from_millis(millis)).await;
                match (end, running.pop()) {
                    (0, Some(permit)) => permit.success(),
                    (1 | 2, Some(permit)) => permit.failure(),
                    _ => {}
                }
                let _ = breaker.metrics();
            }
            breaker.reconfigure(&ordinary, Switch::On);
            breaker.reset();
            for _ in 0..2 {
                breaker.try_acquire().unwrap().failure();
            }
            assert!(breaker.try_acquire().is_err());
        });
    }

    #[test]
    fn a_bulkhead_goes_from_one_end_to_the_other(
        turns in prop::collection::vec((places(), switch(), 0u64..3_000), 1..20),
    ) {
        run(async {
            let ordinary = BulkheadSettings::new().max_concurrent(2);
            let bulkhead: Bulkhead = super::build("x".into(), &ordinary).unwrap();
            let (mut inside, mut waiting) = (Vec::new(), Vec::new());
            for (settings, switch, millis) in turns {
                if checked(&settings) {
                    bulkhead.reconfigure(&settings, switch);
                }
                inside.extend(bulkhead.try_acquire());
                inside.extend(bulkhead.try_acquire_for(&"key"));
                let calls = bulkhead.clone();
                waiting.push(tokio::spawn(async move { calls.acquire().await.is_ok() }));
                tokio::time::advance(Duration::from_millis(millis)).await;
                if millis % 2 == 0 {
                    inside.pop();
                }
            }
            bulkhead.reconfigure(&ordinary, Switch::On);
            for waiting in waiting {
                let ended = tokio::time::timeout(SECOND, waiting).await;
                ended.expect("nobody waits any more").expect("no panic");
            }
            drop(inside);
            let metrics = bulkhead.metrics();
            assert_eq!((metrics.in_flight, metrics.waiting), (0, 0));
        });
    }

    #[test]
    fn retries_and_timeouts_go_from_one_end_to_the_other(
        turns in prop::collection::vec((delays(), time(), switch()), 1..10),
    ) {
        run(async {
            let retry: Retry = super::build("x".into(), &RetrySettings::new()).unwrap();
            let timeout: Timeout = super::build("x".into(), &TimeoutSettings::new().after(SECOND)).unwrap();
            for (delays, after, switch) in turns {
                if checked(&delays) {
                    retry.reconfigure(&delays, switch);
                }
                let after = TimeoutSettings::new().after(after);
                if checked(&after) {
                    timeout.reconfigure(&after, switch);
                }
                assert!(retry.delays().take(100).all(|delay| delay <= Duration::MAX));
                let tries = std::cell::Cell::new(0);
                let call = retry.call(|| {
                    tries.set(tries.get() + 1);
                    let ends: Result<(), &str> = if tries.get() < 3 { Err("again") } else { Ok(()) };
                    std::future::ready(ends)
                });
                let _ = tokio::time::timeout(SECOND, call).await;
                let answer: Result<u32, crate::Rejection> = timeout.call(async { Ok(1) }).await;
                assert_eq!(answer.ok(), Some(1));
            }
        });
    }
}
