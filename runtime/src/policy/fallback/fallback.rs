//! The policy.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use super::{
    Answering, FallbackBuilder, FallbackSettings, Forgetful, Marks, OrElse, Pass,
    memory::{Answers, CacheKey, Recalled},
    outage::Outage,
    settings::Terms,
    shared::Sharing,
};
#[cfg(feature = "metrics")]
use crate::metrics::{Meter, Metered};
use crate::{
    clock,
    counter::Counters,
    error::ConfigError,
    event::{Event, FellBack, Misconfigured, Sink},
    judge::Judge,
    kind::PolicyKind,
    lock::lock,
    name::PolicyName,
    outcome::Outcome,
    policy::{
        Later, Policy, Switch,
        reloadable::Reloadable,
        settings::{PolicySettings, Setting, Value},
    },
    served::Source,
    step::{Rejected, Step},
};

/// Answers in place of a call that failed: with an earlier answer, or with one of your own.
///
/// The value behind `#[fallback]`. Cheap to clone; clones are one policy.
///
/// ```
/// use steadfast::Fallback;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), steadfast::ConfigError> {
/// let fallback = Fallback::builder("greeting").build()?;
/// let result: Result<&str, &str> = fallback
///     .or_else(|_error| async { Ok("hello anyway") })
///     .call(async { Err("no connection") })
///     .await;
/// assert_eq!(result, Ok("hello anyway"));
/// # Ok(())
/// # }
/// ```
///
/// # Configuration
/// Settings can be replaced while calls run (feature `config`): answers that are remembered stay, judged by the
/// new ages, and a lower `max_entries` lets the least used go. A failed call is answered by what is in force
/// when it has failed. `enabled = false`: its error passes, and nothing is remembered or counted.
///
/// # Cancellation
/// Nothing is held across the call; a call that is dropped is neither answered nor remembered.
#[derive(Debug, Clone)]
pub struct Fallback(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    name: PolicyName,
    pub(super) terms: Reloadable<Terms>,
    pub(super) answers: Answers,
    outage: Mutex<Outage>,
    totals: Counters<4>,
    sink: Sink,
    /// Only where it is `shared`.
    pub(super) sharing: Option<Arc<Sharing>>,
    told_misuse: AtomicBool,
    #[cfg(feature = "metrics")]
    meter: Meter,
}

const CACHED: usize = 0;
const STALE: usize = 1;
const ANSWERED: usize = 2;
const PASSED: usize = 3;

/// What a fallback counted since its start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct FallbackMetrics {
    /// Failed calls answered with a fresh earlier answer.
    pub cached: u64,
    /// Failed calls answered with a stale earlier answer.
    pub stale: u64,
    /// Failed calls answered by the fallback's own answer.
    pub answered: u64,
    /// Failed calls for which there was no answer: the error went to the caller.
    pub passed: u64,
    /// Answers remembered now, by this instance.
    pub entries: u64,
    /// `shared`: of those in `cached` and `stale`, the calls answered with what the store was just asked
    /// for. Such an answer is remembered here, too, and counts no more when it is served again.
    pub from_store: u64,
    /// `shared`: good answers that were remembered here only, since they cannot be kept in the store: over
    /// 1 MiB as JSON, or without JSON.
    pub unshared: u64,
    /// `shared`: answers in the store that this program cannot read, as those of another version.
    pub unreadable: u64,
}

/// Whether a call is answered in its place, and under which terms: those in force when it had ended.
#[derive(Debug, Clone, Copy)]
pub struct Serving<'f>(Option<&'f Terms>);

impl<'f> Serving<'f> {
    pub(super) fn terms(self) -> Option<&'f Terms> {
        self.0
    }
}

/// What is left of a step once the fallback has looked at it.
#[derive(Debug)]
pub enum Taken<R: Outcome, X> {
    /// It stays as it is.
    Keep(Step<R, X>),
    /// It failed, and is to be answered.
    Failed(R::Error),
}

impl Fallback {
    /// Begins a fallback of that name.
    pub fn builder(name: impl Into<PolicyName>) -> FallbackBuilder {
        FallbackBuilder::new(name)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &PolicyName {
        &self.0.name
    }

    /// What it counted.
    #[must_use]
    pub fn metrics(&self) -> FallbackMetrics {
        let totals = &self.0.totals;
        let shared = self.0.sharing.as_ref().map(|sharing| sharing.counts());
        let shared = shared.unwrap_or_default();
        FallbackMetrics {
            cached: totals.sum(CACHED),
            stale: totals.sum(STALE),
            answered: totals.sum(ANSWERED),
            passed: totals.sum(PASSED),
            entries: self.0.answers.len() as u64,
            from_store: shared.from_store,
            unshared: shared.unshared,
            unreadable: shared.unreadable,
        }
    }

    /// Answers a failed call with what `answer` makes of its error.
    pub fn or_else<A>(&self, answer: A) -> Answering<'_, Forgetful, OrElse<A>> {
        Answering::new(self).or_else(answer)
    }

