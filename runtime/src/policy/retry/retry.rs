//! The policy.

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use super::{
    Attempts, Next, RetryBuilder, RetrySettings,
    attempts::ABSENT,
    settings::{Plan, Terms},
};
#[cfg(feature = "metrics")]
use crate::metrics::{Meter, Metered};
use crate::{
    algorithm::{budget::Budget, schedule::Delays},
    call::Call,
    clock::{Nanos, nanos},
    counter::Counters,
    event::{Event, Sink},
    judge::Judge,
    name::PolicyName,
    outcome::Outcome,
    policy::{
        Later, Policy, Switch,
        reloadable::Reloadable,
        settings::{PolicySettings, Setting, Value},
    },
    probe::Traits,
    step::Step,
    sync::{Mutex, lock},
};

/// Runs a call again after a failure, so that one lost packet is not one lost order.
///
/// The value behind `#[retry]`. Cheap to clone; clones are one policy with one budget. A call that
/// succeeds at once reads no clock (unless `max_elapsed` is set), takes no lock and allocates nothing.
///
/// ```
/// use std::time::Duration;
/// use steadfast::Retry;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let retry = Retry::builder("prices")
///     .max_attempts(5)
///     .base_delay(Duration::from_millis(1))
///     .build()?;
///
/// let mut answers = [Err("busy"), Err("busy"), Ok(42)].into_iter();
/// let price = retry.call(|| std::future::ready(answers.next().unwrap())).await;
/// assert_eq!(price, Ok(42));
/// assert_eq!(retry.metrics().retries, 2);
/// # Ok(())
/// # }
/// ```
///
/// The delay before the *n*-th retry is, by default, uniform between zero and 1 s · 2ⁿ⁻¹, at most 60 s:
/// see [`Backoff`](crate::Backoff) and [`Jitter`](crate::Jitter). When the attempts run out the caller
/// gets the last error, unchanged.
///
/// # Configuration
/// Settings can be replaced while calls run (feature `config`). A call that has begun ends under the settings that it began
/// with; a delay that is running is not cut short. What a budget has left stays when its share changes.
/// `enabled = false`: it makes each call once and counts nothing; an error, and a value
/// that `until` would not be satisfied with, goes to the caller.
///
/// # Cancellation
/// A dropped call ends at the `.await` where it stands, in an attempt or in a delay, and holds nothing.
#[derive(Debug, Clone)]
pub struct Retry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: PolicyName,
    terms: Reloadable<Terms>,
    /// Those who change the terms, one at a time.
    #[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody does
    changing: Mutex<()>,
    budget: Budget,
    totals: Counters<TOTALS>,
    sink: Sink,
    #[cfg(feature = "metrics")]
    meter: Meter,
}

/// Calls are counted by attempts, those of so many or more together.
const BY_ATTEMPTS: usize = 16;
const RETRIES: usize = BY_ATTEMPTS;
const EXHAUSTED: usize = BY_ATTEMPTS + 1;
const WAITED: usize = BY_ATTEMPTS + 2;
const TOTALS: usize = BY_ATTEMPTS + 3;

/// What a retry counted since its start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RetryMetrics {
    /// Calls that have ended, those included that were dropped.
    pub calls: u64,
    /// Calls among them that took more than one attempt.
    pub retried: u64,
    /// Retries, of all calls together.
    pub retries: u64,
    /// Calls that failed for good because attempts, time or budget ran out.
    pub exhausted: u64,
    /// Calls by the number of their attempts: of one, of two, and so on; the last, of 16 or more.
    pub by_attempts: [u64; 16],
    /// Time spent waiting between attempts, of all calls together.
    pub waited: Duration,
    /// Retries that the budget has left; `None` where there is none.
    pub budget_left: Option<u32>,
}

