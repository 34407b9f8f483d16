//! What is shown of settings can be written again, into a file as well as into a variable.

#![allow(clippy::unwrap_used)] // clippy does not see that this module is for tests

use std::{fmt::Debug, time::Duration};

use proptest::{option, prelude::*};

use super::{Given, Spelt};
use crate::{
    algorithm::{backoff::Backoff, jitter::Jitter},
    policy::{
        bulkhead::BulkheadSettings,
        circuit_breaker::{Cancelled, CircuitBreakerSettings, CircuitPreset, Window},
        fallback::FallbackSettings,
        rate_limiter::{Algorithm, RateLimiterSettings},
        retry::{RetryPreset, RetrySettings},
        settings::{PolicySettings, Setting},
        shared::{Mode, OnStoreError},
        timeout::TimeoutSettings,
    },
    rate::Rate,
};

/// What is shown of `settings`, written into new ones, is accepted and means the same: as text of variables,
/// and as a file.
fn comes_back<S: PolicySettings + Spelt>(settings: &S) -> Result<(), TestCaseError> {
    prop_assume!(settings.check().is_ok());
    let shown = settings.effective();
    let mut again = S::default();
    // A jitter has a word that others say by leaving it out.
    let is_written = |setting: &&Setting| setting.value != "none" || setting.name == "jitter";
    for setting in shown.iter().filter(is_written) {
        let written = again.write(setting.name, &Given::Variable(setting.value.clone()));
        prop_assert_eq!(written, Ok(()), "{:?}", setting);
    }
    prop_assert_eq!(again.check(), Ok(()), "{:?} of {:?}", again, settings);
    prop_assert_eq!(again.effective(), shown.clone());
    #[cfg(feature = "cli")]
    if settings.missing().is_none() {
        comes_back_from_a_file::<S>(&shown)?;
    }
    Ok(())
}

/// All of it, what is off included.
#[cfg(feature = "cli")]
fn comes_back_from_a_file<S: PolicySettings>(shown: &[Setting]) -> Result<(), TestCaseError> {
    use crate::config::{Base, Layers, Source, render};

    let shape = |name| {
        S::DESCRIBED
            .iter()
            .find(|each| each.name == name)
            .unwrap()
            .shape
    };
    let line = |Setting { name, value }: &Setting| {
        format!("{name} = {}\n", render::value(shape(*name), value))
    };
    let settings: String = shown.iter().map(line).collect();
    let name = "a \"name\"\twith::all";
    let text = format!("[{}.{}]\n{settings}", S::KIND, render::key(name));
    let (layers, mistakes) = Layers::default().with(Source::Text, &text);
    prop_assert_eq!(mistakes, vec![], "{}", text);
    let nothing = Base {
        settings: S::default(),
        place: None,
        varying: false,
    };
    let resolved = layers.unwrap().resolve(&name.into(), nothing);
    prop_assert_eq!(resolved.mistakes.clone(), vec![], "{}", text);
    prop_assert_eq!(resolved.shown(), shown, "{}", text);
    Ok(())
}

fn duration() -> impl Strategy<Value = Duration> {
    let any = (any::<u64>(), 0u32..1_000_000_000).prop_map(|(s, n)| Duration::new(s, n));
    let short = (1u64..10_000_000_000).prop_map(Duration::from_nanos);
    let round = (1u64..10_000).prop_map(Duration::from_secs);
    prop_oneof![any, short, round]
}

fn share() -> impl Strategy<Value = f64> {
    prop_oneof![0.0..=1.0, Just(1.0), Just(0.0), Just(-0.0)]
}

fn count() -> impl Strategy<Value = u32> {
    prop_oneof![1u32..200, any::<u32>()]
}

fn maybe<T: Debug + Clone + 'static>(
    some: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Option<T>> {
    option::of(some).boxed()
}

fn rate() -> impl Strategy<Value = Rate> {
    (1..1_000_000u32, duration()).prop_map(|(count, per)| Rate::new(count, per))
}

