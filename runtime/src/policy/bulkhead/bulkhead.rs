//! The policy.

use std::{
    fmt::Display,
    future::Future,
    ops::Deref,
    sync::{Arc, OnceLock},
    task::Waker,
};

use super::{
    BulkheadBuilder, BulkheadSettings,
    aside::Aside,
    gate::{Full, Gate, Passage, Waiting, enter_or_refuse, judge_again},
    permit::{BulkheadPermit, Entry},
    places::Places,
    rules::Manner,
    shared::{Lane, Passed, Shared},
    striped::Striped,
    terms::Terms,
};
#[cfg(feature = "metrics")]
use crate::metrics::{Meter, Metered};
use crate::{
    admission::{Admits, Waits},
    call::Call,
    clock::{self, Nanos},
    counter::Counters,
    entered::Entered,
    event::{Event, Refused, Sink},
    health::{HealthStatus, Verdict},
    key::{Shown, with_bytes},
    keyed::Keyed,
    kind::PolicyKind,
    name::PolicyName,
    outcome::Outcome,
    policy::{
        Later, Policy, Switch,
        reloadable::Reloadable,
        settings::{PolicySettings, Setting, Value},
    },
    rejection::{BulkheadFull, FromRejection, Rejection},
    step::{Step, reject},
    sync::{Mutex, lock},
    waiter::{wait, wait_blocking, wake},
};

/// Keeps the number of calls that run at once under a limit, so that one slow dependency cannot take
/// every connection, thread and byte that the others need.
///
/// The value behind `#[bulkhead]`. Cheap to clone; clones are one policy. Callers are served first
/// come, first served; a newcomer never overtakes one who waits, and without waiters a place costs one
/// atomic operation.
///
/// ```
/// use steadfast::{Bulkhead, Rejection};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let bulkhead = Bulkhead::builder("reports").max_concurrent(1).build()?;
///
/// let permit = bulkhead.try_acquire()?;
/// assert!(bulkhead.try_acquire().is_err());
/// drop(permit);
///
/// let report: Result<&str, Rejection> = bulkhead.call(async { Ok("ready") }).await;
/// assert_eq!(report?, "ready");
/// # Ok(())
/// # }
/// ```
///
/// With `max_wait`, a caller who finds it full waits that long for a place, behind at most `max_queue`
/// others:
///
/// ```
/// use std::time::Duration;
/// use steadfast::Bulkhead;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let bulkhead = Bulkhead::builder("uploads")
///     .max_concurrent(2)
///     .max_wait(Duration::from_millis(250))
///     .build()?;
/// let _permit = bulkhead.acquire().await?;
/// assert_eq!(bulkhead.metrics().in_flight, 1);
/// # Ok(())
/// # }
/// ```
///
/// # Shared
/// With `shared`, at most `max_concurrent` calls run at once over all instances of a service that have the
/// same [store](crate::Store). A call asks the store once, together with others that come at the same
/// time; a place that comes back is handed to the next who waits here. First come, first served holds for
/// each instance. Each place is a lease of `lease` (10 s), renewed every third of it: those of a process
/// that was killed come back after it. A place that is lost before its call ends (the store was away, or
/// emptied, or the process stood still, for longer than the lease) is told as
/// [`LeaseLost`](crate::Event::LeaseLost), once; the call goes on, and
/// [`fence`](BulkheadPermit::fence) lets a database tell it from others.
///
/// While the store is away, `on_store_error` decides. With `local` each instance lets its share of
/// `max_concurrent` run, at least one call, and counts those that hold a place already. When the store is
/// back, new calls ask it, and those that run without a place run to their end: until then there may be,
/// beside `max_concurrent` calls with a place, those of the shares (together `max_concurrent`, or one for
/// each instance where there are more of these), and those whose places were lost.
///
/// [`try_acquire`](Self::try_acquire) cannot wait for the store: it takes a place that is kept here, or is
/// refused and has one fetched, which is kept for a second.
///
/// # Configuration
/// Settings can be replaced while calls run (feature `config`), and the state stays:
/// - Places that are taken stay taken. After a lower `max_concurrent` nobody enters until enough of them
///   have come back.
/// - Those who wait are judged again, in their order: as many enter as there is room for now; then those
///   leave, from the end of the line, who would not wait if they came now (a shorter `max_queue`, no
///   `max_wait` any more); the others wait for the new `max_wait`, from when they came.
/// - A place of a shared bulkhead keeps the `lease` that it was taken with.
/// - `enforce = false` and `enabled = false` let those who wait go on at once. What goes past a bulkhead that
///   is off is not counted; on again, it goes on from the places that were taken before.
///
/// # Cancellation
/// A dropped call gives its place back, a dropped wait its place in the line; a place that was handed
/// to a caller who is dropped before noticing goes to the next one.
#[derive(Debug, Clone)]
pub struct Bulkhead(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: PolicyName,
    /// Not asked by those who enter at once: where the limit is kept says it all.
    terms: Arc<Reloadable<Terms>>,
    /// Held while the keys are made, and while they are brought to other terms.
    making_keys: Mutex<()>,
    /// Of a shared bulkhead there are none: so whoever finds none asks whether it is.
    places: Striped,
    /// Made when the first key is seen: most bulkheads have none. Never made for a shared one.
    keys: OnceLock<Keyed<Arc<Gate>>>,
    shared: Option<Arc<Shared>>,
    /// Made when the first call comes while it is switched off.
    aside: OnceLock<Box<Aside>>,
    refused: Counters<1>,
    sink: Sink,
    #[cfg(feature = "metrics")]
    meter: Meter,
}

