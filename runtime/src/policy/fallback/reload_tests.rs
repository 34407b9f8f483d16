//! Other settings while answers are remembered.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use proptest::prelude::*;
use tokio::time::advance;

use super::{CacheKey, Fallback, FallbackSettings, memory::Answers, settings::Ages};
use crate::{
    clock::Nanos,
    policy::{Policy as _, Switch},
};

const SECOND: Duration = Duration::from_secs(1);

fn settings(fresh: Duration, stale: Duration) -> FallbackSettings {
    FallbackSettings::new().fresh(fresh).stale(stale)
}

fn fallback(settings: FallbackSettings) -> Fallback {
    crate::policy::build("test".into(), &settings).unwrap()
}

async fn good(fallback: &Fallback, key: &str, value: u32) {
    let answer: Result<u32, &str> = fallback.cached(key).call(async { Ok(value) }).await;
    assert_eq!(answer, Ok(value));
}

async fn bad(fallback: &Fallback, key: &str) -> Option<u32> {
    fallback.cached(key).call(async { Err("down") }).await.ok()
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_remembered_are_judged_by_the_ages_in_force() {
    let fallback = fallback(settings(10 * SECOND, 20 * SECOND));
    good(&fallback, "a", 1).await;
    advance(15 * SECOND).await;
    fallback.reconfigure(&settings(5 * SECOND, 10 * SECOND), Switch::On);
    assert_eq!(bad(&fallback, "a").await, None);
    fallback.reconfigure(&settings(5 * SECOND, 15 * SECOND), Switch::On);
    assert_eq!(bad(&fallback, "a").await, Some(1));
    fallback.reconfigure(&settings(30 * SECOND, 30 * SECOND), Switch::On);
    assert_eq!(bad(&fallback, "a").await, Some(1));
    let metrics = fallback.metrics();
    assert_eq!((metrics.passed, metrics.stale, metrics.cached), (1, 1, 1));
    let shown = fallback.settings();
    assert_eq!(shown[0].value, "30s");
}

#[tokio::test(start_paused = true)]
async fn switched_off_it_answers_remembers_and_counts_nothing() {
    let fallback = fallback(settings(10 * SECOND, 20 * SECOND));
    good(&fallback, "a", 1).await;
    fallback.reconfigure(&settings(10 * SECOND, 20 * SECOND), Switch::Off);
    assert_eq!(bad(&fallback, "a").await, None);
    good(&fallback, "a", 2).await;
    good(&fallback, "b", 2).await;
    let own: Result<u32, &str> = fallback
        .or_else(|_| async { panic!("asked") })
        .call(async { Err("down") })
        .await;
    assert_eq!(own, Err("down"));
    let metrics = fallback.metrics();
    assert_eq!(
        (metrics.cached, metrics.answered, metrics.passed),
        (0, 0, 0)
    );
    assert_eq!(metrics.entries, 1);
    fallback.reconfigure(&settings(10 * SECOND, 20 * SECOND), Switch::On);
    assert_eq!(bad(&fallback, "a").await, Some(1));
    assert_eq!(bad(&fallback, "b").await, None);
}

/// A call that fails has one set of settings: those in force when it had failed.
#[tokio::test(start_paused = true)]
async fn a_call_is_answered_by_what_is_in_force_when_it_has_failed() {
    let fallback = fallback(settings(10 * SECOND, 20 * SECOND));
    good(&fallback, "a", 1).await;
    let off_meanwhile = async {
        fallback.reconfigure(&settings(10 * SECOND, 20 * SECOND), Switch::Off);
        Err("down")
    };
    let answer: Result<u32, &str> = fallback.cached("a").call(off_meanwhile).await;
    assert_eq!(answer, Err("down"));
    let on_meanwhile = async {
        fallback.reconfigure(&settings(10 * SECOND, 20 * SECOND), Switch::On);
        Err("down")
    };
    let answer: Result<u32, &str> = fallback.cached("a").call(on_meanwhile).await;
    assert_eq!(answer, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn fewer_answers_are_kept_at_once_and_more_from_then_on() {
    let settings = settings(10 * SECOND, 20 * SECOND);
    let fallback = fallback(settings.max_entries(1_000));
    for n in 0..1_000 {
        good(&fallback, &n.to_string(), n).await;
    }
    let all = fallback.metrics().entries;
    assert!(all > 900, "{all}");
    fallback.reconfigure(&settings.max_entries(1_000).fresh(SECOND), Switch::On);
    assert_eq!(
        fallback.metrics().entries,
        all,
        "the same bound forgets nothing"
    );
    for most in [500, 33, 7, 3, 1] {
        fallback.reconfigure(&settings.max_entries(most), Switch::On);
        let kept = fallback.metrics().entries;
        assert!((1..=u64::from(most)).contains(&kept), "{kept} of {most}");
        good(&fallback, "new", 1).await;
        assert!(fallback.metrics().entries <= u64::from(most));
    }
    assert_eq!(bad(&fallback, "new").await, Some(1));
    fallback.reconfigure(&settings.max_entries(100_000), Switch::On);
    for n in 0..5_000 {
        good(&fallback, &n.to_string(), n).await;
    }
    assert!(fallback.metrics().entries > 4_900);
}

/// Does something when it is dropped.
struct Answer(Arc<dyn Fn() + Send + Sync>);

impl Drop for Answer {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn remember(fallback: &Fallback, keys: u32, act: impl Fn() + Send + Sync + 'static) {
    let act: Arc<dyn Fn() + Send + Sync> = Arc::new(act);
    for key in 0..keys {
        let answer = Answer(Arc::clone(&act));
        fallback
            .0
            .answers
            .remember(&CacheKey::new(&key), answer, Nanos(1 << 60));
    }
}

/// Fails instead of waiting for ever.
fn ends(act: impl FnOnce() + Send + 'static) {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || {
        act();
        sender.send(()).unwrap();
    });
    let outcome = receiver.recv_timeout(Duration::from_secs(60));
    assert_ne!(
        outcome,
        Err(mpsc::RecvTimeoutError::Timeout),
        "it waits for itself"
    );
    thread.join().unwrap();
}

#[test]
fn an_answer_that_comes_back_in_when_it_is_forgotten_finds_no_lock_taken() {
    ends(|| {
        let settings = settings(10 * SECOND, 20 * SECOND);
        let fallback = fallback(settings.max_entries(1_000));
        let (back, seen) = (fallback.clone(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&seen);
        remember(&fallback, 1_000, move || {
            count.fetch_add(1, Relaxed);
            let entries = u32::try_from(back.metrics().entries).unwrap();
            back.reconfigure(&settings.max_entries(entries.max(1)), Switch::On);
        });
        let before = fallback.metrics().entries as usize;
        let evicted = seen.load(Relaxed);
        fallback.reconfigure(&settings.max_entries(3), Switch::On);
        let kept = fallback.metrics().entries as usize;
        assert!(kept <= before && kept >= 1);
        assert_eq!(seen.load(Relaxed) - evicted, before - kept);
        fallback.reset();
        assert_eq!(fallback.metrics().entries, 0);
        assert_eq!(seen.load(Relaxed), 1_000);
    });
}

#[cfg(feature = "config")]
#[test]
fn an_answer_that_loads_a_configuration_when_it_is_forgotten_waits_for_nobody() {
    ends(|| {
        let test = crate::test::isolated();
        let registry = test.registry().clone();
        let fallback = Fallback::builder("answers")
            .fresh(SECOND)
            .install()
            .unwrap();
        remember(&fallback, 50, move || registry.configure_toml("").unwrap());
        let text = "[fallback.answers]\nmax_entries = 2";
        test.registry().configure_toml(text).unwrap();
    });
}

#[test]
fn an_answer_that_panics_when_it_is_forgotten_keeps_no_other_and_hurts_nobody() {
    let settings = settings(10 * SECOND, 20 * SECOND);
    let fallback = fallback(settings.max_entries(1_000));
    remember(&fallback, 100, || panic!("as a user's does"));
    for most in [40, 7, 1] {
        fallback.reconfigure(&settings.max_entries(most), Switch::On);
        assert!(fallback.metrics().entries <= u64::from(most));
    }
    let reset = catch_unwind(AssertUnwindSafe(|| fallback.reset()));
    assert!(reset.is_ok());
    assert_eq!(fallback.metrics().entries, 0);
}

proptest! {
    /// The model: a list of answers with their times. Which are forgotten for want of room is the cache's.
    #[test]
    fn agrees_with_a_plain_list_whatever_is_in_force(
        steps in prop::collection::vec((0u8..4, 0u8..6, 0u64..30, 1u32..8), 0..100),
    ) {
        let (answers, mut list) = (Answers::new(100), [None; 6]);
        let mut ages = Ages { fresh: 5 * SECOND, stale: 10 * SECOND };
        let (mut now, mut most) = (Nanos(1 << 60), 100);
        for (step, key, seconds, number) in steps {
            let slot = CacheKey::new(&key);
            match step {
                0 => {
                    answers.remember(&slot, number, now);
                    list[usize::from(key)] = Some((number, now));
                }
                1 => {
                    let fresh = Duration::from_secs(seconds);
                    ages = Ages { fresh, stale: fresh + Duration::from_secs(u64::from(number)) };
                }
                2 if seconds < 10 => {
                    answers.set_max_entries(number);
                    most = number as usize;
                }
                _ => now = now.after(Duration::from_secs(seconds)),
            }
            prop_assert!(answers.len() <= most);
            let known = list.iter().flatten().count();
            prop_assert!(answers.len() >= known.min(most).min(1));
            for (key, expected) in list.iter().enumerate() {
                let Some(got) = answers.recall::<u32>(&CacheKey::new(&key), ages, now) else {
                    continue;
                };
                let (value, at) = expected.unwrap();
                prop_assert_eq!((got.value, got.age), (value, now.since(at)));
                prop_assert_eq!(got.fresh, got.age <= ages.fresh);
                prop_assert!(got.age <= ages.stale);
            }
            if most >= 100 {
                // With room for all, none is missing that is young enough.
                for (key, expected) in list.iter().enumerate() {
                    let is_young = expected.is_some_and(|(_, at)| now.since(at) <= ages.stale);
                    let found = answers.recall::<u32>(&CacheKey::new(&key), ages, now);
                    prop_assert_eq!(found.is_some(), is_young);
                }
            }
        }
    }
}
