//! Whatever is written: what comes of it is good, and what is not taken is told.

#![allow(clippy::unwrap_used)] // clippy does not see that this module is for tests

use std::time::Duration;

use proptest::{collection::vec, prelude::*, sample::select};

use super::{Base, ConfigFile, Layers, Source};
use crate::{
    algorithm::backoff::Backoff,
    name::PolicyName,
    policy::{
        bulkhead::BulkheadSettings,
        circuit_breaker::{CircuitBreakerSettings, CircuitPreset, Window},
        rate_limiter::{Algorithm, RateLimiterSettings},
        retry::{RetryPreset, RetrySettings},
        settings::PolicySettings,
    },
    rate::Rate,
};

const VALUES: &[&str] = &[
    "0",
    "1",
    "7",
    "200",
    "-1",
    "0.5",
    "1.5",
    "2.0",
    "nan",
    "inf",
    "true",
    "false",
    "\"none\"",
    "\"0s\"",
    "\"1ms\"",
    "\"3s\"",
    "\"5m\"",
    "\"2h\"",
    "\"full\"",
    "\"fixed\"",
    "\"linear\"",
    "\"adaptive\"",
    "\"leaky_bucket\"",
    "\"fixed_window\"",
    "\"5/s\"",
    "\"900/m\"",
    "\"lease\"",
    "\"deny\"",
    "\"critical\"",
    "\"streaming\"",
    "\"slow_batch\"",
    "\"low_volume\"",
    "\"mine\"",
    "\"nobody's\"",
    "[]",
];

/// A table of some settings.
fn table<S: PolicySettings>(head: &str, entries: &[(prop::sample::Index, &str)]) -> String {
    let mut lines = std::collections::BTreeMap::new();
    for (setting, value) in entries {
        lines.insert(setting.get(S::DESCRIBED).name, value);
    }
    let lines = lines
        .iter()
        .map(|(name, value)| format!("{name} = {value}\n"));
    format!("[{head}]\n{}", lines.collect::<String>())
}

fn entries() -> impl Strategy<Value = Vec<(prop::sample::Index, &'static str)>> {
    vec((any::<prop::sample::Index>(), select(VALUES)), 0..6)
}

fn resolve<S: PolicySettings>(base: S, first: &str, second: &str) -> super::Resolved<S> {
    let layers = Layers::of([]);
    let layers = layers.with(Source::Text, first).0.unwrap();
    let layers = layers
        .with(Source::File(ConfigFile::at("second")), second)
        .0
        .unwrap();
    let base = Base {
        settings: base,
        place: None,
        varying: false,
    };
    layers.resolve(&PolicyName::from("p"), base)
}

fn is_good_or_told<S: PolicySettings>(
    bases: &[S],
    entries: &[Vec<(prop::sample::Index, &str)>; 3],
) -> Result<(), TestCaseError> {
    let kind = S::KIND;
    let [preset, first, second] = entries;
    let first = table::<S>(&format!("{kind}.p"), first)
        + &table::<S>(&format!("preset.{kind}.mine"), preset);
    let second = table::<S>(&format!("{kind}.p"), second);
    for base in bases {
        prop_assert_eq!(base.check(), Ok(()));
        let resolved = resolve(*base, &first, &second);
        prop_assert_eq!(resolved.settings.check(), Ok(()), "{:?}", resolved.mistakes);
        // Where nothing is told, all is taken.
        let last = second
            .lines()
            .skip(1)
            .map(|line| line.split(" = ").next().unwrap());
        for setting in last.filter(|_| resolved.mistakes.is_empty()) {
            let is_taken = resolved.origins.contains_key(setting) || setting == "preset";
            prop_assert!(is_taken, "{} in\n{}{}", setting, first, second);
        }
        // Each is told once.
        for (nth, mistake) in resolved.mistakes.iter().enumerate() {
            prop_assert!(!resolved.mistakes[..nth].contains(mistake), "{:?}", mistake);
        }
    }
    Ok(())
}

const SECOND: Duration = Duration::from_secs(1);

proptest! {
    #[test]
    fn any_retry_is_good_or_told(entries in [entries(), entries(), entries()]) {
        let new = RetrySettings::new;
        let bases = [
            new(),
            new().base_delay(SECOND).max_delay(SECOND * 2).multiplier(3.0),
            new().preset(RetryPreset::SlowBatch).base_delay(SECOND * 120),
            new().preset(RetryPreset::FastApi).backoff(Backoff::Fixed),
        ];
        is_good_or_told(&bases, &entries)?;
    }

    #[test]
    fn any_breaker_is_good_or_told(entries in [entries(), entries(), entries()]) {
        let new = CircuitBreakerSettings::new;
        let bases = [
            new(),
            new().failure_rate(0.5).minimum_calls(100),
            new().preset(CircuitPreset::HighVolume).window(Window::Count(900)).slow_call(SECOND),
        ];
        is_good_or_told(&bases, &entries)?;
    }

    #[test]
    fn any_limiter_is_good_or_told(entries in [entries(), entries(), entries()]) {
        let new = RateLimiterSettings::new;
        let rate = Rate::per_second(10);
        let bases = [
            new(),
            new().rate(rate).burst(5).max_wait(SECOND),
            new().rate(rate).algorithm(Algorithm::Adaptive).min_rate(Rate::per_second(2)),
        ];
        is_good_or_told(&bases, &entries)?;
    }

    #[test]
    fn any_bulkhead_is_good_or_told(entries in [entries(), entries(), entries()]) {
        let new = BulkheadSettings::new;
        let bases = [
            new(),
            new().max_wait(SECOND).max_queue(5),
            new().shared(true).lease(SECOND * 3),
        ];
        is_good_or_told(&bases, &entries)?;
    }
}