/// Where a bulkhead stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BulkheadMetrics {
    /// Calls that are running; with keys, those of all keys. Of a shared bulkhead, those of this instance.
    pub in_flight: u32,
    /// Callers that are waiting; with keys, those of all keys.
    pub waiting: u32,
    /// Calls that may run at once; with keys, for each.
    pub max_concurrent: u32,
    /// Callers that found it full and were refused (or would have been, where it does not enforce),
    /// since the start.
    pub refused: u64,
}

impl Bulkhead {
    /// Begins a bulkhead of that name.
    pub fn builder(name: impl Into<PolicyName>) -> BulkheadBuilder {
        BulkheadBuilder::new(name)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &PolicyName {
        &self.0.name
    }

    /// Where it stands.
    #[must_use]
    pub fn metrics(&self) -> BulkheadMetrics {
        let mut metrics = BulkheadMetrics {
            in_flight: 0,
            waiting: 0,
            max_concurrent: self.terms().limits.max_concurrent,
            refused: self.0.refused.sum(0),
        };
        if let Some(shared) = &self.0.shared {
            metrics.in_flight = shared.in_flight();
            metrics.waiting = shared.waiting();
            return metrics;
        }
        self.each(|places| {
            metrics.in_flight = metrics.in_flight.saturating_add(places.in_flight());
            metrics.waiting = metrics.waiting.saturating_add(places.gate().waiting());
        });
        metrics
    }

    /// Takes a place if one is free and nobody waits for it.
    ///
    /// Of a shared bulkhead, a place that is kept here. If there is none, one is fetched, and kept for a
    /// second: try again.
    ///
    /// # Errors
    /// [`BulkheadFull`] at once if not, whatever `max_wait` is; of a shared bulkhead also where its store
    /// is away and `on_store_error` is `deny`, or none is set.
    pub fn try_acquire(&self) -> Result<BulkheadPermit, BulkheadFull> {
        if let Some(shared) = &self.0.shared {
            return self.try_shared(shared, shared.lane());
        }
        let passage = self.try_pass(self.places())?;
        Ok(self.permit(passage, None))
    }

    /// [`try_acquire`](Self::try_acquire) for one key: each has places of its own.
    ///
    /// # Errors
    /// [`BulkheadFull`] if the places of this key are taken.
    pub fn try_acquire_for<K: Display + ?Sized>(
        &self,
        key: &K,
    ) -> Result<BulkheadPermit, BulkheadFull> {
        let gate = match self.gate_of((&key).into()) {
            Ok(gate) => gate,
            Err((shared, lane)) => return self.try_shared(shared, lane),
        };
        let passage = self.try_pass(&*gate)?;
        Ok(self.permit(passage, Some(gate)))
    }

    /// Takes a place, and waits for one up to `max_wait` if none is free.
    ///
    /// # Errors
    /// [`BulkheadFull`] if no place came free in time, at once if `max_queue` callers wait already or
    /// no `max_wait` is set. Of a shared bulkhead, [`StoreUnavailable`](crate::StoreUnavailable) if no
    /// store is set, or it is away and `on_store_error` is `deny`.
    ///
    /// # Panics
    /// If it has to wait outside a tokio runtime with its timer enabled.
    pub async fn acquire(&self) -> Result<BulkheadPermit, Rejection> {
        if let Some(shared) = &self.0.shared {
            return self.acquire_shared(shared, shared.lane()).await;
        }
        let passage = self.pass(&Call::new(), self.places()).await?;
        Ok(self.permit(passage, None))
    }

    /// [`acquire`](Self::acquire) for one key: each has places, and a line, of its own. The key is read
    /// before the first wait and not kept.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Panics
    /// As [`acquire`](Self::acquire).
    pub fn acquire_for<'b, K: Display + ?Sized>(
        &'b self,
        key: &K,
    ) -> impl Future<Output = Result<BulkheadPermit, Rejection>> + use<'b, K> {
        let gate = self.gate_of((&key).into());
        async move {
            let gate = match gate {
                Ok(gate) => gate,
                Err((shared, lane)) => return self.acquire_shared(shared, lane).await,
            };
            let passage = self.pass(&Call::new(), &*gate).await?;
            Ok(self.permit(passage, Some(gate)))
        }
    }

    /// [`acquire`](Self::acquire) for code that is not async: blocks the thread while it waits. Async
    /// and blocking callers stand in one line.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn acquire_blocking(&self) -> Result<BulkheadPermit, Rejection> {
        if let Some(shared) = &self.0.shared {
            return self.acquire_shared_blocking(shared, shared.lane());
        }
        let passage = self.pass_blocking(&Call::new(), self.places())?;
        Ok(self.permit(passage, None))
    }

    /// [`acquire_blocking`](Self::acquire_blocking) for one key.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn acquire_blocking_for<K: Display + ?Sized>(
        &self,
        key: &K,
    ) -> Result<BulkheadPermit, Rejection> {
        let gate = match self.gate_of((&key).into()) {
            Ok(gate) => gate,
            Err((shared, lane)) => return self.acquire_shared_blocking(shared, lane),
        };
        let passage = self.pass_blocking(&Call::new(), &*gate)?;
        Ok(self.permit(passage, Some(gate)))
    }

    /// Makes the call once there is a place for it, and holds the place until it ends.
    ///
    /// # Errors
    /// The call's own, or [`BulkheadFull`] in its type; then the call was not made.
    ///
    /// # Panics
    /// As [`acquire`](Self::acquire), and whatever the call panics with.
    pub async fn call<F>(&self, future: F) -> F::Output
    where
        F: Future<Output: Outcome<Error: FromRejection>>,
    {
        let call = Call::new();
        let step = match self.admit(&call).await {
            Ok(_entry) => Step::Done(future.await),
            Err(rejection) => Step::Rejected(rejection),
        };
        step.finish(reject)
    }

    /// For those who found no place. `aside`: places for those who need none.
    #[cold]
    fn enter_or_wait<'b, P: Deref<Target: Places + Sized> + Send + 'b>(
        &'b self,
        call: &'b Call,
        places: P,
        aside: fn(&'b Aside) -> P,
    ) -> Entered<'b, Entry<P>> {
        let enter = move |passage, places| match passage {
            Passage::By => Entry::new(aside(self.aside())),
            Passage::In | Passage::Over(_) => Entry::new(places),
        };
        if let Some(passed) = self.at_once(&*places) {
            return passed.map(|passage| enter(passage, places)).into();
        }
        Entered::wait(async move {
            let passage = self.pass(call, &*places).await?;
            Ok(enter(passage, places))
        })
    }

    #[doc(hidden)]
    /// The same for one key, which is not kept.
    pub fn enter_key<'b, 'k>(
        &'b self,
        call: &'b Call,
        key: impl Into<Shown<'k>>,
    ) -> Entered<'b, Entry<Arc<Gate>>> {
        call.time_passes();
        let gate = match self.gate_of(key.into()) {
            Ok(gate) => gate,
            Err((shared, lane)) => return self.enter_shared_key(call, shared, lane),
        };
        match gate.try_enter() {
            true => Entered::In(Entry::new(gate)),
            false => self.enter_or_wait(call, gate, Aside::gate),
        }
    }

    #[doc(hidden)]
    /// The same for one key of a synchronous function.
    pub fn enter_key_blocking<'k>(
        &self,
        call: &Call,
        key: impl Into<Shown<'k>>,
    ) -> Result<Entry<Arc<Gate>>, Rejection> {
        call.time_passes();
        let gate = match self.gate_of(key.into()) {
            Ok(gate) => gate,
            Err((shared, lane)) => {
                let passed = shared.pass_blocking(call, call.is_fenced(), lane);
                return Ok(Entry::new(self.accept(passed)?.gate()));
            }
        };
        match self.pass_blocking(call, &*gate)? {
            Passage::By => Ok(Entry::new(self.aside().gate())),
            Passage::In | Passage::Over(_) => Ok(Entry::new(gate)),
        }
    }

    /// Judges all callers who wait here again, and returns whom to wake.
    #[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody changes the terms
    fn judge_again(&self) -> Vec<Waker> {
        let terms = &*self.0.terms;
        let mut woken = judge_again(self.places(), terms);
        let Some(keys) = self.known_keys() else {
            return woken;
        };
        let mut gates = Vec::new();
        // A key that comes from now on, to a shard that has been looked through, finds the new terms.
        keys.for_each(|gate| gates.push(Arc::clone(gate)));
        for gate in gates {
            woken.extend(judge_again(&*gate, terms));
        }
        woken
    }

    /// The keys if there are any, brought to what is in force.
    #[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody changes the terms
    fn known_keys(&self) -> Option<&Keyed<Arc<Gate>>> {
        let _alone = lock(&self.0.making_keys);
        let keys = self.0.keys.get()?;
        keys.set_max_keys(self.terms().limits.max_keys);
        Some(keys)
    }

    fn terms(&self) -> &Terms {
        self.0.terms.get()
    }

    #[cfg(all(test, not(steadfast_loom), feature = "test-util"))]
    pub(super) fn change(&self, to: impl FnOnce(BulkheadSettings) -> BulkheadSettings) {
        self.reconfigure(&to(self.terms().settings), Switch::On);
    }

    #[cfg(all(test, not(steadfast_loom), feature = "test-util"))]
    pub(super) fn settings_in_force(&self) -> &BulkheadSettings {
        &self.terms().settings
    }

    #[cfg(all(test, not(steadfast_loom), feature = "test-util"))]
    pub(super) fn switch(&self, switch: Switch) {
        self.reconfigure(&self.terms().settings, switch);
    }

    fn aside(&self) -> &Aside {
        self.0.aside.get_or_init(|| Box::new(Aside::new()))
    }

    fn permit(&self, passage: Passage, gate: Option<Arc<Gate>>) -> BulkheadPermit {
        let gate = match passage {
            Passage::By => Some(self.aside().gate()),
            Passage::In | Passage::Over(_) => gate,
        };
        BulkheadPermit::new(self.clone(), gate)
    }

    /// Those of no key.
    pub(super) fn places(&self) -> &Striped {
        &self.0.places
    }

    /// The places of a key: those here, or a way to those of the fleet. No key is remembered while it is
    /// switched off.
    fn gate_of(&self, key: Shown<'_>) -> Result<Arc<Gate>, (&Shared, Arc<Lane>)> {
        if self.terms().is_off() {
            return Ok(self.aside().gate_to_enter());
        }
        let keys = match self.0.keys.get() {
            Some(keys) => keys,
            None => match self.first_key() {
                Ok(keys) => keys,
                Err(shared) => return Err((shared, shared.lane_of(key))),
            },
        };
        let create = || Arc::new(Gate::new(self.terms().own_limit()));
        // Whoever is about to enter holds the gate, too.
        let unused = |gate: &Arc<Gate>| Arc::strong_count(gate) == 1 && gate.is_idle();
        Ok(with_bytes(key, |key| {
            keys.with(key, create, unused, |gate, _| Arc::clone(gate))
        }))
    }

    #[cold]
    fn first_key(&self) -> Result<&Keyed<Arc<Gate>>, &Shared> {
        if let Some(shared) = &self.0.shared {
            return Err(shared);
        }
        // Who changes the terms comes by here afterwards, and finds the keys; or before, and they are new.
        let _alone = lock(&self.0.making_keys);
        let new = || Keyed::new(self.terms().limits.max_keys);
        Ok(self.0.keys.get_or_init(new))
    }

    fn try_shared(&self, shared: &Shared, lane: Arc<Lane>) -> Result<BulkheadPermit, BulkheadFull> {
        let passed = self.accept(shared.try_pass(lane));
        match passed {
            Ok(passed) => Ok(BulkheadPermit::new(self.clone(), Some(passed.gate()))),
            Err(Rejection::BulkheadFull(full)) => Err(full),
            Err(_) => Err(self.full(Full {
                waiting: 0,
                max_concurrent: self.terms().limits.max_concurrent,
            })),
        }
    }

    async fn acquire_shared(
        &self,
        shared: &Shared,
        lane: Arc<Lane>,
    ) -> Result<BulkheadPermit, Rejection> {
        let passed = shared.pass(&Call::new(), true, lane).await;
        let gate = self.accept(passed)?.gate();
        Ok(BulkheadPermit::new(self.clone(), Some(gate)))
    }

    fn acquire_shared_blocking(
        &self,
        shared: &Shared,
        lane: Arc<Lane>,
    ) -> Result<BulkheadPermit, Rejection> {
        let passed = shared.pass_blocking(&Call::new(), true, lane);
        let gate = self.accept(passed)?.gate();
        Ok(BulkheadPermit::new(self.clone(), Some(gate)))
    }

    fn enter_shared_key<'b>(
        &'b self,
        call: &'b Call,
        shared: &'b Shared,
        lane: Arc<Lane>,
    ) -> Entered<'b, Entry<Arc<Gate>>> {
        Entered::wait(async move {
            let passed = shared.pass(call, call.is_fenced(), lane).await;
            Ok(Entry::new(self.accept(passed)?.gate()))
        })
    }

    /// For those who found no place of this bulkhead's own.
    #[cold]
    fn enter_elsewhere<'b>(&'b self, call: &'b Call) -> Entered<'b, Entry<&'b Striped>> {
        let Some(shared) = &self.0.shared else {
            return self.enter_or_wait(call, self.places(), Aside::places);
        };
        Entered::wait(async move {
            let passed = shared.pass(call, call.is_fenced(), shared.lane()).await;
            Ok(Entry::new(shared.seat(self.accept(passed)?)))
        })
    }

    /// Counts and tells of what was refused, or would have been.
    fn accept(&self, passed: Result<Passed, Rejection>) -> Result<Passed, Rejection> {
        match passed {
            Ok(mut passed) => {
                if let Some(objection) = passed.objection.take() {
                    self.tell_refused(&objection, false);
                }
                Ok(passed)
            }
            Err(rejection) => {
                self.tell_refused(&rejection, true);
                Err(rejection)
            }
        }
    }

    fn try_pass(&self, places: &impl Places) -> Result<Passage, BulkheadFull> {
        if places.try_enter() {
            return Ok(Passage::In);
        }
        let passage = match self.decided(places) {
            Some(decided) => decided,
            None => enter_or_refuse(places, &*self.0.terms),
        };
        self.settle(passage)
    }

    async fn pass(&self, call: &Call, places: &impl Places) -> Result<Passage, Rejection> {
        if places.try_enter() {
            return Ok(Passage::In);
        }
        if let Some(passed) = self.at_once(places) {
            return passed;
        }
        let start = clock::now();
        let waited = wait(self.line_up(call, places, start)).await;
        call.add_waited(clock::now().since(start));
        Ok(self.settle(waited)?)
    }

    fn pass_blocking(&self, call: &Call, places: &impl Places) -> Result<Passage, Rejection> {
        if places.try_enter() {
            return Ok(Passage::In);
        }
        if let Some(passed) = self.at_once(places) {
            return passed;
        }
        let start = clock::now();
        let waited = wait_blocking(self.line_up(call, places, start));
        call.add_waited(clock::now().since(start));
        Ok(self.settle(waited)?)
    }

    fn line_up<'p, P: Places>(
        &'p self,
        call: &Call,
        places: &'p P,
        now: Nanos,
    ) -> Waiting<&'p P, &'p Reloadable<Terms>> {
        Waiting::new(places, &*self.0.terms, now, call.deadline())
    }

    fn at_once(&self, places: &impl Places) -> Option<Result<Passage, Rejection>> {
        let decided = self.decided(places)?;
        Some(self.settle(decided).map_err(Rejection::from))
    }

    /// What is known without the lock of the line, for a caller who did not get in at once: that there is
    /// nothing to enter, or that there is no place and nobody waits.
    fn decided(&self, places: &impl Places) -> Option<Result<Passage, Full>> {
        let terms = self.terms();
        let limit = terms.own_limit();
        match terms.manner() {
            Manner::Absent => Some(Ok(Passage::By)),
            Manner::Refuse if places.gate().is_full_by(limit) => Some(Err(Full {
                waiting: 0,
                max_concurrent: limit,
            })),
            _ => None,
        }
    }

    /// Counts and tells of who was refused, or would have been.
    fn settle(&self, passage: Result<Passage, Full>) -> Result<Passage, BulkheadFull> {
        let passage = passage.map_err(|full| self.full(full));
        match &passage {
            Ok(Passage::In | Passage::By) => {}
            Ok(Passage::Over(full)) => self.tell_refused(&self.full(*full), false),
            Err(error) => self.tell_refused(error, true),
        }
        passage
    }

    fn full(&self, full: Full) -> BulkheadFull {
        BulkheadFull {
            policy: self.name().clone(),
            max_concurrent: full.max_concurrent,
            waiting: full.waiting,
        }
    }

    #[cold]
    fn tell_refused<R: Clone + Into<Rejection>>(&self, rejection: &R, enforced: bool) {
        self.0.refused.add(0, 1);
        self.0.sink.tell_debug(|| {
            Event::Refused(Refused {
                policy: self.name().clone(),
                kind: PolicyKind::Bulkhead,
                rejection: rejection.clone().into(),
                enforced,
            })
        });
    }

    /// How full it is, in words; with keys, how full they all are.
    fn load(&self) -> String {
        let BulkheadMetrics {
            in_flight,
            waiting,
            max_concurrent,
            ..
        } = self.metrics();
        let (mut full, mut all) = (0_u64, 0_u64);
        if let Some(keys) = self.0.keys.get() {
            keys.for_each(|gate| {
                all += 1;
                full += u64::from(Places::in_flight(&**gate) >= max_concurrent);
            });
        }
        match all {
            0 => format!("{in_flight} in flight, {waiting} waiting"),
            _ => format!("{in_flight} in flight, {waiting} waiting, {full} of {all} keys full"),
        }
    }

    fn each(&self, mut act: impl FnMut(&dyn Places)) {
        act(self.places());
        if let Some(keys) = self.0.keys.get() {
            keys.for_each(|gate| act(&**gate));
        }
    }
}

