//! Every interleaving of threads that count on their lanes, and those who settle.

use std::{num::NonZeroU32, time::Duration};

use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crate::{
    algorithm::{
        circuit::{CircuitConfig, Outcome, Pass, Phase, Recovery, Transition, Verdict},
        window::Span,
    },
    clock::Nanos,
    policy::circuit_breaker::cell::Cell,
};

const SECOND: Duration = Duration::from_secs(1);
/// On the edge of a piece.
const START: Nanos = Nanos(1_000_000_000 * 1_000_000_000);

/// Opens at a third of at least so many calls.
fn config(minimum_calls: u32) -> CircuitConfig {
    let number = |n| NonZeroU32::new(n).unwrap();
    CircuitConfig {
        failure_threshold: None,
        failure_rate: Some(1.0 / 3.0),
        slow_rate: None,
        window: Span::Time(SECOND * 10),
        minimum_calls: number(minimum_calls),
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

/// A closed circuit, with a success on each of so many open lanes.
fn healthy(minimum_calls: u32, lanes: usize) -> (Arc<Cell>, Pass) {
    let cell = Cell::new(config(minimum_calls));
    let pass = cell.try_pass().unwrap();
    for lane in 0..lanes {
        assert_eq!(cell.succeed_on(lane, pass, START), None);
    }
    (Arc::new(cell), pass)
}

fn succeed(
    cell: &Arc<Cell>,
    lane: usize,
    pass: Pass,
    now: Nanos,
) -> thread::JoinHandle<Option<Transition>> {
    let cell = Arc::clone(cell);
    thread::spawn(move || cell.succeed_on(lane, pass, now))
}

fn fail(cell: &Cell, pass: Pass) -> Option<Transition> {
    let outcome = Outcome {
        verdict: Verdict::Failure,
        slow: false,
    };
    cell.record(pass, outcome, START, || 0.0).wake()
}

#[test]
fn loom_two_successes_beside_a_failure_are_all_counted_once() {
    loom::model(|| {
        let (cell, pass) = healthy(99, 2);
        let others = [0, 1].map(|lane| succeed(&cell, lane, pass, START));
        assert_eq!(fail(&cell, pass), None);
        for other in others {
            assert_eq!(other.join().unwrap(), None);
        }
        let tally = cell.tally(START);
        assert_eq!((tally.calls, tally.failures), (5, 1));
    });
}

#[test]
fn loom_a_lane_that_opens_beside_a_failure_loses_nothing() {
    loom::model(|| {
        let (cell, pass) = healthy(4, 0);
        let other = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || {
                for _ in 0..3 {
                    cell.succeed_on(0, pass, START);
                }
            })
        };
        fail(&cell, pass);
        other.join().unwrap();
        let tally = cell.tally(START);
        assert_eq!((tally.calls, tally.failures), (4, 1));
        cell.succeed_on(0, pass, START);
        assert_eq!(cell.tally(START).calls, 5);
    });
}

#[test]
fn loom_threads_that_succeed_again_and_again_are_counted_beside_those_who_ask() {
    loom::model(|| {
        let (cell, pass) = healthy(99, 2);
        let other = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || {
                cell.succeed_on(1, pass, START);
                cell.succeed_on(1, pass, START);
            })
        };
        cell.succeed_on(0, pass, START);
        let asked = cell.tally(START).calls;
        assert!((3..=5).contains(&asked));
        cell.succeed_on(0, pass, START);
        other.join().unwrap();
        assert_eq!(cell.tally(START).calls, 6);
    });
}

#[test]
fn loom_whoever_knows_of_a_success_finds_it_counted() {
    loom::model(|| {
        let (cell, pass) = healthy(99, 1);
        let ended = Arc::new(AtomicBool::new(false));
        let other = {
            let (cell, ended) = (Arc::clone(&cell), Arc::clone(&ended));
            thread::spawn(move || {
                cell.succeed_on(0, pass, START);
                ended.store(true, Ordering::Release);
            })
        };
        let known = ended.load(Ordering::Acquire);
        let calls = cell.tally(START).calls;
        assert!(calls == 2 || calls == 1 && !known);
        other.join().unwrap();
        assert_eq!(cell.tally(START).calls, 2);
    });
}

