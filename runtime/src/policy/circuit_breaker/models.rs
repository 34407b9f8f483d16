//! Every interleaving of the gate, the machine behind it, and those who wait. Run with
//! `RUSTFLAGS="--cfg steadfast_loom" cargo test -p steadfast --lib --release models::`.

use std::{num::NonZeroU32, task::Wake, time::Duration};

use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::cell::Cell;
use crate::{
    algorithm::{
        circuit::{CircuitConfig, Outcome, Pass, Phase, Recovery, Refusal, Transition, Verdict},
        window::Span,
    },
    clock::Nanos,
};

const SECOND: Duration = Duration::from_secs(1);
const START: Nanos = Nanos(1 << 60);

fn number(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn config(threshold: u32, window: u32, probes: u32) -> CircuitConfig {
    CircuitConfig {
        failure_threshold: Some(number(threshold)),
        failure_rate: None,
        slow_rate: None,
        window: Span::Count(number(window)),
        minimum_calls: number(1),
        recovery: Recovery {
            timeout: SECOND * 10,
            longest: None,
            jitter: 0.0,
        },
        half_open_requests: number(probes),
        success_threshold: number(probes),
        half_open_timeout: SECOND * 10,
    }
}

fn acquire(cell: &Cell, now: Nanos) -> Result<Pass, Refusal> {
    let (admitted, aftermath) = cell.try_acquire(now);
    aftermath.wake();
    admitted
}

fn end(cell: &Cell, pass: Pass, now: Nanos, verdict: Verdict) -> Option<Transition> {
    let outcome = Outcome {
        verdict,
        slow: false,
    };
    if cell.is_unmoved_by(pass, outcome) {
        return None;
    }
    cell.record(pass, outcome, now, || 0.0).wake()
}

/// A circuit that is due to become half-open at `START + 10 s`.
fn open(probes: u32) -> Cell {
    let cell = Cell::new(config(1, 1, probes));
    let pass = acquire(&cell, START).unwrap();
    end(&cell, pass, START, Verdict::Failure).unwrap();
    cell
}

fn half_open() -> Nanos {
    START.after(SECOND * 10)
}

#[test]
fn loom_a_failure_beside_a_success_on_a_clean_window_is_not_lost() {
    loom::model(|| {
        let cell = Arc::new(Cell::new(config(9, 2, 1)));
        let pass = acquire(&cell, START).unwrap();
        for _ in 0..2 {
            end(&cell, pass, START, Verdict::Success);
        }
        assert!(cell.gate().is_clean());
        let failing = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || {
                end(&cell, pass, START, Verdict::Failure);
                // Whoever knows of the failure sees a window that is not clean.
                assert!(!cell.gate().is_clean());
            })
        };
        end(&cell, pass, START, Verdict::Success);
        failing.join().unwrap();
        assert_eq!(cell.tally(START).failures, 1);
        end(&cell, pass, START, Verdict::Success);
        end(&cell, pass, START, Verdict::Success);
        assert!(cell.gate().is_clean());
        assert_eq!(cell.tally(START).failures, 0);
    });
}

#[test]
fn loom_failures_of_two_threads_add_up_and_one_of_them_tells() {
    loom::model(|| {
        let cell = Arc::new(Cell::new(config(2, 4, 1)));
        let failing = {
            let cell = Arc::clone(&cell);
            move || {
                let pass = acquire(&cell, START).unwrap();
                end(&cell, pass, START, Verdict::Failure)
            }
        };
        let other = thread::spawn(failing.clone());
        let told = [failing(), other.join().unwrap()];
        let told: Vec<_> = told.into_iter().flatten().collect();
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].to, told[0].generation), (Phase::Open, 1));
        assert_eq!(cell.tally(START).failures, 2);
    });
}

#[test]
fn loom_half_open_admits_exactly_its_probes() {
    for probes in 1..=2 {
        loom::model(move || {
            let cell = Arc::new(open(probes));
            let callers: Vec<_> = (0..2)
                .map(|_| {
                    let cell = Arc::clone(&cell);
                    thread::spawn(move || acquire(&cell, half_open()).is_ok())
                })
                .collect();
            let mut admitted = u32::from(acquire(&cell, half_open()).is_ok());
            for caller in callers {
                admitted += u32::from(caller.join().unwrap());
            }
            assert_eq!(admitted, probes);
        });
    }
}

