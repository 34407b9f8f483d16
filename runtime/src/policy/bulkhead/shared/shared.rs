//! A shared bulkhead's side of this instance: its lanes, and what becomes of its callers.

use std::{
    sync::{Arc, OnceLock, Weak},
    task::Waker,
    time::Duration,
};

use super::{home::Home, lane::Lane, queued::Queued, seat::Seat, seats::Seats};
use crate::{
    algorithm::desk::{Entrance, Pass, Turn},
    call::Call,
    clock,
    event::Sink,
    key::{Shown, with_bytes},
    keyed::Keyed,
    name::PolicyName,
    policy::{
        bulkhead::{gate::Gate, places::Places, striped::Striped, terms::Terms},
        reloadable::Reloadable,
    },
    rejection::{BulkheadFull, Rejection, StoreUnavailable},
    store::{Member, StoreError},
    sync::{Mutex, lock},
    waiter::{wait, wait_blocking},
};

#[derive(Debug)]
pub(in crate::policy::bulkhead) struct Shared {
    this: Weak<Self>,
    home: Arc<Home>,
    /// Of no key.
    lane: Arc<Lane>,
    /// Made when the first key is seen.
    keys: OnceLock<Keyed<Arc<Lane>>>,
    /// Held while the keys are made, and while they are brought to other terms.
    making_keys: Mutex<()>,
    /// Those that have to be told of the passing of time.
    /// The others may be forgotten with their keys.
    busy: Mutex<Vec<Weak<Lane>>>,
    seats: Seats,
    has_begun: OnceLock<()>,
}

/// A caller that is in, or would be if this were enforced.
#[derive(Debug)]
pub(in crate::policy::bulkhead) struct Passed {
    seat: Seat,
    /// Why it would have been refused.
    pub(in crate::policy::bulkhead) objection: Option<Rejection>,
}

impl Shared {
    pub(in crate::policy::bulkhead) fn new(
        name: PolicyName,
        terms: Arc<Reloadable<Terms>>,
        sink: Sink,
    ) -> Arc<Self> {
        let home = Arc::new(Home::new(name, terms, sink));
        Arc::new_cyclic(|this| {
            let lane = Lane::new(&home, this);
            lane.name();
            Self {
                this: this.clone(),
                home,
                lane,
                keys: OnceLock::new(),
                making_keys: Mutex::new(()),
                busy: Mutex::new(Vec::new()),
                seats: Seats::new(),
                has_begun: OnceLock::new(),
            }
        })
    }

    /// Of no key.
    pub(in crate::policy::bulkhead) fn lane(&self) -> Arc<Lane> {
        Arc::clone(&self.lane)
    }

    pub(in crate::policy::bulkhead) fn lane_of(&self, key: Shown<'_>) -> Arc<Lane> {
        let keys = self.keys.get().unwrap_or_else(|| self.first_key());
        let create = || Lane::new(&self.home, &self.this);
        // Whoever is about to enter holds the lane, too.
        let unused = |lane: &Arc<Lane>| Arc::strong_count(lane) == 1 && lane.is_idle();
        with_bytes(key, |key| {
            keys.with(key, create, unused, |lane, place| {
                lane.name_for(key, place.room());
                Arc::clone(lane)
            })
        })
    }

    #[cold]
    fn first_key(&self) -> &Keyed<Arc<Lane>> {
        // Who changes the terms comes by here afterwards, and finds the keys; or before, and they are new.
        let _alone = lock(&self.making_keys);
        let new = || Keyed::new(self.home.in_force().limits.max_keys);
        self.keys.get_or_init(new)
    }

