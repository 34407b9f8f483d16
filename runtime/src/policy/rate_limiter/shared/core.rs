//! What sends the questions of all lanes.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{
    lane::{Flight, Lane, Rules, Wakes},
    lanes::Lanes,
    lots::Lot,
    scripts::{FORGET, REFUND},
    terms::Terms,
};
use crate::{
    clock::{self, Nanos, nanos},
    policy::{
        rate_limiter::{RateLimiterSettings, rules::Rules as LocalRules},
        reloadable::{Edition, Reloadable},
        shared::Mode,
    },
    rate::Rate,
    store::{Arg, Census, Job, Link, Member, Reply, Store, StoreError},
    sync::{Mutex, lock},
};

/// The part of a shared limiter that lives as long as questions are under way.
pub(super) struct Core {
    pub(super) in_force: Reloadable<InForce>,
    link: Link,
    census: Arc<Census>,
    begun: OnceLock<()>,
    /// Whether the store's ticks come here, for how calls ended to be told.
    ticks: OnceLock<()>,
    pub(super) alone: Arc<Lane>,
    pub(super) lanes: Lanes,
    /// How long the store takes, in nanoseconds: a running mean.
    usual: AtomicU64,
    /// Lanes of which it has not been told how calls ended.
    untold: Mutex<Vec<Arc<Lane>>>,
}

/// What is in force.
#[derive(Debug)]
pub(in super::super) struct InForce {
    pub(super) rules: LocalRules,
    /// Of calls that bring no rate of their own.
    terms: Option<Terms>,
}

impl PartialEq for InForce {
    fn eq(&self, other: &Self) -> bool {
        self.rules == other.rules
    }
}

impl InForce {
    fn new(rules: LocalRules) -> Self {
        let settings = rules.settings();
        let rate = settings.rate.unwrap_or(Rate::OF_THE_CALL);
        Self {
            terms: Terms::new(settings, rate),
            rules,
        }
    }

    pub(super) fn settings(&self) -> &RateLimiterSettings {
        self.rules.settings()
    }

    /// What a call is decided by. `None`: a rate that lets nothing through.
    #[inline]
    pub(super) fn terms(&self, rate: Option<Rate>) -> Option<Terms> {
        match rate {
            None => self.terms,
            Some(rate) => Terms::new(self.settings(), rate),
        }
    }

    /// What an unused limit gives out at once.
    pub(super) fn limit(&self) -> u32 {
        self.terms.map_or(0, |terms| terms.limit)
    }
}

/// What is left to do after the locks when something else was put in force.
#[must_use]
pub(in super::super) struct FleetChange {
    core: Arc<Core>,
    lanes: Vec<(Arc<Lane>, Wakes)>,
    refunds: Vec<Job>,
}

impl FleetChange {
    pub(in super::super) fn run(self) {
        let Self {
            core,
            lanes,
            refunds,
        } = self;
        // Before any question: under the terms that they were taken by.
        if let Ok(store) = core.store().cloned() {
            refunds.into_iter().for_each(|job| store.run(job));
        }
        for (lane, wakes) in lanes {
            wakes.run();
            core.pump(&lane, clock::now(), false);
        }
    }
}

/// Keys whose outcomes are told by themselves; those of others go with their next question.
const UNTOLD: usize = 10_000;
/// Keys that are forgotten at a time by a reset.
const FORGOTTEN: usize = 64;

impl Core {
    pub(super) fn new(rules: LocalRules, link: Link) -> Arc<Self> {
        Arc::new(Self {
            census: Census::new(link.clone()),
            link,
            begun: OnceLock::new(),
            ticks: OnceLock::new(),
            alone: Arc::new(Lane::alone()),
            lanes: Lanes::new(rules.max_keys),
            in_force: Reloadable::new(InForce::new(rules)),
            usual: AtomicU64::new(0),
            untold: Mutex::default(),
        })
    }

    /// The store; the first time, it begins to tell of the passing of time.
    #[inline]
    pub(super) fn store(self: &Arc<Self>) -> Result<&Arc<dyn Store>, StoreError> {
        let store = self.link.store()?;
        if self.begun.get().is_none() {
            self.begin();
        }
        Ok(store)
    }

    #[cold]
    fn begin(self: &Arc<Self>) {
        self.begun.get_or_init(|| {
            // Neither can fail: the store is there.
            drop(self.census.begin());
        });
        self.tick_where_needed();
    }

    fn tick_where_needed(self: &Arc<Self>) {
        if self.begun.get().is_some() && self.in_force().rules.is_adaptive() {
            self.ticks.get_or_init(|| {
                let this = Arc::downgrade(self);
                drop(self.link.attach(this));
            });
        }
    }

    #[inline]
    pub(super) fn in_force(&self) -> &InForce {
        self.in_force.get()
    }

