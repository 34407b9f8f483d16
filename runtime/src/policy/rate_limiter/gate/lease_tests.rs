//! Leases against a plain bucket.

use std::{cell::Cell, sync::Barrier, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    algorithm::gcra::{Bucket, UNUSED},
    policy::rate_limiter::{RateLimiterSettings, lane::Arrival, patience::Stay},
    rate::Rate,
};

const START: Nanos = Nanos(1 << 60);
const INTERVAL: u64 = 1_000;

thread_local! {
    static NOW: Cell<Nanos> = const { Cell::new(START) };
}

fn now() -> Nanos {
    NOW.get()
}

fn rules(burst: u32) -> Rules {
    let settings = RateLimiterSettings::new()
        .rate(Rate::new(1, Duration::from_nanos(INTERVAL)))
        .burst(burst);
    Rules::new(&settings)
}

/// A gate whose threads are told by hand, and a plain bucket that is given what it lets through.
struct Beside {
    gate: Gate,
    rules: Rules,
    bucket: Gcra,
    plain: Bucket,
    /// The most that was leased at a time.
    leased: u64,
}

/// Generous ones, so that little is needed to see them.
const GENEROUS: Sizes = Sizes {
    part: 1,
    least: 1,
    room: 1,
};

impl Beside {
    fn new(burst: u32, sizes: Sizes) -> Self {
        NOW.set(START);
        let rules = rules(burst);
        let gate = Gate::of_sizes(&rules, START, sizes, now);
        let bucket = gate.terms.get().bucket.expect("it is a bucket");
        Self {
            gate,
            rules,
            bucket,
            plain: Bucket::UNUSED,
            leased: 0,
        }
    }

    fn till(&self, lane: u32) -> &Till {
        self.gate.totals.at(lane).expect("a lane")
    }

    fn lease(&self, lane: u32, cost: u32) -> Option<u64> {
        let at = self.bucket.at(now());
        self.gate
            .lease(self.gate.terms.get(), self.till(lane), at, cost, true)
    }

    /// As a call does. The mark, if it is let through.
    fn attempt(&mut self, lane: u32, cost: u32) -> Option<u64> {
        let drawn = self.gate.draw(self.till(lane), now, cost);
        self.leased = self.leased.max(lock(&self.gate.books).leases.length);
        drawn.or_else(|| self.ask(cost))
    }

    /// As those do who have no till.
    fn attempt_without(&self, cost: u32) -> Option<u64> {
        self.gate.terms.get().note(self.till(8));
        let taken = self
            .gate
            .terms
            .get()
            .desk
            .take(&self.bucket, self.bucket.at(now()), cost);
        match taken {
            Glance::Spent { .. } => None,
            Glance::Taken { mark, .. } => Some(mark),
            Glance::Held => self.ask(cost),
        }
    }

    fn ask(&self, cost: u32) -> Option<u64> {
        let arrive = |lane: &mut Lane, _: &Rules| lane.arrive(&self.rules, now(), cost, None);
        match self.gate.with(arrive) {
            Arrival::Ended(decision) if decision.allowed => Some(decision.mark),
            _ => None,
        }
    }

    fn refund(&self, mark: u64, cost: u32) {
        self.gate
            .with(|lane, _| lane.refund(&self.rules, now(), mark, cost))
            .run();
    }

    /// How far from full it is, all leases recalled.
    fn debt(&self) -> u64 {
        self.gate.with(|_, _| ());
        self.gate
            .terms
            .get()
            .state()
            .saturating_sub(self.bucket.at(now()))
    }

    fn plain_debt(&self) -> u64 {
        self.plain.state.saturating_sub(self.bucket.at(now()))
    }

    fn drain(&mut self) -> u32 {
        let mut taken = 0;
        while self.attempt(taken % 3, 1).is_some() {
            taken += 1;
        }
        taken
    }
}

fn pass(nanos: u64) {
    NOW.set(Nanos(NOW.get().0 + nanos));
}

#[test]
fn one_thread_alone_leases_nothing() {
    let mut beside = Beside::new(1_000, Sizes::USUAL);
    for _ in 0..1_000 {
        assert!(beside.attempt(3, 1).is_some());
    }
    assert!(beside.attempt(3, 1).is_none());
    assert_eq!(beside.leased, 0);
}

#[test]
fn two_threads_that_keep_meeting_lease() {
    let mut beside = Beside::new(1_000, Sizes::USUAL);
    for call in 0..8 {
        assert!(beside.attempt(call % 2, 1).is_some());
    }
    let word = beside.gate.terms.get().state();
    for call in 0..50 {
        assert!(beside.attempt(call % 2, 1).is_some());
    }
    assert_eq!(
        beside.gate.terms.get().state(),
        word,
        "nobody came to the word"
    );
}

