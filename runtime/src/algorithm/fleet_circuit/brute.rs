//! The fleet's record against the most naive one that can be right: everything that was ever said is
//! kept, and everything is computed from it anew.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::algorithm::{circuit::Phase, window::Tally};

const SECOND: Micros = 1_000_000;
const START: Micros = 1_700_000_000 * SECOND;

struct Naive {
    rules: Rules,
    generation: i64,
    phase: Phase,
    opened: (Micros, Micros),
    failed: i64,
    passed: i64,
    places: BTreeMap<i64, Micros>,
    signs: BTreeMap<i64, Micros>,
    /// Since it closed: the piece of time of each batch, and what it held.
    batches: Vec<(i64, Tally)>,
    commands: Vec<(i64, Micros)>,
    epoch: i64,
}

impl Naive {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
        self.places.clear();
        self.signs.clear();
        self.passed = 0;
        self.opened = (0, 0);
        if phase == Phase::Closed {
            self.batches.clear();
            self.failed = 0;
        }
    }

    fn open(&mut self, now: Micros, failed: i64, jitter: i64) {
        self.enter(Phase::Open);
        self.failed = failed;
        let doubled = (0..failed.min(40)).fold(self.rules.recovery, |time, _| {
            if self.rules.longest_recovery > 0 {
                (time * 2).min(self.rules.longest_recovery)
            } else {
                time
            }
        });
        let added = i128::from(doubled) * i128::from(jitter) / 1_000_000;
        self.opened = (now, now + doubled + i64::try_from(added).unwrap());
    }

    fn window(&self) -> Tally {
        let mut sum = Tally::default();
        let newest = self.batches.last().map_or(0, |batch| batch.0);
        for &(piece, batch) in self.batches.iter().rev() {
            match self.rules.reach {
                Reach::Count { calls, .. } if sum.calls >= calls as u64 => break,
                Reach::Time { pieces, .. } if piece + pieces <= newest => break,
                _ => sum.join(batch),
            }
        }
        sum
    }

    fn tell(&mut self, now: Micros, report: &Report) -> Reply {
        let rules = self.rules;
        let known = report.seen.max(report.floor);
        if self.generation < known {
            self.generation = known + 1;
        }
        if self.epoch < report.epoch {
            self.epoch = report.epoch;
            self.enter(Phase::Closed);
        }
        if now < self.opened.0 {
            self.opened = (now, now + self.opened.1 - self.opened.0);
        }
        for (_, at) in &mut self.commands {
            if *at > now {
                *at = 0;
            }
        }
        self.places.retain(|_, end| *end >= now);
        self.places
            .values_mut()
            .for_each(|end| *end = (now + rules.lease).min(*end));
        self.signs.values_mut().for_each(|at| *at = now.min(*at));
        self.signs.retain(|_, at| now - *at < rules.sign_lasts());
        for &(number, end) in &report.ends {
            if self.places.remove(&number).is_some() {
                match end {
                    End::Unused => {}
                    End::Failed => self.open(now, self.failed + 1, report.jitter),
                    End::Passed => self.passed += 1,
                }
                if self.phase == Phase::HalfOpen && self.passed == rules.successes {
                    self.enter(Phase::Closed);
                }
            }
        }
        if self.phase == Phase::Closed && self.generation == report.seen {
            self.take(now, report);
        }
        if let Some(Control { command, id, age }) = report.control {
            let last = self.commands.last().copied().unwrap_or((0, 0));
            if id != last.0 && now - age >= last.1 {
                self.commands.push((id, now - age));
                match command {
                    Command::Reset => {
                        self.enter(Phase::Closed);
                        self.epoch = self.epoch.max(self.generation);
                    }
                    Command::ForceOpen if self.phase != Phase::ForcedOpen => {
                        self.enter(Phase::ForcedOpen);
                    }
                    Command::Disable if self.phase != Phase::Disabled => {
                        self.enter(Phase::Disabled);
                    }
                    Command::EndForcedOpen if self.phase == Phase::ForcedOpen => {
                        self.enter(Phase::Closed);
                        self.epoch = self.epoch.max(self.generation);
                    }
                    Command::EndDisabled if self.phase == Phase::Disabled => {
                        self.enter(Phase::Closed);
                        self.epoch = self.epoch.max(self.generation);
                    }
                    _ => {}
                }
            }
        }
        if self.phase == Phase::Open && now >= self.opened.1 && !report.asks.is_empty() {
            self.enter(Phase::HalfOpen);
        }
        let mut granted = Vec::new();
        for &ask in &report.asks {
            let room = (self.places.len() as i64) < rules.places;
            if self.phase == Phase::HalfOpen && (room || self.places.contains_key(&ask)) {
                self.places.entry(ask).or_insert(now + rules.lease);
                granted.push(ask);
            }
        }
        Reply {
            generation: self.generation,
            phase: self.phase,
            wait: (self.opened.1 - now).max(0),
            failed_recoveries: self.failed,
            successes: self.passed,
            epoch: self.epoch,
            tally: self.window(),
            granted,
        }
    }

    fn take(&mut self, now: Micros, report: &Report) {
        if let Reach::Time { width, pieces } = self.rules.reach {
            let piece = now.div_euclid(width);
            let newest = self.batches.last().map_or(piece, |batch| batch.0);
            if newest - piece >= pieces {
                self.batches.clear();
            }
            let newest = self.batches.last().map_or(piece, |batch| batch.0);
            // What has left does not come back with a clock that falls back.
            let piece = newest.max(piece);
            self.batches.retain(|batch| batch.0 + pieces > piece);
            if report.batch.calls > 0 {
                self.batches.push((piece, report.batch));
            }
        } else if report.batch.calls > 0 {
            self.batches.push((0, report.batch));
        }
        match report.streak {
            Streak::Below => {}
            Streak::Ended => drop(self.signs.remove(&report.who)),
            Streak::Reached => drop(self.signs.insert(report.who, now)),
        }
        let enough = self.signs.len() as i64 >= self.rules.quorum;
        if report.opened
            || (enough && report.streak == Streak::Reached)
            || self.rules.rates_reached(self.window())
        {
            self.open(now, 0, report.jitter);
        }
    }
}