fn on_store_error() -> impl Strategy<Value = OnStoreError> {
    use OnStoreError::{Allow, Deny, Local};
    proptest::sample::select(vec![Local, Allow, Deny])
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn every_retry_can_be_written_as_it_is_shown(
        (max_attempts, base_delay, max_delay, max_elapsed) in
            (maybe(count()), maybe(duration()), maybe(duration()), maybe(duration())),
        preset in maybe(proptest::sample::select(RetryPreset::ALL.to_vec())),
        backoff in maybe(proptest::sample::select(vec![Backoff::Exponential, Backoff::Linear, Backoff::Fixed])),
        jitter in maybe(prop_oneof![
            proptest::sample::select(vec![Jitter::Full, Jitter::Equal, Jitter::Decorrelated, Jitter::None]),
            share().prop_map(Jitter::Fraction),
        ]),
        (multiplier, budget) in (maybe(1.0..1e300), maybe(prop_oneof![1e-300..1e300, 0.0..1.0])),
        (timeouts, rejections) in (any::<Option<bool>>(), any::<Option<bool>>()),
    ) {
        comes_back(&RetrySettings {
            preset,
            max_attempts, backoff, base_delay, max_delay, multiplier, jitter, max_elapsed, timeouts,
            budget, rejections,
        })?;
    }

    #[test]
    fn every_breaker_can_be_written_as_it_is_shown(
        (failure_threshold, minimum_calls, half_open_requests, success_threshold, max_keys, quorum) in
            (maybe(count()), maybe(count()), maybe(count()), maybe(count()), maybe(count()), maybe(count())),
        (failure_rate, slow_call_rate, recovery_jitter) in (maybe(share()), maybe(share()), maybe(share())),
        (slow_call, recovery_timeout, max_recovery_timeout, half_open_timeout) in
            (maybe(duration()), maybe(duration()), maybe(duration()), maybe(duration())),
        window in maybe(prop_oneof![count().prop_map(Window::Count), duration().prop_map(Window::Time)]),
        preset in maybe(proptest::sample::select(CircuitPreset::ALL.to_vec())),
        cancelled in maybe(proptest::sample::select(vec![Cancelled::Ignore, Cancelled::Failure])),
        (enforce, shared) in (any::<Option<bool>>(), any::<Option<bool>>()),
        on_store_error in maybe(on_store_error()),
    ) {
        comes_back(&CircuitBreakerSettings {
            preset,
            failure_threshold, failure_rate, window, minimum_calls, slow_call, slow_call_rate,
            recovery_timeout, recovery_jitter, max_recovery_timeout, half_open_requests,
            success_threshold, half_open_timeout, cancelled, max_keys, enforce, shared,
            on_store_error: on_store_error.filter(|_| shared == Some(true)),
            quorum: quorum.filter(|_| shared == Some(true)),
        })?;
    }

    #[test]
    fn every_limiter_can_be_written_as_it_is_shown(
        rate in rate(),
        min_rate in maybe(rate()),
        (burst, max_keys, instances) in (maybe(count()), maybe(count()), maybe(count())),
        algorithm in maybe(proptest::sample::select(vec![
            Algorithm::TokenBucket, Algorithm::LeakyBucket, Algorithm::FixedWindow,
            Algorithm::SlidingWindow, Algorithm::SlidingWindowCounter, Algorithm::Adaptive,
        ])),
        (max_wait, interval) in (maybe(duration()), maybe(duration())),
        (adaptive_threshold, backoff_factor, recovery_factor) in
            (maybe(share()), maybe(share()), maybe(1.0..1e300)),
        (enforce, shared) in (any::<Option<bool>>(), any::<Option<bool>>()),
        mode in maybe(proptest::sample::select(vec![Mode::Exact, Mode::Lease])),
        on_store_error in maybe(on_store_error()),
    ) {
        let adaptive = algorithm == Some(Algorithm::Adaptive);
        let is_shared = shared == Some(true);
        comes_back(&RateLimiterSettings {
            rate: Some(rate), burst: burst.filter(|_| !adaptive), algorithm, max_keys, max_wait,
            min_rate: min_rate.filter(|_| adaptive),
            interval: interval.filter(|_| adaptive),
            adaptive_threshold: adaptive_threshold.filter(|_| adaptive),
            backoff_factor: backoff_factor.filter(|_| adaptive),
            recovery_factor: recovery_factor.filter(|_| adaptive),
            enforce, shared,
            mode: mode.filter(|_| is_shared),
            on_store_error: on_store_error.filter(|_| is_shared),
            instances: instances.filter(|_| is_shared),
        })?;
    }

    #[test]
    fn every_bulkhead_can_be_written_as_it_is_shown(
        (max_concurrent, max_queue, max_keys, instances) in
            (maybe(count()), maybe(count()), maybe(count()), maybe(count())),
        (max_wait, lease) in (maybe(duration()), maybe(duration())),
        (enforce, shared) in (any::<Option<bool>>(), any::<Option<bool>>()),
        on_store_error in maybe(on_store_error()),
    ) {
        let is_shared = shared == Some(true);
        comes_back(&BulkheadSettings {
            max_concurrent, max_wait, max_keys, enforce, shared,
            max_queue: max_queue.filter(|_| max_wait.is_some()),
            lease: lease.filter(|_| is_shared),
            on_store_error: on_store_error.filter(|_| is_shared),
            instances: instances.filter(|_| is_shared),
        })?;
    }

    #[test]
    fn every_timeout_and_fallback_can_be_written_as_it_is_shown(
        after in maybe(duration()),
        (fresh, stale) in (maybe(duration()), maybe(duration())),
        max_entries in maybe(count()),
        shared in any::<Option<bool>>(),
    ) {
        comes_back(&TimeoutSettings { after })?;
        comes_back(&FallbackSettings { fresh, stale, max_entries, shared })?;
    }
}
