//! The policy.

use std::{fmt::Display, future::Future, sync::Arc};

use super::{
    CircuitBreakerBuilder, CircuitBreakerSettings, CircuitMetrics, CircuitPermit, CircuitWhen,
    Permit,
    core::Core,
    entry::{OfKey, Only},
    ready::Ready,
};
use crate::{
    admission::{Admits, Permit as _},
    call::{Body, Call},
    circuit_state::CircuitState,
    clock,
    event::Sink,
    health::{HealthStatus, Verdict},
    judge::Judge,
    key::Shown,
    name::PolicyName,
    outcome::Outcome,
    policy::{
        Later, Policy, Switch,
        settings::{PolicySettings, Setting, Value},
    },
    probe::Traits,
    rejection::{CircuitOpen, FromRejection, Rejection},
    step::{Step, reject},
    waiter,
};

/// Stops calling what keeps failing, so that callers get an answer at once and what is down gets a rest.
///
/// The value behind `#[circuit_breaker]`. Cheap to clone; clones are one breaker. It counts the outcomes
/// of the calls made through it, opens at a number of consecutive failures or at a share of failed or
/// slow calls, refuses for a while, and then lets a few probes decide whether to close again. All its
/// settings are methods of its [builder](CircuitBreakerBuilder).
///
/// ```
/// use std::{io, time::Duration};
/// use steadfast::{CircuitBreaker, CircuitState};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let breaker = CircuitBreaker::builder("quotes")
///     .failure_threshold(2)
///     .recovery_timeout(Duration::from_secs(30))
///     .build()?;
///
/// for _ in 0..2 {
///     let answer: io::Result<u32> = breaker.call(async { Err(io::ErrorKind::TimedOut.into()) }).await;
///     assert!(answer.is_err());
/// }
/// assert_eq!(breaker.state(), CircuitState::Open);
///
/// let refused: io::Result<u32> = breaker.call(async { Ok(42) }).await; // not polled at all
/// assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ResourceBusy);
/// # Ok(())
/// # }
/// ```
///
/// # Shared
/// With `shared` the circuit is one for all instances of a service that share a [store](crate::Store). No
/// call ever waits for it: outcomes are added up and reported ten times a second while there are calls, and
/// the answers bring what others have found out.
/// - Rates are taken over the fleet's window, which slides by whole reports: a window of calls is the newest
///   reports that hold at least so many calls together, a window of time those that arrived in it.
/// - An instance opens by itself at its own `failure_threshold`, unless there is a `quorum`; the others learn
///   of it within half a second while they call.
/// - `half_open_requests` is for the whole fleet. The first caller when probes are due is refused with a short
///   `retry_after` while its instance asks for a place; a place that nobody takes goes back after a second.
/// - [`force_open`](Self::force_open), [`disable`](Self::disable) and [`reset`](Self::reset) act here at once,
///   and everywhere else as soon as the store and the others hear of it; the last one counts.
/// - While the store is away, `on_store_error` decides; what was set by hand holds in any case. When it is back
///   the fleet's state counts: what an instance decided alone is over. What is called before a store is set is
///   refused, with [`StoreUnavailable`](crate::StoreUnavailable).
/// - A store that forgets everything closes the circuit. Generations rise all the same.
///
/// Instances that share a name are expected to have the same settings; where they differ, as they do for a
/// while when each loads its configuration again, those of whoever reports apply to its report. Windows of
/// calls here and of time there empty each other: until all agree, rates open nothing, and
/// `failure_threshold` alone does.
///
/// # Configuration
/// Settings can be replaced while calls run (feature `config`), and the state stays:
/// - A call ends under the settings that it began under: whether it is slow, what it counts as if it is
///   dropped, and whether it is seen at all.
/// - Thresholds, rates and the window are the circuit's: new ones decide from the next outcome that counts on,
///   the old outcomes included. A resized window keeps its newest outcomes; one that becomes a window of the
///   other kind (calls, or time) starts empty.
/// - An open circuit stays open. If the recovery settings change, it stays so for as long as if it had opened
///   under the new ones, and where that is over, the next caller finds it half-open. Probes that are out keep
///   their places and the time they were given; fewer places come about as they end.
/// - A shared circuit's window is resized by whole reports, and what its store has decided already (the end of
///   an open time) stays. A shorter `half_open_timeout` also draws in probes that are out.
/// - `enforce` changes at once, and [`ready`](Self::ready) looks again.
/// - `enabled = false`: calls pass, and nothing is counted or told. On again, the state goes on from where it
///   was.
/// - `force = "open"` and `force = "closed"` do what [`force_open`](Self::force_open) and
///   [`disable`](Self::disable) do, once, when they are loaded; what is done by hand later holds, and to load the
///   same again changes nothing. When `force` goes, the breaker is [reset](Self::reset), unless somebody has
///   called one of the three since, or its state is another one by now. A breaker that is first used when
///   `force` is set begins so, and tells nobody.
/// - Where it is shared, that concerns the fleet, as it does by hand: the first instance to load `force` sets
///   all, the first to load its absence resets all, and the others find nothing left to do. An instance that
///   loads `force` late says it once more, over what was done by hand since. If no instance is left that had
///   loaded it, it takes a [`reset`](Self::reset) by hand.
///
/// # Cancellation
/// A call dropped before it ended gives its permit back and, by default, counts as neither success nor
/// failure (`cancelled`). A panic in the call is a failure.
#[derive(Debug, Clone)]
pub struct CircuitBreaker(pub(super) Arc<Core>);