/// What an instance says, but for what it knows.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    who: i64,
    /// How far its knowledge is behind; sometimes it is ahead.
    behind: i64,
    batch: Tally,
    streak: Streak,
    opened: bool,
    jitter: i64,
    /// What, how long ago, and whether it is the last one told again.
    command: Option<(Command, Micros, bool)>,
    ends: Vec<(prop::sample::Index, End)>,
    asks: u8,
    epoch_ahead: bool,
}

pub(crate) fn said() -> impl Strategy<Value = Said> {
    let batch = (0..12_u64, 0..12_u64, 0..12_u64).prop_map(|(calls, failures, slow)| Tally {
        calls,
        failures: failures.min(calls),
        slow: slow.min(calls),
    });
    let streak = prop_oneof![
        4 => Just(Streak::Below),
        2 => Just(Streak::Reached),
        1 => Just(Streak::Ended)
    ];
    let command = prop_oneof![
        3 => Just(Command::Reset),
        1 => Just(Command::ForceOpen),
        1 => Just(Command::Disable),
        1 => Just(Command::EndForcedOpen),
        1 => Just(Command::EndDisabled)
    ];
    let end = prop_oneof![
        3 => Just(End::Passed),
        1 => Just(End::Failed),
        1 => Just(End::Unused)
    ];
    let behind = prop_oneof![8 => Just(0_i64), 2 => 1..3_i64, 1 => -3..0_i64];
    (
        (1..4_i64, behind, batch, streak, prop::bool::weighted(0.1)),
        prop_oneof![Just(0), 0..1_000_000_i64],
        prop::option::weighted(0.15, (command, 0..20 * SECOND, prop::bool::weighted(0.3))),
        prop::collection::vec((any::<prop::sample::Index>(), end), 0..3),
        0..4_u8,
        prop::bool::weighted(0.02),
    )
        .prop_map(
            |((who, behind, batch, streak, opened), jitter, command, ends, asks, epoch_ahead)| {
                Said {
                    who,
                    behind,
                    batch,
                    streak,
                    opened,
                    jitter,
                    command,
                    ends,
                    asks,
                    epoch_ahead,
                }
            },
        )
}

impl Said {
    /// The report, of one who knows this, and whose places had these numbers.
    pub(crate) fn report(&self, generation: i64, epoch: i64, numbers: &mut Vec<i64>) -> Report {
        let mut fresh = || {
            numbers.push(numbers.len() as i64 + 1);
            numbers.len() as i64
        };
        let control = self.command.map(|(command, age, again)| Control {
            command,
            id: if again { 1 } else { fresh() },
            age,
        });
        let mut asks: Vec<i64> = (0..self.asks).map(|_| fresh()).collect();
        if let (Some(ask), 3) = (asks.last().copied(), self.asks) {
            asks.push(ask);
        }
        let recent = &numbers[numbers.len().saturating_sub(12)..];
        let ends = self.ends.iter().filter(|_| !recent.is_empty());
        Report {
            seen: (generation - self.behind).max(0),
            floor: 0,
            epoch: epoch + i64::from(self.epoch_ahead),
            who: self.who,
            batch: self.batch,
            streak: self.streak,
            opened: self.opened,
            jitter: self.jitter,
            control,
            ends: ends.map(|(at, end)| (*at.get(recent), *end)).collect(),
            asks,
        }
    }
}