    /// Remembers good answers under `key`, and serves them when the call fails: fresh ones up to
    /// `fresh`, stale ones up to `stale`. Without a hit, the error passes, or what is said with
    /// [`or_else`](Answering::or_else) answers.
    pub fn cached(&self, key: &(impl fmt::Display + ?Sized)) -> Answering<'_, CacheKey, Pass> {
        Answering::new(self).cached(self.cache_key(key))
    }

    /// Makes the call. Where nothing is said about answers, its error passes; see
    /// [`or_else`](Self::or_else) and [`cached`](Self::cached).
    pub async fn call<F>(&self, future: F) -> F::Output
    where
        F: Future<Output: Outcome>,
    {
        Answering::<Forgetful, Pass>::new(self).call(future).await
    }

    #[doc(hidden)]
    /// The key of this call's answer.
    pub fn cache_key(&self, key: &(impl fmt::Display + ?Sized)) -> CacheKey {
        CacheKey::new(key)
    }

    #[doc(hidden)]
    /// Whether this step is to be answered.
    #[allow(clippy::needless_pass_by_value)]
    pub fn serves<R: Outcome>(&self, judge: Judge<'_, R>) -> Serving<'_> {
        let terms = self.0.terms.get();
        Serving((terms.is_on && judge.wants_answer()).then_some(terms))
    }

    #[doc(hidden)]
    /// Takes the error out of a step that is to be answered.
    pub fn take<R: Outcome, X: Rejected>(
        &self,
        step: Step<R, X>,
        serving: Serving<'_>,
    ) -> Taken<R, X> {
        match serving.0 {
            None => Taken::Keep(step),
            Some(_) => Self::take_error(step),
        }
    }

    #[inline(never)]
    fn take_error<R: Outcome, X: Rejected>(step: Step<R, X>) -> Taken<R, X> {
        match step {
            Step::Done(outcome) | Step::Settled(outcome, _) => match outcome.into_result() {
                Err(error) => Taken::Failed(error),
                Ok(value) => Taken::Keep(Step::Done(R::from_result(Ok(value)))),
            },
            step => Taken::Keep(step),
        }
    }

    #[doc(hidden)]
    /// Remembers a good answer.
    pub fn remember<R: Outcome, X>(&self, key: &CacheKey, step: &Step<R, X>, marks: Marks<R::Value>)
    where
        R::Value: Clone + Send + Sync + 'static,
    {
        if self.0.terms.get().is_on
            && let Some(value) = Self::memorable(step, marks)
        {
            self.0.answers.remember(key, value.clone(), clock::now());
        }
    }

    /// The value that is worth remembering.
    pub(super) fn memorable<R: Outcome, X>(
        step: &Step<R, X>,
        marks: Marks<R::Value>,
    ) -> Option<&R::Value> {
        let Step::Done(outcome) = step else {
            return None;
        };
        let value = outcome.as_result().ok()?;
        marks.is_primary(value).then_some(value)
    }

    #[doc(hidden)]
    /// An earlier answer, if there is one young enough.
    pub fn recall<R: Outcome>(
        &self,
        key: &CacheKey,
        marks: Marks<R::Value>,
        serving: Serving<'_>,
    ) -> Option<R>
    where
        R::Value: Clone + Send + Sync + 'static,
    {
        let ages = serving.terms()?.ages;
        let recalled = self.0.answers.recall(key, ages, clock::now())?;
        self.serve(recalled, marks)
    }

    pub(super) fn serve<R: Outcome>(
        &self,
        recalled: Recalled<R::Value>,
        marks: Marks<R::Value>,
    ) -> Option<R> {
        let Recalled {
            mut value,
            age,
            fresh,
        } = recalled;
        let source = if fresh {
            Source::Cache
        } else {
            Source::StaleCache
        };
        marks.mark(&mut value, source, Some(age));
        self.note(source, if fresh { CACHED } else { STALE });
        Some(R::from_result(Ok(value)))
    }

    #[doc(hidden)]
    /// The fallback's own answer.
    #[must_use]
    pub fn answered<R: Outcome>(&self, answer: R, marks: Marks<R::Value>) -> R {
        self.note(Source::Fallback, ANSWERED);
        R::from_result(answer.into_result().map(|mut value| {
            marks.mark(&mut value, Source::Fallback, None);
            value
        }))
    }

    #[doc(hidden)]
    /// There is no answer: the error passes.
    pub fn passed<R: Outcome, X>(&self, error: R::Error) -> Step<R, X> {
        self.0.totals.add(PASSED, 1);
        Step::Done(R::from_result(Err(error)))
    }

    /// Says, once, that it is used in a way that does not fit its `shared`.
    pub(super) fn expect_shared(&self, is_shared: bool) {
        if self.0.sharing.is_some() == is_shared || self.0.told_misuse.swap(true, Relaxed) {
            return;
        }
        let problem = match is_shared {
            true => {
                "`cached(..).shared()` remembers here only, since the fallback is not shared: build it with `shared(true)`"
            }
            false => {
                "`cached(..)` remembers here only, although the fallback is shared: write `cached(..).shared()`"
            }
        };
        self.0.sink.tell(&Event::Misconfigured(Misconfigured {
            policy: self.0.name.clone(),
            error: ConfigError::BadSetting {
                kind: PolicyKind::Fallback,
                policy: self.0.name.clone(),
                setting: "shared",
                problem: problem.to_owned(),
            },
        }));
    }

    /// Keeps no more than what is in force says. Whoever is overtaken by others who change that sees it.
    fn keep_bounds(&self) {
        loop {
            let terms = self.0.terms.get();
            self.0.answers.set_max_entries(terms.max_entries);
            if let Some(sharing) = &self.0.sharing {
                sharing.change(terms.max_entries);
            }
            if std::ptr::eq(terms, self.0.terms.get()) {
                return;
            }
        }
    }

    fn note(&self, source: Source, counter: usize) {
        self.0.totals.add(counter, 1);
        let now = clock::now();
        let worth_a_warning = lock(&self.0.outage).note(now);
        let event = |count, notable| {
            Event::FellBack(FellBack {
                policy: self.0.name.clone(),
                source,
                count,
                notable,
            })
        };
        match worth_a_warning {
            Some(count) => self.0.sink.tell(&event(count, true)),
            None => self.0.sink.tell_debug(|| event(1, false)),
        }
    }
}

