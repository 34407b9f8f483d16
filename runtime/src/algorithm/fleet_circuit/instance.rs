//! What one instance knows of the fleet's circuit, and what it does about it.

use std::time::Duration;

use super::{
    Micros, Rules,
    report::{Command, Control, End, Reply, Report, Streak},
    rules::SPARE,
};
use crate::{
    algorithm::{circuit::Phase, window::Tally},
    clock::Nanos,
};

/// A caller who comes when probes are due, and there is no place at hand, may come back after this.
pub(crate) const SOON: Duration = Duration::from_millis(100);
/// So many reports in a row may be lost before the store counts as away.
const PATIENCE: u32 = 3;
/// Ends of probes that wait to be told; those that would exceed it expire by themselves.
const MOST_ENDS: usize = 4_096;
/// Of which one report tells so many: the store serves others, too.
const ENDS_AT_ONCE: usize = 256;
/// And asks for so many places.
const ASKS_AT_ONCE: i64 = 64;

/// One instance's part of a fleet's circuit. It has at most one report under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Instance {
    who: i64,
    standing: Standing,
    /// Reports in a row that were not answered.
    missed: u32,
    /// The fleet's generation, as last heard.
    seen: i64,
    /// The highest generation told here, but for one that is only proposed.
    floor: i64,
    /// That of the state which it acts by.
    generation: i64,
    phase: Phase,
    /// While open.
    since: Nanos,
    until: Nanos,
    failed_recoveries: i64,
    successes: i64,
    epoch: i64,
    /// The fleet's window, as last heard.
    tally: Tally,
    /// The fleet counts it among those who have reached the consecutive failures, or may do so.
    signed: bool,
    proposal: Option<Proposal>,
    flight: Option<Flight>,
    spare: Vec<Spare>,
    out: Vec<Out>,
    ends: Vec<(i64, End)>,
    /// Callers who were refused since places were last asked for.
    wanted: i64,
    /// The next of them need not wait for a tick.
    eager: bool,
}

/// Who decides over the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Standing {
    /// The fleet has not been asked yet: the instance itself, until it answers.
    Fresh,
    /// The fleet.
    Joined,
    /// The store is away.
    Alone,
}

/// A change of state that was made here and that the fleet has yet to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Proposal {
    /// By its own consecutive failures; void in any other generation than the one they were in.
    Opened,
    /// By hand.
    Control {
        command: Command,
        id: i64,
        at: Nanos,
    },
}

/// A report that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Flight {
    sent: Nanos,
    asks: Vec<i64>,
    ends: Vec<(i64, End)>,
    streak: Streak,
    /// How long the store holds what it gives, by the rules that were sent.
    lease: Duration,
    /// It tells of the proposal there is.
    proposes: bool,
}

/// A probe's place that nobody has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Spare {
    number: i64,
    take_by: Nanos,
    /// The fleet holds it at least until then.
    end: Nanos,
}

/// A probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Out {
    number: i64,
    until: Nanos,
}

/// What a caller gets while the fleet decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Admitted,
    /// With the number of its place.
    Probe(i64),
    Refused {
        retry_after: Option<Duration>,
    },
}

/// What there is to say, besides what the instance knows by itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Speech {
    /// What has ended since the last report.
    pub(crate) batch: Tally,
    /// Its consecutive failures are as many as it takes, together with those of other instances.
    pub(crate) reached: bool,
    /// For an open time that begins now, in millionths of it.
    pub(crate) jitter: i64,
    /// Somebody has called, and is to hear of what happens elsewhere.
    pub(crate) callers: bool,
    /// That of the last reset of all circuits of the breaker, where this is the one of a key.
    pub(crate) epoch: i64,
}

/// The state has become another one than `from`, or one of another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the circuit has to follow"]
pub(crate) struct News {
    pub(crate) from: Phase,
}

impl Instance {
    pub(crate) fn new(who: i64) -> Self {
        Self {
            who,
            standing: Standing::Fresh,
            missed: 0,
            seen: 0,
            floor: 0,
            generation: 0,
            phase: Phase::Closed,
            since: Nanos(0),
            until: Nanos(0),
            failed_recoveries: 0,
            successes: 0,
            epoch: 0,
            tally: Tally::default(),
            signed: false,
            proposal: None,
            flight: None,
            spare: Vec::new(),
            out: Vec::new(),
            ends: Vec::new(),
            wanted: 0,
            eager: true,
        }
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) fn generation(&self) -> i64 {
        self.generation
    }