#[test]
fn loom_a_place_that_is_given_back_is_taken_once() {
    loom::model(|| {
        let cell = Arc::new(open(1));
        let probe = acquire(&cell, half_open()).unwrap();
        let cancelling = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || {
                end(&cell, probe, half_open(), Verdict::Abandoned);
            })
        };
        let caller = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || acquire(&cell, half_open()).is_ok())
        };
        let mine = acquire(&cell, half_open()).is_ok();
        let theirs = caller.join().unwrap();
        cancelling.join().unwrap();
        assert!(!(mine && theirs));
        let later = acquire(&cell, half_open()).is_ok();
        assert_eq!(later, !(mine || theirs));
    });
}

#[test]
fn loom_a_late_result_changes_nothing() {
    for late in [Verdict::Success, Verdict::Failure] {
        loom::model(move || {
            let cell = Arc::new(Cell::new(config(1, 1, 1)));
            let old = acquire(&cell, START).unwrap();
            end(&cell, old, START, Verdict::Failure).unwrap();
            let ending = {
                let cell = Arc::clone(&cell);
                thread::spawn(move || end(&cell, old, half_open(), late))
            };
            let probe = acquire(&cell, half_open()).unwrap();
            let told = end(&cell, probe, half_open(), Verdict::Success).unwrap();
            assert_eq!((told.from, told.to), (Phase::HalfOpen, Phase::Closed));
            assert_eq!(ending.join().unwrap(), None);
            assert_eq!(cell.gate().phase(), Phase::Closed);
            assert_eq!(cell.gate().pass(), Pass::ordinary(3));
            assert_eq!(cell.tally(half_open()).calls, 0);
        });
    }
}

#[test]
fn loom_a_refusal_without_the_lock_knows_its_time() {
    loom::model(|| {
        let cell = Arc::new(Cell::new(config(1, 1, 1)));
        let opening = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || {
                let pass = acquire(&cell, START).unwrap();
                end(&cell, pass, START, Verdict::Failure);
            })
        };
        match acquire(&cell, START.after(SECOND * 4)) {
            Ok(pass) => assert_eq!(pass, Pass::ordinary(0)),
            Err(refusal) => assert_eq!(refusal.retry_after, Some(SECOND * 6)),
        }
        opening.join().unwrap();
    });
}

#[test]
fn loom_changes_by_hand_and_by_outcome_are_told_once_each() {
    loom::model(|| {
        let cell = Arc::new(Cell::new(config(1, 1, 1)));
        let pass = acquire(&cell, START).unwrap();
        let by_hand = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || cell.force_open().wake())
        };
        let by_outcome = end(&cell, pass, START, Verdict::Failure);
        let by_hand = by_hand.join().unwrap().unwrap();
        assert_eq!(by_hand.to, Phase::ForcedOpen);
        assert_eq!(cell.gate().phase(), Phase::ForcedOpen);
        match by_outcome {
            Some(opened) => assert_eq!((opened.generation, by_hand.generation), (1, 2)),
            None => assert_eq!(by_hand.generation, 1),
        }
    });
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn loom_who_waits_is_told_or_sees_it() {
    loom::model(|| {
        let cell = Arc::new(open(1));
        let probe = acquire(&cell, half_open()).unwrap();
        let ending = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || {
                end(&cell, probe, half_open(), Verdict::Success);
            })
        };
        let flag = std::sync::Arc::new(Flag(AtomicBool::new(false)));
        let mut ticket = None;
        let waker = std::sync::Arc::clone(&flag).into();
        let ready = cell.poll_ready(&mut ticket, &waker, half_open()).is_ok();
        ending.join().unwrap();
        assert!(ready || flag.0.load(Ordering::Acquire));
    });
}

fn configure(cell: &Cell, config: CircuitConfig) {
    cell.configure(&config.into(), None, START, || 0.0).wake();
}

