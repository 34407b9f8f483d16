//! What policies tell: typed events to subscribers, the same as `tracing` events.

use std::{
    cell::RefCell,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, LazyLock, PoisonError, RwLock, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{
    circuit_state::CircuitState,
    error::{ConfigError, ConfigErrors},
    kind::PolicyKind,
    name::PolicyName,
    rejection::Rejection,
    served::Source,
    store::{StoreError, StoreSlot},
    sync::AtomicBool,
};

/// Something that happened to a policy.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A circuit changed its state.
    StateChanged(StateChanged),
    /// A call will be made again.
    Retry(RetryEvent),
    /// A call failed for good: attempts, time or budget ran out.
    RetriesExhausted(RetriesExhausted),
    /// A breaker, limiter or bulkhead refused a call (or would have, where it does not enforce).
    Refused(Refused),
    /// A call was cut off.
    TimedOut(CutOff),
    /// A call went past a rate limit by its `bypass`.
    Bypassed(Bypassed),
    /// A fallback answered in place of the call.
    FellBack(FellBack),
    /// The settings of a policy are not as they should be.
    Misconfigured(Misconfigured),
    /// The configuration gave a policy other settings.
    Reconfigured(Reconfigured),
    /// A watched configuration file has mistakes, and changes nothing.
    ConfigRejected(ConfigRejected),
    /// The store of shared state is away: `on_store_error` decides from now on. One event an outage.
    StoreDown(StoreDown),
    /// The store is back.
    StoreUp(StoreUp),
    /// A shared bulkhead's permit was lost before its call ended: others may have taken its place.
    LeaseLost(LeaseLost),
}

/// A circuit changed its state.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StateChanged {
    /// The breaker.
    pub policy: PolicyName,
    /// Its state until now.
    pub from: CircuitState,
    /// Its state from now on.
    pub to: CircuitState,
    /// Counts the changes of this circuit: events of different threads may arrive out of order.
    pub generation: u64,
}

/// A call will be made again after a delay.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RetryEvent {
    /// The retry policy.
    pub policy: PolicyName,
    /// The attempt that just failed, from 1.
    pub attempt: u32,
    /// How long until the next one.
    pub delay: Duration,
}

/// A call failed for good.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RetriesExhausted {
    /// The retry policy.
    pub policy: PolicyName,
    /// How often the call was made.
    pub attempts: u32,
    /// Why there is no other attempt.
    pub reason: Exhausted,
}

/// What ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exhausted {
    /// `max_attempts`.
    Attempts,
    /// `max_elapsed`, or the time left under a timeout further out.
    Time,
    /// The retry budget.
    Budget,
    /// The dependency asked for a longer pause than is allowed.
    RetryAfter,
}

/// A policy refused a call.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Refused {
    /// The policy.
    pub policy: PolicyName,
    /// Its kind.
    pub kind: PolicyKind,
    /// What the caller got.
    pub rejection: Rejection,
    /// `false` where the policy only watches (`enforce = false`) and let the call through.
    pub enforced: bool,
}

/// A call was cut off.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CutOff {
    /// The timeout.
    pub policy: PolicyName,
    /// The time that the call had.
    pub after: Duration,
}

/// A call went past a rate limit.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Bypassed {
    /// The limiter.
    pub policy: PolicyName,
}

/// A fallback answered.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FellBack {
    /// The fallback.
    pub policy: PolicyName,
    /// Where its answer came from.
    pub source: Source,
    /// How many answers since the last event of this kind that was a warning, this one included.
    pub count: u64,
    /// Whether this is the first of an outage, or the first for a minute.
    pub notable: bool,
}

/// A policy's settings are not as they should be.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Misconfigured {
    /// The policy.
    pub policy: PolicyName,
    /// What is wrong.
    pub error: ConfigError,
}

/// A policy has other settings than before.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Reconfigured {
    /// The policy.
    pub policy: PolicyName,
    /// Its kind.
    pub kind: PolicyKind,
    /// What changed: at least one.
    pub changes: Vec<SettingChange>,
}

/// One setting that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingChange {
    /// Its name.
    pub setting: &'static str,
    /// Its value until now, spelt as in the attribute.
    pub old: String,
    /// Its value from now on.
    pub new: String,
}

/// A watched file was changed to what cannot be; the settings that were in force stay so.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConfigRejected {
    /// Every mistake, with its place.
    pub errors: ConfigErrors,
}

/// The store of shared state is away.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreDown {
    /// Why, without any secret.
    pub cause: StoreError,
}