    pub(crate) fn open_time(&self) -> (Nanos, Nanos) {
        (self.since, self.until)
    }

    pub(crate) fn failed_recoveries(&self) -> i64 {
        self.failed_recoveries
    }

    pub(crate) fn successes(&self) -> i64 {
        self.successes
    }

    pub(crate) fn epoch(&self) -> i64 {
        self.epoch
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    pub(crate) fn is_on_its_way(&self) -> bool {
        self.flight.is_some()
    }

    /// Whether what was set by hand has yet to reach the fleet.
    pub(crate) fn has_command(&self) -> bool {
        matches!(self.proposal, Some(Proposal::Control { .. }))
    }

    /// Whether there is something that others wait for, or that is lost if it is not told.
    pub(crate) fn has_news(&self) -> bool {
        self.proposal.is_some() || !self.ends.is_empty()
    }

    /// Whether nothing is lost if this is forgotten.
    pub(crate) fn is_idle(&self) -> bool {
        self.flight.is_none() && !self.has_news() && self.spare.is_empty() && self.out.is_empty()
    }

    /// Whether a caller would get a place now.
    pub(crate) fn has_place(&self, now: Nanos) -> bool {
        self.spare.iter().any(|spare| now < spare.take_by)
    }

    /// Takes a caller, while the fleet decides. `probe` is the time that a probe has.
    pub(crate) fn admit(&mut self, now: Nanos, probe: Duration) -> Answer {
        match self.phase {
            Phase::Closed | Phase::Disabled => Answer::Admitted,
            Phase::ForcedOpen => Answer::Refused { retry_after: None },
            Phase::Open => {
                self.keep_to_the_clock(now);
                if now < self.until {
                    return Answer::Refused {
                        retry_after: Some(self.until.since(now)),
                    };
                }
                self.want()
            }
            Phase::HalfOpen => {
                while let Some(spare) = self.spare.pop() {
                    if now < spare.take_by {
                        self.out.push(Out {
                            number: spare.number,
                            until: now.after(probe).min(spare.end),
                        });
                        return Answer::Probe(spare.number);
                    }
                    self.tell_end(spare.number, End::Unused);
                }
                self.want()
            }
        }
    }

    /// One more waits for a place that has to be asked for.
    pub(crate) fn want(&mut self) -> Answer {
        self.wanted = self.wanted.saturating_add(1);
        let asks = self.eager || self.flight.is_some();
        Answer::Refused {
            retry_after: asks.then_some(SOON),
        }
    }

    /// Whether places are to be asked for before the next tick.
    pub(crate) fn asks_now(&self) -> bool {
        self.wanted > 0 && self.eager && self.flight.is_none()
    }

    fn keep_to_the_clock(&mut self, now: Nanos) {
        if now < self.since {
            self.until = now.after(self.until.since(self.since));
            self.since = now;
        }
    }

    /// Takes the end of a probe; true where the fleet is to hear of it.
    pub(crate) fn end(&mut self, now: Nanos, number: i64, end: End) -> bool {
        let Some(index) = self.out.iter().position(|out| out.number == number) else {
            return false;
        };
        let out = self.out.swap_remove(index);
        let end = if now <= out.until { end } else { End::Unused };
        self.tell_end(number, end);
        true
    }

    fn tell_end(&mut self, number: i64, end: End) {
        if self.ends.len() < MOST_ENDS {
            self.ends.push((number, end));
        }
    }

    /// Its circuit has opened at its own consecutive failures, and the fleet's is to open too.
    pub(crate) fn opened(&mut self, generation: i64, since: Nanos, until: Nanos) {
        self.phase = Phase::Open;
        self.generation = generation;
        (self.since, self.until) = (since, until);
        self.failed_recoveries = 0;
        self.propose(Proposal::Opened);
    }

    /// Its circuit was set by hand, and everybody else's is to be, too.
    pub(crate) fn command(
        &mut self,
        now: Nanos,
        command: Command,
        id: i64,
        phase: Phase,
        generation: i64,
    ) {
        self.phase = phase;
        self.generation = generation;
        self.forget_places();
        self.propose(Proposal::Control {
            command,
            id,
            at: now,
        });
    }

    fn propose(&mut self, proposal: Proposal) {
        self.proposal = Some(proposal);
        if let Some(flight) = &mut self.flight {
            flight.proposes = false;
        }
    }

    /// While the instance decides by itself: its circuit has moved.
    pub(crate) fn moved(&mut self, phase: Phase, generation: i64) {
        self.phase = phase;
        self.generation = generation;
        if !self.has_command() {
            self.floor = generation;
        }
    }

    /// Some time has passed.
    pub(crate) fn tick(&mut self, now: Nanos) {
        self.eager = true;
        let overdue: Vec<i64> = {
            let spare = self.spare.iter().filter(|spare| spare.take_by <= now);
            let out = self.out.iter().filter(|out| out.until < now);
            let spare = spare.map(|spare| spare.number);
            spare.chain(out.map(|out| out.number)).collect()
        };
        self.spare.retain(|spare| now < spare.take_by);
        self.out.retain(|out| now <= out.until);
        for number in overdue {
            self.tell_end(number, End::Unused);
        }
    }

    /// The next report, if there is anything to say and none is under way. What it says of the batch is
    /// said: whoever has counted it begins anew.
    pub(crate) fn speak(
        &mut self,
        now: Nanos,
        rules: &Rules,
        speech: Speech,
        mut number: impl FnMut() -> i64,
    ) -> Option<Report> {
        let streak = match (speech.reached, self.signed) {
            (true, _) => Streak::Reached,
            (false, true) => Streak::Ended,
            (false, false) => Streak::Below,
        };
        let silent = !speech.callers
            && speech.batch.calls == 0
            && !self.has_news()
            && self.wanted == 0
            && streak != Streak::Ended;
        if self.flight.is_some() || silent {
            return None;
        }
        let asks: Vec<i64> = (0..self.places_to_ask_for(now, rules, speech.callers))
            .map(|_| number())
            .collect();
        self.wanted = 0;
        if !asks.is_empty() {
            self.eager = false;
        }
        let told = self.ends.len().min(ENDS_AT_ONCE);
        let ends: Vec<_> = self.ends.drain(..told).collect();
        self.flight = Some(Flight {
            sent: now,
            asks: asks.clone(),
            ends: ends.clone(),
            streak,
            lease: rules.lease(),
            proposes: self.proposal.is_some(),
        });
        // What was counted belongs to the generation heard of last only while the fleet decides.
        let counts = self.standing == Standing::Joined && !self.has_command();
        Some(Report {
            seen: self.seen,
            floor: self.floor,
            epoch: self.epoch.max(speech.epoch),
            who: self.who,
            batch: if counts {
                speech.batch
            } else {
                Tally::default()
            },
            streak: if counts { streak } else { Streak::Below },
            opened: matches!(self.proposal, Some(Proposal::Opened)),
            jitter: speech.jitter,
            control: self.control(now),
            ends,
            asks,
        })
    }

    fn places_to_ask_for(&self, now: Nanos, rules: &Rules, callers: bool) -> i64 {
        let due = match self.phase {
            Phase::HalfOpen => true,
            Phase::Open => now >= self.until,
            Phase::Closed | Phase::ForcedOpen | Phase::Disabled => false,
        };
        if !due || self.standing != Standing::Joined || self.proposal.is_some() {
            return 0;
        }
        let held = i64::try_from(self.spare.len() + self.out.len()).unwrap_or(i64::MAX);
        let wanted = self.wanted.max(i64::from(callers && self.spare.is_empty()));
        wanted.min(rules.places - held).clamp(0, ASKS_AT_ONCE)
    }

    fn control(&self, now: Nanos) -> Option<Control> {
        match self.proposal {
            Some(Proposal::Control { command, id, at }) => Some(Control {
                command,
                id,
                age: Micros::try_from(now.since(at).as_micros()).unwrap_or(Micros::MAX >> 13),
            }),
            _ => None,
        }
    }

    /// Takes the answer to the report that is under way.
    pub(crate) fn hear(&mut self, now: Nanos, reply: &Reply) -> Option<News> {
        let flight = self.flight.take()?;
        self.missed = 0;
        self.standing = Standing::Joined;
        self.signed = match flight.streak {
            Streak::Reached => true,
            Streak::Ended => false,
            Streak::Below => self.signed,
        };
        self.epoch = self.epoch.max(reply.epoch);
        self.tally = reply.tally;
        match self.proposal {
            // Decided one way or the other.
            _ if flight.proposes => self.proposal = None,
            // It has been reset since, or opened by others: they are the newer ones.
            Some(Proposal::Opened) if reply.generation != self.seen => self.proposal = None,
            Some(Proposal::Opened) => return None,
            Some(Proposal::Control { .. }) => {
                self.seen = reply.generation;
                for &number in &reply.granted {
                    self.tell_end(number, End::Unused);
                }
                return None;
            }
            None => {}
        }
        let news = self.adopt(now, reply);
        self.take_places(now, &flight, reply);
        news
    }

    fn adopt(&mut self, now: Nanos, reply: &Reply) -> Option<News> {
        let from = self.phase;
        if reply.generation != self.seen || reply.phase != from {
            self.forget_places();
            self.signed = false;
        }
        let generation = match reply.generation {
            newer if newer > self.generation => newer,
            _ if reply.phase != from => self.generation.saturating_add(1),
            _ => self.generation,
        };
        let moved = generation != self.generation;
        if reply.phase == Phase::Open {
            let wait = Duration::from_micros(u64::try_from(reply.wait).unwrap_or(0));
            self.until = now.after(wait);
            if moved || now < self.since {
                self.since = now;
            }
        }
        self.seen = reply.generation;
        self.generation = generation;
        self.floor = generation;
        self.phase = reply.phase;
        self.failed_recoveries = reply.failed_recoveries;
        self.successes = reply.successes;
        moved.then_some(News { from })
    }

    fn take_places(&mut self, now: Nanos, flight: &Flight, reply: &Reply) {
        // The store gave them after the report was sent. An answer that took long must leave some time,
        // too, even at the cost of the probe's.
        let end = flight.sent.after(flight.lease);
        let take_by = flight.sent.after(SPARE).max(now.after(SPARE / 2)).min(end);
        for &number in &reply.granted {
            if flight.asks.contains(&number) {
                self.spare.push(Spare {
                    number,
                    take_by,
                    end,
                });
            }
        }
    }

    /// What it had of probes belongs to a state that is over.
    fn forget_places(&mut self) {
        self.spare.clear();
        self.out.clear();
        self.ends.clear();
    }

    /// The report that is under way was not answered: it may have arrived, or still do so. `passing`
    /// where that happens to a healthy store, too.
    pub(crate) fn miss(&mut self, passing: bool) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        self.signed |= flight.streak == Streak::Reached;
        // To say twice how a probe ended changes nothing. Places that may have been given are given back.
        for (number, end) in flight.ends {
            self.tell_end(number, end);
        }
        for number in flight.asks {
            self.tell_end(number, End::Unused);
        }
        self.missed = self.missed.saturating_add(1);
        if !passing || self.missed >= PATIENCE {
            self.go_alone();
        }
    }

