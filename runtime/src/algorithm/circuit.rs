//! The breaker's state machine: what an outcome, a caller or the passing of time does to a circuit.

#[cfg(test)]
mod golden;
#[cfg(test)]
mod model;

use std::{collections::BTreeMap, num::NonZeroU32, ops::Range, sync::Arc, time::Duration};

use super::window::{Mark, Span, Tally, Window};
use crate::clock::Nanos;

/// What decides when a circuit opens, and how it recovers. Shares lie above 0 and at most at 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CircuitConfig {
    /// Consecutive failures that open it.
    pub(crate) failure_threshold: Option<NonZeroU32>,
    pub(crate) failure_rate: Option<f64>,
    /// Where it is absent, no call is slow.
    pub(crate) slow_rate: Option<f64>,
    pub(crate) window: Span,
    pub(crate) minimum_calls: NonZeroU32,
    pub(crate) recovery: Recovery,
    pub(crate) half_open_requests: NonZeroU32,
    pub(crate) success_threshold: NonZeroU32,
    pub(crate) half_open_timeout: Duration,
}

impl CircuitConfig {
    /// A count window can never hold more outcomes than its size, so no more can be asked of it.
    pub(crate) fn least_calls(&self) -> u64 {
        let minimum = self.minimum_calls.get();
        u64::from(match self.window {
            Span::Count(size) => minimum.min(size.get()),
            Span::Time(_) => minimum,
        })
    }

    /// How long a circuit that nobody uses is worth remembering.
    pub(crate) fn memory(&self) -> Duration {
        let window = match self.window {
            Span::Count(_) => Duration::ZERO,
            Span::Time(length) => length,
        };
        let recovery = self.recovery.timeout.max(self.half_open_timeout);
        window.max(recovery)
    }

    fn rates_reached(&self, tally: Tally) -> bool {
        let reached = |limit: Option<f64>, rate: Option<f64>| {
            limit.zip(rate).is_some_and(|(limit, rate)| rate >= limit)
        };
        tally.calls >= self.least_calls()
            && (reached(self.failure_rate, tally.failure_rate())
                || reached(self.slow_rate, tally.slow_rate()))
    }
}

/// How long a circuit stays open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Recovery {
    pub(crate) timeout: Duration,
    /// Where it is given, each failed recovery doubles the time, up to this.
    pub(crate) longest: Option<Duration>,
    /// The share of the time that is added at random.
    pub(crate) jitter: f64,
}

impl Recovery {
    /// The open time after so many failed recoveries. Jitter comes on top of the longest time too: a
    /// fleet that has reached it must not probe at once either.
    fn length(&self, failed_recoveries: u32, random: impl FnOnce() -> f64) -> Duration {
        let base = match self.longest {
            Some(longest) => doubled(self.timeout, failed_recoveries).min(longest),
            None => self.timeout,
        };
        if self.jitter > 0.0 {
            base.saturating_add(fraction(base, self.jitter * random()))
        } else {
            base
        }
    }
}

fn doubled(duration: Duration, times: u32) -> Duration {
    let factor = 1_u32.checked_shl(times).unwrap_or(u32::MAX);
    duration.saturating_mul(factor)
}

fn fraction(duration: Duration, share: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * share).unwrap_or(Duration::MAX)
}

/// The state's name, without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    Closed,
    Open,
    HalfOpen,
    ForcedOpen,
    Disabled,
}

/// What an admitted call holds until it ends, in one word: calls keep it across their awaits.
///
/// Of a closed circuit it is the generation of the state that gave it: a result from an earlier one
/// changes nothing. Of a half-open one it is the number of a place, which no other probe of the
/// circuit ever had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass(u64);

impl Pass {
    /// Room below the number for what else a word of generations has to tell.
    pub(crate) const SHIFT: u32 = 4;
    const PROBE: u64 = 1;