/// The store of shared state is back.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreUp {
    /// How long it was away.
    pub away: Duration,
}

/// A permit was lost.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LeaseLost {
    /// The bulkhead.
    pub policy: PolicyName,
    /// The permit's fencing number.
    pub fence: u64,
}

impl Event {
    /// The policy that it happened to; none where it happened to the store of them all.
    #[must_use]
    pub fn policy(&self) -> Option<&PolicyName> {
        Some(match self {
            Self::StateChanged(event) => &event.policy,
            Self::Retry(event) => &event.policy,
            Self::RetriesExhausted(event) => &event.policy,
            Self::Refused(event) => &event.policy,
            Self::TimedOut(event) => &event.policy,
            Self::Bypassed(event) => &event.policy,
            Self::FellBack(event) => &event.policy,
            Self::Misconfigured(event) => &event.policy,
            Self::Reconfigured(event) => &event.policy,
            Self::LeaseLost(event) => &event.policy,
            Self::StoreDown(_) | Self::StoreUp(_) | Self::ConfigRejected(_) => return None,
        })
    }

    /// The kind of that policy.
    #[must_use]
    pub fn kind(&self) -> Option<PolicyKind> {
        Some(match self {
            Self::StateChanged(_) => PolicyKind::CircuitBreaker,
            Self::Retry(_) | Self::RetriesExhausted(_) => PolicyKind::Retry,
            Self::Refused(event) => event.kind,
            Self::TimedOut(_) => PolicyKind::Timeout,
            Self::Bypassed(_) => PolicyKind::RateLimiter,
            Self::FellBack(_) => PolicyKind::Fallback,
            Self::Misconfigured(event) => return event.error.kind(),
            Self::Reconfigured(event) => event.kind,
            Self::LeaseLost(_) => PolicyKind::Bulkhead,
            Self::StoreDown(_) | Self::StoreUp(_) | Self::ConfigRejected(_) => return None,
        })
    }
}

type Callback = dyn Fn(&Event) + Send + Sync;

/// What the policies of one registry have in common: where they tell their events, and the store that
/// they share with other processes.
#[derive(Clone)]
pub(crate) struct Sink(Arc<Subscribers>);

#[derive(Default)]
struct Subscribers {
    /// Replaced as a whole, so that callbacks run outside the lock.
    list: RwLock<Arc<Vec<Arc<Callback>>>>,
    /// Their number, for those who only ask whether there is one: refusals must not meet at a lock.
    number: AtomicUsize,
    /// What `shared` policies keep their state in.
    store: StoreSlot,
    #[cfg(feature = "metrics")]
    levels: crate::metrics::Levels,
}

/// Keeps a subscriber: dropping it ends the subscription.
#[must_use = "dropping the subscription ends it"]
pub struct Subscription {
    subscribers: Weak<Subscribers>,
    callback: Arc<Callback>,
}

impl Sink {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// The sink of the registry in force on this thread: what policies outside a registry tell to.
    pub(crate) fn current() -> Self {
        static GLOBAL: LazyLock<Sink> = LazyLock::new(Sink::new);
        SCOPED
            .with_borrow(|scoped| scoped.last().cloned())
            .unwrap_or_else(|| GLOBAL.clone())
    }

    /// Makes this the current sink of this thread, until [`leave`](Self::leave).
    #[cfg(feature = "test-util")]
    pub(crate) fn enter(&self) {
        SCOPED.with_borrow_mut(|scoped| scoped.push(self.clone()));
    }