    /// Puts other rules in force.
    pub(super) fn change(self: &Arc<Self>, rules: LocalRules) -> FleetChange {
        self.lanes.set_max_keys(rules.max_keys);
        self.in_force.set(InForce::new(rules));
        self.tick_where_needed();
        let edition = self.in_force.edition();
        let rules = &self.in_force.of(edition).rules;
        let (mut changed, mut refunds) = (Vec::new(), Vec::new());
        for lane in self.all() {
            let now = clock::now();
            let change = lane.books().change(edition, rules, now);
            if let Some((rate, lots)) = change.held {
                refunds.extend(self.refunds(&lane, change.former, rate, lots));
            }
            changed.push((lane, change.wakes));
        }
        FleetChange {
            core: Arc::clone(self),
            lanes: changed,
            refunds,
        }
    }

    /// All lanes that are known here.
    fn all(&self) -> Vec<Arc<Lane>> {
        let mut lanes = self.lanes.all();
        lanes.push(Arc::clone(&self.alone));
        lanes
    }

    /// By how many the limit is shared: those last seen, or as many as there are at least.
    pub(super) fn instances(&self) -> u32 {
        let instances = self.in_force().settings().instances;
        instances.unwrap_or(1).max(self.census.seen())
    }

    /// How long the store takes; at least a millisecond.
    pub(super) fn usual(&self) -> Duration {
        Duration::from_nanos(self.usual.load(Relaxed)).max(Duration::from_millis(1))
    }

    /// What lanes go by that are under this, whatever the rate.
    pub(super) fn rules(self: &Arc<Self>, edition: Edition<InForce>) -> Option<Rules> {
        let (store, in_force) = (self.store().ok()?, self.in_force.of(edition));
        let (terms, settings) = (in_force.terms?, in_force.settings());
        let ahead = match settings.mode {
            Some(Mode::Lease) => (terms.limit / 10 / self.instances()).max(1),
            _ => 0,
        };
        Some(Rules {
            ahead,
            life: terms.life,
            deadline: store.deadline(),
            usual: Duration::from_nanos(self.usual.load(Relaxed)),
            adapts: in_force.rules.is_adaptive(),
            waits: settings.max_wait.is_some(),
        })
    }

    /// Takes permits ahead where few are left.
    pub(super) fn refill(self: &Arc<Self>, lane: &Arc<Lane>, now: Nanos) {
        if self.in_force().settings().mode != Some(Mode::Lease) {
            return;
        }
        let is_short = {
            let mut books = lane.books();
            let rules = self.rules(books.edition);
            rules.is_some_and(|rules| books.is_short(&rules, now))
        };
        if is_short {
            self.pump(lane, now, true);
        }
    }

    /// Sends questions as long as it is time to. `due`: one even if nobody asks anything.
    pub(super) fn pump(self: &Arc<Self>, lane: &Arc<Lane>, now: Nanos, mut due: bool) {
        let Ok(store) = self.store() else { return };
        loop {
            let flight = {
                let mut books = lane.books();
                let rules = self.rules(books.edition);
                rules.and_then(|rules| books.launch(&rules, now, due))
            };
            let Some(flight) = flight else { return };
            // Outside the lock: a store in memory answers at once.
            self.send(&**store, lane, flight);
            lane.books().launched();
            due = false;
        }
    }

    fn send(self: &Arc<Self>, store: &dyn Store, lane: &Arc<Lane>, flight: Flight) {
        let Some(terms) = self.in_force.of(flight.edition).terms(flight.rate) else {
            return self.land(lane, None, flight, Err(StoreError::BadReply));
        };
        let args = args(&terms, &flight);
        let keys = vec![self.key(lane, &terms)];
        let (within, this, lane) = (flight.within, Arc::clone(self), Arc::clone(lane));
        let done = move |outcome| this.land(&lane, Some(terms), flight, outcome);
        let job = Job::new(terms.script, keys, args, done);
        store.run(match within {
            Some(time) => job.within(time),
            None => job,
        });
    }

    /// On the store's thread, or within [`Store::run`].
    fn land(
        self: &Arc<Self>,
        lane: &Arc<Lane>,
        terms: Option<Terms>,
        flight: Flight,
        outcome: Result<Reply, StoreError>,
    ) {
        // By the caller's clock, which in tests is not this thread's.
        let took = flight.started.elapsed();
        let now = flight.sent.after(took);
        if outcome.is_ok() {
            self.learn(took);
        }
        let Some(terms) = terms.or_else(|| self.in_force.of(flight.edition).terms) else {
            return;
        };
        let (edition, rate) = (flight.edition, flight.rate);
        let landing = {
            let mut books = lane.books();
            let rules = &self.in_force.of(books.edition).rules;
            books.land(&terms, rules, flight, outcome, now)
        };
        if let Ok(store) = self.store() {
            let refunds = self.refunds(lane, edition, rate, landing.unwanted);
            refunds.for_each(|job| store.run(job));
        }
        landing.wakes.run();
        if landing.go_on {
            self.pump(lane, now, false);
        }
    }

