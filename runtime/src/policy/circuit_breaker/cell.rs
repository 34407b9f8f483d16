//! One circuit that many threads share: the machine under a lock, and a gate in front of it that spares
//! most callers the lock.

use std::{sync::Arc, task::Waker};

use super::{
    gate::Gate,
    pending::{Lane, Pending},
};
use crate::{
    algorithm::{
        circuit::{Circuit, CircuitConfig, Outcome, Pass, Phase, Refusal, Transition, Verdict},
        window::{Span, Tally},
    },
    clock::Nanos,
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
/// Everything else takes the lock.
#[derive(Debug)]
pub struct Cell {
    gate: AtomicU64,
    /// While open. Written before the gate that says so.
    since: AtomicU64,
    until: AtomicU64,
    /// Only where there is one circuit: lanes for each key would take more memory than they are worth.
    pending: Option<Box<Pending>>,
    kept: Mutex<Kept>,
}

/// What a change may have made room for, besides what it says itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Freed {
    Nothing,
    /// A probe's place.
    Place,
}

#[derive(Debug)]
struct Kept {
    circuit: Circuit,
    /// Who wants to know when it would admit, once there has been somebody.
    waiting: Option<Box<Queue<()>>>,
}

/// What is to be done once the lock is gone: callers' wakers and subscribers are foreign code.
#[derive(Debug)]
#[must_use = "wake who waits, and tell the transition"]
pub(super) struct Aftermath {
    transition: Option<Transition>,
    wakers: Vec<Waker>,
}

impl Aftermath {
    #[cfg(test)]
    const NOTHING: Self = Self {
        transition: None,
        wakers: Vec::new(),
    };

    /// Wakes who waits, and leaves the transition to be told.
    #[inline]
    pub(super) fn wake(self) -> Option<Transition> {
        self.wakers.into_iter().for_each(wake);
        self.transition
    }
}

impl Cell {
    /// The one circuit of a breaker.
    pub(super) fn new(config: impl Into<Arc<CircuitConfig>>) -> Self {
        let config = config.into();
        let pending = match config.window {
            Span::Count(_) => None,
            Span::Time(_) => Some(Box::new(Pending::new())),
        };
        Self {
            pending,
            ..Self::one_of_many(config)
        }
    }

    /// That of a key.
    pub(super) fn one_of_many(config: Arc<CircuitConfig>) -> Self {
        let circuit = Circuit::new(config);
        Self {
            gate: AtomicU64::new(Gate::of(&circuit).0),
            since: AtomicU64::new(0),
            until: AtomicU64::new(0),
            pending: None,
            kept: Mutex::new(Kept {
                circuit,
                waiting: None,
            }),
        }
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
        self.refuse_without_lock(now).map(Err).ok_or(now)
    }

    pub(super) fn acquire_under_lock(&self, now: Nanos) -> (Result<Pass, Refusal>, Aftermath) {
        self.locked(Freed::Nothing, |circuit| circuit.try_acquire(now))
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
        let pending = self.pending.as_deref();
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
        if let (Outcome::QUICK_SUCCESS, Some(pending)) = (outcome, self.pending.as_deref()) {
            return self.succeed(pending, pending.lane(), pass, now, random);
        }
        let record = |circuit: &mut Circuit| ((), circuit.record(now, pass, outcome, random));
        self.locked(Freed::Place, record).1
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
        let transition = circuit.record(now, pass, Outcome::QUICK_SUCCESS, random);
        if let (Some(lane), Some(piece)) = (lane, circuit.calm_time()) {
            lane.open(Pass::ordinary(circuit.generation()), piece);
        }
        self.conclude(kept, Freed::Place, transition)
    }

    /// What a thread does that has the lane of that number.
    #[cfg(test)]
    pub(super) fn succeed_on(&self, lane: usize, pass: Pass, now: Nanos) -> Option<Transition> {
        let pending = self.pending.as_deref()?;
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
        let pending = self.pending.as_deref();
        pending.is_some_and(|pending| pending.nth(lane).add(pass, now))
    }

    pub(super) fn force_open(&self) -> Aftermath {
        self.locked(Freed::Nothing, |circuit| ((), circuit.force_open()))
            .1
    }

    pub(super) fn disable(&self) -> Aftermath {
        self.locked(Freed::Nothing, |circuit| ((), circuit.disable()))
            .1
    }

    pub(super) fn reset(&self) -> Aftermath {
        self.locked(Freed::Nothing, |circuit| ((), circuit.reset()))
            .1
    }

    pub(super) fn tally(&self, now: Nanos) -> Tally {
        self.settled().circuit.tally(now)
    }

    /// Whether nothing is lost if this circuit begins anew.
    pub(super) fn is_forgettable(&self, now: Nanos) -> bool {
        self.settled().circuit.is_forgettable(now)
    }

    /// Locks the circuit as it is with everything that was counted elsewhere. All lanes are closed: what
    /// is done with it may be anything.
    fn settled(&self) -> MutexGuard<'_, Kept> {
        let mut kept = lock(&self.kept);
        if let Some(pending) = &self.pending {
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
        self.publish(&kept.circuit);
        let half_open = kept.circuit.phase() == Phase::HalfOpen;
        let news = transition.is_some() || (freed == Freed::Place && half_open);
        let wakers = if news { kept.waiting() } else { Vec::new() };
        Aftermath { transition, wakers }
    }

    fn publish(&self, circuit: &Circuit) {
        if let Some((since, until)) = circuit.open_time() {
            self.since.store(since.0, Relaxed);
            self.until.store(until.0, Relaxed);
        }
        let gate = Gate::of(circuit);
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
        let admits_at = kept.circuit.admits_at(now).unwrap_or(Nanos::NEVER);
        if admits_at <= now {
            return Ok(());
        }
        let waiting = kept.waiting.get_or_insert_default();
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
            kept.waiting.as_mut().and_then(|line| line.remove(ticket))
        };
        drop(left);
    }
}

impl Kept {
    /// All who wait: there may be news for them, and they look again for themselves.
    fn waiting(&mut self) -> Vec<Waker> {
        std::iter::from_fn(|| self.waiting.as_mut()?.pop_front())
            .map(|waiter| waiter.waker)
            .collect()
    }
}