    /// The store is away.
    pub(crate) fn go_alone(&mut self) {
        if self.standing != Standing::Joined {
            self.standing = Standing::Alone;
            return;
        }
        self.standing = Standing::Alone;
        if let Some(Proposal::Opened) = self.proposal {
            self.proposal = None;
        }
        if !self.has_command() {
            self.floor = self.generation;
        }
        for spare in std::mem::take(&mut self.spare) {
            self.tell_end(spare.number, End::Unused);
        }
        // The fleet holds the places of what is running until they expire.
        self.out.clear();
    }

    #[cfg(all(test, not(steadfast_loom)))]
    pub(super) fn seen(&self) -> i64 {
        self.seen
    }

    /// Probes in flight, with the ends of their time.
    #[cfg(all(test, not(steadfast_loom)))]
    pub(super) fn probes(&self) -> impl Iterator<Item = (i64, Nanos)> {
        self.out.iter().map(|out| (out.number, out.until))
    }

    #[cfg(all(test, not(steadfast_loom)))]
    pub(super) fn spares(&self, now: Nanos) -> usize {
        self.spare
            .iter()
            .filter(|spare| now < spare.take_by)
            .count()
    }
}

#[cfg(all(test, not(steadfast_loom)))]
#[allow(clippy::unwrap_used)] // clippy knows tests by `cfg(test)` alone
mod tests {
    use super::*;
    use crate::algorithm::fleet_circuit::Reach;

