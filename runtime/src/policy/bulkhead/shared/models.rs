//! Threads that meet at a lane, under loom: a store that answers at once, on the thread that asks.

use std::{
    sync::{Arc as StdArc, Mutex as StdMutex},
    task::{Wake, Waker},
};

use super::shared::Shared;
use crate::{
    algorithm::desk::{Entrance, Pass, Turn},
    clock::Nanos,
    event::Sink,
    policy::{
        Switch,
        bulkhead::{BulkheadSettings, terms::Terms},
        reloadable::Reloadable,
    },
    store::{Job, Member, Reply, Store, StoreHealth, StoreStatus, Table},
    sync::{AtomicU32, Ordering},
    waiter::{Progress, Wait},
};

use super::queued::Queued;

/// Its clock stands still.
#[derive(Debug, Default)]
struct Still(StdMutex<Table>);

impl Store for Still {
    fn run(&self, job: Job) {
        let outcome = {
            let mut table = self.0.lock().unwrap();
            (job.script.twin)(&mut table.records(&job.keys, 1), &job.args)
        };
        job.finish(outcome.map(Reply));
    }

    fn attach(&self, _: std::sync::Weak<dyn Member>) {}

    fn is_up(&self) -> bool {
        true
    }

    fn health(&self) -> StoreHealth {
        StoreHealth::new(StoreStatus::Up)
    }
}

struct Unpark(loom::thread::Thread);

impl Wake for Unpark {
    fn wake(self: StdArc<Self>) {
        self.0.unpark();
    }
}

/// One place, callers who wait for it without end, and nobody else in the fleet.
struct Room {
    shared: StdArc<Shared>,
    inside: AtomicU32,
}

impl Room {
    fn new() -> loom::sync::Arc<Self> {
        let sink = Sink::new();
        assert!(sink.store().set(StdArc::new(Still::default())).is_ok());
        let settings = BulkheadSettings::new()
            .shared(true)
            .max_concurrent(1)
            .max_wait(std::time::Duration::MAX);
        let terms = StdArc::new(Reloadable::new(Terms::new(settings, Switch::On)));
        let shared = Shared::new("b".into(), terms, sink);
        loom::sync::Arc::new(Self {
            shared,
            inside: AtomicU32::new(0),
        })
    }

    fn begin(&self) -> Result<Pass, Queued> {
        let lane = self.shared.lane();
        match lane.enter(true) {
            Entrance::Turn(Turn::In(pass)) => Ok(pass),
            Entrance::Turn(other) => panic!("{other:?}"),
            Entrance::Line(ticket) => {
                let home = StdArc::clone(self.shared.home());
                Err(Queued::new(home, lane, ticket, Nanos(0), Nanos::NEVER))
            }
        }
    }

    /// Never gives up: a lost wake-up is a deadlock, which loom reports.
    fn enter(&self) -> Pass {
        let mut queued = match self.begin() {
            Ok(pass) => return pass,
            Err(queued) => queued,
        };
        let waker = Waker::from(StdArc::new(Unpark(loom::thread::current())));
        loop {
            match queued.poll(&waker, Nanos(0)) {
                Progress::Ready(Some(Turn::In(pass))) => return pass,
                Progress::Ready(other) => panic!("{other:?}"),
                Progress::Until(Nanos::NEVER) => loom::thread::park(),
                // The time has come.
                Progress::Until(_) => {
                    loom::thread::yield_now();
                    self.shared.lane().hurry();
                }
            }
        }
    }

    fn work(&self, pass: Pass) {
        assert_eq!(self.inside.fetch_add(1, Ordering::Relaxed), 0);
        self.inside.fetch_sub(1, Ordering::Relaxed);
        self.shared.lane().leave(pass);
    }

    fn is_idle(&self) -> bool {
        self.shared.lane().is_idle()
    }
}

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(model);
}

#[test]
fn two_callers_and_one_place_of_the_fleet() {
    check(|| {
        let room = Room::new();
        let there = room.clone();
        let other = loom::thread::spawn(move || there.work(there.enter()));
        room.work(room.enter());
        other.join().unwrap();
        assert!(room.is_idle());
    });
}

#[test]
fn a_dropped_caller_passes_its_place_of_the_fleet_on() {
    check(|| {
        let room = Room::new();
        let held = room.enter();
        let there = room.clone();
        let gives_up = loom::thread::spawn(move || match there.begin() {
            Ok(pass) => there.work(pass),
            Err(queued) => drop(queued),
        });
        let there = room.clone();
        let waits = loom::thread::spawn(move || there.work(there.enter()));
        room.work(held);
        gives_up.join().unwrap();
        waits.join().unwrap();
        assert!(room.is_idle());
    });
}