impl CircuitBreaker {
    /// Begins a circuit breaker of that name.
    pub fn builder(name: impl Into<PolicyName>) -> CircuitBreakerBuilder {
        CircuitBreakerBuilder::new(name)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &PolicyName {
        &self.0.name
    }

    /// What it lets through now. Takes no lock.
    ///
    /// An open circuit becomes half-open when the first caller comes after the open time. Where there is
    /// one circuit per key, this is what was set by hand for all of them, else `Closed`.
    #[must_use]
    pub fn state(&self) -> CircuitState {
        self.0.cell.phase().into()
    }

    /// What it has seen: in its window, and since its start.
    #[must_use]
    pub fn metrics(&self) -> CircuitMetrics {
        self.0.metrics()
    }

    /// Refuses every call from now on, until [`reset`](Self::reset) or [`disable`](Self::disable): for
    /// maintenance of what is being called, and for drills.
    pub fn force_open(&self) {
        self.0.force_open();
    }

    /// Admits every call from now on and decides nothing, until [`reset`](Self::reset) or
    /// [`force_open`](Self::force_open).
    pub fn disable(&self) {
        self.0.disable();
    }

    /// Closes it, with an empty window and recovery begun anew. Calls that are still running no longer
    /// count. Totals go on. Where it is shared, this closes it for all instances.
    pub fn reset(&self) {
        self.0.reset();
    }

    /// Waits until it would admit a call: for consumers that had better not take work that they cannot do.
    ///
    /// It takes no place; when it comes back, somebody else may have been faster.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), steadfast::ConfigError> {
    /// let breaker = steadfast::CircuitBreaker::builder("orders").build()?;
    /// breaker.ready().await; // closed: at once
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancellation
    /// Dropping it ends the wait and changes nothing.
    pub async fn ready(&self) {
        if !self.0.terms().admits_all() {
            self.0.rouse_if_shared(&self.0.cell);
            waiter::wait(Ready::new(&self.0)).await;
        }
    }

    /// Asks for one call, for callers that cannot hand over a future. Tell the [`Permit`] how it ended.
    ///
    /// # Errors
    /// [`CircuitOpen`], where the call must not be made; without `retry_after` also where a shared breaker
    /// has no store, or is to refuse while that is away.
    pub fn try_acquire(&self) -> Result<Permit, CircuitOpen> {
        let terms = self.0.terms();
        let pass = self.0.admit::<CircuitOpen>(terms, &self.0.cell)?;
        let begun = terms.measure.begin(pass, None);
        Ok(Permit::new(Arc::clone(&self.0), None, begun))
    }

    /// The same, with one circuit per key, such as a host or a shard. At most `max_keys` circuits are
    /// remembered: healthy ones, and those that have been quiet for a whole recovery, make room.
    ///
    /// # Errors
    /// [`CircuitOpen`], where the call must not be made. It never tells the key.
    pub fn try_acquire_for<K: Display + ?Sized>(&self, key: &K) -> Result<Permit, CircuitOpen> {
        let terms = self.0.terms();
        let keyed = self.0.cell_of(terms, (&key).into());
        let cell = keyed.as_deref().unwrap_or(&self.0.cell);
        let pass = self.0.admit::<CircuitOpen>(terms, cell)?;
        let begun = terms.measure.begin(pass, None);
        Ok(Permit::new(Arc::clone(&self.0), keyed, begun))
    }

    /// Makes the call, if the circuit admits it. A refused future is dropped without being polled.
    ///
    /// Every error counts as a failure, also a refusal by another policy inside the call: unlike the
    /// attribute, a method cannot look into an error type that it knows nothing of. Say with
    /// [`when`](Self::when) what counts.
    ///
    /// # Errors
    /// The call's own, or [`CircuitOpen`] in its type.
    ///
    /// # Cancellation
    /// Dropping it drops the call, which then counts as `cancelled` says.
    pub async fn call<F>(&self, future: F) -> F::Output
    where
        F: Future<Output: Outcome<Error: FromRejection>>,
    {
        self.call_judged(future, |judge| judge).await
    }

    /// Says which errors count as failures; the others count as successes.
    ///
    /// ```
    /// use std::io;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), steadfast::ConfigError> {
    /// let breaker = steadfast::CircuitBreaker::builder("files").build()?;
    /// let missing: io::Result<()> = breaker
    ///     .when(|error: &io::Error| error.kind() != io::ErrorKind::NotFound)
    ///     .call(async { Err(io::ErrorKind::NotFound.into()) })
    ///     .await;
    /// assert!(missing.is_err());
    /// assert_eq!(breaker.metrics().failures, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn when<E, P: Fn(&E) -> bool>(&self, predicate: P) -> CircuitWhen<'_, P> {
        CircuitWhen::new(self, predicate)
    }