    const START: Nanos = Nanos(1 << 60);
    const PROBE: Duration = Duration::from_secs(5);

    fn rules() -> Rules {
        Rules {
            reach: Reach::count(10),
            failure_rate: None,
            slow_rate: None,
            minimum_calls: 1,
            quorum: 1,
            recovery: 1_000,
            longest_recovery: 0,
            places: 2,
            successes: 2,
            lease: 6_000_000,
            keep: 1,
        }
    }

    fn half_open(generation: i64, granted: Vec<i64>) -> Reply {
        Reply {
            generation,
            phase: Phase::HalfOpen,
            wait: 0,
            failed_recoveries: 0,
            successes: 0,
            epoch: 0,
            tally: Tally::default(),
            granted,
        }
    }

    /// Says what it has to say, and gets this answer.
    fn talk(instance: &mut Instance, now: Nanos, reply: &Reply) -> Report {
        let speech = Speech {
            callers: true,
            ..Speech::default()
        };
        let mut number = 0;
        let report = instance.speak(now, &rules(), speech, || {
            number += 1;
            number
        });
        let _ = instance.hear(now, reply);
        report.expect("something to say")
    }

    /// An instance with a place that nobody has taken.
    fn with_place() -> Instance {
        let mut instance = Instance::new(1);
        talk(&mut instance, START, &half_open(7, Vec::new()));
        let report = talk(&mut instance, START, &half_open(7, vec![1]));
        assert_eq!(report.asks, [1]);
        assert!(instance.has_place(START));
        instance
    }

