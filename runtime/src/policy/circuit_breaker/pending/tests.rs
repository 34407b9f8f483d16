use std::{
    num::NonZeroU32,
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use proptest::prelude::*;

use crate::{
    algorithm::{
        circuit::{Circuit, CircuitConfig, Outcome, Pass, Phase, Recovery, Verdict},
        window::Span,
    },
    clock::Nanos,
    policy::circuit_breaker::{CircuitBreaker, cell::Cell},
};

const SECOND: Duration = Duration::from_secs(1);
const START: Nanos = Nanos(1_000_000_000 * 1_000_000_000);
const FAILURE: Outcome = Outcome {
    verdict: Verdict::Failure,
    slow: false,
};

fn number(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn config(window: Duration) -> CircuitConfig {
    CircuitConfig {
        failure_threshold: None,
        failure_rate: Some(1.0),
        slow_rate: Some(0.5),
        window: Span::Time(window),
        minimum_calls: number(10),
        recovery: Recovery {
            timeout: SECOND * 10,
            longest: None,
            jitter: 0.0,
        },
        half_open_requests: number(1),
        success_threshold: number(1),
        half_open_timeout: SECOND * 10,
    }
}

/// A closed circuit that has seen a success on the first lane.
fn healthy(window: Duration) -> (Cell, Pass) {
    let cell = Cell::new(config(window));
    let pass = cell.try_pass().unwrap();
    cell.succeed_on(0, pass, START);
    (cell, pass)
}

fn record(cell: &Cell, pass: Pass, outcome: Outcome, now: Nanos) {
    assert_eq!(cell.record(pass, outcome, now, || 0.0).wake(), None);
}

#[test]
fn successes_of_a_healthy_circuit_take_no_lock() {
    let (cell, pass) = healthy(SECOND * 10);
    assert!(cell.adds_on(0, pass, START));
    // Not the first of a thread.
    assert!(!cell.adds_on(1, pass, START));
    cell.succeed_on(1, pass, START);
    assert!(cell.adds_on(1, pass, START) && cell.adds_on(0, pass, START));
    // Nor the first in a piece of time.
    let next = START.after(SECOND);
    assert!(!cell.adds_on(0, pass, next));
    cell.succeed_on(0, pass, next);
    assert!(cell.adds_on(0, pass, next));
    // A clock that is a little behind.
    assert!(cell.adds_on(0, pass, START));
    assert!(!cell.adds_on(0, pass, next.before(SECOND * 10)));
    assert_eq!(cell.tally(next).calls, 8);
}

#[test]
fn a_failure_or_a_slow_call_in_the_window_ends_it_until_they_leave() {
    let slow = Outcome {
        slow: true,
        ..Outcome::QUICK_SUCCESS
    };
    let given_up = Outcome {
        verdict: Verdict::Abandoned,
        slow: true,
    };
    for outcome in [FAILURE, slow, given_up] {
        let (cell, pass) = healthy(SECOND * 10);
        record(&cell, pass, outcome, START);
        cell.succeed_on(0, pass, START);
        assert!(!cell.adds_on(0, pass, START));
        let later = START.after(SECOND * 10);
        cell.succeed_on(0, pass, later);
        assert!(cell.adds_on(0, pass, later));
        assert_eq!(cell.tally(later).calls, 2);
    }
}

#[test]
fn a_streak_that_outlives_its_window_is_ended_by_a_success() {
    let mut config = config(SECOND * 10);
    config.failure_threshold = Some(number(2));
    let cell = Cell::new(config);
    let pass = cell.try_pass().unwrap();
    record(&cell, pass, FAILURE, START);
    let later = START.after(SECOND * 60);
    assert_eq!(cell.tally(later).failures, 0);
    assert!(!cell.adds_on(0, pass, later));
    cell.succeed_on(0, pass, later);
    record(&cell, pass, FAILURE, later);
    assert_eq!(cell.gate().phase(), Phase::Closed);
}

#[test]
fn circuits_of_keys_have_no_lanes() {
    let cell = Cell::one_of_many(config(SECOND * 10).into());
    let pass = cell.try_pass().unwrap();
    record(&cell, pass, Outcome::QUICK_SUCCESS, START);
    assert!(!cell.add(pass, START));
    assert_eq!(cell.tally(START).calls, 1);
}

#[derive(Clone, Copy, Debug)]
enum Op {
    /// On a lane, so many of them.
    Succeed(usize, u32),
    /// With the pass of any call so far.
    SucceedLate(usize, prop::sample::Index),
    End(Outcome),
    Acquire,
    Ask,
    Advance(u64),
    StepBack(u64),
    ForceOpen,
    Disable,
    Reset,
    Configure(CircuitConfig),
}

const LANES: usize = 3;

fn op() -> impl Strategy<Value = Op> {
    let verdict = prop_oneof![
        2 => Just(Verdict::Success),
        4 => Just(Verdict::Failure),
        1 => Just(Verdict::Abandoned),
    ];
    let outcome = (verdict, any::<bool>()).prop_map(|(verdict, slow)| Outcome { verdict, slow });
    prop_oneof![
        40 => (0..LANES, 1..4_u32).prop_map(|(lane, times)| Op::Succeed(lane, times)),
        3 => (0..LANES, any::<prop::sample::Index>()).prop_map(|(lane, call)| Op::SucceedLate(lane, call)),
        4 => outcome.prop_map(Op::End),
        10 => Just(Op::Acquire),
        4 => Just(Op::Ask),
        20 => (0..3_000_u64).prop_map(Op::Advance),
        2 => (8_000..30_000_u64).prop_map(Op::Advance),
        4 => (0..3_000_u64).prop_map(Op::StepBack),
        1 => (3_000..30_000_u64).prop_map(Op::StepBack),
        1 => Just(Op::ForceOpen),
        1 => Just(Op::Disable),
        3 => Just(Op::Reset),
        3 => settings().prop_map(Op::Configure),
    ]
}

/// Mostly windows of time, as lanes are for those.
fn settings() -> impl Strategy<Value = CircuitConfig> {
    let window = prop_oneof![
        2 => Just(Span::Time(SECOND * 10)),
        2 => (1..20_000_u64).prop_map(|millis| Span::Time(Duration::from_millis(millis))),
        1 => (1..10_u32).prop_map(|calls| Span::Count(number(calls))),
    ];
    let rate = prop_oneof![Just(0.5), 0.05..1.0_f64];
    let recovery = prop_oneof![Just(10_u32), 1..20_u32];
    (window, rate, prop::option::of(1..4_u32), recovery).prop_map(
        |(window, rate, threshold, seconds)| {
            let mut config = CircuitConfig {
                window,
                failure_rate: Some(rate),
                failure_threshold: threshold.map(number),
                ..config(SECOND)
            };
            config.recovery.timeout = SECOND * seconds;
            config
        },
    )
}

fn configure(cell: &Cell, config: CircuitConfig, now: Nanos) {
    cell.lay_lanes(config.window);
    let aftermath = cell.configure(&config.into(), None, now, || 0.0);
    assert_eq!(aftermath.wake(), None);
}

/// A shared circuit, and a plain one that is told everything at once.
struct Pair {
    cell: Cell,
    plain: Circuit,
    now: Nanos,
    passes: Vec<Pass>,
}

impl Pair {
    fn newest(&self) -> Pass {
        self.passes[self.passes.len() - 1]
    }

    fn succeed(&mut self, lane: usize, pass: Pass) -> Result<(), TestCaseError> {
        let told = self.cell.succeed_on(lane, pass, self.now);
        let plain = self
            .plain
            .record(self.now, pass, Outcome::QUICK_SUCCESS, || 0.0);
        prop_assert_eq!(told, plain);
        Ok(())
    }

    fn step(&mut self, op: Op) -> Result<(), TestCaseError> {
        let now = self.now;
        match op {
            Op::Succeed(lane, times) => {
                for _ in 0..times {
                    self.succeed(lane, self.newest())?;
                }
            }
            Op::SucceedLate(lane, call) => self.succeed(lane, *call.get(&self.passes))?,
            Op::End(outcome) => {
                let pass = self.newest();
                let told = self.cell.record(pass, outcome, now, || 0.0).wake();
                prop_assert_eq!(told, self.plain.record(now, pass, outcome, || 0.0));
            }
            Op::Acquire => {
                let (admitted, told) = self.cell.try_acquire(now);
                let plain = self.plain.try_acquire(now);
                prop_assert_eq!((admitted, told.wake()), plain);
                self.passes.extend(admitted);
            }
            Op::Ask => prop_assert_eq!(self.cell.tally(now), self.plain.tally(now)),
            Op::Advance(millis) => self.now = now.after(Duration::from_millis(millis)),
            Op::StepBack(millis) => self.now = now.before(Duration::from_millis(millis)),
            Op::ForceOpen => {
                prop_assert_eq!(self.cell.force_open().wake(), self.plain.force_open())
            }
            Op::Disable => prop_assert_eq!(self.cell.disable().wake(), self.plain.disable()),
            Op::Reset => prop_assert_eq!(self.cell.reset().wake(), self.plain.reset()),
            Op::Configure(config) => {
                configure(&self.cell, config, now);
                let before = self.plain.configure(now, config);
                self.plain.recover_anew(before, || 0.0);
            }
        }
        prop_assert_eq!(self.cell.gate().phase(), self.plain.phase());
        Ok(())
    }
}

proptest! {
    #[test]
    fn agrees_with_a_plain_circuit(
        config in settings(),
        ops in prop::collection::vec(op(), 1..300),
    ) {
        let cell = Cell::new(config);
        // Some come later; these are asked for by number.
        cell.lay_lanes(Span::Time(SECOND));
        let passes = vec![cell.try_pass().unwrap()];
        let mut pair = Pair { cell, plain: Circuit::new(config), now: START, passes };
        for op in ops {
            pair.step(op)?;
        }
        pair.step(Op::Ask)?;
    }
}

/// More threads than lanes, pieces of time that end all along, others who ask, and in the end failures.
#[test]
fn every_outcome_of_many_threads_is_counted_once() {
    const THREADS: u64 = 80;
    const EACH: u64 = 4_000;
    let cell = Cell::new(config(SECOND * 3_600));
    let (millis, added) = (AtomicU64::new(0), AtomicU64::new(0));
    let now = || START.after(Duration::from_millis(millis.fetch_add(1, Relaxed)));
    let pass = cell.try_pass().unwrap();
    let begin = Barrier::new(THREADS as usize);
    let calls = |thread: u64| {
        begin.wait();
        for call in 0..EACH {
            let now = now();
            if call == EACH - 50 && thread.is_multiple_of(20) {
                record(&cell, pass, FAILURE, now);
            } else if cell.add(pass, now) {
                added.fetch_add(1, Relaxed);
            } else {
                record(&cell, pass, Outcome::QUICK_SUCCESS, now);
            }
            if call % 1_000 == thread {
                assert!(cell.tally(now).calls > call);
            }
        }
    };
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let calls = &calls;
            scope.spawn(move || calls(thread));
        }
    });
    let tally = cell.tally(now());
    assert_eq!((tally.calls, tally.failures), (THREADS * EACH, 4));
    println!("{} without the lock", added.into_inner());
}