    pub(super) async fn call_judged<F, R>(
        &self,
        future: F,
        judge: impl for<'s> FnOnce(Judge<'s, R>) -> Judge<'s, R>,
    ) -> R
    where
        F: Future<Output = R>,
        R: Outcome<Error: FromRejection>,
    {
        let call = Call::new();
        let permit = match self.try_admit(&call) {
            Some(permit) => permit,
            None => match self.admit_blocking(&call) {
                Ok(permit) => permit,
                Err(rejection) => return R::from_result(Err(reject(rejection))),
            },
        };
        let step = Step::<R>::Done(Body::new(&call, future).await);
        permit.settle(judge(Judge::new(&step, Traits::unknown())));
        step.finish(reject)
    }

    #[doc(hidden)]
    /// Asks for one call of an annotated function, with one circuit per key.
    ///
    /// # Errors
    /// The call must not be made.
    pub fn enter_key<'c, 'k>(
        &'c self,
        call: &'c Call,
        key: impl Into<Shown<'k>>,
    ) -> Result<CircuitPermit<'c, OfKey>, Rejection> {
        // Whatever puts the key into words is the user's.
        call.time_passes();
        let terms = self.0.terms();
        let keyed = self.0.cell_of(terms, key.into());
        let cell = keyed.as_deref().unwrap_or(&self.0.cell);
        let pass = self.0.admit::<Rejection>(terms, cell)?;
        Ok(CircuitPermit::new(&self.0, terms, call, OfKey(keyed), pass))
    }
}

/// A call of an annotated function.
impl<'c> Admits<'c> for CircuitBreaker {
    type Permit = CircuitPermit<'c>;

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn try_admit(&'c self, call: &'c Call) -> Option<Self::Permit> {
        let pass = self.0.cell.try_pass()?;
        Some(CircuitPermit::new(
            &self.0,
            self.0.terms(),
            call,
            Only,
            pass,
        ))
    }

    #[inline(never)]
    fn admit_blocking(&'c self, call: &'c Call) -> Result<Self::Permit, Rejection> {
        let terms = self.0.terms();
        let permit = |pass| CircuitPermit::new(&self.0, terms, call, Only, pass);
        self.0.admit_if_due(terms, &self.0.cell, permit)
    }
}

impl Policy for CircuitBreaker {
    type Settings = CircuitBreakerSettings;

    fn assemble(name: PolicyName, settings: &CircuitBreakerSettings, sink: Sink) -> Self {
        Self(Arc::new_cyclic(|this| {
            Core::new(name, settings, sink, this)
        }))
    }

    fn settings(&self) -> Vec<Setting> {
        self.0.terms().settings.effective()
    }

    fn configure(&self, settings: &CircuitBreakerSettings, switch: Switch) -> Later {
        let aftermaths = self.0.reconfigure(settings, switch);
        let this = self.clone();
        Later::new(move || this.0.conclude(aftermaths))
    }

    fn observe(&self) -> Vec<(&'static str, Value)> {
        let metrics = self.metrics();
        vec![
            ("state", self.state().as_str().into()),
            ("calls", metrics.calls.into()),
            ("failures", metrics.failures.into()),
            ("slow_calls", metrics.slow_calls.into()),
            ("failure_rate", metrics.failure_rate.into()),
            ("slow_call_rate", metrics.slow_call_rate.into()),
            ("total_successes", metrics.total_successes.into()),
            ("total_failures", metrics.total_failures.into()),
            ("total_slow_calls", metrics.total_slow_calls.into()),
            ("total_ignored", metrics.total_ignored.into()),
            ("total_refused", metrics.total_refused.into()),
        ]
    }

    fn condition(&self) -> Option<Verdict> {
        let terms = self.0.terms();
        if terms.is_off() {
            return None;
        }
        let state = self.state();
        let (troubled, keys) = self.0.circuits_of_keys(clock::now());
        let detail = match (state, troubled) {
            (CircuitState::Closed, 1..) => format!("{troubled} of {keys} circuits are not closed"),
            (state, _) => state.to_string(),
        };
        let status = match state {
            // Every call is made, and somebody wants it so.
            _ if !terms.enforce => HealthStatus::Healthy,
            CircuitState::Disabled => HealthStatus::Healthy,
            CircuitState::Closed if troubled == 0 => HealthStatus::Healthy,
            _ => HealthStatus::Degraded,
        };
        Some(Verdict::new(status, detail))
    }

    fn reset(&self) {
        self.0.reset();
        self.0.reset_totals();
    }

    #[cfg(feature = "metrics")]
    fn metered(&self) -> Arc<dyn crate::metrics::Metered> {
        self.0.clone()
    }
}