    #[test]
    fn a_place_of_an_earlier_half_open_time_is_none() {
        let mut instance = with_place();
        talk(&mut instance, START, &half_open(9, Vec::new()));
        assert!(!instance.has_place(START));
        let mut instance = with_place();
        assert_eq!(instance.admit(START, PROBE), Answer::Probe(1));
        talk(&mut instance, START, &half_open(9, Vec::new()));
        assert!(!instance.end(START, 1, End::Passed), "nothing to tell");
    }

    #[test]
    fn a_probe_that_ends_after_its_time_says_nothing_although_its_place_is_held() {
        for (late, told) in [(false, End::Failed), (true, End::Unused)] {
            let mut instance = with_place();
            assert_eq!(instance.admit(START, PROBE), Answer::Probe(1));
            let end = START
                .after(PROBE)
                .after(Duration::from_nanos(u64::from(late)));
            assert!(instance.end(end, 1, End::Failed));
            let report = talk(&mut instance, end, &half_open(7, Vec::new()));
            assert_eq!(report.ends, [(1, told)]);
        }
    }

    #[test]
    fn what_is_lost_is_told_again_and_what_may_have_been_given_is_given_back() {
        let mut instance = with_place();
        assert_eq!(instance.admit(START, PROBE), Answer::Probe(1));
        instance.end(START, 1, End::Passed);
        let speech = Speech {
            callers: true,
            ..Speech::default()
        };
        let report = instance.speak(START, &rules(), speech, || 5).unwrap();
        assert_eq!(
            (report.ends, report.asks),
            (vec![(1, End::Passed)], vec![5])
        );
        instance.miss(true);
        let report = instance.speak(START, &rules(), speech, || 6).unwrap();
        assert_eq!(report.ends, [(1, End::Passed), (5, End::Unused)]);
    }

    #[test]
    fn a_command_that_came_after_the_report_outlives_its_answer() {
        let mut instance = with_place();
        let speech = Speech {
            callers: true,
            ..Speech::default()
        };
        instance.speak(START, &rules(), speech, || 5).unwrap();
        instance.command(START, Command::ForceOpen, 9, Phase::ForcedOpen, 8);
        assert_eq!(instance.hear(START, &half_open(7, vec![5])), None);
        assert_eq!(instance.phase(), Phase::ForcedOpen);
        let report = instance.speak(START, &rules(), speech, || 6).unwrap();
        assert_eq!(report.control.unwrap().command, Command::ForceOpen);
        assert_eq!(report.ends, [(5, End::Unused)]);
        assert!(report.asks.is_empty());
    }