/// A place for a call of an annotated function.
impl<'b> Admits<'b> for Bulkhead {
    type Permit = Entry<&'b Striped>;

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn try_admit(&'b self, _: &'b Call) -> Option<Self::Permit> {
        self.places().try_enter().then(|| Entry::new(self.places()))
    }

    fn admit_blocking(&'b self, call: &'b Call) -> Result<Self::Permit, Rejection> {
        if let Some(shared) = &self.0.shared {
            let passed = shared.pass_blocking(call, call.is_fenced(), shared.lane());
            return Ok(Entry::new(shared.seat(self.accept(passed)?)));
        }
        match self.pass_blocking(call, self.places())? {
            Passage::By => Ok(Entry::new(self.aside().places())),
            Passage::In | Passage::Over(_) => Ok(Entry::new(self.places())),
        }
    }
}

impl<'b> Waits<'b> for Bulkhead {
    #[inline(never)]
    fn admit(&'b self, call: &'b Call) -> Entered<'b, Self::Permit> {
        match self.places().try_enter() {
            true => Entered::In(Entry::new(self.places())),
            false => self.enter_elsewhere(call),
        }
    }
}

impl Policy for Bulkhead {
    type Settings = BulkheadSettings;

    fn assemble(name: PolicyName, settings: &BulkheadSettings, sink: Sink) -> Self {
        let terms = Terms::new(*settings, Switch::On);
        let places = Striped::new(terms.own_limit());
        let terms = Arc::new(Reloadable::new(terms));
        let shared = settings
            .is_shared()
            .then(|| Shared::new(name.clone(), Arc::clone(&terms), sink.clone()));
        Self(Arc::new(Inner {
            #[cfg(feature = "metrics")]
            meter: Meter::new(&metered::LINES, Some(&name), sink.levels()),
            name,
            terms,
            making_keys: Mutex::new(()),
            places,
            keys: OnceLock::new(),
            shared,
            aside: OnceLock::new(),
            refused: Counters::new(),
            sink,
        }))
    }