impl Retry {
    /// Begins a retry of that name.
    pub fn builder(name: impl Into<PolicyName>) -> RetryBuilder {
        RetryBuilder::new(name)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &PolicyName {
        &self.0.name
    }

    /// What it counted.
    #[must_use]
    pub fn metrics(&self) -> RetryMetrics {
        let by_attempts: [u64; BY_ATTEMPTS] = std::array::from_fn(|n| self.0.totals.sum(n));
        let calls = by_attempts.iter().sum();
        RetryMetrics {
            calls,
            retried: calls - by_attempts[0],
            retries: self.0.totals.sum(RETRIES),
            exhausted: self.0.totals.sum(EXHAUSTED),
            by_attempts,
            waited: Duration::from_nanos(self.0.totals.sum(WAITED)),
            budget_left: self
                .0
                .terms
                .get()
                .has_budget()
                .then(|| self.0.budget.left()),
        }
    }

    /// The delays that it would make if every attempt failed at once; a new throw of the dice each
    /// time.
    #[must_use]
    pub fn delays(&self) -> Delays {
        let plan = self.plan();
        let random = fastrand::Rng::new();
        Delays::new(plan.schedule, plan.max_attempts, plan.max_elapsed, random)
    }

    /// Makes the call, and makes it again while it fails: `make` builds the future of each attempt.
    ///
    /// Every error is retried, since nothing is known of its type here; [`when`](Self::when) says
    /// which. (`#[retry]` sees what an error knows of itself.)
    ///
    /// # Errors
    /// The last attempt's.
    ///
    /// # Panics
    /// If there is a delay outside a tokio runtime with its timer enabled, and whatever the call
    /// panics with.
    pub async fn call<F, Fut>(&self, make: F) -> Fut::Output
    where
        F: FnMut() -> Fut,
        Fut: Future<Output: Outcome>,
    {
        self.run(make, |_| true).await
    }

    /// Makes the call, and makes it again while it fails, blocking the thread during the delays.
    ///
    /// # Errors
    /// The last attempt's.
    pub fn call_blocking<R: Outcome>(&self, make: impl FnMut() -> R) -> R {
        self.run_blocking(make, |_| true)
    }

    /// Restricts which errors are retried.
    ///
    /// ```
    /// use steadfast::Retry;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let retry = Retry::builder("users").build()?;
    /// let user: Result<(), u16> = retry
    ///     .when(|status: &u16| *status >= 500)
    ///     .call(async || Err(404))
    ///     .await;
    /// assert_eq!(user, Err(404));
    /// assert_eq!(retry.metrics().retries, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn when<E, P: Fn(&E) -> bool>(&self, predicate: P) -> RetryWhen<'_, P> {
        RetryWhen {
            retry: self,
            predicate,
        }
    }

    #[doc(hidden)]
    /// Begins the attempts of one call.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn begin<'c>(&'c self, call: &'c Call) -> Attempts<'c> {
        Attempts::new(self, call)
    }

    async fn run<F, Fut, P>(&self, mut make: F, predicate: P) -> Fut::Output
    where
        F: FnMut() -> Fut,
        Fut: Future<Output: Outcome>,
        P: Fn(&<Fut::Output as Outcome>::Error) -> bool,
    {
        let call = Call::new();
        let mut attempts = self.begin(&call);
        loop {
            let step = Step::<_, Infallible>::Done(make().await);
            match attempts.next(&call, Judge::new(&step, Traits::unknown()).when(&predicate)) {
                Next::Again => attempts.pause().await,
                Next::Stop | Next::Unmet => return step.finish(|never| match never {}),
            }
        }
    }

    fn run_blocking<R: Outcome>(
        &self,
        mut make: impl FnMut() -> R,
        predicate: impl Fn(&R::Error) -> bool,
    ) -> R {
        let call = Call::new();
        let mut attempts = self.begin(&call);
        loop {
            let step = Step::<_, Infallible>::Done(make());
            match attempts.next(&call, Judge::new(&step, Traits::unknown()).when(&predicate)) {
                Next::Again => attempts.pause_blocking(),
                Next::Stop | Next::Unmet => return step.finish(|never| match never {}),
            }
        }
    }

    /// What the budget gets of a call, and when its attempts must have ended, if there are to be any.
    #[inline(never)]
    pub(super) fn prepare(&self, plan: &Plan, call: &Call) -> Nanos {
        if !plan.is_on {
            return ABSENT;
        }
        if let Some(share) = plan.share {
            self.budget().deposit(share);
        }
        let end = |elapsed| call.now().after(elapsed);
        plan.max_elapsed.map_or(Nanos::NEVER, end)
    }

    /// What a call goes by that begins now.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn plan(&self) -> &Plan {
        &self.0.terms.get().plan
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.0.budget
    }

    pub(super) fn tell(&self, event: &Event) {
        self.0.sink.tell(event);
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn count_call(&self, attempts: u32) {
        let index = (attempts.max(1) as usize).min(BY_ATTEMPTS) - 1;
        self.0.totals.add(index, 1);
        #[cfg(feature = "metrics")]
        if index == BY_ATTEMPTS - 1 {
            // Of so many, only how many calls there were is known from the totals.
            self.0.meter.tell(attempts.into());
        }
    }

    pub(super) fn count_retry(&self) {
        self.0.totals.add(RETRIES, 1);
    }

    pub(super) fn count_exhausted(&self) {
        self.0.totals.add(EXHAUSTED, 1);
    }

    pub(super) fn count_wait(&self, waited: Duration) {
        self.0.totals.add(WAITED, nanos(waited));
    }
}

