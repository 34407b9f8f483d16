//! What the handles and the permits of one breaker share.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::{
    Cancelled, CircuitBreakerSettings, CircuitMetrics,
    cell::{Aftermath, Cell},
    stopwatch::Stopwatch,
};
use crate::{
    algorithm::{
        circuit::{CircuitConfig, Outcome, Pass, Phase, Refusal, Transition, Verdict},
        window::Tally,
    },
    call::Call,
    clock::{self, Nanos, nanos},
    counter::Counters,
    event::{Event, Refused, Sink, StateChanged},
    key::{Shown, with_bytes},
    keyed::Keyed,
    kind::PolicyKind,
    name::PolicyName,
    rejection::CircuitOpen,
};

#[derive(Debug)]
pub struct Core {
    pub(super) name: PolicyName,
    pub(super) settings: CircuitBreakerSettings,
    config: Arc<CircuitConfig>,
    /// In nanoseconds: compared at the end of every call.
    slow_call: Option<i64>,
    cancelled: Cancelled,
    pub(super) enforce: bool,
    /// The one circuit; where there is one per key, what is set by hand for all of them.
    pub(super) cell: Cell,
    keyed: OnceLock<Keyed<Arc<Cell>>>,
    totals: Counters<TOTALS>,
    sink: Sink,
}

const SUCCESSES: usize = 0;
const FAILURES: usize = 1;
const SLOW: usize = 2;
const IGNORED: usize = 3;
const REFUSED: usize = 4;
const TOTALS: usize = 5;

fn limit(slow_call: Duration) -> i64 {
    i64::try_from(nanos(slow_call)).unwrap_or(i64::MAX)
}

impl Core {
    pub(super) fn new(name: PolicyName, settings: &CircuitBreakerSettings, sink: Sink) -> Self {
        let config = Arc::new(settings.config());
        Self {
            name,
            settings: *settings,
            cell: Cell::new(Arc::clone(&config)),
            config,
            slow_call: settings.slow_call.map(limit),
            cancelled: settings.cancelled.unwrap_or_default(),
            enforce: settings.enforce.unwrap_or(true),
            keyed: OnceLock::new(),
            totals: Counters::new(),
            sink,
        }
    }

    /// The circuit of a key, unless all are set by hand.
    pub(super) fn cell_of(&self, key: Shown<'_>) -> Option<Arc<Cell>> {
        if let Phase::ForcedOpen | Phase::Disabled = self.cell.gate().phase() {
            return None;
        }
        let keyed = self.keyed.get_or_init(|| Keyed::new(self.settings.keys()));
        let create = || Arc::new(Cell::one_of_many(Arc::clone(&self.config)));
        let unused =
            |cell: &Arc<Cell>| Arc::strong_count(cell) == 1 && cell.is_forgettable(clock::now());
        Some(with_bytes(key, |key| {
            keyed.with(key, create, unused, |cell, _| Arc::clone(cell))
        }))
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn admit(&self, cell: &Cell) -> Result<Pass, CircuitOpen> {
        self.admit_to(cell, |pass| pass)
    }

    /// Both results are made as the caller wants them, and where it wants them: each move of one is a
    /// dozen words.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn admit_to<T, E: From<CircuitOpen>>(
        &self,
        cell: &Cell,
        permit: impl FnOnce(Pass) -> T,
    ) -> Result<T, E> {
        match cell.try_pass() {
            Some(pass) => Ok(permit(pass)),
            None => self.admit_if_due(cell, permit),
        }
    }

    #[cold]
    fn admit_if_due<T, E: From<CircuitOpen>>(
        &self,
        cell: &Cell,
        permit: impl FnOnce(Pass) -> T,
    ) -> Result<T, E> {
        let answer = cell.answer(clock::now);
        let pass = match answer.unwrap_or_else(|now| self.admit_under_lock(cell, now)) {
            Ok(pass) => pass,
            Err(refusal) => {
                self.tell_refused(refusal);
                if self.enforce {
                    return Err(self.open(refusal).into());
                }
                Pass::STRAY
            }
        };
        Ok(permit(pass))
    }

    #[inline(never)]
    fn admit_under_lock(&self, cell: &Cell, now: Nanos) -> Result<Pass, Refusal> {
        let (admitted, aftermath) = cell.acquire_under_lock(now);
        self.follow(aftermath);
        admitted
    }

    #[inline]
    fn tell_refused(&self, refusal: Refusal) {
        self.totals.add(REFUSED, 1);
        self.sink.tell_debug(|| self.refused(refusal));
    }

    fn open(&self, Refusal { retry_after }: Refusal) -> CircuitOpen {
        CircuitOpen {
            policy: self.name.clone(),
            retry_after,
        }
    }

    #[cold]
    fn refused(&self, refusal: Refusal) -> Event {
        Event::Refused(Refused {
            policy: self.name.clone(),
            kind: PolicyKind::CircuitBreaker,
            rejection: self.open(refusal).into(),
            enforced: self.enforce,
        })
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn stopwatch(&self, call: Option<&Call>) -> Stopwatch {
        match self.slow_call {
            None => Stopwatch::OFF,
            Some(_) => Stopwatch::start(call.map_or_else(clock::now, Call::now), call),
        }
    }

    /// Takes the end of a call that was made and succeeded: what nearly every call comes to.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn succeeded(&self, cell: &Cell, pass: Pass, stopwatch: Stopwatch, call: &Call) {
        let (quick, now) = match self.slow_call {
            None => (true, None),
            Some(limit) => {
                let now = clock::now();
                (!stopwatch.exceeds(limit, now, Some(call)), Some(now))
            }
        };
        if quick && cell.is_unmoved_by_success(pass) {
            self.totals.add(SUCCESSES, 1);
        } else {
            self.succeeded_in_time(cell, pass, quick, now);
        }
    }

