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

/// The settings that an attribute would have which says the same, where they can be written there.
fn as_in_attribute<S: PolicySettings>(text: &str) -> Option<S> {
    let (document, _) = super::file::read(text, None);
    let document = document.unwrap();
    let (_, table) = document.policies.first_key_value().unwrap();
    let mut settings = S::default();
    for entry in &table.entries {
        let is_none = entry.given.text() == Some("none");
        if is_none || settings.write(&entry.key, &entry.given).is_err() {
            return None;
        }
    }
    Some(settings)
}

/// A preset in a file, with what is written beside it, is what it is in an attribute.
fn is_as_in_attribute<S: PolicySettings>(
    preset: &str,
    entries: &[(prop::sample::Index, &str)],
) -> Result<(), TestCaseError> {
    let kind = S::KIND;
    let entries: Vec<_> = entries
        .iter()
        .filter(|(setting, _)| setting.get(S::DESCRIBED).name != "preset")
        .copied()
        .collect();
    let text = table::<S>(&format!("{kind}.p"), &entries) + &format!("preset = \"{preset}\"\n");
    if let Some(settings) = as_in_attribute::<S>(&text) {
        let resolved = resolve(S::default(), &text, "");
        let is_good = resolved.mistakes.is_empty();
        prop_assert_eq!(is_good, settings.check().is_ok(), "{}", text);
        if is_good {
            let [here, there] = [resolved.settings, settings].map(|each| each.effective());
            prop_assert_eq!(here, there, "{}", text);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_preset_of_a_retry_is_the_same_in_a_file_as_in_an_attribute(
        preset in select(RetryPreset::ALL.as_slice()),
        entries in entries(),
    ) {
        is_as_in_attribute::<RetrySettings>(preset.as_str(), &entries)?;
    }

    #[test]
    fn a_preset_of_a_breaker_is_the_same_in_a_file_as_in_an_attribute(
        preset in select(CircuitPreset::ALL.as_slice()),
        entries in entries(),
    ) {
        is_as_in_attribute::<CircuitBreakerSettings>(preset.as_str(), &entries)?;
    }
}