    fn learn(&self, took: Duration) {
        let (usual, took) = (self.usual.load(Relaxed), nanos(took));
        self.usual.store(usual - usual / 8 + took / 8, Relaxed);
    }

    fn key(&self, lane: &Lane, terms: &Terms) -> Vec<u8> {
        // Of another algorithm it is another record.
        match &lane.key {
            None => self.link.key(terms.script.name),
            Some(key) => self.link.key_of(key, terms.script.name),
        }
    }

    /// How a call ended that the store let through.
    pub(super) fn report(&self, lane: Arc<Lane>, success: bool) {
        if lane.books().report(success) {
            let mut untold = lock(&self.untold);
            if untold.len() < UNTOLD {
                untold.push(lane);
            }
        }
    }

    /// Makes the limit as if unused, and those of all keys known here. The store does it when it gets to
    /// it: nobody waits.
    pub(super) fn reset(self: &Arc<Self>) {
        let lanes = self.all();
        let mut wakes = Vec::new();
        for lane in &lanes {
            wakes.push(lane.books().reset());
        }
        if self.store().is_ok() {
            self.forget(lanes);
        }
        for wake in wakes {
            wake.run();
        }
    }

    /// Some at a time: a store answers only so many at once.
    fn forget(self: &Arc<Self>, mut lanes: Vec<Arc<Lane>>) {
        let (Ok(store), Some(terms)) = (self.store(), self.in_force().terms) else {
            return;
        };
        let rest = lanes.len().saturating_sub(FORGOTTEN);
        let some = lanes.split_off(rest);
        // The last of them to be done takes the rest along.
        let next = Arc::new(Rest {
            core: Arc::clone(self),
            lanes: Mutex::new(lanes),
        });
        for lane in some {
            let (keys, next) = (vec![self.key(&lane, &terms)], Arc::clone(&next));
            store.run(Job::new(&FORGET, keys, Vec::new(), move |_| drop(next)));
        }
    }

    /// Gives back what is held ahead, as far as it still holds anything.
    pub(super) fn give_back(self: &Arc<Self>) {
        let Ok(store) = self.store() else { return };
        for lane in self.all() {
            let (edition, held) = {
                let mut books = lane.books();
                (books.edition, books.drain(clock::now()))
            };
            if let Some((rate, lots)) = held {
                let refunds = self.refunds(&lane, edition, rate, lots);
                refunds.for_each(|job| store.run(job));
            }
        }
    }

    /// What gives lots back that were taken under this.
    fn refunds(
        &self,
        lane: &Lane,
        edition: Edition<InForce>,
        rate: Option<Rate>,
        lots: Vec<Lot>,
    ) -> impl Iterator<Item = Job> {
        let terms = self.in_force.of(edition).terms(rate);
        lots.into_iter()
            .filter_map(move |lot| self.refund(lane, &terms?, lot))
    }

    fn refund(&self, lane: &Lane, terms: &Terms, lot: Lot) -> Option<Job> {
        let bucket = terms.bucket().filter(|_| lot.mark >= 0)?;
        let args = bucket.into_iter().chain([i64::from(lot.permits), lot.mark]);
        let args = args.map(Arg::Int).collect();
        Some(Job::new(&REFUND, vec![self.key(lane, terms)], args, |_| {}))
    }
}

/// The calls of a question, in the order in which they came.
fn args(terms: &Terms, flight: &Flight) -> Vec<Arg> {
    let ints = [i64::from(flight.waits), i64::from(flight.extra)];
    let mut args: Vec<_> = ints.into_iter().map(Arg::Int).chain(terms.args()).collect();
    if terms.adapts {
        args.extend([Arg::from(flight.well), Arg::from(flight.badly)]);
    }
    for call in &flight.calls {
        args.push(Arg::from(call.cost));
        if flight.waits {
            args.push(Arg::Int(patience(call.want.give_up(), flight.sent)));
        }
    }
    args
}

/// In whole microseconds, rounded down.
fn patience(give_up: Option<Nanos>, now: Nanos) -> i64 {
    let patience = give_up.map_or(Duration::ZERO, |give_up| give_up.since(now));
    i64::try_from(patience.as_micros())
        .unwrap_or(i64::MAX)
        .min(1 << 52)
}

/// Keys that are to be forgotten once those before are.
struct Rest {
    core: Arc<Core>,
    lanes: Mutex<Vec<Arc<Lane>>>,
}

impl Drop for Rest {
    fn drop(&mut self) {
        let lanes = std::mem::take(&mut *lock(&self.lanes));
        if !lanes.is_empty() {
            self.core.forget(lanes);
        }
    }
}

impl Member for Core {
    fn tick(self: Arc<Self>) {
        let untold = std::mem::take(&mut *lock(&self.untold));
        for lane in untold {
            self.pump(&lane, clock::now(), true);
        }
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the keys.
        f.debug_struct("Core")
            .field("lanes", &self.lanes)
            .finish_non_exhaustive()
    }
}
