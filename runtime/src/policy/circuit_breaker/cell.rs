//! One circuit that many threads share: the machine under a lock, and a gate in front of it that spares
//! most callers the lock.

use std::{sync::Arc, task::Waker};

use once_cell::race::OnceBox;

use super::{
    gate::Gate,
    pending::{Lane, Pending},
    shared::{Denial, FleetTerms, Outpost, Way},
};
use crate::{
    algorithm::{
        circuit::{Circuit, CircuitConfig, Outcome, Pass, Phase, Refusal, Transition, Verdict},
        fleet_circuit::Command,
        window::{Span, Tally},
    },
    clock::{self, Nanos},
    queue::{Queue, Ticket},
    sync::{
        AtomicU64, Mutex, MutexGuard,
        Ordering::{Acquire, Relaxed, Release},
        lock,
    },
    waiter::wake,
};

/// A circuit. The gate is written under the lock only, after every change and before the lock is left,
/// so whoever loads it sees the circuit as it was at that moment:
/// - closed or disabled: the caller is admitted, and nothing has to be written;
/// - a success while it is clean changes nothing, so nothing has to be written either. A failure that
///   is recorded at the same time simply comes after it;
/// - open, and the open time not over: refused.
///
/// A success in a time window must be counted in any case; while it holds nothing else, threads do so on
/// [lanes](Pending) of their own, and settle when one of them takes the lock.
///
/// Everything else takes the lock; so do new settings, which are one more change.
#[derive(Debug)]
pub struct Cell {
    gate: AtomicU64,
    /// While open. Written before the gate that says so.
    since: AtomicU64,
    until: AtomicU64,
    /// Only where there is one circuit: lanes for each key would take more memory than they are worth. And
    /// only once it has a window of time.
    pending: OnceBox<Pending>,
    /// Where the circuit is the fleet's. It has a lock of its own, under which no other is taken but its
    /// hub's.
    pub(super) shared: Option<Box<Outpost>>,
    kept: Mutex<Kept>,
}

/// What a change may have made room for, besides what it says itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Freed {
    Nothing,
    /// A probe's place.
    Place,
    /// Whatever new settings allow.
    Anything,
}

#[derive(Debug)]
struct Kept {
    circuit: Circuit,
    /// Elsewhere: few circuits have any of it, and there is one for each key.
    rare: Option<Box<Rare>>,
}

#[derive(Debug, Default)]
struct Rare {
    /// Who wants to know when it would admit.
    waiting: Queue<()>,
    /// The state that the configuration has set, and nobody by hand has touched since.
    forced: Option<Phase>,
}

/// What is to be done once the lock is gone: callers' wakers and subscribers are foreign code.
#[derive(Debug)]
#[must_use = "wake who waits, and tell the transition"]
pub(super) struct Aftermath {
    transition: Option<Transition>,
    wakers: Vec<Waker>,
    /// The fleet is to hear of it at once.
    pub(super) is_urgent: bool,
}

impl Aftermath {
    #[cfg(test)]
    const NOTHING: Self = Self {
        transition: None,
        wakers: Vec::new(),
        is_urgent: false,
    };

    /// Wakes who waits, and leaves the transition to be told.
    #[inline]
    pub(super) fn wake(self) -> Option<Transition> {
        self.wakers.into_iter().for_each(wake);
        self.transition
    }

    /// Whether there is nothing to be done.
    pub(super) fn is_nothing(&self) -> bool {
        self.transition.is_none() && self.wakers.is_empty() && !self.is_urgent
    }
}

impl Cell {
    /// The one circuit of a breaker.
    pub(super) fn new(config: impl Into<Arc<CircuitConfig>>) -> Self {
        let config = config.into();
        let window = config.window;
        let cell = Self::one_of_many(config);
        cell.lay_lanes(window);
        cell
    }

    /// Lays lanes for the successes of many threads, where the window is one that needs them.
    pub(super) fn lay_lanes(&self, window: Span) {
        if let Span::Time(_) = window {
            self.pending.get_or_init(|| Box::new(Pending::new()));
        }
    }

    #[inline]
    fn pending(&self) -> Option<&Pending> {
        self.pending.get()
    }