/// A [`Retry`] that looks at the error first: see [`Retry::when`].
#[derive(Debug, Clone, Copy)]
#[must_use = "it does nothing until `call`"]
pub struct RetryWhen<'r, P> {
    retry: &'r Retry,
    predicate: P,
}

impl<P> RetryWhen<'_, P> {
    /// Makes the call, and makes it again while it fails with such an error.
    ///
    /// # Errors
    /// The last attempt's.
    ///
    /// # Panics
    /// As [`Retry::call`].
    pub async fn call<F, Fut>(self, make: F) -> Fut::Output
    where
        F: FnMut() -> Fut,
        Fut: Future<Output: Outcome>,
        P: Fn(&<Fut::Output as Outcome>::Error) -> bool,
    {
        self.retry.run(make, self.predicate).await
    }

    /// The same, blocking the thread during the delays.
    ///
    /// # Errors
    /// The last attempt's.
    pub fn call_blocking<R: Outcome>(self, make: impl FnMut() -> R) -> R
    where
        P: Fn(&R::Error) -> bool,
    {
        self.retry.run_blocking(make, self.predicate)
    }
}

impl Policy for Retry {
    type Settings = RetrySettings;

    fn assemble(name: PolicyName, settings: &RetrySettings, sink: Sink) -> Self {
        Self(Arc::new(Inner {
            #[cfg(feature = "metrics")]
            meter: Meter::new(&metered::LINES, Some(&name), sink.levels()),
            name,
            terms: Reloadable::new(Terms::new(*settings, Switch::On)),
            changing: Mutex::new(()),
            budget: Budget::new(),
            totals: Counters::new(),
            sink,
        }))
    }

    fn settings(&self) -> Vec<Setting> {
        self.0.terms.get().settings.effective()
    }

    /// A call goes by the plan that it began with, and a delay that is running is not cut short. What the
    /// budget has left stays, whatever share fills it from now on; one that is new is full.
    fn configure(&self, settings: &RetrySettings, switch: Switch) -> Later {
        let terms = Terms::new(*settings, switch);
        let _alone = lock(&self.0.changing);
        if terms.has_budget() && !self.0.terms.get().has_budget() {
            self.0.budget.reset();
        }
        self.0.terms.set(terms);
        Later::NOTHING
    }

    fn observe(&self) -> Vec<(&'static str, Value)> {
        let metrics = self.metrics();
        vec![
            ("calls", metrics.calls.into()),
            ("retried", metrics.retried.into()),
            ("retries", metrics.retries.into()),
            ("exhausted", metrics.exhausted.into()),
            ("waited_ms", (nanos(metrics.waited) / 1_000_000).into()),
            ("budget_left", metrics.budget_left.map(u64::from).into()),
        ]
    }

    fn reset(&self) {
        self.0.budget.reset();
        self.0.totals.reset();
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
        lines: by_attempts()
            .chain([
                Line::new(RETRY_ATTEMPTS_TOTAL).with("attempt", "first"),
                Line::new(RETRY_ATTEMPTS_TOTAL).with("attempt", "retry"),
                Line::new(RETRY_EXHAUSTED),
            ])
            .collect(),
        told: Some(RETRY_ATTEMPTS),
    });

    /// All but the last, which is of so many or more.
    fn by_attempts() -> impl Iterator<Item = Line> {
        (1..BY_ATTEMPTS as u32).map(|attempts| Line::times(RETRY_ATTEMPTS, attempts))
    }

    impl Metered for Inner {
        fn meter(&self) -> &Meter {
            &self.meter
        }

        fn read(&self) -> Vec<u64> {
            let by_attempts: [u64; BY_ATTEMPTS] = std::array::from_fn(|n| self.totals.ever(n));
            let calls = by_attempts.iter().sum();
            let mut numbers = by_attempts[..BY_ATTEMPTS - 1].to_vec();
            numbers.extend([
                calls,
                self.totals.ever(RETRIES),
                self.totals.ever(EXHAUSTED),
            ]);
            numbers
        }
    }

    impl Drop for Inner {
        fn drop(&mut self) {
            close(self);
        }
    }
}