    /// Waits for the store, and for a place where that is allowed.
    pub(in crate::policy::bulkhead) async fn pass(
        &self,
        call: &Call,
        fenced: bool,
        lane: Arc<Lane>,
    ) -> Result<Passed, Rejection> {
        if self.home.in_force().is_off() {
            return Ok(Passed::by(lane));
        }
        if let Err(rejection) = self.begin() {
            return self.refuse(lane, rejection);
        }
        let start = clock::now();
        let turn = match self.enter(call, fenced, &lane) {
            Ok(turn) => Some(turn),
            Err(queued) => wait(queued).await,
        };
        call.add_waited(clock::now().since(start));
        match turn {
            Some(turn) => self.settle(lane, turn),
            None => Ok(Passed::by(lane)),
        }
    }

    pub(in crate::policy::bulkhead) fn pass_blocking(
        &self,
        call: &Call,
        fenced: bool,
        lane: Arc<Lane>,
    ) -> Result<Passed, Rejection> {
        if self.home.in_force().is_off() {
            return Ok(Passed::by(lane));
        }
        if let Err(rejection) = self.begin() {
            return self.refuse(lane, rejection);
        }
        let start = clock::now();
        let turn = match self.enter(call, fenced, &lane) {
            Ok(turn) => Some(turn),
            Err(queued) => wait_blocking(queued),
        };
        call.add_waited(clock::now().since(start));
        match turn {
            Some(turn) => self.settle(lane, turn),
            None => Ok(Passed::by(lane)),
        }
    }

    /// Draws on what is here, and asks for more if there is nothing.
    pub(in crate::policy::bulkhead) fn try_pass(
        &self,
        lane: Arc<Lane>,
    ) -> Result<Passed, Rejection> {
        if self.home.in_force().is_off() {
            return Ok(Passed::by(lane));
        }
        if let Err(rejection) = self.begin() {
            return self.refuse(lane, rejection);
        }
        let turn = lane.try_enter();
        self.settle(lane, turn)
    }

    /// A turn at once, or a place in the line.
    fn enter(&self, call: &Call, fenced: bool, lane: &Arc<Lane>) -> Result<Turn, Queued> {
        let (now, deadline) = (clock::now(), call.deadline());
        match lane.enter(fenced) {
            Entrance::Turn(turn) => Ok(turn),
            Entrance::Line(ticket) => {
                let (home, lane) = (Arc::clone(&self.home), Arc::clone(lane));
                Err(Queued::new(home, lane, ticket, now, deadline))
            }
        }
    }

    /// Makes sure that there is a store, and that it tells of the passing of time.
    fn begin(&self) -> Result<(), Rejection> {
        self.home
            .store()
            .map_err(|cause| self.away(Arc::new(cause)))?;
        self.has_begun.get_or_init(|| {
            // There is a store, so neither can fail.
            let _ = self.home.link.attach(self.this.clone());
            let _ = self.home.begin();
        });
        Ok(())
    }

    fn settle(&self, lane: Arc<Lane>, turn: Turn) -> Result<Passed, Rejection> {
        let (pass, objection) = match turn {
            Turn::In(pass) => {
                let (Pass::Place { over, .. } | Pass::Alone { over }) = pass;
                (pass, over.then(|| self.full(lane.waiting()).into()))
            }
            Turn::Full { waiting } => return self.refuse(lane, self.full(waiting).into()),
            Turn::Away => {
                let cause = lane.cause();
                return self.refuse(lane, self.away(cause));
            }
        };
        Ok(Passed {
            seat: Seat::new(lane, Some(pass)),
            objection,
        })
    }

    /// Refuses, or lets in all the same where this only watches.
    fn refuse(&self, lane: Arc<Lane>, rejection: Rejection) -> Result<Passed, Rejection> {
        if self.home.in_force().limits.enforce {
            return Err(rejection);
        }
        let pass = lane.force();
        Ok(Passed {
            seat: Seat::new(lane, Some(pass)),
            objection: Some(rejection),
        })
    }

    fn full(&self, waiting: u32) -> BulkheadFull {
        BulkheadFull {
            policy: self.home.name.clone(),
            max_concurrent: self.home.in_force().limits.max_concurrent,
            waiting,
        }
    }