#[test]
fn a_healthy_breaker_of_many_threads_has_counted_every_call() {
    const THREADS: u64 = 6;
    const EACH: u64 = 50_000;
    let breaker = CircuitBreaker::builder("healthy")
        .failure_rate(0.5)
        .window(SECOND * 3_600)
        .build()
        .unwrap();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for call in 0..EACH {
                    breaker.try_acquire().unwrap().success();
                    if call % 10_000 == 0 {
                        assert!(breaker.metrics().calls > call);
                    }
                }
            });
        }
    });
    let metrics = breaker.metrics();
    assert_eq!(metrics.calls, THREADS * EACH);
    assert_eq!(metrics.total_successes, THREADS * EACH);
}

#[test]
fn lanes_are_laid_once_a_window_of_time_needs_them() {
    let count = CircuitConfig {
        window: Span::Count(number(5)),
        ..config(SECOND)
    };
    let cell = Cell::new(count);
    let pass = cell.try_pass().unwrap();
    record(&cell, pass, Outcome::QUICK_SUCCESS, START);
    assert!(!cell.add(pass, START));
    configure(&cell, config(SECOND * 10), START);
    cell.succeed_on(0, pass, START);
    assert!(cell.adds_on(0, pass, START));
    // New settings close them, and take what they hold.
    configure(&cell, config(SECOND * 20), START);
    assert!(!cell.adds_on(0, pass, START));
    cell.succeed_on(0, pass, START);
    assert!(cell.adds_on(0, pass, START));
    // All but the first, which was in a window of the other kind.
    assert_eq!(cell.tally(START).calls, 4);
    configure(&cell, count, START);
    assert_eq!(cell.tally(START).calls, 0);
    cell.succeed_on(0, pass, START);
    assert!(!cell.adds_on(0, pass, START));
}