pub(crate) fn rules() -> impl Strategy<Value = Rules> {
    let reach = prop_oneof![
        (1..60_i64).prop_map(Reach::count),
        (1..40_i64).prop_map(|seconds| Reach::time(seconds * SECOND)),
        (1..200_i64).prop_map(Reach::time),
    ];
    let rate = || prop::option::of(prop_oneof![Just(0.1), Just(0.5), 0.01..1.0_f64]);
    let recovery = (1..10_i64, prop_oneof![Just(0), 10..60_i64]);
    (
        reach,
        rate(),
        rate(),
        (1..30_i64, 1..4_i64),
        recovery,
        (1..4_i64, 1..4_i64, 1..6_i64),
    )
        .prop_map(
            |(reach, failure_rate, slow_rate, (minimum_calls, quorum), recovery, probes)| Rules {
                reach,
                failure_rate,
                slow_rate,
                minimum_calls,
                quorum,
                recovery: recovery.0 * SECOND,
                longest_recovery: recovery.1 * SECOND,
                places: probes.0,
                successes: probes.1,
                lease: probes.2 * SECOND,
                keep: 3_600 * SECOND,
            },
        )
}

/// A step of the store's clock.
pub(crate) fn step() -> impl Strategy<Value = Micros> {
    prop_oneof![
        5 => 0..SECOND,
        3 => 0..10 * SECOND,
        1 => -3 * SECOND..0,
        1 => prop_oneof![Just(-3_600 * SECOND), Just(3_600 * SECOND)],
    ]
}

/// Says nothing but what it knows.
fn knowing(seen: i64, floor: i64) -> Report {
    Report {
        seen,
        floor,
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

proptest! {
    #[test]
    fn the_record_does_what_a_naive_one_does(
        rules in rules(),
        steps in prop::collection::vec((step(), said()), 1..150),
    ) {
        let mut naive = Naive {
            rules,
            generation: START,
            phase: Phase::Closed,
            opened: (0, 0),
            failed: 0,
            passed: 0,
            places: BTreeMap::new(),
            signs: BTreeMap::new(),
            batches: Vec::new(),
            commands: Vec::new(),
            epoch: 0,
        };
        let first = Fleet::exchange(None, START, &rules, &knowing(0, 0)).0;
        let (mut fleet, mut now) = (Some(first), START);
        let mut numbers = Vec::new();
        let mut generation = START;
        for (step, said) in steps {
            let report = said.report(generation, naive.epoch, &mut numbers);
            let (next, reply) = Fleet::exchange(fleet, now, &rules, &report);
            prop_assert_eq!(&reply, &naive.tell(now, &report));
            prop_assert!(reply.generation >= generation, "generations rise");
            prop_assert!(next.lasts(now, &rules) > 0);
            prop_assert!(next.places().len() as i64 <= rules.places);
            generation = reply.generation;
            fleet = Some(next);
            now += step;
        }
    }

    /// Small batches join: the window holds at least its calls once there were as many, at most its calls
    /// and one batch more, and few batches.
    #[test]
    fn a_large_window_is_few_batches(calls in 1..5_000_i64, batches in prop::collection::vec(1..40_u64, 1..400)) {
        let reach = Reach::count(calls);
        let mut slots = slots::Slots::default();
        let mut ever = 0;
        for batch in batches {
            ever += batch;
            slots.push(reach, 0, Tally { calls: batch, failures: batch / 2, slow: 0 });
            let held = slots.tally().calls;
            prop_assert!(held >= ever.min(calls as u64));
            prop_assert!(held <= calls as u64 + 40 + calls as u64 / 128 + 1);
        }
    }
}

#[test]
fn a_lost_record_begins_above_all_that_is_known() {
    let rules = Rules {
        reach: Reach::count(10),
        failure_rate: None,
        slow_rate: None,
        minimum_calls: 1,
        quorum: 1,
        recovery: SECOND,
        longest_recovery: 0,
        places: 1,
        successes: 1,
        lease: SECOND,
        keep: SECOND,
    };
    let lost = |report| Fleet::exchange(None, START, &rules, &report).1.generation;
    assert_eq!(lost(knowing(0, 0)), START);
    assert_eq!(lost(knowing(START, 0)), START + 1);
    assert_eq!(lost(knowing(START + 5, 0)), START + 6);
    assert_eq!(lost(knowing(START + 5, START + 9)), START + 10);
    // One that was rolled back keeps its state, and rises.
    let (old, _) = Fleet::exchange(None, START, &rules, &knowing(0, 0));
    let (_, reply) = Fleet::exchange(Some(old), START, &rules, &knowing(START + 5, 0));
    assert_eq!(reply.generation, START + 6);
}