    fn away(&self, cause: Arc<StoreError>) -> Rejection {
        Rejection::StoreUnavailable(StoreUnavailable {
            policy: self.home.name.clone(),
            retry_after: None,
            cause,
        })
    }

    /// A seat to keep a reference to.
    pub(in crate::policy::bulkhead) fn seat(&self, passed: Passed) -> &Striped {
        let (seat, number) = self.seats.take();
        let owed = passed.seat.in_row(self.this.clone(), number);
        seat.gate().sit(Box::new(owed));
        seat
    }

    #[cfg(all(test, steadfast_loom))]
    pub(super) fn home(&self) -> &Arc<Home> {
        &self.home
    }

    pub(super) fn seats(&self) -> &Seats {
        &self.seats
    }

    /// Judges all who wait again, and returns whom to wake.
    #[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody changes the terms
    pub(in crate::policy::bulkhead) fn judge_again(&self) -> Vec<Waker> {
        let alone = lock(&self.making_keys);
        if let Some(keys) = self.keys.get() {
            keys.set_max_keys(self.home.in_force().limits.max_keys);
        }
        drop(alone);
        let mut woken = Vec::new();
        self.each(|lane| woken.extend(lane.judge_again()));
        woken
    }

    /// How many run and wait here for the bulkhead's own places.
    pub(in crate::policy::bulkhead) fn own_load(&self) -> (u32, u32) {
        (self.lane.in_flight(), self.lane.waiting())
    }

    pub(in crate::policy::bulkhead) fn in_flight(&self) -> u32 {
        self.sum(|lane| lane.in_flight())
    }

    pub(in crate::policy::bulkhead) fn waiting(&self) -> u32 {
        self.sum(|lane| lane.waiting())
    }

    /// Forgets keys that are not in use, and gives back what is only kept.
    pub(in crate::policy::bulkhead) fn reset(&self) {
        self.each(|lane| lane.let_go());
        if let Some(keys) = self.keys.get() {
            keys.retain(|lane| Arc::strong_count(lane) > 1 || !lane.is_idle());
        }
    }

    fn sum(&self, of: impl Fn(&Lane) -> u32) -> u32 {
        let mut sum: u32 = 0;
        self.each(|lane| sum = sum.saturating_add(of(lane)));
        sum
    }

    fn each(&self, mut act: impl FnMut(&Arc<Lane>)) {
        let mut lanes = vec![self.lane()];
        if let Some(keys) = self.keys.get() {
            keys.for_each(|lane| lanes.push(Arc::clone(lane)));
        }
        // Outside the locks of the keys: it wakes callers, and asks the store.
        lanes.iter().for_each(&mut act);
    }

    pub(super) fn list(&self, lane: Weak<Lane>) {
        lock(&self.busy).push(lane);
    }

    fn each_busy(&self, act: impl Fn(&Lane)) {
        let lanes = std::mem::take(&mut *lock(&self.busy));
        for listed in lanes {
            let Some(lane) = listed.upgrade() else {
                continue;
            };
            act(&lane);
            // One that becomes busy again from now on lists itself.
            if lane.tick() {
                self.list(listed);
            }
        }
    }
}

impl Passed {
    /// Of a bulkhead that is not there.
    fn by(lane: Arc<Lane>) -> Self {
        Self {
            seat: Seat::new(lane, None),
            objection: None,
        }
    }

    /// A seat of its own.
    pub(in crate::policy::bulkhead) fn gate(self) -> Arc<Gate> {
        Arc::new(Gate::seat_for(Box::new(self.seat)))
    }
}

impl Member for Shared {
    fn tick(self: Arc<Self>) {
        self.each_busy(|_| {});
    }

    fn down(self: Arc<Self>, _: &StoreError) {
        self.each_busy(|_| {});
    }

    fn up(self: Arc<Self>, _: Duration) {
        self.each_busy(Lane::hurry);
    }
}