    /// For a call that is let through although it was refused: it belongs to no state.
    pub(crate) const STRAY: Self = Self::ordinary(u64::MAX >> Self::SHIFT);

    /// For a call that is made as if there were no circuit: it belongs to no state either, and nobody
    /// counts it.
    pub(crate) const UNSEEN: Self = Self::ordinary((u64::MAX >> Self::SHIFT) - 1);

    pub(crate) const fn ordinary(generation: u64) -> Self {
        Self(generation << Self::SHIFT)
    }

    pub(crate) const fn probe(number: u64) -> Self {
        Self(number << Self::SHIFT | Self::PROBE)
    }

    pub(crate) const fn is_probe(self) -> bool {
        self.0 & Self::PROBE != 0
    }

    pub(crate) fn number(self) -> Option<u64> {
        self.is_probe().then_some(self.0 >> Self::SHIFT)
    }

    pub(crate) const fn word(self) -> u64 {
        self.0
    }
}

/// Why a call may not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Until the circuit lets somebody try; unknown while others are trying, or where it was opened by hand.
    pub(crate) retry_after: Option<Duration>,
}

/// A change of state, to be told once the lock is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transition {
    pub(crate) from: Phase,
    pub(crate) to: Phase,
    /// The generation that began with it.
    pub(crate) generation: u64,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    pub(crate) slow: bool,
}

impl Outcome {
    /// What nearly every call comes to.
    pub(crate) const QUICK_SUCCESS: Self = Self {
        verdict: Verdict::Success,
        slow: false,
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Success,
    Failure,
    /// Given up by its caller: it neither failed nor succeeded, but if it was slow, that is known.
    Abandoned,
    /// Says nothing about what is being called.
    Ignored,
}

/// What is known of an outcome where others decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) mark: Mark,
    /// With it the consecutive failures have just become as many as open a circuit.
    pub(crate) is_at_threshold: bool,
    /// They are at least as many. More only where fewer suffice than did before.
    pub(crate) is_past_threshold: bool,
}

/// A state that others have decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) phase: Phase,
    pub(crate) generation: u64,
    pub(crate) since: Nanos,
    pub(crate) until: Nanos,
    pub(crate) failed_recoveries: u32,
    pub(crate) successes: u32,
}

#[derive(Clone, Debug)]
enum State {
    Closed {
        consecutive_failures: u32,
    },
    Open {
        since: Nanos,
        until: Nanos,
        failed_recoveries: u32,
    },
    HalfOpen {
        /// Elsewhere: a circuit that waits for its probes is rare, and every other one would be as large.
        probes: Box<Probes>,
        successes: u32,
        failed_recoveries: u32,
    },
    ForcedOpen,
    Disabled,
}

impl State {
    const CLOSED: Self = Self::Closed {
        consecutive_failures: 0,
    };

    fn phase(&self) -> Phase {
        match self {
            Self::Closed { .. } => Phase::Closed,
            Self::Open { .. } => Phase::Open,
            Self::HalfOpen { .. } => Phase::HalfOpen,
            Self::ForcedOpen => Phase::ForcedOpen,
            Self::Disabled => Phase::Disabled,
        }
    }
}

/// A circuit. The window stands beside the state, not in it: it outlives an opening, so that the
/// metrics of an open circuit show why it opened.
#[derive(Clone, Debug)]
pub(crate) struct Circuit {
    /// That of all circuits of one breaker.
    config: Arc<CircuitConfig>,
    state: State,
    generation: u64,
    /// Probes of all recoveries: the number of the newest.
    probes_begun: u64,
    window: Window,
    /// When somebody last asked it or told it something that counts.
    touched: Nanos,
}