#[test]
fn small_buckets_are_not_leased() {
    let mut beside = Beside::new(60, Sizes::USUAL);
    for call in 0..60 {
        assert!(beside.attempt(call % 2, 1).is_some());
    }
    assert_eq!(beside.leased, 0);
}

#[test]
fn one_who_comes_seldom_leases_nothing() {
    let mut beside = Beside::new(1_000, Sizes::USUAL);
    for call in 0..100 {
        pass(1_000 * INTERVAL);
        assert!(beside.attempt(call % 2, 1).is_some());
    }
    assert_eq!(beside.leased, 0);
}

#[test]
fn one_that_is_left_alone_goes_back_to_the_word() {
    let mut beside = Beside::new(1_000, Sizes::USUAL);
    for call in 0..8 {
        beside.attempt(call % 2, 1);
    }
    assert_ne!(
        beside.gate.terms.get().desk.scene.load(Ordering::Relaxed) & OUT,
        0
    );
    for _ in 0..400 {
        pass(INTERVAL);
        assert!(beside.attempt(0, 1).is_some());
    }
    assert_eq!(
        beside.gate.terms.get().desk.scene.load(Ordering::Relaxed) & OUT,
        0
    );
    assert_eq!(beside.till(0).lease.start(), CLOSED);
}

#[test]
fn while_somebody_waits_nothing_can_be_leased() {
    let beside = Beside::new(8, GENEROUS);
    assert!(beside.ask(8).is_some());
    let late = Stay::between(START, Nanos::NEVER);
    let wait = |lane: &mut Lane, _: &Rules| lane.arrive(&beside.rules, now(), 1, Some(late));
    assert!(matches!(beside.gate.with(wait), Arrival::Waits(..)));
    pass(1_000 * INTERVAL);
    assert_eq!(beside.lease(0, 1), None);
    assert_eq!(beside.gate.draw(beside.till(0), now, 1), None);
}

#[test]
fn a_reset_takes_back_what_was_leased() {
    let mut beside = Beside::new(8, GENEROUS);
    let mark = beside.lease(0, 1).unwrap();
    beside
        .gate
        .with(|lane, _| lane.reset(&beside.rules, now()))
        .run();
    beside.refund(mark, 1);
    assert_eq!(beside.drain(), 8);
}

#[test]
fn what_a_recall_moved_is_not_given_back_where_it_was() {
    let mut beside = Beside::new(8, GENEROUS);
    let below = beside.lease(0, 1).unwrap();
    let mark = beside.lease(1, 1).unwrap();
    // The recall of the lease below moves this one up: it is the second to be refilled.
    beside.gate.with(|_, _| ());
    pass(2 * INTERVAL);
    assert_eq!(beside.drain(), 8);
    beside.refund(below, 1);
    beside.refund(mark, 1);
    assert_eq!(beside.drain(), 0);
    // And one that was taken at the word.
    pass(8 * INTERVAL);
    beside.lease(0, 1).unwrap();
    let mark = beside.gate.draw(beside.till(1), now, 1).unwrap();
    beside.gate.with(|_, _| ());
    pass(2 * INTERVAL);
    assert_eq!(beside.drain(), 8);
    beside.refund(mark, 1);
    assert_eq!(beside.drain(), 0);
}

#[test]
fn a_clock_set_back_gains_one_burst_at_most() {
    let mut beside = Beside::new(8, GENEROUS);
    pass(10_000_000_000);
    beside.lease(0, 1).unwrap();
    beside.lease(1, 1).unwrap();
    NOW.set(START);
    assert_eq!(beside.drain(), 8);
}

#[test]
fn threads_get_exactly_the_burst() {
    // A rate at which nothing is refilled meanwhile.
    for (burst, threads, attempts) in [(10_000u32, 4, 5_000), (1_000, 3, 2_000), (64, 8, 64)] {
        let settings = RateLimiterSettings::new()
            .rate(Rate::per_hour(1))
            .burst(burst);
        let rules = Rules::new(&settings);
        for round in 0..20 {
            let gate = Gate::new(&rules, clock::now());
            let barrier = Barrier::new(threads);
            let attempt = || {
                let now = clock::now;
                let drawn = match gate.totals.own() {
                    Some(till) => gate.draw(till, now, 1),
                    None => gate.draw_elsewhere(now, 1),
                };
                let ask = || gate.with(|lane, _| lane.take(&rules, now(), 1).allowed);
                u32::from(drawn.is_some() || ask())
            };
            let work = || {
                barrier.wait();
                (0..attempts).map(|_| attempt()).sum::<u32>()
            };
            let allowed: u32 = std::thread::scope(|scope| {
                let others: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
                others.into_iter().map(|other| other.join().unwrap()).sum()
            });
            assert_eq!(allowed, burst, "round {round}");
        }
    }
}