/// Whichever comes last finds a third of three calls failed.
#[test]
fn loom_rates_are_taken_after_every_outcome() {
    loom::model(|| {
        let (cell, pass) = healthy(3, 1);
        let other = succeed(&cell, 0, pass, START);
        let told = [fail(&cell, pass), other.join().unwrap()];
        let told: Vec<_> = told.into_iter().flatten().collect();
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].to, told[0].generation), (Phase::Open, 1));
        assert_eq!(cell.tally(START).calls, 3);
    });
}

#[test]
fn loom_a_reset_leaves_nothing_of_what_was_before_it() {
    loom::model(|| {
        let (cell, old) = healthy(99, 2);
        let others = [0, 1].map(|lane| succeed(&cell, lane, old, START));
        assert_eq!(cell.reset().wake(), None);
        let pass = cell.try_pass().unwrap();
        assert_ne!(pass, old);
        // On a lane of its own: two have one, and the third is the one that is shared.
        cell.succeed_on(2, pass, START);
        cell.succeed_on(2, pass, START);
        for other in others {
            assert_eq!(other.join().unwrap(), None);
        }
        assert_eq!(cell.tally(START).calls, 2);
        cell.succeed_on(0, pass, START);
        cell.succeed_on(0, old, START);
        assert_eq!(cell.tally(START).calls, 3);
    });
}

#[test]
fn loom_what_came_before_an_opening_by_hand_stays_in_the_window() {
    loom::model(|| {
        let (cell, pass) = healthy(99, 1);
        let ended = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || {
                cell.succeed_on(0, pass, START);
                cell.gate().phase()
            })
        };
        cell.force_open().wake().unwrap();
        let phase = ended.join().unwrap();
        let calls = cell.tally(START).calls;
        // Closed after it, then it was before the opening.
        assert!(calls == 2 || calls == 1 && phase == Phase::ForcedOpen);
        assert_eq!(cell.tally(START).calls, calls);
    });
}

#[test]
fn loom_a_new_piece_of_time_keeps_what_was_counted_in_the_last() {
    loom::model(|| {
        let (cell, pass) = healthy(99, 1);
        let next = START.after(SECOND);
        let other = succeed(&cell, 0, pass, START);
        cell.succeed_on(1, pass, next);
        cell.succeed_on(1, pass, next);
        other.join().unwrap();
        assert_eq!(cell.tally(next).calls, 4);
        // The first has left; the other one's has if it came before the piece ended.
        let calls = cell.tally(START.after(SECOND * 10)).calls;
        assert!((2..=3).contains(&calls));
        assert_eq!(cell.tally(next.after(SECOND * 10)).calls, 0);
    });
}

/// The lanes of the old window are closed, and what they hold is in the new one; a lane that opens
/// meanwhile is that of one of the two.
#[test]
fn loom_successes_beside_another_window_are_all_counted_once() {
    loom::model(|| {
        let (cell, pass) = healthy(99, 1);
        let other = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || {
                cell.succeed_on(0, pass, START);
                cell.succeed_on(0, pass, START);
            })
        };
        let resized = CircuitConfig {
            window: Span::Time(SECOND * 20),
            ..config(99)
        };
        cell.configure(&resized.into(), None, START, || 0.0).wake();
        cell.succeed_on(1, pass, START);
        other.join().unwrap();
        assert_eq!(cell.tally(START).calls, 4);
        // From the new window's oldest piece on.
        let later = START.after(SECOND * 19);
        assert_eq!(cell.tally(later).calls, 4);
    });
}

#[test]
fn loom_a_window_of_the_other_kind_holds_what_came_after_it() {
    loom::model(|| {
        let (cell, pass) = healthy(99, 1);
        let other = succeed(&cell, 0, pass, START);
        let counted = CircuitConfig {
            window: Span::Count(NonZeroU32::new(9).unwrap()),
            ..config(99)
        };
        cell.configure(&counted.into(), None, START, || 0.0).wake();
        cell.succeed_on(1, pass, START);
        other.join().unwrap();
        let calls = cell.tally(START).calls;
        assert!((1..=2).contains(&calls));
        // Nothing is left on a lane.
        cell.configure(&config(99).into(), None, START, || 0.0)
            .wake();
        assert_eq!(cell.tally(START).calls, 0);
    });
}