#[test]
fn loom_outcomes_beside_new_settings_are_counted_once() {
    loom::model(|| {
        let cell = Arc::new(Cell::new(config(9, 8, 1)));
        let pass = acquire(&cell, START).unwrap();
        let failing = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || {
                end(&cell, pass, START, Verdict::Failure);
                end(&cell, pass, START, Verdict::Success);
            })
        };
        configure(&cell, config(9, 6, 1));
        configure(&cell, config(9, 7, 1));
        failing.join().unwrap();
        let tally = cell.tally(START);
        assert_eq!((tally.calls, tally.failures), (2, 1));
    });
}

#[test]
fn loom_a_success_beside_a_clean_window_that_grows_is_in_it_or_was_before() {
    loom::model(|| {
        let cell = Arc::new(Cell::new(config(9, 2, 1)));
        let pass = acquire(&cell, START).unwrap();
        for _ in 0..2 {
            end(&cell, pass, START, Verdict::Success);
        }
        let other = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || end(&cell, pass, START, Verdict::Success))
        };
        configure(&cell, config(9, 4, 1));
        assert!(!cell.gate().is_clean());
        end(&cell, pass, START, Verdict::Success);
        other.join().unwrap();
        let calls = cell.tally(START).calls;
        assert!((3..=4).contains(&calls));
        end(&cell, pass, START, Verdict::Success);
        end(&cell, pass, START, Verdict::Success);
        assert!(cell.gate().is_clean());
    });
}

#[test]
fn loom_a_lowered_threshold_counts_from_the_next_failure() {
    loom::model(|| {
        let cell = Arc::new(Cell::new(config(9, 8, 1)));
        let pass = acquire(&cell, START).unwrap();
        for _ in 0..2 {
            end(&cell, pass, START, Verdict::Failure);
        }
        let failing = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || end(&cell, pass, START, Verdict::Failure))
        };
        configure(&cell, config(3, 8, 1));
        let opened = failing.join().unwrap();
        let later = end(&cell, pass, START, Verdict::Failure);
        assert!(opened.is_some() != later.is_some());
        assert_eq!(cell.gate().phase(), Phase::Open);
    });
}

#[test]
fn loom_a_refusal_beside_another_open_time_knows_one_of_the_two() {
    loom::model(|| {
        let cell = Arc::new(open(1));
        let shorter = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || {
                let mut config = config(1, 1, 1);
                config.recovery.timeout = SECOND * 5;
                configure(&cell, config);
            })
        };
        let now = START.after(SECOND * 4);
        let told = acquire(&cell, now).unwrap_err().retry_after.unwrap();
        assert!(told == SECOND * 6 || told == SECOND);
        shorter.join().unwrap();
        assert_eq!(acquire(&cell, now).unwrap_err().retry_after, Some(SECOND));
    });
}

#[test]
fn loom_who_waits_beside_new_settings_is_told_or_sees_them() {
    loom::model(|| {
        let cell = Arc::new(open(1));
        let shorter = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || {
                let mut config = config(1, 1, 1);
                config.recovery.timeout = SECOND * 5;
                configure(&cell, config);
            })
        };
        let flag = std::sync::Arc::new(Flag(AtomicBool::new(false)));
        let mut ticket = None;
        let waker = std::sync::Arc::clone(&flag).into();
        let now = START.after(SECOND * 5);
        let ready = cell.poll_ready(&mut ticket, &waker, now).is_ok();
        shorter.join().unwrap();
        assert!(ready || flag.0.load(Ordering::Acquire));
    });
}

#[test]
fn loom_what_the_configuration_takes_back_is_not_what_somebody_did_by_hand() {
    loom::model(|| {
        let cell = Arc::new(Cell::new(config(1, 1, 1)));
        let forced = cell.force(Some(Phase::ForcedOpen), START).unwrap();
        assert_eq!(forced.wake().unwrap().to, Phase::ForcedOpen);
        let by_hand = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || cell.disable().wake())
        };
        let ended = cell.force(None, START).and_then(|end| end.wake());
        by_hand.join().unwrap().unwrap();
        // Before or after: what was done by hand stands.
        assert_eq!(cell.gate().phase(), Phase::Disabled);
        assert!(ended.is_none_or(|ended| ended.to == Phase::Closed));
    });
}