/// What happens next: an action, a thread, a time, a cost.
type Step = (u8, u32, u64, u32);

fn steps(length: usize) -> impl Strategy<Value = Vec<Step>> {
    let time = prop_oneof![Just(0), 0..INTERVAL, 0..INTERVAL * 8, 0..INTERVAL * 100];
    prop::collection::vec((0u8..12, 0u32..4, time, 1u32..6), 1..length)
}

fn terms() -> impl Strategy<Value = Sizes> {
    (1u32..5, 1u32..4, 0u64..3).prop_map(|(part, least, room)| Sizes {
        part,
        least,
        room: room.max(1),
    })
}

impl Beside {
    /// Makes one step. What was let through: when, its mark, its cost.
    fn step(&mut self, (action, lane, _, cost): Step) -> Option<(Nanos, u64, u32)> {
        let mark = match action {
            0..=7 => self.attempt(lane, cost),
            8 => self.lease(lane, cost),
            9 => self.attempt_without(cost),
            10 => self.ask(cost),
            _ => {
                self.gate.with(|_, _| ());
                None
            }
        };
        self.leased = self.leased.max(lock(&self.gate.books).leases.length);
        mark.map(|mark| (now(), mark, cost))
    }
}

proptest! {
    /// Stronger than any bound on windows: a bucket without leases would have let them all through.
    #[test]
    fn lets_nothing_through_that_a_plain_bucket_would_not(
        burst in 1u32..60, terms in terms(), steps in steps(300),
    ) {
        let mut beside = Beside::new(burst, terms);
        for step in steps {
            pass(step.2);
            if beside.step(step).is_some() {
                let plain = beside.plain.take(&beside.bucket, now(), step.3);
                prop_assert!(plain.allowed, "{step:?}");
            }
            // What has expired unspent is at most what was leased.
            prop_assert!(beside.gate.terms.get().state() < UNUSED + (1 << 63));
        }
        let (debt, plain) = (beside.debt(), beside.plain_debt());
        prop_assert!(debt >= plain && debt <= plain + beside.leased, "{debt} {plain} {}", beside.leased);
    }

    #[test]
    fn decides_as_a_plain_bucket_while_the_time_stands(
        burst in 1u32..60, terms in terms(), first in 0..INTERVAL * 20, steps in steps(300),
    ) {
        let mut beside = Beside::new(burst, terms);
        for lane in 0..3 {
            beside.step((10, lane, 0, 2));
        }
        beside.plain.state = beside.gate.terms.get().state();
        pass(first);
        for step in steps {
            let passed = beside.step(step).is_some();
            // A lease may not be had, which refuses nobody.
            if passed || step.0 < 8 || step.0 == 9 || step.0 == 10 {
                prop_assert_eq!(beside.plain.take(&beside.bucket, now(), step.3).allowed, passed);
            }
        }
        prop_assert_eq!(beside.debt(), beside.plain_debt());
    }

    #[test]
    fn refunds_never_lift_it_over_the_limit(
        burst in 1u32..40, terms in terms(), steps in steps(200), picks: prop::sample::Index,
    ) {
        let mut beside = Beside::new(burst, terms);
        let mut kept = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            pass(step.2);
            if step.0 == 6 && !kept.is_empty() {
                // Where there is nothing left, each unit that is given back too many shows.
                let pick = picks.index(1 << 20) + number;
                let (_, mark, cost) = kept.swap_remove(pick % kept.len());
                while let Some(mark) = beside.attempt(step.1, 1) {
                    kept.push((now(), mark, 1));
                }
                beside.refund(mark, cost);
                while let Some(mark) = beside.attempt(step.1, 1) {
                    kept.push((now(), mark, 1));
                }
                continue;
            }
            kept.extend(beside.step(step));
        }
        kept.sort();
        for (from, &(start, ..)) in kept.iter().enumerate() {
            let mut sum = 0;
            for &(at, _, cost) in &kept[from..] {
                sum += u64::from(cost);
                let bound = u64::from(burst) * INTERVAL + at.since(start).as_nanos() as u64;
                prop_assert!(sum * INTERVAL <= bound, "{sum} from {start:?} to {at:?}");
            }
        }
    }

    #[test]
    fn a_refund_at_once_leaves_no_trace(
        burst in 1u32..60, terms in terms(), steps in steps(100), lane in 0u32..4, cost in 1u32..6,
    ) {
        let run = || {
            let mut beside = Beside::new(burst, terms);
            for &step in &steps {
                pass(step.2);
                beside.step(step);
            }
            beside
        };
        let before = run().debt();
        let mut beside = run();
        if let Some(mark) = beside.attempt(lane, cost) {
            beside.refund(mark, cost);
        }
        prop_assert_eq!(beside.debt(), before);
    }
}