impl Policy for Fallback {
    type Settings = FallbackSettings;

    fn assemble(name: PolicyName, settings: &FallbackSettings, sink: Sink) -> Self {
        let terms = Terms::new(*settings, Switch::On);
        let sharing = match settings.is_shared() {
            true => Sharing::new(&name, terms.max_entries, &sink),
            false => None,
        };
        Self(Arc::new(Inner {
            #[cfg(feature = "metrics")]
            meter: Meter::new(&metered::LINES, Some(&name), sink.levels()),
            name,
            answers: Answers::new(terms.max_entries),
            terms: Reloadable::new(terms),
            outage: Mutex::default(),
            totals: Counters::new(),
            sink,
            sharing,
            told_misuse: AtomicBool::new(false),
        }))
    }

    fn settings(&self) -> Vec<Setting> {
        self.0.terms.get().settings.effective()
    }

    /// Answers that are remembered stay, and are judged by the new ages; of more than are to be
    /// remembered, the least valuable go. A call is answered by what is in force when it has failed.
    fn configure(&self, settings: &FallbackSettings, switch: Switch) -> Later {
        self.0.terms.set(Terms::new(*settings, switch));
        let this = self.clone();
        // What is forgotten is dropped, which is the user's code and may come back with other settings.
        Later::new(move || this.keep_bounds())
    }

    fn observe(&self) -> Vec<(&'static str, Value)> {
        let metrics = self.metrics();
        let mut seen = vec![
            ("cached", metrics.cached.into()),
            ("stale", metrics.stale.into()),
            ("answered", metrics.answered.into()),
            ("passed", metrics.passed.into()),
            ("entries", metrics.entries.into()),
        ];
        if self.0.sharing.is_some() {
            seen.push(("from_store", metrics.from_store.into()));
            seen.push(("unshared", metrics.unshared.into()));
            seen.push(("unreadable", metrics.unreadable.into()));
        }
        seen
    }

    fn reset(&self) {
        if let Some(sharing) = &self.0.sharing {
            sharing.reset();
        }
        self.0.answers.clear();
        self.0.totals.reset();
        *lock(&self.0.outage) = Outage::default();
    }

    #[cfg(feature = "metrics")]
    fn metered(&self) -> Arc<dyn Metered> {
        self.0.clone()
    }
}

#[cfg(feature = "metrics")]
mod metered {
    use std::sync::LazyLock;

    use super::*;
    use crate::metrics::*;

    pub(super) static LINES: LazyLock<Lines> = LazyLock::new(|| Lines {
        lines: [Source::Cache, Source::StaleCache, Source::Fallback]
            .map(|source| Line::new(FALLBACK).with("source", source.as_str()))
            .into(),
        told: None,
    });

    impl Metered for Inner {
        fn meter(&self) -> &Meter {
            &self.meter
        }

        fn read(&self) -> Vec<u64> {
            [CACHED, STALE, ANSWERED]
                .map(|source| self.totals.ever(source))
                .to_vec()
        }
    }

    impl Drop for Inner {
        fn drop(&mut self) {
            close(self);
        }
    }
}