impl Circuit {
    pub(crate) fn new(config: impl Into<Arc<CircuitConfig>>) -> Self {
        let config = config.into();
        Self {
            state: State::CLOSED,
            generation: 0,
            probes_begun: 0,
            window: Window::new(config.window),
            touched: Nanos(0),
            config,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.state.phase()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The sums over the window; the state decides nothing here.
    pub(crate) fn tally(&mut self, now: Nanos) -> Tally {
        self.window.tally(now)
    }

    /// Whether a success would change nothing. What makes the window clean makes the streak of
    /// failures zero too: its newest outcome is a success.
    pub(crate) fn is_clean(&self) -> bool {
        matches!(self.state, State::Closed { .. }) && self.window.is_clean()
    }

    /// Where all that a quick success does is to be counted: from when on, and until when, it is counted
    /// with the newest outcome. The window holds nothing but quick successes, and no streak of failures is
    /// left to end (it may outlive the failures in the window).
    pub(crate) fn calm_time(&self) -> Option<Range<Nanos>> {
        match self.state {
            State::Closed {
                consecutive_failures: 0,
            } => self.window.calm_time(),
            _ => None,
        }
    }

    /// Counts quick successes that came in the [calm time](Self::calm_time), and have been kept elsewhere.
    pub(crate) fn count_successes(&mut self, number: u64) {
        self.window.count_successes(number);
    }

    /// Whether little is lost if it begins anew: it is healthy, or nobody has asked it for so long that
    /// what it remembers no longer tells much.
    pub(crate) fn is_forgettable(&mut self, now: Nanos) -> bool {
        let tally = self.window.tally(now);
        let last_used = match self.state {
            State::ForcedOpen | State::Disabled => return false,
            State::Closed { .. } if tally.failures == 0 && tally.slow == 0 => return true,
            State::Open { until, .. } => until.max(self.touched),
            State::Closed { .. } | State::HalfOpen { .. } => self.touched,
        };
        now.since(last_used) >= self.config.memory()
    }

    /// While open: since when, and until when nobody is admitted.
    pub(crate) fn open_time(&self) -> Option<(Nanos, Nanos)> {
        match self.state {
            State::Open { since, until, .. } => Some((since, until)),
            _ => None,
        }
    }

    /// When a caller would be admitted if nothing else happens: now, later, or never.
    pub(crate) fn admits_at(&self, now: Nanos) -> Option<Nanos> {
        match &self.state {
            State::Closed { .. } | State::Disabled => Some(now),
            State::Open { until, .. } => Some(now.max(*until)),
            State::HalfOpen { probes, .. } => match probes.len().checked_sub(self.places()) {
                None => Some(now),
                Some(beyond) => probes.lost_at(beyond),
            },
            State::ForcedOpen => None,
        }
    }

    pub(crate) fn try_acquire(
        &mut self,
        now: Nanos,
    ) -> (Result<Pass, Refusal>, Option<Transition>) {
        self.touched = now;
        let transition = self.half_open_when_due(now);
        (self.admit(now), transition)
    }

    fn half_open_when_due(&mut self, now: Nanos) -> Option<Transition> {
        let State::Open {
            since,
            until,
            failed_recoveries,
        } = &mut self.state
        else {
            return None;
        };
        if now < *since {
            // The clock fell back. Waiting for it to catch up could lock callers out for as long as
            // it fell; the open time begins again at the reading that we have.
            *until = now.after(until.since(*since));
            *since = now;
        }
        if now < *until {
            return None;
        }
        let failed_recoveries = *failed_recoveries;
        self.change(State::HalfOpen {
            probes: Box::default(),
            successes: 0,
            failed_recoveries,
        })
    }

    fn admit(&mut self, now: Nanos) -> Result<Pass, Refusal> {
        let places = self.places();
        match &mut self.state {
            State::Closed { .. } | State::Disabled => Ok(Pass::ordinary(self.generation)),
            State::Open { until, .. } => Err(Refusal {
                retry_after: Some(until.since(now)),
            }),
            State::HalfOpen { probes, .. } => {
                let deadline = now.after(self.config.half_open_timeout);
                if !probes.make_room(now, places) {
                    return Err(Refusal { retry_after: None });
                }
                self.probes_begun += 1;
                let time = self.config.half_open_timeout;
                probes.begin(self.probes_begun, Place { deadline, time });
                Ok(Pass::probe(self.probes_begun))
            }
            State::ForcedOpen => Err(Refusal { retry_after: None }),
        }
    }

    /// Takes the end of a call. `random` gives a number from 0 up to 1, asked for where the circuit opens.
    pub(crate) fn record(
        &mut self,
        now: Nanos,
        pass: Pass,
        outcome: Outcome,
        random: impl FnOnce() -> f64,
    ) -> Option<Transition> {
        if !pass.is_probe() && pass != Pass::ordinary(self.generation) {
            return None;
        }
        let slow = outcome.slow && self.config.slow_rate.is_some();
        match &mut self.state {
            // A probe's state is over.
            State::Closed { .. } if pass.is_probe() => None,
            State::Closed { .. } => self.record_closed(now, outcome.verdict, slow, random),
            State::HalfOpen { probes, .. } => {
                // One that lost its place may find the circuit in the same generation still.
                if probes.end(pass.number()?, now) {
                    self.record_probe(now, outcome.verdict, slow, random)
                } else {
                    None
                }
            }
            State::Open { .. } | State::ForcedOpen | State::Disabled => None,
        }
    }

    fn record_closed(
        &mut self,
        now: Nanos,
        verdict: Verdict,
        slow: bool,
        random: impl FnOnce() -> f64,
    ) -> Option<Transition> {
        let mark = mark(verdict, slow)?;
        let State::Closed {
            consecutive_failures,
        } = &mut self.state
        else {
            return None;
        };
        match verdict {
            Verdict::Failure => *consecutive_failures = consecutive_failures.saturating_add(1),
            Verdict::Success => *consecutive_failures = 0,
            Verdict::Abandoned | Verdict::Ignored => {}
        }
        let in_a_row = *consecutive_failures;
        self.remember(now, mark);
        let too_many = self
            .config
            .failure_threshold
            .is_some_and(|threshold| in_a_row >= threshold.get());
        if too_many || self.config.rates_reached(self.window.tally(now)) {
            self.open(now, 0, random)
        } else {
            None
        }
    }

    fn record_probe(
        &mut self,
        now: Nanos,
        verdict: Verdict,
        slow: bool,
        random: impl FnOnce() -> f64,
    ) -> Option<Transition> {
        let mark = mark(verdict, slow)?;
        self.remember(now, mark);
        let State::HalfOpen {
            successes,
            failed_recoveries,
            ..
        } = &mut self.state
        else {
            return None;
        };
        if mark.failed || mark.slow {
            let failed = failed_recoveries.saturating_add(1);
            return self.open(now, failed, random);
        }
        *successes += 1;
        if *successes >= self.config.success_threshold.get() {
            self.close()
        } else {
            None
        }
    }

    fn remember(&mut self, now: Nanos, mark: Mark) {
        self.touched = now;
        self.window.record(now, mark);
    }

    /// Refuses everybody until [`reset`](Self::reset) or [`disable`](Self::disable).
    pub(crate) fn force_open(&mut self) -> Option<Transition> {
        self.change_to(State::ForcedOpen)
    }

    /// Admits everybody and counts nothing, until [`reset`](Self::reset) or [`force_open`](Self::force_open).
    pub(crate) fn disable(&mut self) -> Option<Transition> {
        self.change_to(State::Disabled)
    }

    /// Back to the beginning. Calls still running belong to what was before it, also where the circuit
    /// was closed already.
    pub(crate) fn reset(&mut self) -> Option<Transition> {
        let was_closed = self.phase() == Phase::Closed;
        let transition = self.close();
        transition.filter(|_| !was_closed)
    }

    /// Takes new settings and keeps the state; what is running keeps its place, and its time. They decide
    /// from the next outcome on. The window keeps its newest outcomes, unless it becomes one of the other
    /// kind. Gives the recovery that was in force, for [`recover_anew`](Self::recover_anew).
    pub(crate) fn configure(
        &mut self,
        now: Nanos,
        config: impl Into<Arc<CircuitConfig>>,
    ) -> Recovery {
        let before = self.config.recovery;
        self.config = config.into();
        // What has left the old window stays out of a longer one.
        self.window.tally(now);
        self.window.resize(self.config.window);
        before
    }

    /// While open, where others than these settings decide how long that lasts: it lasts as long as if they
    /// had been in force when it opened. `random` as for [`record`](Self::record).
    pub(crate) fn recover_anew(&mut self, before: Recovery, random: impl FnOnce() -> f64) {
        let recovery = self.config.recovery;
        if let State::Open {
            since,
            until,
            failed_recoveries,
        } = &mut self.state
            && recovery != before
        {
            *until = since.after(recovery.length(*failed_recoveries, random));
        }
    }

    /// Takes the end of a call where others decide what follows from it. `None` where it says nothing.
    pub(crate) fn note(&mut self, now: Nanos, pass: Pass, outcome: Outcome) -> Option<Noted> {
        if pass != Pass::ordinary(self.generation) {
            return None;
        }
        let mark = self.mark(outcome)?;
        let State::Closed {
            consecutive_failures,
        } = &mut self.state
        else {
            return None;
        };
        match outcome.verdict {
            Verdict::Failure => *consecutive_failures = consecutive_failures.saturating_add(1),
            Verdict::Success => *consecutive_failures = 0,
            Verdict::Abandoned | Verdict::Ignored => {}
        }
        let streak = *consecutive_failures;
        self.remember(now, mark);
        Some(Noted {
            mark,
            is_at_threshold: self.is_threshold(|threshold| streak == threshold),
            is_past_threshold: self.is_threshold(|threshold| streak >= threshold),
        })
    }

    /// What the window would remember of an outcome, if anything.
    pub(crate) fn mark(&self, outcome: Outcome) -> Option<Mark> {
        let slow = outcome.slow && self.config.slow_rate.is_some();
        mark(outcome.verdict, slow)
    }

    /// While closed: whether its consecutive failures are as many as open it.
    pub(crate) fn is_past_threshold(&self) -> bool {
        match self.state {
            State::Closed {
                consecutive_failures,
            } => self.is_threshold(|threshold| consecutive_failures >= threshold),
            _ => false,
        }
    }

    fn is_threshold(&self, is: impl FnOnce(u32) -> bool) -> bool {
        self.config
            .failure_threshold
            .is_some_and(|threshold| is(threshold.get()))
    }

    /// Opens it.
    pub(crate) fn open_now(
        &mut self,
        now: Nanos,
        random: impl FnOnce() -> f64,
    ) -> Option<Transition> {
        self.open(now, 0, random)
    }

    /// Takes the state that others have decided on, and its generation. What has to do with the one before
    /// is late from now on.
    pub(crate) fn follow(&mut self, given: Given) -> Option<Transition> {
        let (from, to) = (self.phase(), given.phase);
        let renewed = self.generation != given.generation;
        self.generation = given.generation;
        match to {
            Phase::Closed if renewed || from != to => {
                self.window.clear();
                self.state = State::CLOSED;
            }
            Phase::Closed => {}
            Phase::Open => {
                self.state = State::Open {
                    since: given.since,
                    until: given.until,
                    failed_recoveries: given.failed_recoveries,
                };
            }
            Phase::HalfOpen => {
                self.state = State::HalfOpen {
                    probes: Box::default(),
                    successes: given.successes,
                    failed_recoveries: given.failed_recoveries,
                };
            }
            Phase::ForcedOpen => self.state = State::ForcedOpen,
            Phase::Disabled => self.state = State::Disabled,
        }
        (from != to).then_some(Transition {
            from,
            to,
            generation: self.generation,
        })
    }

    fn close(&mut self) -> Option<Transition> {
        self.window.clear();
        self.change(State::CLOSED)
    }

    fn open(
        &mut self,
        now: Nanos,
        failed_recoveries: u32,
        random: impl FnOnce() -> f64,
    ) -> Option<Transition> {
        let length = self.config.recovery.length(failed_recoveries, random);
        self.change(State::Open {
            since: now,
            until: now.after(length),
            failed_recoveries,
        })
    }

    fn change_to(&mut self, state: State) -> Option<Transition> {
        if self.phase() == state.phase() {
            return None;
        }
        self.change(state)
    }

    fn change(&mut self, state: State) -> Option<Transition> {
        let from = self.phase();
        self.generation += 1;
        self.state = state;
        Some(Transition {
            from,
            to: self.phase(),
            generation: self.generation,
        })
    }

    fn places(&self) -> usize {
        self.config.half_open_requests.get() as usize
    }
}

/// What the window remembers of an outcome, if anything.
fn mark(verdict: Verdict, slow: bool) -> Option<Mark> {
    match verdict {
        Verdict::Success => Some(Mark {
            failed: false,
            slow,
        }),
        Verdict::Failure => Some(Mark { failed: true, slow }),
        Verdict::Abandoned if slow => Some(Mark {
            failed: false,
            slow,
        }),
        Verdict::Abandoned | Verdict::Ignored => None,
    }
}

/// The probes in flight. Ids grow, so the first is the oldest.
#[derive(Clone, Debug, Default)]
struct Probes {
    places: BTreeMap<u64, Place>,
    /// The time of the newest.
    time: Duration,
    /// Not all were given the same time: the oldest need not be the first to lose its place.
    is_mixed: bool,
}

/// That of one probe.
#[derive(Clone, Copy, Debug)]
struct Place {
    deadline: Nanos,
    /// What it was given when it began.
    time: Duration,
}

impl Place {
    /// A deadline that lies later than that of a probe begun now was taken on a clock that has fallen back
    /// since: it is drawn in, so that the place is not held for as long as it fell.
    fn keep_to_the_clock(&mut self, now: Nanos) {
        self.deadline = self.deadline.min(now.after(self.time));
    }
}

impl Probes {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn begin(&mut self, number: u64, place: Place) {
        self.is_mixed |= !self.places.is_empty() && self.time != place.time;
        self.time = place.time;
        self.places.insert(number, place);
    }

    /// Whether there is a place for one more, if need be one that its holder has lost.
    fn make_room(&mut self, now: Nanos, places: usize) -> bool {
        if self.len() >= places && self.is_mixed {
            self.places
                .values_mut()
                .for_each(|place| place.keep_to_the_clock(now));
            self.places.retain(|_, place| place.deadline >= now);
        }
        while self.len() >= places {
            if self.drop_oldest_if_lost(now).is_none() {
                return false;
            }
        }
        true
    }

    fn drop_oldest_if_lost(&mut self, now: Nanos) -> Option<()> {
        let mut oldest = self.places.first_entry()?;
        if oldest.get().deadline < now {
            oldest.remove();
            return Some(());
        }
        oldest.get_mut().keep_to_the_clock(now);
        None
    }

    /// Gives the place back; false where it was lost before.
    fn end(&mut self, number: u64, now: Nanos) -> bool {
        self.places
            .remove(&number)
            .is_some_and(|place| now <= place.deadline)
    }

    /// When a place is lost that so many others are lost before.
    fn lost_at(&self, others: usize) -> Option<Nanos> {
        let mut deadlines: Vec<Nanos> = self.places.values().map(|place| place.deadline).collect();
        if self.is_mixed {
            deadlines.sort_unstable();
        }
        // The oldest goes first, even where the clock has fallen back since it began.
        let last = deadlines.get(..=others)?.iter().max()?;
        Some(last.after(Duration::from_nanos(1)))
    }
}