    #[cfg(feature = "test-util")]
    pub(crate) fn leave() {
        SCOPED.with_borrow_mut(|scoped| scoped.pop());
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn levels(&self) -> &crate::metrics::Levels {
        &self.0.levels
    }

    pub(crate) fn store(&self) -> &StoreSlot {
        &self.0.store
    }

    pub(crate) fn subscribe(
        &self,
        callback: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Subscription {
        let callback: Arc<Callback> = Arc::new(callback);
        self.0.change(|list| list.push(Arc::clone(&callback)));
        Subscription {
            subscribers: Arc::downgrade(&self.0),
            callback,
        }
    }

    /// Tells an event; never call it under a lock. For events on a path that must be fast, ask
    /// [`hears_debug`](Self::hears_debug) first.
    pub(crate) fn tell(&self, event: &Event) {
        #[cfg(feature = "tracing")]
        trace(event);
        let list = Arc::clone(&self.0.list.read().unwrap_or_else(PoisonError::into_inner));
        for callback in list.iter() {
            // A subscriber that panics must hurt neither the call nor the other subscribers.
            drop(catch_unwind(AssertUnwindSafe(|| callback(event))));
        }
    }

    /// Tells an event of the debug level, which is only put together if somebody listens.
    pub(crate) fn tell_debug(&self, event: impl FnOnce() -> Event) {
        if self.hears_debug() {
            self.tell(&event());
        }
    }

    /// Tells that a shared policy has no store: the first time only, which `told` keeps.
    #[cold]
    pub(crate) fn tell_no_store(&self, kind: PolicyKind, policy: &PolicyName, told: &AtomicBool) {
        // All later calls come here too: they must not meet at a write.
        if told.load(Relaxed) || told.swap(true, Relaxed) {
            return;
        }
        let policy = policy.clone();
        let error = ConfigError::NoStore {
            kind,
            policy: policy.clone(),
        };
        self.tell(&Event::Misconfigured(Misconfigured { policy, error }));
    }

    fn hears_debug(&self) -> bool {
        #[cfg(feature = "tracing")]
        if tracing::enabled!(target: "steadfast", tracing::Level::DEBUG) {
            return true;
        }
        // A subscription that comes before the event happens before this load.
        self.0.number.load(Relaxed) > 0
    }
}

thread_local! {
    static SCOPED: RefCell<Vec<Sink>> = const { RefCell::new(Vec::new()) };
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}

impl Subscribers {
    fn change(&self, edit: impl FnOnce(&mut Vec<Arc<Callback>>)) {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        let mut edited = Vec::clone(&list);
        edit(&mut edited);
        self.number.store(edited.len(), Relaxed);
        *list = Arc::new(edited);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(subscribers) = self.subscribers.upgrade() {
            subscribers.change(|list| list.retain(|other| !Arc::ptr_eq(other, &self.callback)));
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

#[cfg(feature = "tracing")]
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(feature = "tracing")]
fn listed(changes: &[SettingChange]) -> String {
    let show =
        |SettingChange { setting, old, new }: &SettingChange| format!("{setting}: {old} -> {new}");
    let shown: Vec<_> = changes.iter().map(show).collect();
    shown.join(", ")
}

#[cfg(feature = "tracing")]
fn trace(event: &Event) {
    use tracing::{debug, error, info, warn};

    // Fields that are `None` are left out.
    let policy = event.policy().map(PolicyName::as_str);
    let kind = event.kind().map(PolicyKind::as_str);
    match event {
        Event::StateChanged(e) => warn!(
            target: "steadfast", policy, kind,
            from = e.from.as_str(), state = e.to.as_str(), generation = e.generation,
            "circuit changed its state"
        ),
        Event::Retry(e) => info!(
            target: "steadfast", policy, kind, attempt = e.attempt, delay_ms = millis(e.delay),
            "call will be retried"
        ),
        Event::RetriesExhausted(e) => warn!(
            target: "steadfast", policy, kind, attempts = e.attempts, reason = ?e.reason,
            "retries exhausted"
        ),
        Event::Refused(e) => debug!(
            target: "steadfast", policy, kind, enforced = e.enforced,
            retry_after_ms = e.rejection.retry_after().map(millis),
            "call refused"
        ),
        Event::TimedOut(e) => debug!(
            target: "steadfast", policy, kind, after_ms = millis(e.after),
            "call timed out"
        ),
        Event::Bypassed(_) => debug!(target: "steadfast", policy, kind, "rate limit bypassed"),
        Event::FellBack(e) if e.notable => warn!(
            target: "steadfast", policy, kind, source = e.source.as_str(), count = e.count,
            "fallback answered"
        ),
        Event::FellBack(e) => debug!(
            target: "steadfast", policy, kind, source = e.source.as_str(),
            "fallback answered"
        ),
        Event::StoreDown(e) => {
            warn!(target: "steadfast", cause = %e.cause, "the store of shared state is away");
        }
        Event::StoreUp(e) => warn!(
            target: "steadfast", away_ms = millis(e.away),
            "the store of shared state is back"
        ),
        Event::LeaseLost(e) => warn!(
            target: "steadfast", policy, kind, fence = e.fence,
            "a shared permit was lost before its call ended"
        ),
        Event::Reconfigured(e) => info!(
            target: "steadfast", policy, kind, changes = %listed(&e.changes),
            "settings changed"
        ),
        Event::ConfigRejected(e) => error!(
            target: "steadfast",
            "the configuration was changed and is refused: {}", e.errors
        ),
        Event::Misconfigured(e) => error!(target: "steadfast", policy, kind, "{}", e.error),
    }
}
