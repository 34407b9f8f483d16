//! How reports of a breaker's circuits get to the store, and answers back.

use std::sync::Arc;

use super::{
    super::{
        cell::{Aftermath, Cell},
        core::Core,
    },
    Denial, Hub, Outpost, Way,
    hub::Seat,
    outpost::Tick,
    script::{EXCHANGE, answer, args},
};
use crate::{
    algorithm::circuit::Pass,
    clock::{self, Nanos},
    kind::PolicyKind,
    store::{Job, Reply, StoreError},
};

impl Core {
    /// Asks for one call where the gate does not tell.
    #[inline(never)]
    pub(in super::super) fn admit_shared(
        &self,
        hub: &Arc<Hub>,
        outpost: &Outpost,
        cell: &Cell,
        now: Nanos,
    ) -> Result<Pass, Denial> {
        let way = self.rouse(hub, outpost, cell);
        let (admitted, aftermath) = cell.acquire_shared(outpost, &way, now);
        self.follow(cell, aftermath);
        admitted
    }

    /// Sees to it that the circuit hears of the fleet while somebody is interested, and asks at once where
    /// nobody was for a while: the store may answer before this returns.
    pub(in super::super) fn rouse(&self, hub: &Arc<Hub>, outpost: &Outpost, cell: &Cell) -> Way {
        let way = hub.way();
        match way {
            Way::NotSet => {
                let kind = PolicyKind::CircuitBreaker;
                self.sink
                    .tell_no_store(kind, &self.name, &hub.told_no_store);
            }
            Way::Up | Way::Down(_) if outpost.is_awake() => {}
            Way::Up | Way::Down(_) => {
                let ((), aftermath) = cell.change(|circuit| {
                    outpost.learn(circuit, &way);
                    outpost.wake();
                    ((), None)
                });
                self.follow(cell, aftermath);
            }
        }
        way
    }

    /// Successes of the circuit that were not told under its lock; all of those of keys are.
    fn elsewhere(&self, outpost: &Outpost) -> u64 {
        if outpost.is_keyed() {
            0
        } else {
            self.successes_elsewhere()
        }
    }

    /// Sends a report, if there is anything to tell and none is under way.
    #[cold]
    pub(in super::super) fn exchange(&self, cell: &Cell, callers: bool) {
        let (Some(hub), Some(outpost)) = (&self.hub, &cell.shared) else {
            return;
        };
        let Ok(store) = hub.link.store() else { return };
        let (now, elsewhere) = (clock::now(), self.elsewhere(outpost));
        let (report, aftermath) = cell.change(|circuit| {
            let report = outpost.report(circuit, now, elsewhere, callers);
            (report.map(|report| (report, outpost.terms())), None)
        });
        // What it says to be urgent has just been said, or cannot be.
        aftermath.wake();
        let Some((report, terms)) = report else {
            return;
        };
        let args = args(&terms.rules, &report);
        let (hub, seat) = (Arc::clone(hub), outpost.seat());
        let job = Job::new(&EXCHANGE, vec![outpost.key()], args, move |outcome| {
            hub.hear(&seat, outcome);
        });
        store.run(job);
    }

    /// Takes the answer to a report of this circuit.
    fn hear(&self, hub: &Hub, cell: &Cell, outcome: Result<Reply, StoreError>) {
        let Some(outpost) = &cell.shared else { return };
        let answer = outcome.and_then(|reply| answer(&reply));
        let (now, elsewhere) = (clock::now(), self.elsewhere(outpost));
        let heard = answer.is_ok();
        let ((), aftermath) =
            cell.change(|circuit| ((), outpost.hear(circuit, now, elsewhere, answer)));
        if !outpost.is_keyed() {
            if !outpost.has_command() {
                hub.hold(false);
            }
            if heard && hub.learn_epoch(outpost.epoch()) {
                self.forget_keys();
            }
        }
        if heard {
            self.follow(cell, aftermath);
        } else {
            self.tell_of(aftermath);
        }
    }

    /// Some time has passed: false where the circuit has fallen asleep.
    pub(super) fn tick(&self, cell: &Cell, way: &Way) -> bool {
        let Some(outpost) = &cell.shared else {
            return false;
        };
        let (now, elsewhere) = (clock::now(), self.elsewhere(outpost));
        let is_awaited = cell.is_awaited();
        let (tick, aftermath) = cell.change(|circuit| {
            let tick = outpost.tick(circuit, way, now, elsewhere, is_awaited);
            (tick, None)
        });
        self.tell_of(aftermath);
        if let Tick::Speak { called } = tick {
            self.exchange(cell, called);
        }
        tick != Tick::Asleep
    }

    /// The store is away.
    pub(super) fn learn(&self, cell: &Cell, way: &Way) {
        if let Some(outpost) = &cell.shared {
            let ((), aftermath) = cell.change(|circuit| {
                outpost.learn(circuit, way);
                ((), None)
            });
            self.tell_of(aftermath);
        }
    }

    /// What has to wait until the circuit's lock is gone: subscribers and wakers may call back in.
    #[inline]
    pub(in super::super) fn follow(&self, cell: &Cell, aftermath: Aftermath) {
        let is_urgent = aftermath.is_urgent;
        self.tell_of(aftermath);
        if is_urgent {
            self.exchange(cell, false);
        }
    }
}

impl Hub {
    fn hear(&self, seat: &Seat, outcome: Result<Reply, StoreError>) {
        if let Some(core) = self.core() {
            seat.with(&core, |cell| core.hear(self, cell, outcome));
        }
    }
}