/// As above, while the window's length goes up and down.
#[test]
fn every_outcome_is_counted_once_while_the_window_is_resized() {
    const THREADS: u64 = 12;
    const EACH: u64 = 10_000;
    let cell = Cell::new(config(SECOND * 3_600));
    let (millis, left) = (AtomicU64::new(0), AtomicU64::new(THREADS));
    let now = || START.after(Duration::from_millis(millis.fetch_add(1, Relaxed)));
    let pass = cell.try_pass().unwrap();
    let begin = Barrier::new(THREADS as usize + 1);
    let calls = || {
        begin.wait();
        for call in 0..EACH {
            let now = now();
            if call == EACH - 50 {
                record(&cell, pass, FAILURE, now);
            } else if !cell.add(pass, now) {
                record(&cell, pass, Outcome::QUICK_SUCCESS, now);
            }
        }
        left.fetch_sub(1, Relaxed);
    };
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(calls);
        }
        scope.spawn(|| {
            begin.wait();
            // Time passes with calls alone: with changes, of which there may be any number, it could pass
            // the shortest window, and what is older would rightly be forgotten.
            let now = || START.after(Duration::from_millis(millis.load(Relaxed)));
            while left.load(Relaxed) > 0 {
                for minutes in [600, 3, 60_000, 11] {
                    configure(&cell, config(SECOND * 60 * minutes), now());
                    thread::yield_now();
                }
            }
        });
    });
    let tally = cell.tally(now());
    assert_eq!((tally.calls, tally.failures), (THREADS * EACH, THREADS));
}