    fn settings(&self) -> Vec<Setting> {
        self.terms().settings.effective()
    }

    fn configure(&self, settings: &BulkheadSettings, switch: Switch) -> Later {
        self.0.terms.set(Terms::new(*settings, switch));
        // By whatever is in force by then: of two who do this at once, the second judges last.
        let woken = match &self.0.shared {
            Some(shared) => shared.judge_again(),
            None => self.judge_again(),
        };
        Later::new(move || woken.into_iter().for_each(wake))
    }

    fn observe(&self) -> Vec<(&'static str, Value)> {
        let metrics = self.metrics();
        vec![
            ("in_flight", u64::from(metrics.in_flight).into()),
            ("waiting", u64::from(metrics.waiting).into()),
            ("max_concurrent", u64::from(metrics.max_concurrent).into()),
            ("refused", metrics.refused.into()),
        ]
    }

    /// Of its own places: one key that is full says nothing of the others.
    fn condition(&self) -> Option<Verdict> {
        let (terms, gate) = (self.terms(), self.places().gate());
        let (in_flight, waiting) = match &self.0.shared {
            Some(shared) => shared.own_load(),
            None => (self.places().in_flight(), gate.waiting()),
        };
        let is_full = in_flight >= terms.limits.max_concurrent;
        let refuses = match terms.manner() {
            Manner::Wait { max_queue, .. } => waiting >= max_queue,
            Manner::Refuse => true,
            Manner::Watch => false,
            Manner::Absent => return None,
        };
        let status = match is_full && refuses {
            true => HealthStatus::Degraded,
            false => HealthStatus::Healthy,
        };
        Some(Verdict::new(status, self.load()))
    }

