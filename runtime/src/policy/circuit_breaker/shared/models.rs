//! Every interleaving of a circuit and what stands beside it: callers, reports and answers.

use std::{
    num::NonZeroU32,
    sync::{Arc, Weak},
    time::Duration,
};

use loom::thread;

use super::{
    super::{CircuitBreakerSettings, cell::Cell},
    Denial, FleetTerms, Hub, Outpost, Way,
    outpost::Tick,
};
use crate::{
    algorithm::{
        circuit::{CircuitConfig, Outcome, Pass, Phase, Recovery, Verdict},
        fleet_circuit::{Fleet, Reply, Report},
        window::Span,
    },
    clock::Nanos,
    kind::PolicyKind,
    store::{Link, StoreError, StoreSlot},
};

const SECOND: Duration = Duration::from_secs(1);
const START: Nanos = Nanos(1 << 60);
const NOW: i64 = 1_000_000_000;

fn number(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn config(threshold: u32) -> CircuitConfig {
    CircuitConfig {
        failure_threshold: Some(number(threshold)),
        failure_rate: None,
        slow_rate: None,
        window: Span::Count(number(4)),
        minimum_calls: number(1),
        recovery: Recovery {
            timeout: SECOND,
            longest: None,
            jitter: 0.0,
        },
        half_open_requests: number(1),
        success_threshold: number(1),
        half_open_timeout: SECOND,
    }
}

fn terms(threshold: u32) -> Arc<FleetTerms> {
    let settings = CircuitBreakerSettings::new();
    Arc::new(FleetTerms::new(&settings, &config(threshold)))
}

/// A circuit, and the fleet's record of it.
struct Scene {
    cell: Cell,
    fleet: loom::sync::Mutex<Option<Fleet>>,
}

impl Scene {
    /// A circuit that has heard of the fleet.
    fn new(threshold: u32) -> Arc<Self> {
        let slot = StoreSlot::default();
        let link = Link::new(slot, PolicyKind::CircuitBreaker, "a".into());
        let hub = Arc::new(Hub::new(link, Weak::new()));
        let cell = Cell::new(config(threshold)).share(Outpost::new(hub, terms(threshold)));
        let scene = Arc::new(Self {
            cell,
            fleet: loom::sync::Mutex::new(None),
        });
        scene
            .cell
            .change(|_| (scene.outpost().wake(), None))
            .1
            .wake();
        scene.talk();
        assert!(scene.cell.try_pass().is_some());
        scene
    }

    fn outpost(&self) -> &Outpost {
        self.cell.shared.as_deref().unwrap()
    }

    fn report(&self) -> Option<Report> {
        let report = |circuit: &mut _| (self.outpost().report(circuit, START, 0, true), None);
        let (report, aftermath) = self.cell.change(report);
        aftermath.wake();
        report
    }

    fn exchange(&self, report: &Report) -> Reply {
        let mut fleet = self.fleet.lock().unwrap();
        let (next, reply) =
            Fleet::exchange(fleet.take(), NOW, &self.outpost().terms().rules, report);
        *fleet = Some(next);
        reply
    }

    fn hear(&self, answer: Result<Reply, StoreError>) {
        let hear = |circuit: &mut _| ((), self.outpost().hear(circuit, START, 0, answer));
        self.cell.change(hear).1.wake();
    }

    fn talk(&self) {
        if let Some(report) = self.report() {
            let reply = self.exchange(&report);
            self.hear(Ok(reply));
        }
    }

    fn fail(&self, pass: Pass) {
        let failure = Outcome {
            verdict: Verdict::Failure,
            slow: false,
        };
        self.cell.record(pass, failure, START, || 0.0).wake();
    }

    fn acquire(&self) -> Result<Pass, Denial> {
        let (admitted, aftermath) = self.cell.acquire_shared(self.outpost(), &Way::Up, START);
        aftermath.wake();
        admitted
    }

    fn counted(&self) -> u64 {
        // Without anything new to tell: only to look.
        self.talk();
        self.outpost().tally().unwrap().failures
    }
}

#[test]
fn loom_failures_beside_a_report_are_told_once() {
    loom::model(|| {
        let scene = Scene::new(9);
        let pass = scene.cell.try_pass().unwrap();
        let failing = {
            let scene = Arc::clone(&scene);
            thread::spawn(move || scene.fail(pass))
        };
        scene.talk();
        failing.join().unwrap();
        scene.talk();
        assert_eq!(scene.counted(), 1);
    });
}

#[test]
fn loom_an_answer_never_takes_back_what_was_decided_after_the_report() {
    loom::model(|| {
        let scene = Scene::new(1);
        let pass = scene.cell.try_pass().unwrap();
        let failing = {
            let scene = Arc::clone(&scene);
            thread::spawn(move || {
                scene.fail(pass);
                // It has opened itself, and whatever arrives now was said before.
                assert_eq!(scene.cell.gate().phase(), Phase::Open);
            })
        };
        scene.talk();
        failing.join().unwrap();
        scene.talk();
        scene.talk();
        assert_eq!(scene.cell.gate().phase(), Phase::Open);
        let fleet = scene.fleet.lock().unwrap();
        let (_, reply) = Fleet::exchange(
            fleet.clone(),
            NOW,
            &scene.outpost().terms().rules,
            &silence(),
        );
        assert_eq!(reply.phase, Phase::Open);
    });
}

fn silence() -> Report {
    use crate::algorithm::{fleet_circuit::Streak, window::Tally};
    Report {
        seen: 0,
        floor: 0,
        epoch: 0,
        who: 1,
        batch: Tally::default(),
        streak: Streak::Below,
        opened: false,
        jitter: 0,
        control: None,
        ends: Vec::new(),
        asks: Vec::new(),
    }
}

#[test]
fn loom_one_of_two_reports_is_under_way() {
    loom::model(|| {
        let scene = Scene::new(9);
        let other = {
            let scene = Arc::clone(&scene);
            thread::spawn(move || scene.report().is_some())
        };
        let mine = scene.report().is_some();
        let theirs = other.join().unwrap();
        assert!(mine != theirs);
    });
}

#[test]
fn loom_a_caller_beside_falling_asleep_is_admitted_and_heard_of() {
    loom::model(|| {
        let scene = Scene::new(9);
        let calling = {
            let scene = Arc::clone(&scene);
            thread::spawn(move || match scene.cell.try_pass() {
                Some(pass) => scene.fail(pass),
                None => {
                    let pass = scene.acquire().unwrap();
                    scene.fail(pass);
                }
            })
        };
        for _ in 0..3 {
            let tick = |circuit: &mut _| {
                let tick = scene.outpost().tick(circuit, &Way::Up, START, 0, false);
                (tick, None)
            };
            let (tick, aftermath) = scene.cell.change(tick);
            aftermath.wake();
            if tick == Tick::Asleep {
                break;
            }
        }
        calling.join().unwrap();
        // Whoever comes later finds it awake, or wakes it; the failure is told either way.
        scene
            .cell
            .change(|_| (scene.outpost().wake(), None))
            .1
            .wake();
        assert_eq!(scene.counted(), 1);
    });
}

#[test]
fn loom_one_place_is_given_to_one_of_two_callers() {
    loom::model(|| {
        let scene = Scene::new(1);
        let pass = scene.cell.try_pass().unwrap();
        scene.fail(pass);
        scene.talk();
        // The open time is over by the record, and by the circuit: a place is asked for.
        let late = NOW + 2_000_000;
        let here = START.after(SECOND * 2);
        let outpost = scene.outpost();
        let ask = |circuit: &mut _| outpost.acquire(circuit, &Way::Up, here);
        let (refused, aftermath) = scene.cell.change(ask);
        aftermath.wake();
        assert!(refused.is_err());
        let speak = |circuit: &mut _| (outpost.report(circuit, here, 0, true), None);
        let report = scene.cell.change(speak).0.unwrap();
        let fleet = scene.fleet.lock().unwrap().take();
        let (_, reply) = Fleet::exchange(fleet, late, &scene.outpost().terms().rules, &report);
        let hear = |circuit: &mut _| ((), outpost.hear(circuit, here, 0, Ok(reply)));
        scene.cell.change(hear).1.wake();
        let take = move |scene: &Scene| {
            let take = |circuit: &mut _| scene.outpost().acquire(circuit, &Way::Up, here);
            scene.cell.change(take).0.is_ok()
        };
        let other = {
            let scene = Arc::clone(&scene);
            thread::spawn(move || take(&scene))
        };
        let mine = take(&scene);
        assert!(mine != other.join().unwrap());
    });
}
