//! What the handles and the permits of one breaker share.

use std::sync::{Arc, OnceLock, Weak};

use super::{
    CircuitBreakerSettings, CircuitMetrics,
    cell::{Aftermath, Cell},
    shared::{Denial, Hub, Outpost, Refused as RefusedWith},
    stopwatch::Stopwatch,
    terms::Terms,
};
#[cfg(feature = "metrics")]
use crate::metrics::Meter;
use crate::{
    algorithm::{
        circuit::{Outcome, Pass, Phase, Refusal, Transition, Verdict},
        window::Tally,
    },
    call::Call,
    clock::{self, Nanos},
    counter::Counters,
    event::{Event, Refused, Sink, StateChanged},
    key::{Shown, with_bytes},
    keyed::{Keyed, Room},
    kind::PolicyKind,
    name::PolicyName,
    policy::{Switch, reloadable::Reloadable, settings::PolicySettings as _},
    rejection::{CircuitOpen, StoreUnavailable},
    store::{Link, StoreError},
    sync::{Mutex, lock},
};

#[derive(Debug)]
pub struct Core {
    pub(super) name: PolicyName,
    pub(super) terms: Reloadable<Terms>,
    /// Of those who put other terms in force, and of whoever brings the first key: circuits that are made
    /// meanwhile must not miss them.
    pub(super) turn: Mutex<()>,
    /// The one circuit; where there is one per key, what is set by hand for all of them.
    pub(super) cell: Cell,
    pub(super) keyed: OnceLock<Keyed<Arc<Cell>>>,
    totals: Counters<TOTALS>,
    pub(super) sink: Sink,
    /// Where the circuits are the fleet's.
    pub(super) hub: Option<Arc<Hub>>,
    #[cfg(feature = "metrics")]
    changes: metered::Changes,
    #[cfg(feature = "metrics")]
    meter: Meter,
}

const SUCCESSES: usize = 0;
const FAILURES: usize = 1;
const SLOW: usize = 2;
const IGNORED: usize = 3;
const REFUSED: usize = 4;
/// Successes that are no news to the fleet by the count of them all: it has heard of them, or they came too
/// late. Only where circuits are the fleet's.
const TOLD: usize = 5;
const TOTALS: usize = 6;

/// A circuit that late comers of many keys share is none of the fleet's: what became of their calls would be
/// told as that of the first.
fn own_or_local(cell: &mut Arc<Cell>, place: crate::keyed::Place) -> Arc<Cell> {
    if place.room() == Room::Shared
        && let Some(outpost) = &cell.shared
    {
        outpost.leave_fleet();
    }
    Arc::clone(cell)
}

impl Core {
    pub(super) fn new(
        name: PolicyName,
        settings: &CircuitBreakerSettings,
        sink: Sink,
        this: &Weak<Self>,
    ) -> Self {
        let terms = Terms::new(settings.filled(), Switch::On);
        let hub = settings.is_shared().then(|| {
            let link = Link::new(
                sink.store().clone(),
                PolicyKind::CircuitBreaker,
                name.clone(),
            );
            Arc::new(Hub::new(link, this.clone()))
        });
        let cell = Cell::new(Arc::clone(&terms.config));
        Self {
            #[cfg(feature = "metrics")]
            meter: Meter::new(&metered::LINES, Some(&name), sink.levels()),
            name,
            cell: match (&hub, &terms.fleet) {
                (Some(hub), Some(fleet)) => {
                    cell.share(Outpost::new(Arc::clone(hub), Arc::clone(fleet)))
                }
                _ => cell,
            },
            hub,
            terms: Reloadable::new(terms),
            turn: Mutex::new(()),
            keyed: OnceLock::new(),
            totals: Counters::new(),
            sink,
            #[cfg(feature = "metrics")]
            changes: metered::Changes::default(),
        }
    }

