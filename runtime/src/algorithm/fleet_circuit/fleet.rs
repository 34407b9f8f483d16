//! The fleet's one record of a circuit.

use super::{
    Micros, Rules,
    report::{Command, Control, End, Reply, Report, Streak},
    slots::Slots,
};
use crate::algorithm::circuit::Phase;
#[cfg(all(test, not(steadfast_loom)))]
use crate::algorithm::window::Tally;

/// What the store keeps. All times are its own clock's, which may step: none of them holds anybody up
/// longer than it would have from now on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fleet {
    generation: i64,
    phase: Phase,
    /// While open.
    since: Micros,
    until: Micros,
    failed_recoveries: i64,
    /// While half-open: of probes.
    successes: i64,
    /// While half-open: places by their numbers, each with its end.
    leases: Vec<(i64, Micros)>,
    /// While closed: instances that have reached the consecutive failures, and when they last said so.
    signs: Vec<(i64, Micros)>,
    /// The last command: when it was given, and its number.
    controlled: Micros,
    control: i64,
    epoch: i64,
    window: Slots,
}

impl Fleet {
    /// Takes a report at a time, and answers it. `None` is a record that nobody has made yet, or that was
    /// lost: its generation is above all that its instances have told of, and, as long as the clock does
    /// not step back, above all that there ever were.
    pub(crate) fn exchange(
        record: Option<Self>,
        now: Micros,
        rules: &Rules,
        report: &Report,
    ) -> (Self, Reply) {
        let known = report.floor.max(report.seen);
        let mut fleet = record.unwrap_or_else(|| Self::new(now.max(known + 1), report.epoch));
        if fleet.generation < known {
            // A record from before: the state is what it says, but of a new generation.
            fleet.generation = known + 1;
        }
        if fleet.epoch < report.epoch {
            fleet.epoch = report.epoch;
            fleet.close();
        }
        fleet.keep_to_the_clock(now, rules);
        fleet.take_ends(now, rules, report);
        fleet.take_outcomes(now, rules, report);
        if let Some(control) = report.control {
            fleet.obey(now, control);
        }
        let granted = fleet.grant(now, rules, &report.asks);
        let reply = fleet.reply(now, granted);
        (fleet, reply)
    }

    fn new(generation: i64, epoch: i64) -> Self {
        Self {
            generation,
            phase: Phase::Closed,
            since: 0,
            until: 0,
            failed_recoveries: 0,
            successes: 0,
            leases: Vec::new(),
            signs: Vec::new(),
            controlled: 0,
            control: 0,
            epoch,
            window: Slots::default(),
        }
    }

    /// How long the record is worth something.
    pub(crate) fn lasts(&self, now: Micros, rules: &Rules) -> Micros {
        match self.phase {
            Phase::ForcedOpen | Phase::Disabled => rules.keep_by_hand(),
            Phase::Open => (self.until - now).max(0) + rules.keep,
            Phase::Closed | Phase::HalfOpen => rules.keep,
        }
    }

    fn keep_to_the_clock(&mut self, now: Micros, rules: &Rules) {
        if now < self.since {
            self.until = now + (self.until - self.since);
            self.since = now;
        }
        if now < self.controlled {
            self.controlled = 0;
        }
        let longest = now + rules.lease;
        self.leases.retain(|&(_, end)| end >= now);
        for (_, end) in &mut self.leases {
            *end = longest.min(*end);
        }
        for (_, at) in &mut self.signs {
            *at = now.min(*at);
        }
        let oldest = now - rules.sign_lasts();
        self.signs.retain(|&(_, at)| at > oldest);
    }

    fn take_ends(&mut self, now: Micros, rules: &Rules, report: &Report) {
        for &(number, end) in &report.ends {
            let before = self.leases.len();
            self.leases.retain(|&(held, _)| held != number);
            // Lost before, or of another half-open time.
            if self.leases.len() == before {
                continue;
            }
            match end {
                End::Unused => {}
                End::Failed => {
                    let failed = self.failed_recoveries.saturating_add(1);
                    self.open(now, rules, failed, report.jitter);
                }
                End::Passed => {
                    self.successes += 1;
                    if self.successes >= rules.successes {
                        self.close();
                    }
                }
            }
        }
    }