    /// Places that are taken stay taken, and waiters keep theirs: they belong to calls that run.
    fn reset(&self) {
        self.0.refused.reset();
        if let Some(shared) = &self.0.shared {
            shared.reset();
        }
        if let Some(keys) = self.0.keys.get() {
            keys.retain(|gate| Arc::strong_count(gate) > 1 || !gate.is_idle());
        }
    }

    #[cfg(feature = "metrics")]
    fn metered(&self) -> Arc<dyn Metered> {
        self.0.clone()
    }
}

#[cfg(all(test, not(steadfast_loom), feature = "test-util"))]
#[allow(clippy::unwrap_used)] // clippy does not see that this module is for tests
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{admission::Permit as _, judge::Judge, probe::Probe};

    const SECOND: Duration = Duration::from_secs(1);

    fn one(max_wait: Duration) -> Bulkhead {
        let builder = Bulkhead::builder("test").max_concurrent(1);
        builder.max_wait(max_wait).build().unwrap()
    }

    async fn hold(bulkhead: &Bulkhead, time: Duration) {
        let permit = bulkhead.try_acquire().unwrap();
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            drop(permit);
        });
    }

    #[tokio::test(start_paused = true)]
    async fn time_spent_in_the_line_is_no_part_of_the_call() {
        let bulkhead = one(60 * SECOND);
        let call = Call::new();
        hold(&bulkhead, 5 * SECOND).await;
        let entry = bulkhead.admit(&call).await.unwrap();
        assert_eq!(call.waited(), 5 * SECOND);
        let step = Step::<Result<(), Rejection>>::Done(Ok(()));
        entry.settle(Judge::new(&step, Probe::of(&step).__traits()));
        assert_eq!(bulkhead.metrics().in_flight, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_past_the_deadline_of_a_timeout_further_out() {
        let bulkhead = one(60 * SECOND);
        let call = Call::new();
        let start = clock::now();
        call.set_deadline(start.after(2 * SECOND));
        hold(&bulkhead, 5 * SECOND).await;
        assert!(bulkhead.admit(&call).await.is_err());
        assert_eq!(clock::now().since(start), 2 * SECOND);
        assert!(
            bulkhead.admit(&call).await.is_err(),
            "no time left: at once"
        );
        assert_eq!(clock::now().since(start), 2 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_keyed_entry_is_given_back_to_its_key() {
        let bulkhead = one(SECOND);
        let call = Call::new();
        let entry = bulkhead.enter_key(&call, "a").await.unwrap();
        assert!(bulkhead.enter_key(&call, "a").await.is_err());
        assert!(bulkhead.enter_key_blocking(&call, "b").is_ok());
        drop(entry);
        assert!(bulkhead.enter_key(&call, "a").await.is_ok());
        assert!(bulkhead.admit_blocking(&call).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_limit_holds_for_every_key_and_for_those_to_come() {
        let bulkhead = one(60 * SECOND);
        let _held = bulkhead.try_acquire_for("a").unwrap();
        let call = Call::new();
        let mut waits = Box::pin(bulkhead.enter_key(&call, "a").into_future());
        let poll = std::future::poll_fn(|cx| std::task::Poll::Ready(waits.as_mut().poll(cx)));
        assert!(poll.await.is_pending());
        bulkhead.change(|settings| settings.max_concurrent(2));
        let entry = waits.await.unwrap();
        let _new = [
            bulkhead.try_acquire_for("b").unwrap(),
            bulkhead.try_acquire_for("b").unwrap(),
        ];
        bulkhead.change(|settings| settings.max_concurrent(1));
        drop(entry);
        assert!(
            bulkhead.try_acquire_for("a").is_err(),
            "drained to one, which is held"
        );
        assert_eq!(bulkhead.metrics().max_concurrent, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reset_takes_nothing_from_those_inside() {
        let bulkhead = one(SECOND);
        let held = [
            bulkhead.try_acquire().unwrap(),
            bulkhead.try_acquire_for("a").unwrap(),
        ];
        assert!(bulkhead.try_acquire().is_err());
        drop(bulkhead.try_acquire_for("idle").unwrap());
        Policy::reset(&bulkhead);
        assert_eq!(
            (bulkhead.metrics().in_flight, bulkhead.metrics().refused),
            (2, 0)
        );
        assert!(bulkhead.try_acquire_for("a").is_err());
        drop(held);
        assert_eq!(bulkhead.metrics().in_flight, 0);
    }
}

#[cfg(feature = "metrics")]
mod metered {
    use std::sync::LazyLock;

    use super::*;
    use crate::metrics::*;

    pub(super) static LINES: LazyLock<Lines> = LazyLock::new(|| Lines {
        lines: [BULKHEAD_IN_FLIGHT, BULKHEAD_WAITING, BULKHEAD_REJECTED]
            .map(Line::new)
            .into(),
        told: None,
    });

    impl Inner {
        /// How many are in, and how many wait.
        fn standing(&self) -> (u64, u64) {
            if let Some(shared) = &self.shared {
                return (shared.in_flight().into(), shared.waiting().into());
            }
            let (mut in_flight, mut waiting) = (0_u64, 0_u64);
            let mut add = |places: &dyn Places| {
                in_flight += u64::from(places.in_flight());
                waiting += u64::from(places.gate().waiting());
            };
            add(&self.places);
            if let Some(keys) = self.keys.get() {
                keys.for_each(|gate| add(&**gate));
            }
            (in_flight, waiting)
        }
    }

    impl Metered for Inner {
        fn meter(&self) -> &Meter {
            &self.meter
        }

        fn read(&self) -> Vec<u64> {
            let (in_flight, waiting) = self.standing();
            vec![in_flight, waiting, self.refused.ever(0)]
        }
    }

    impl Drop for Inner {
        fn drop(&mut self) {
            close(self);
        }
    }
}