    /// That of a key.
    pub(super) fn one_of_many(config: Arc<CircuitConfig>) -> Self {
        let circuit = Circuit::new(config);
        Self {
            gate: AtomicU64::new(Gate::of(&circuit).0),
            since: AtomicU64::new(0),
            until: AtomicU64::new(0),
            pending: OnceBox::new(),
            shared: None,
            kept: Mutex::new(Kept {
                circuit,
                rare: None,
            }),
        }
    }

    /// This circuit as the fleet's.
    pub(super) fn share(mut self, outpost: Outpost) -> Self {
        self.shared = Some(Box::new(outpost));
        drop(self.locked(Freed::Nothing, |_| ((), None)));
        self
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn gate(&self) -> Gate {
        Gate(self.gate.load(Acquire))
    }

    /// Admits where that needs neither lock nor clock: the way of nearly every call.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn try_pass(&self) -> Option<Pass> {
        let gate = self.gate();
        gate.is_closed().then(|| gate.pass())
    }

    /// What there is to say where that needs no lock; else the time, for
    /// [`acquire_under_lock`](Self::acquire_under_lock).
    #[inline]
    pub(super) fn answer(
        &self,
        now: impl FnOnce() -> Nanos,
    ) -> Result<Result<Pass, Refusal>, Nanos> {
        let gate = self.gate();
        if let Phase::Closed | Phase::Disabled = gate.phase() {
            return Ok(Ok(gate.pass()));
        }
        let now = now();
        let refused = self.refuse_without_lock(now);
        if let (Some(_), Some(outpost)) = (refused, &self.shared) {
            outpost.note_caller();
        }
        refused.map(Err).ok_or(now)
    }

    pub(super) fn acquire_under_lock(&self, now: Nanos) -> (Result<Pass, Refusal>, Aftermath) {
        self.locked(Freed::Nothing, |circuit| circuit.try_acquire(now))
    }

    /// The same where the circuit is the fleet's.
    pub(super) fn acquire_shared(
        &self,
        outpost: &Outpost,
        way: &Way,
        now: Nanos,
    ) -> (Result<Pass, Denial>, Aftermath) {
        self.locked(Freed::Nothing, |circuit| outpost.acquire(circuit, way, now))
    }

    #[cfg(test)]
    pub(super) fn try_acquire(&self, now: Nanos) -> (Result<Pass, Refusal>, Aftermath) {
        match self.answer(|| now) {
            Ok(answer) => (answer, Aftermath::NOTHING),
            Err(now) => self.acquire_under_lock(now),
        }
    }

    /// What there is to say while it is open, and stays so.
    #[inline]
    fn refuse_without_lock(&self, now: Nanos) -> Option<Refusal> {
        match self.gate().phase() {
            Phase::ForcedOpen => Some(Refusal { retry_after: None }),
            Phase::Open => {
                // Both may belong to a later opening than the gate told of. Then that one is on now.
                let since = Nanos(self.since.load(Relaxed));
                let until = Nanos(self.until.load(Relaxed));
                // A clock that fell back is for the machine to deal with.
                (since <= now && now < until).then(|| Refusal {
                    retry_after: Some(until.since(now)),
                })
            }
            Phase::Closed | Phase::HalfOpen | Phase::Disabled => None,
        }
    }