    fn take_outcomes(&mut self, now: Micros, rules: &Rules, report: &Report) {
        if self.phase != Phase::Closed || self.generation != report.seen {
            return;
        }
        self.window.push(rules.reach, now, report.batch);
        match report.streak {
            Streak::Below => {}
            Streak::Ended => self.signs.retain(|&(who, _)| who != report.who),
            Streak::Reached => {
                self.signs.retain(|&(who, _)| who != report.who);
                self.signs.push((report.who, now));
            }
        }
        let signs = i64::try_from(self.signs.len()).unwrap_or(i64::MAX);
        if report.opened
            || (report.streak == Streak::Reached && signs >= rules.quorum)
            || rules.rates_reached(self.window.tally())
        {
            self.open(now, rules, 0, report.jitter);
        }
    }

    fn obey(&mut self, now: Micros, control: Control) {
        let at = now - control.age;
        if control.id == self.control || at < self.controlled {
            return;
        }
        self.controlled = at;
        self.control = control.id;
        match control.command {
            Command::Reset | Command::EndForcedOpen | Command::EndDisabled => {
                if control.command.resets(self.phase) {
                    self.close();
                    self.epoch = self.epoch.max(self.generation);
                }
            }
            Command::ForceOpen => self.change_by_hand(Phase::ForcedOpen),
            Command::Disable => self.change_by_hand(Phase::Disabled),
        }
    }

    /// Hands out places, as many as there are. A number that has one keeps it.
    fn grant(&mut self, now: Micros, rules: &Rules, asks: &[i64]) -> Vec<i64> {
        if !asks.is_empty() && self.phase == Phase::Open && now >= self.until {
            self.change(Phase::HalfOpen);
        }
        if self.phase != Phase::HalfOpen {
            return Vec::new();
        }
        let mut granted = Vec::new();
        for &number in asks {
            let held = self.leases.iter().any(|&(held, _)| held == number);
            if !held && self.places_taken() < rules.places {
                self.leases.push((number, now + rules.lease));
                granted.push(number);
            } else if held {
                granted.push(number);
            }
        }
        granted
    }

    fn places_taken(&self) -> i64 {
        i64::try_from(self.leases.len()).unwrap_or(i64::MAX)
    }

    fn reply(&self, now: Micros, granted: Vec<i64>) -> Reply {
        let wait = match self.phase {
            Phase::Open => (self.until - now).max(0),
            _ => 0,
        };
        Reply {
            generation: self.generation,
            phase: self.phase,
            wait,
            failed_recoveries: self.failed_recoveries,
            successes: self.successes,
            epoch: self.epoch,
            tally: self.window.tally(),
            granted,
        }
    }

    fn open(&mut self, now: Micros, rules: &Rules, failed_recoveries: i64, jitter: i64) {
        self.change(Phase::Open);
        self.failed_recoveries = failed_recoveries;
        self.since = now;
        self.until = now + rules.open_time(failed_recoveries, jitter);
    }

    fn close(&mut self) {
        self.change(Phase::Closed);
        self.window = Slots::default();
        self.failed_recoveries = 0;
    }

    fn change_by_hand(&mut self, phase: Phase) {
        if self.phase != phase {
            self.change(phase);
        }
    }

    fn change(&mut self, phase: Phase) {
        self.generation += 1;
        self.phase = phase;
        self.since = 0;
        self.until = 0;
        self.successes = 0;
        self.leases.clear();
        self.signs.clear();
    }

    #[cfg(all(test, not(steadfast_loom)))]
    pub(super) fn generation(&self) -> i64 {
        self.generation
    }

    #[cfg(all(test, not(steadfast_loom)))]
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    #[cfg(all(test, not(steadfast_loom)))]
    pub(super) fn places(&self) -> &[(i64, Micros)] {
        &self.leases
    }

    #[cfg(all(test, not(steadfast_loom)))]
    pub(super) fn window(&self) -> Tally {
        self.window.tally()
    }
}
