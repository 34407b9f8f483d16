//! A shared bulkhead's side of this instance: its lanes, and what becomes of its callers.

use std::{
    sync::{Arc, OnceLock, Weak},
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
    policy::bulkhead::{
        BulkheadSettings, gate::Gate, places::Places, settings::Limits, striped::Striped,
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
        settings: &BulkheadSettings,
        limits: Limits,
        sink: Sink,
    ) -> Arc<Self> {
        let home = Arc::new(Home::new(name, settings, limits, sink));
        Arc::new_cyclic(|this| {
            let lane = Lane::new(&home, this);
            lane.name();
            Self {
                this: this.clone(),
                home,
                lane,
                keys: OnceLock::new(),
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
        let max_keys = self.home.limits().max_keys;
        let keys = self.keys.get_or_init(|| Keyed::new(max_keys));
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

    /// Waits for the store, and for a place where that is allowed.
    pub(in crate::policy::bulkhead) async fn pass(
        &self,
        call: &Call,
        fenced: bool,
        lane: Arc<Lane>,
    ) -> Result<Passed, Rejection> {
        if let Err(rejection) = self.begin() {
            return self.refuse(lane, rejection);
        }
        let start = clock::now();
        let turn = match self.enter(call, fenced, &lane) {
            Ok(turn) => turn,
            Err(queued) => wait(queued).await,
        };
        call.add_waited(clock::now().since(start));
        self.settle(lane, turn)
    }

    pub(in crate::policy::bulkhead) fn pass_blocking(
        &self,
        call: &Call,
        fenced: bool,
        lane: Arc<Lane>,
    ) -> Result<Passed, Rejection> {
        if let Err(rejection) = self.begin() {
            return self.refuse(lane, rejection);
        }
        let start = clock::now();
        let turn = self
            .enter(call, fenced, &lane)
            .unwrap_or_else(wait_blocking);
        call.add_waited(clock::now().since(start));
        self.settle(lane, turn)
    }

    /// Draws on what is here, and asks for more if there is nothing.
    pub(in crate::policy::bulkhead) fn try_pass(
        &self,
        lane: Arc<Lane>,
    ) -> Result<Passed, Rejection> {
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
                let max_wait = self.home.limits().max_wait.unwrap_or(Duration::ZERO);
                let give_up = now.after(max_wait);
                Err(Queued::new(Arc::clone(lane), ticket, give_up, deadline))
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
            seat: Seat::new(lane, pass),
            objection,
        })
    }

    /// Refuses, or lets in all the same where this only watches.
    fn refuse(&self, lane: Arc<Lane>, rejection: Rejection) -> Result<Passed, Rejection> {
        if self.home.limits().enforce {
            return Err(rejection);
        }
        let pass = lane.force();
        Ok(Passed {
            seat: Seat::new(lane, pass),
            objection: Some(rejection),
        })
    }

    fn full(&self, waiting: u32) -> BulkheadFull {
        BulkheadFull {
            policy: self.home.name.clone(),
            max_concurrent: self.home.limit(),
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

    pub(super) fn seats(&self) -> &Seats {
        &self.seats
    }

    pub(in crate::policy::bulkhead) fn limit(&self) -> u32 {
        self.home.limit()
    }

    pub(in crate::policy::bulkhead) fn set_limit(&self, limit: u32) {
        self.home.set_limit(limit);
        self.each(|lane| lane.hurry());
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
