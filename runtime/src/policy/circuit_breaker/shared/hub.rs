//! What the shared circuits of one breaker have in common.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use super::super::{cell::Cell, core::Core};
use crate::{
    store::{Link, Member, Store, StoreError, StoreStatus},
    sync::{
        AtomicBool, AtomicU64, Mutex,
        Ordering::{AcqRel, Relaxed},
        lock,
    },
};

/// Speaks to the store for all circuits of a breaker that are in use.
pub(in super::super) struct Hub {
    pub(super) link: Link,
    core: Weak<Core>,
    /// Circuits that are told of the passing of time.
    awake: Mutex<Vec<Seat>>,
    is_attached: AtomicBool,
    pub(super) told_no_store: AtomicBool,
    /// The generation of the last reset of the whole breaker.
    epoch: AtomicU64,
    /// A reset of the whole breaker is on its way: circuits of keys wait for it.
    holds: AtomicBool,
}

/// Which of a breaker's circuits: `None` is the only one, or what holds for those of all keys.
#[derive(Clone)]
pub(in super::super) struct Seat(pub(super) Option<Weak<Cell>>);

/// What there is of a store.
#[derive(Debug)]
pub(in super::super) enum Way {
    NotSet,
    Down(StoreError),
    Up,
}

impl Hub {
    pub(in super::super) fn new(link: Link, core: Weak<Core>) -> Self {
        Self {
            link,
            core,
            awake: Mutex::new(Vec::new()),
            is_attached: AtomicBool::new(false),
            told_no_store: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
            holds: AtomicBool::new(false),
        }
    }

    /// What there is of a store now. The first time that there is one, it is told whom to tell of the
    /// passing of time.
    pub(super) fn way(self: &Arc<Self>) -> Way {
        let Ok(store) = self.link.store() else {
            return Way::NotSet;
        };
        if !self.is_attached.load(Relaxed) && !self.is_attached.swap(true, AcqRel) {
            let member: Arc<dyn Member> = self.clone();
            store.attach(Arc::downgrade(&member));
        }
        if store.is_up() {
            Way::Up
        } else {
            Way::Down(why_down(&**store))
        }
    }

    pub(in super::super) fn has_store(&self) -> bool {
        self.link.store().is_ok()
    }

    pub(super) fn epoch(&self) -> i64 {
        self.epoch.load(Relaxed).cast_signed()
    }

    /// Learns of a reset of the whole breaker; true where it is news that concerns circuits there were.
    pub(super) fn learn_epoch(&self, epoch: i64) -> bool {
        let before = self.epoch.fetch_max(epoch.cast_unsigned(), Relaxed);
        before > 0 && before < epoch.cast_unsigned()
    }

    pub(super) fn hold(&self, holds: bool) {
        self.holds.store(holds, Relaxed);
    }

    pub(super) fn holds(&self) -> bool {
        self.holds.load(Relaxed)
    }

    /// From now on this circuit is told of the passing of time, until it falls asleep.
    pub(super) fn watch(&self, seat: Seat) {
        lock(&self.awake).push(seat);
    }

    pub(super) fn core(&self) -> Option<Arc<Core>> {
        self.core.upgrade()
    }

    /// Does the same for all circuits that are awake; those for which `act` says no fall asleep.
    fn each(&self, mut act: impl FnMut(&Core, &Cell) -> bool) {
        let Some(core) = self.core() else { return };
        // Outside the lock: the store may answer at once.
        let mut awake = std::mem::take(&mut *lock(&self.awake));
        awake.retain(|seat| seat.with(&core, |cell| act(&core, cell)).unwrap_or(false));
        let mut list = lock(&self.awake);
        awake.append(&mut list);
        *list = awake;
    }
}

impl Seat {
    /// Runs `act` on the circuit, if it is still there.
    pub(super) fn with<R>(&self, core: &Core, act: impl FnOnce(&Cell) -> R) -> Option<R> {
        match &self.0 {
            None => Some(act(&core.cell)),
            Some(cell) => cell.upgrade().map(|cell| act(&cell)),
        }
    }
}

impl Member for Hub {
    fn tick(self: Arc<Self>) {
        let way = self.way();
        self.each(|core, cell| core.tick(cell, &way));
    }

    fn down(self: Arc<Self>, cause: &StoreError) {
        let way = Way::Down(cause.clone());
        self.each(|core, cell| {
            core.learn(cell, &way);
            true
        });
    }

    fn up(self: Arc<Self>, _: Duration) {
        self.each(|core, cell| {
            core.exchange(cell, true);
            true
        });
    }
}

fn why_down(store: &dyn Store) -> StoreError {
    match store.health().status {
        StoreStatus::Down { cause, .. } => cause,
        StoreStatus::Connecting | StoreStatus::Up => StoreError::Unreachable {
            problem: "not connected yet".to_owned(),
        },
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}