    #[test]
    fn a_command_that_came_after_the_report_of_another_outlives_its_answer() {
        let mut instance = with_place();
        instance.command(START, Command::ForceOpen, 9, Phase::ForcedOpen, 8);
        let speak = |instance: &mut Instance| {
            let report = instance.speak(START, &rules(), Speech::default(), || 1);
            report.unwrap().control.map(|control| control.id)
        };
        assert_eq!(speak(&mut instance), Some(9));
        instance.command(START, Command::Reset, 10, Phase::Closed, 9);
        let forced = Reply {
            phase: Phase::ForcedOpen,
            ..half_open(8, Vec::new())
        };
        assert_eq!(instance.hear(START, &forced), None);
        assert_eq!(instance.phase(), Phase::Closed);
        assert_eq!(speak(&mut instance), Some(10));
    }

    fn closed(generation: i64) -> Reply {
        Reply {
            phase: Phase::Closed,
            ..half_open(generation, Vec::new())
        }
    }

    fn one_call() -> Speech {
        Speech {
            batch: Tally {
                calls: 1,
                ..Tally::default()
            },
            ..Speech::default()
        }
    }

    #[test]
    fn an_opening_that_came_after_the_report_outlives_its_answer_but_not_a_newer_state() {
        for (generation, stays) in [(7, true), (8, false)] {
            let mut instance = Instance::new(1);
            talk(&mut instance, START, &closed(7));
            instance.speak(START, &rules(), one_call(), || 1).unwrap();
            instance.opened(8, START, START.after(PROBE));
            let news = instance.hear(START, &closed(generation));
            assert_eq!(
                (news.is_none(), instance.phase() == Phase::Open),
                (stays, stays)
            );
            let report = instance.speak(START, &rules(), one_call(), || 1).unwrap();
            assert_eq!(report.opened, stays);
        }
    }

    #[test]
    fn one_report_is_under_way_and_nothing_is_said_where_there_is_nothing_to_say() {
        let mut instance = Instance::new(1);
        talk(&mut instance, START, &closed(7));
        assert!(
            instance
                .speak(START, &rules(), Speech::default(), || 1)
                .is_none()
        );
        assert!(instance.speak(START, &rules(), one_call(), || 1).is_some());
        assert!(instance.speak(START, &rules(), one_call(), || 1).is_none());
    }

    #[test]
    fn what_was_counted_alone_is_not_told_as_the_fleets() {
        let mut instance = Instance::new(1);
        let speech = Speech {
            reached: true,
            ..one_call()
        };
        let report = instance.speak(START, &rules(), speech, || 1).unwrap();
        assert_eq!((report.batch.calls, report.streak), (0, Streak::Below));
        let _ = instance.hear(START, &closed(7));
        let report = instance.speak(START, &rules(), speech, || 1).unwrap();
        assert_eq!((report.batch.calls, report.streak), (1, Streak::Reached));
        instance.miss(false);
        let report = instance.speak(START, &rules(), speech, || 1).unwrap();
        assert_eq!((report.batch.calls, report.streak), (0, Streak::Below));
    }

    #[test]
    fn three_reports_lost_in_a_row_are_an_outage_and_one_refused_is() {
        let mut instance = Instance::new(1);
        talk(&mut instance, START, &closed(7));
        for standing in [Standing::Joined, Standing::Joined, Standing::Alone] {
            instance.speak(START, &rules(), one_call(), || 1).unwrap();
            instance.miss(true);
            assert_eq!(instance.standing(), standing);
        }
        // What it told of meanwhile is not told of again.
        instance.moved(Phase::Open, 9);
        instance.moved(Phase::Closed, 11);
        let report = talk(&mut instance, START, &closed(12));
        assert_eq!((report.seen, report.floor), (7, 11));
        instance.speak(START, &rules(), one_call(), || 1).unwrap();
        instance.miss(false);
        assert_eq!(instance.standing(), Standing::Alone);
    }
}