    /// What is in force now.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn terms(&self) -> &Terms {
        self.terms.get()
    }

    /// The circuit of a key, unless all are set by hand, or switched off.
    pub(super) fn cell_of(&self, terms: &Terms, key: Shown<'_>) -> Option<Arc<Cell>> {
        if terms.is_off() {
            return None;
        }
        if let (Some(hub), Some(outpost)) = (&self.hub, &self.cell.shared) {
            self.heed_all_keys(hub, outpost);
        }
        if let Phase::ForcedOpen | Phase::Disabled = self.cell.gate().phase() {
            return None;
        }
        let keyed = self.keyed.get().unwrap_or_else(|| self.first_key());
        let unused =
            |cell: &Arc<Cell>| Arc::strong_count(cell) == 1 && cell.is_forgettable(clock::now());
        Some(with_bytes(key, |key| match &self.hub {
            None => keyed.with(key, || self.new_cell(), unused, |cell, _| Arc::clone(cell)),
            Some(hub) => keyed.with(key, || self.shared_cell(hub, key), unused, own_or_local),
        }))
    }

    #[cold]
    fn first_key(&self) -> &Keyed<Arc<Cell>> {
        let _turn = lock(&self.turn);
        let keys = || Keyed::new(self.terms().settings.keys());
        self.keyed.get_or_init(keys)
    }

    /// By what is in force now, not when the call began: it outlives the call. It is made under the lock of
    /// its shard, so whoever changes that either comes by later, or has been here before.
    #[cold]
    fn new_cell(&self) -> Arc<Cell> {
        Arc::new(Cell::one_of_many(Arc::clone(&self.terms().config)))
    }

    #[cold]
    fn shared_cell(&self, hub: &Arc<Hub>, key: &[u8]) -> Arc<Cell> {
        let terms = self.terms();
        Arc::new_cyclic(|this| {
            let cell = Cell::one_of_many(Arc::clone(&terms.config));
            match &terms.fleet {
                None => cell,
                Some(fleet) => {
                    let (hub, fleet) = (Arc::clone(hub), Arc::clone(fleet));
                    cell.share(Outpost::of_key(hub, fleet, this.clone(), key))
                }
            }
        })
    }

    /// What is set by hand for the circuits of all keys may be set elsewhere: whoever calls wants to hear.
    fn heed_all_keys(&self, hub: &Arc<Hub>, outpost: &Outpost) {
        outpost.note_caller();
        if self.cell.gate().is_sealed() {
            self.rouse(hub, outpost, &self.cell);
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn admit<E: RefusedWith>(&self, terms: &Terms, cell: &Cell) -> Result<Pass, E> {
        self.admit_to(terms, cell, |pass| pass)
    }

    /// Both results are made as the caller wants them, and where it wants them: each move of one is a
    /// dozen words.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn admit_to<T, E: RefusedWith>(
        &self,
        terms: &Terms,
        cell: &Cell,
        permit: impl FnOnce(Pass) -> T,
    ) -> Result<T, E> {
        match cell.try_pass() {
            Some(pass) => Ok(permit(pass)),
            None => self.admit_if_due(terms, cell, permit),
        }
    }

    /// The same for a caller whom the gate did not let pass a moment ago.
    #[cold]
    pub(super) fn admit_if_due<T, E: RefusedWith>(
        &self,
        terms: &Terms,
        cell: &Cell,
        permit: impl FnOnce(Pass) -> T,
    ) -> Result<T, E> {
        if terms.is_off() {
            return Ok(permit(Pass::UNSEEN));
        }
        let refusal = match cell.answer(clock::now) {
            Ok(Ok(pass)) => return Ok(permit(pass)),
            Ok(Err(refusal)) => refusal,
            Err(now) => match self.admit_under_lock(cell, now) {
                Ok(pass) => return Ok(permit(pass)),
                Err(Denial::Open(refusal)) => refusal,
                Err(Denial::Store(cause)) => {
                    return self.refuse_without_store(terms, cause).map(permit);
                }
            },
        };
        self.tell_refused(terms, refusal);
        if terms.enforce {
            return Err(self.open(refusal).into());
        }
        Ok(permit(Pass::STRAY))
    }

    #[inline(never)]
    fn admit_under_lock(&self, cell: &Cell, now: Nanos) -> Result<Pass, Denial> {
        if let (Some(hub), Some(outpost)) = (&self.hub, &cell.shared) {
            return self.admit_shared(hub, outpost, cell, now);
        }
        let (admitted, aftermath) = cell.acquire_under_lock(now);
        self.tell_of(aftermath);
        admitted.map_err(Denial::from)
    }

    /// Refuses where there is no store, or it is away and that is what was asked for.
    #[cold]
    fn refuse_without_store<E: RefusedWith>(
        &self,
        terms: &Terms,
        cause: Arc<StoreError>,
    ) -> Result<Pass, E> {
        let unavailable = StoreUnavailable {
            policy: self.name.clone(),
            retry_after: None,
            cause,
        };
        self.totals.add(REFUSED, 1);
        self.sink.tell_debug(|| {
            Event::Refused(Refused {
                policy: self.name.clone(),
                kind: PolicyKind::CircuitBreaker,
                rejection: unavailable.clone().into(),
                enforced: terms.enforce,
            })
        });
        if terms.enforce {
            return Err(E::unavailable(unavailable));
        }
        Ok(Pass::STRAY)
    }

    #[inline]
    fn tell_refused(&self, terms: &Terms, refusal: Refusal) {
        self.totals.add(REFUSED, 1);
        self.sink.tell_debug(|| self.refused(terms, refusal));
    }

    fn open(&self, Refusal { retry_after }: Refusal) -> CircuitOpen {
        CircuitOpen {
            policy: self.name.clone(),
            retry_after,
        }
    }

    #[cold]
    fn refused(&self, terms: &Terms, refusal: Refusal) -> Event {
        Event::Refused(Refused {
            policy: self.name.clone(),
            kind: PolicyKind::CircuitBreaker,
            rejection: self.open(refusal).into(),
            enforced: terms.enforce,
        })
    }

    /// Takes the end of a call that was made and succeeded: what nearly every call comes to.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn succeeded(&self, cell: &Cell, pass: Pass, stopwatch: Stopwatch, call: &Call) {
        let (quick, now) = if stopwatch.is_off() {
            (true, None)
        } else {
            let now = clock::now();
            (!stopwatch.has_run_out(now, Some(call)), Some(now))
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
        if pass == Pass::UNSEEN {
            return;
        }
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
        if pass == Pass::UNSEEN {
            return;
        }
        let now = (!stopwatch.is_off()).then(clock::now);
        let slow = now.is_some_and(|now| stopwatch.has_run_out(now, call));
        self.moved(cell, pass, Outcome { verdict, slow }, now);
    }

    /// Takes the end of a call that was made, and the time, where it is known.
    #[inline(never)]
    fn moved(&self, cell: &Cell, pass: Pass, outcome: Outcome, now: Option<Nanos>) {
        self.count(outcome);
        if cell.is_unmoved_by(pass, outcome) {
            if self.hub.is_some() && !cell.is_unmoved_by_success(pass) {
                self.set_apart(outcome);
            }
            return;
        }
        let now = now.unwrap_or_else(clock::now);
        if outcome != Outcome::QUICK_SUCCESS || !cell.add(pass, now) {
            if self.hub.is_some() {
                self.set_apart(outcome);
            }
            self.record(cell, pass, outcome, now);
        }
    }

    /// Keeps a success, which was counted, out of what the fleet is told by the count of them all.
    fn set_apart(&self, outcome: Outcome) {
        if outcome.verdict == Verdict::Success {
            self.totals.add(TOLD, 1);
        }
    }

    /// Successes of the only circuit that were not told under its lock: nearly all while all is well.
    pub(super) fn successes_elsewhere(&self) -> u64 {
        let told = self.totals.ever(TOLD);
        self.totals.ever(SUCCESSES).wrapping_sub(told)
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
        self.follow(cell, cell.record(pass, outcome, now, fastrand::f64));
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

    /// Tells what had to wait until the circuit's lock was gone: subscribers and wakers may call back in.
    #[inline]
    pub(super) fn tell_of(&self, aftermath: Aftermath) {
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
        #[cfg(feature = "metrics")]
        self.changes.count(from, to);
        self.sink.tell(&Event::StateChanged(StateChanged {
            policy: self.name.clone(),
            from: from.into(),
            to: to.into(),
            generation,
        }));
    }

    pub(super) fn force_open(&self) {
        self.rouse_if_shared(&self.cell);
        self.follow(&self.cell, self.cell.force_open());
    }

    pub(super) fn disable(&self) {
        self.rouse_if_shared(&self.cell);
        self.follow(&self.cell, self.cell.disable());
    }

    /// Circuits of keys are forgotten: calls that still hold one report to what nobody asks any more.
    pub(super) fn reset(&self) {
        self.rouse_if_shared(&self.cell);
        let aftermath = self.cell.reset();
        self.forget_keys();
        self.follow(&self.cell, aftermath);
    }

    pub(super) fn forget_keys(&self) {
        let mut aftermaths = Vec::new();
        self.abandon_keys(|aftermath| aftermaths.push(aftermath));
        for aftermath in aftermaths {
            self.tell_of(aftermath);
        }
    }

    pub(super) fn abandon_keys(&self, mut then: impl FnMut(Aftermath)) {
        if let Some(keyed) = self.keyed.get() {
            keyed.retain(|cell| {
                then(cell.abandon());
                false
            });
        }
    }

    /// Before what concerns the whole fleet.
    pub(super) fn rouse_if_shared(&self, cell: &Cell) {
        if let (Some(hub), Some(outpost)) = (&self.hub, &cell.shared) {
            self.rouse(hub, outpost, cell);
        }
    }

    /// Whether the fleet decides.
    #[cfg(all(test, not(steadfast_loom), feature = "test-util", feature = "redis"))]
    pub(super) fn is_led(&self) -> bool {
        let outpost = self.cell.shared.as_ref();
        outpost.is_some_and(|outpost| outpost.tally().is_some())
    }

    #[cfg(all(test, not(steadfast_loom), feature = "test-util"))]
    pub(super) fn has_keys(&self) -> bool {
        self.keyed.get().is_some()
    }

    pub(super) fn reset_totals(&self) {
        self.totals.reset();
    }

    pub(super) fn metrics(&self) -> CircuitMetrics {
        let (terms, tally) = (self.terms(), self.tally(clock::now()));
        CircuitMetrics {
            calls: tally.calls,
            failures: tally.failures,
            slow_calls: tally.slow,
            failure_rate: tally.failure_rate(),
            slow_call_rate: terms.settings.slow_call.and_then(|_| tally.slow_rate()),
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

#[cfg(feature = "metrics")]
mod metered {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    };

    use super::*;
    use crate::{circuit_state::CircuitState, metrics::*};

    const PHASES: [Phase; 5] = [
        Phase::Closed,
        Phase::Open,
        Phase::HalfOpen,
        Phase::ForcedOpen,
        Phase::Disabled,
    ];

    /// How often a circuit went from one state to another.
    #[derive(Debug, Default)]
    pub(super) struct Changes([[AtomicU64; PHASES.len()]; PHASES.len()]);

    impl Changes {
        pub(super) fn count(&self, from: Phase, to: Phase) {
            self.0[index(from)][index(to)].fetch_add(1, Relaxed);
        }

        fn get(&self, (from, to): (Phase, Phase)) -> u64 {
            self.0[index(from)][index(to)].load(Relaxed)
        }
    }

    fn index(phase: Phase) -> usize {
        PHASES.iter().position(|&p| p == phase).unwrap_or_default()
    }

    fn name(phase: Phase) -> &'static str {
        CircuitState::from(phase).as_str()
    }

    fn pairs() -> impl Iterator<Item = (Phase, Phase)> {
        let pairs = PHASES.iter().flat_map(|&from| PHASES.map(|to| (from, to)));
        pairs.filter(|(from, to)| from != to)
    }

    /// What a circuit does by itself, not by hand.
    fn is_usual(from: Phase, to: Phase) -> bool {
        use Phase::{Closed, HalfOpen, Open};
        matches!(
            (from, to),
            (Closed | HalfOpen, Open) | (Open, HalfOpen) | (HalfOpen, Closed)
        )
    }

    fn change((from, to): (Phase, Phase)) -> Line {
        let line = Line::new(CIRCUIT_BREAKER_STATE_CHANGES)
            .with("from", name(from))
            .with("to", name(to));
        match is_usual(from, to) {
            true => line,
            false => line.once_it_happens(),
        }
    }

    pub(super) static LINES: LazyLock<Lines> = LazyLock::new(|| {
        let state = |&phase: &Phase| Line::new(CIRCUIT_BREAKER_STATE).with("state", name(phase));
        let totals = [
            CIRCUIT_BREAKER_SUCCESSES,
            CIRCUIT_BREAKER_FAILURES,
            CIRCUIT_BREAKER_SLOW_CALLS,
            CIRCUIT_BREAKER_REJECTED,
        ];
        let lines = PHASES.iter().map(state).chain(totals.map(Line::new));
        Lines {
            lines: lines.chain(pairs().map(change)).collect(),
            told: None,
        }
    });

    impl Core {
        /// How many circuits are in each state, in the order of [`PHASES`].
        fn standing(&self) -> [u64; PHASES.len()] {
            let mut standing = [0; PHASES.len()];
            let terms = self.terms();
            if terms.is_off() {
                return standing;
            }
            let all = self.cell.phase();
            match (all, self.keyed.get()) {
                // By hand for all of them.
                (Phase::ForcedOpen | Phase::Disabled, _) | (_, None) => standing[index(all)] = 1,
                (_, Some(keyed)) => {
                    let now = clock::now();
                    keyed.for_each(|cell| {
                        let phase = cell.phase_unless_over(now, terms.config.memory());
                        if let Some(phase) = phase {
                            standing[index(phase)] += 1;
                        }
                    });
                    // That of calls without a key, of which there may be none.
                    if all != Phase::Closed {
                        standing[index(all)] += 1;
                    }
                }
            }
            standing
        }
    }

    impl Metered for Core {
        fn meter(&self) -> &Meter {
            &self.meter
        }

        fn read(&self) -> Vec<u64> {
            let mut numbers = self.standing().to_vec();
            let totals = [SUCCESSES, FAILURES, SLOW, REFUSED];
            numbers.extend(totals.map(|total| self.totals.ever(total)));
            numbers.extend(pairs().map(|pair| self.changes.get(pair)));
            numbers
        }
    }

    impl Drop for Core {
        fn drop(&mut self) {
            close(self);
        }
    }
}