    /// The same where that changes something, if only in a time window.
    #[inline(never)]
    fn succeeded_in_time(&self, cell: &Cell, pass: Pass, quick: bool, now: Option<Nanos>) {
        let now = now.unwrap_or_else(clock::now);
        if quick && cell.add(pass, now) {
            return self.totals.add(SUCCESSES, 1);
        }
        let outcome = Outcome {
            verdict: Verdict::Success,
            slow: !quick,
        };
        self.moved(cell, pass, outcome, Some(now));
    }

    /// Takes the end of a call that was made.
    #[inline(never)]
    pub(super) fn ended(
        &self,
        cell: &Cell,
        pass: Pass,
        verdict: Verdict,
        stopwatch: Stopwatch,
        call: Option<&Call>,
    ) {
        let now = self.slow_call.map(|_| clock::now());
        let slow = self
            .slow_call
            .zip(now)
            .is_some_and(|(limit, now)| stopwatch.exceeds(limit, now, call));
        self.moved(cell, pass, Outcome { verdict, slow }, now);
    }

    /// Takes the end of a call that was made, and the time, where it is known.
    #[inline(never)]
    fn moved(&self, cell: &Cell, pass: Pass, outcome: Outcome, now: Option<Nanos>) {
        self.count(outcome);
        if cell.is_unmoved_by(pass, outcome) {
            return;
        }
        let now = now.unwrap_or_else(clock::now);
        if outcome != Outcome::QUICK_SUCCESS || !cell.add(pass, now) {
            self.record(cell, pass, outcome, now);
        }
    }

    /// What a call counts as that its caller dropped.
    pub(super) fn verdict_of_cancelled(&self) -> Verdict {
        match self.cancelled {
            Cancelled::Ignore => Verdict::Abandoned,
            Cancelled::Failure => Verdict::Failure,
        }
    }

    /// Gives back what was taken for a call that was not made after all.
    pub(super) fn give_back(&self, cell: &Cell, pass: Pass) {
        let nothing = Outcome {
            verdict: Verdict::Ignored,
            slow: false,
        };
        if !cell.is_unmoved_by(pass, nothing) {
            self.record(cell, pass, nothing, clock::now());
        }
    }

    #[inline(never)]
    fn record(&self, cell: &Cell, pass: Pass, outcome: Outcome, now: Nanos) {
        self.follow(cell.record(pass, outcome, now, fastrand::f64));
    }

    #[inline]
    fn count(&self, outcome: Outcome) {
        let total = match outcome.verdict {
            Verdict::Success => SUCCESSES,
            Verdict::Failure => FAILURES,
            Verdict::Abandoned | Verdict::Ignored => IGNORED,
        };
        self.totals.add(total, 1);
        if outcome.slow {
            self.totals.add(SLOW, 1);
        }
    }

    /// What has to wait until the circuit's lock is gone: subscribers and wakers may call back in.
    #[inline]
    fn follow(&self, aftermath: Aftermath) {
        if let Some(transition) = aftermath.wake() {
            self.tell(transition);
        }
    }

    #[cold]
    fn tell(
        &self,
        Transition {
            from,
            to,
            generation,
        }: Transition,
    ) {
        self.sink.tell(&Event::StateChanged(StateChanged {
            policy: self.name.clone(),
            from: from.into(),
            to: to.into(),
            generation,
        }));
    }

    pub(super) fn force_open(&self) {
        self.follow(self.cell.force_open());
    }

    pub(super) fn disable(&self) {
        self.follow(self.cell.disable());
    }

    /// Circuits of keys are forgotten: calls that still hold one report to what nobody asks any more.
    pub(super) fn reset(&self) {
        let mut aftermaths = vec![self.cell.reset()];
        if let Some(keyed) = self.keyed.get() {
            keyed.retain(|cell| {
                aftermaths.push(cell.reset());
                false
            });
        }
        for aftermath in aftermaths {
            self.follow(aftermath);
        }
    }

    pub(super) fn reset_totals(&self) {
        self.totals.reset();
    }

    pub(super) fn metrics(&self) -> CircuitMetrics {
        let tally = self.tally(clock::now());
        CircuitMetrics {
            calls: tally.calls,
            failures: tally.failures,
            slow_calls: tally.slow,
            failure_rate: tally.failure_rate(),
            slow_call_rate: self.slow_call.and_then(|_| tally.slow_rate()),
            total_successes: self.totals.sum(SUCCESSES),
            total_failures: self.totals.sum(FAILURES),
            total_slow_calls: self.totals.sum(SLOW),
            total_ignored: self.totals.sum(IGNORED),
            total_refused: self.totals.sum(REFUSED),
        }
    }

    /// How many circuits of keys are not closed, of how many. One that has been quiet for a whole
    /// recovery no longer counts: a host that is gone would be told of for ever.
    pub(super) fn circuits_of_keys(&self, now: Nanos) -> (u64, u64) {
        let (mut troubled, mut all) = (0, 0);
        if let Some(keyed) = self.keyed.get() {
            keyed.for_each(|cell| {
                all += 1;
                let is_closed = cell.gate().phase() == Phase::Closed;
                troubled += u64::from(!is_closed && !cell.is_forgettable(now));
            });
        }
        (troubled, all)
    }

    /// Over all circuits.
    fn tally(&self, now: Nanos) -> Tally {
        let mut sum = self.cell.tally(now);
        if let Some(keyed) = self.keyed.get() {
            keyed.for_each(|cell| sum.join(cell.tally(now)));
        }
        sum
    }
}