    /// Whether a quick success changes nothing, as far as the gate can tell: true is certain.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn is_unmoved_by_success(&self, pass: Pass) -> bool {
        self.gate().is_clean_since(pass)
    }

    /// Whether the end of a call changes nothing, as far as the gate can tell: true is certain.
    pub(super) fn is_unmoved_by(&self, pass: Pass, outcome: Outcome) -> bool {
        let gate = self.gate();
        if pass.is_probe() {
            // Its number never comes again: once its state is over, it stays so.
            return gate.phase() != Phase::HalfOpen;
        }
        if pass != gate.pass() {
            // Generations only grow: it stays late whatever happens meanwhile.
            return true;
        }
        match outcome.verdict {
            Verdict::Success => gate.is_clean() && !outcome.slow,
            Verdict::Failure => false,
            // Both leave no mark.
            Verdict::Abandoned => !outcome.slow,
            Verdict::Ignored => true,
        }
    }

    /// Counts a quick success without the lock; false where the circuit must be told of it.
    #[inline]
    pub(super) fn add(&self, pass: Pass, now: Nanos) -> bool {
        let pending = self.pending();
        pending.is_some_and(|pending| pending.add(pass, now))
    }

    /// Takes the end of a call that was admitted with `pass`.
    pub(super) fn record(
        &self,
        pass: Pass,
        outcome: Outcome,
        now: Nanos,
        random: impl FnOnce() -> f64,
    ) -> Aftermath {
        if let (Outcome::QUICK_SUCCESS, Some(pending)) = (outcome, self.pending()) {
            return self.succeed(pending, pending.lane(), pass, now, random);
        }
        let record = |circuit: &mut Circuit| {
            let transition = self.record_in(circuit, now, pass, outcome, random);
            ((), transition)
        };
        self.locked(Freed::Place, record).1
    }

    fn record_in(
        &self,
        circuit: &mut Circuit,
        now: Nanos,
        pass: Pass,
        outcome: Outcome,
        random: impl FnOnce() -> f64,
    ) -> Option<Transition> {
        match &self.shared {
            None => circuit.record(now, pass, outcome, random),
            Some(outpost) => outpost.record(circuit, now, pass, outcome, random),
        }
    }

    /// Takes a quick success of the thread that has this lane, and opens it for those to come.
    fn succeed(
        &self,
        pending: &Pending,
        lane: Option<&Lane>,
        pass: Pass,
        now: Nanos,
        random: impl FnOnce() -> f64,
    ) -> Aftermath {
        let mut kept = lock(&self.kept);
        let circuit = &mut kept.circuit;
        // Where it only adds to what the others add to, their lanes may stay open. Else each thread would
        // find its own closed and come here, and close those of all others again.
        if !circuit
            .calm_time()
            .is_some_and(|piece| piece.contains(&now))
        {
            pending.settle(circuit);
        }
        let transition = self.record_in(circuit, now, pass, Outcome::QUICK_SUCCESS, random);
        if let (Some(lane), Some(piece)) = (lane, circuit.calm_time()) {
            lane.open(Pass::ordinary(circuit.generation()), piece);
        }
        self.conclude(kept, Freed::Place, transition)
    }

    /// What a thread does that has the lane of that number.
    #[cfg(test)]
    pub(super) fn succeed_on(&self, lane: usize, pass: Pass, now: Nanos) -> Option<Transition> {
        let pending = self.pending()?;
        let lane = pending.nth(lane);
        if lane.add(pass, now) || self.is_unmoved_by(pass, Outcome::QUICK_SUCCESS) {
            return None;
        }
        self.succeed(pending, Some(lane), pass, now, || 0.0).wake()
    }

    /// Whether that is done without the lock: nobody else can have it now.
    #[cfg(all(test, not(steadfast_loom)))]
    pub(super) fn adds_on(&self, lane: usize, pass: Pass, now: Nanos) -> bool {
        let _held = lock(&self.kept);
        let pending = self.pending();
        pending.is_some_and(|pending| pending.nth(lane).add(pass, now))
    }

    /// Does what somebody wants by hand, here and, where the circuit is the fleet's, everywhere.
    fn obey(&self, command: Command, now: impl FnOnce() -> Nanos) -> Aftermath {
        let mut kept = self.settled();
        kept.forced_by(None);
        let transition = self.obey_in(&mut kept.circuit, command, now);
        self.conclude(kept, Freed::Nothing, transition)
    }

    fn obey_in(
        &self,
        circuit: &mut Circuit,
        command: Command,
        now: impl FnOnce() -> Nanos,
    ) -> Option<Transition> {
        let transition = match command {
            Command::ForceOpen => circuit.force_open(),
            Command::Disable => circuit.disable(),
            Command::Reset | Command::EndForcedOpen | Command::EndDisabled => circuit.reset(),
        };
        if let Some(outpost) = &self.shared {
            outpost.tell_command(circuit, command, now());
        }
        transition
    }

    /// Does what the configuration says of the state. It takes back what it has set, and nothing else: not
    /// what somebody has changed by hand since. `None` for what stays as it is.
    pub(super) fn force(&self, phase: Option<Phase>, now: Nanos) -> Option<Aftermath> {
        let mut kept = self.settled();
        let forced = kept.forced_by(phase);
        let command = match (phase, forced) {
            (Some(Phase::ForcedOpen), _) => Command::ForceOpen,
            (Some(_), _) => Command::Disable,
            (None, Some(forced)) if kept.circuit.phase() != forced => return None,
            (None, Some(Phase::ForcedOpen)) => Command::EndForcedOpen,
            (None, Some(_)) => Command::EndDisabled,
            (None, None) => return None,
        };
        let transition = self.obey_in(&mut kept.circuit, command, || now);
        Some(self.conclude(kept, Freed::Nothing, transition))
    }

    /// Goes by new settings from now on, in its whole: what was counted is counted, and what comes later comes
    /// under the new ones. Whoever waits looks again.
    pub(super) fn configure(
        &self,
        config: &Arc<CircuitConfig>,
        fleet: Option<&Arc<FleetTerms>>,
        now: Nanos,
        random: impl FnOnce() -> f64,
    ) -> Aftermath {
        let mut kept = self.settled();
        let before = kept.circuit.configure(now, Arc::clone(config));
        let shared = self.shared.as_ref().zip(fleet);
        let is_led = shared.is_some_and(|(outpost, terms)| outpost.configure(Arc::clone(terms)));
        if !is_led {
            kept.circuit.recover_anew(before, random);
        }
        self.conclude(kept, Freed::Anything, None)
    }

    pub(super) fn force_open(&self) -> Aftermath {
        self.obey(Command::ForceOpen, clock::now)
    }

    pub(super) fn disable(&self) -> Aftermath {
        self.obey(Command::Disable, clock::now)
    }

    pub(super) fn reset(&self) -> Aftermath {
        self.obey(Command::Reset, clock::now)
    }

    /// Begins anew, and has no longer to do with the fleet: nobody will find this circuit again.
    pub(super) fn abandon(&self) -> Aftermath {
        let reset = |circuit: &mut Circuit| {
            if let Some(outpost) = &self.shared {
                outpost.leave_fleet();
            }
            ((), circuit.reset())
        };
        self.locked(Freed::Nothing, reset).1
    }

    /// Anything that may change the circuit and what is known of the fleet's.
    pub(super) fn change<T>(
        &self,
        act: impl FnOnce(&mut Circuit) -> (T, Option<Transition>),
    ) -> (T, Aftermath) {
        self.locked(Freed::Nothing, act)
    }

    /// The state, also where the gate does not tell.
    pub(super) fn phase(&self) -> Phase {
        match self.gate() {
            gate if gate.is_sealed() => lock(&self.kept).circuit.phase(),
            gate => gate.phase(),
        }
    }

    /// The state, unless it is open and nobody has come for so long after that was over that nobody is
    /// likely to. Takes no lock unless the gate does not tell, and changes nothing.
    #[cfg(feature = "metrics")]
    pub(super) fn phase_unless_over(
        &self,
        now: Nanos,
        memory: std::time::Duration,
    ) -> Option<Phase> {
        let phase = self.phase();
        let is_over = || now.since(Nanos(self.until.load(Relaxed))) >= memory;
        (phase != Phase::Open || !is_over()).then_some(phase)
    }

    /// Whether somebody waits until it would admit.
    pub(super) fn is_awaited(&self) -> bool {
        let kept = lock(&self.kept);
        let rare = kept.rare.as_ref();
        rare.is_some_and(|rare| !rare.waiting.is_empty())
    }

    pub(super) fn tally(&self, now: Nanos) -> Tally {
        let fleet = self.shared.as_ref().and_then(|outpost| outpost.tally());
        fleet.unwrap_or_else(|| self.settled().circuit.tally(now))
    }

    /// Whether nothing is lost if this circuit begins anew.
    pub(super) fn is_forgettable(&self, now: Nanos) -> bool {
        let idle = self.shared.as_ref().is_none_or(|outpost| outpost.is_idle());
        idle && self.settled().circuit.is_forgettable(now)
    }

    /// Locks the circuit as it is with everything that was counted elsewhere. All lanes are closed: what
    /// is done with it may be anything.
    fn settled(&self) -> MutexGuard<'_, Kept> {
        let mut kept = lock(&self.kept);
        if let Some(pending) = self.pending() {
            pending.settle(&mut kept.circuit);
        }
        kept
    }

    fn locked<T>(
        &self,
        freed: Freed,
        act: impl FnOnce(&mut Circuit) -> (T, Option<Transition>),
    ) -> (T, Aftermath) {
        let mut kept = self.settled();
        let (result, transition) = act(&mut kept.circuit);
        (result, self.conclude(kept, freed, transition))
    }

    fn conclude(
        &self,
        mut kept: MutexGuard<'_, Kept>,
        freed: Freed,
        transition: Option<Transition>,
    ) -> Aftermath {
        let gate = Gate::of(&kept.circuit);
        let half_open = kept.circuit.phase() == Phase::HalfOpen;
        let mut news = transition.is_some()
            || match freed {
                Freed::Nothing => false,
                Freed::Place => half_open,
                Freed::Anything => true,
            };
        let mut is_urgent = false;
        let gate = match &self.shared {
            None => gate,
            Some(outpost) => {
                let state = outpost.conclude(&kept.circuit, gate);
                news |= state.has_news;
                is_urgent = state.is_urgent;
                state.gate
            }
        };
        self.publish(&kept.circuit, gate);
        let wakers = if news { kept.waiting() } else { Vec::new() };
        Aftermath {
            transition,
            wakers,
            is_urgent,
        }
    }

    fn publish(&self, circuit: &Circuit, gate: Gate) {
        if let Some((since, until)) = circuit.open_time() {
            self.since.store(since.0, Relaxed);
            self.until.store(until.0, Relaxed);
        }
        // Unchanged, it stays in the caches of those who only read it.
        if gate.0 != self.gate.load(Relaxed) {
            self.gate.store(gate.0, Release);
        }
    }

    /// When a caller would be admitted: `Ok` for now, else the time, as far as one is known. Then `waker`
    /// waits at `ticket` for what comes before it.
    pub(super) fn poll_ready(
        &self,
        ticket: &mut Option<Ticket>,
        waker: &Waker,
        now: Nanos,
    ) -> Result<(), Nanos> {
        let mut kept = lock(&self.kept);
        let admits_at = match &self.shared {
            None => kept.circuit.admits_at(now),
            Some(outpost) => outpost.admits_at(&kept.circuit, now),
        };
        let admits_at = admits_at.unwrap_or(Nanos::NEVER);
        if admits_at <= now {
            return Ok(());
        }
        let waiting = &mut kept.rare.get_or_insert_default().waiting;
        let held = ticket.filter(|ticket| waiting.contains(*ticket));
        let replaced = match held {
            Some(held) => waiting.set_waker(held, waker),
            None => {
                *ticket = Some(waiting.push((), 1, waker.clone()));
                None
            }
        };
        drop(kept);
        drop(replaced);
        Err(admits_at)
    }

    /// Ends a wait.
    pub(super) fn leave(&self, ticket: Ticket) {
        let left = {
            let mut kept = lock(&self.kept);
            let rare = kept.rare.as_mut();
            rare.and_then(|rare| rare.waiting.remove(ticket))
        };
        drop(left);
    }
}

impl Kept {
    /// All who wait: there may be news for them, and they look again for themselves.
    fn waiting(&mut self) -> Vec<Waker> {
        std::iter::from_fn(|| self.rare.as_mut()?.waiting.pop_front())
            .map(|waiter| waiter.waker)
            .collect()
    }

    /// The state that the configuration had set before.
    fn forced_by(&mut self, phase: Option<Phase>) -> Option<Phase> {
        if self.rare.is_none() && phase.is_none() {
            return None;
        }
        let rare = self.rare.get_or_insert_default();
        std::mem::replace(&mut rare.forced, phase)
    }
}
