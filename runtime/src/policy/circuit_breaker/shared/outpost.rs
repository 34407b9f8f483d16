//! What stands beside a circuit that is the fleet's.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use super::{
    super::{cell::Cell, gate::Gate},
    Denial, FleetTerms, Hub, Way,
    hub::Seat,
};
use crate::{
    algorithm::{
        circuit::{Circuit, Given, Outcome, Pass, Phase, Refusal, Transition},
        fleet_circuit::{Answer, Command, End, Instance, Reply, Report, Speech, Standing},
        window::{Mark, Tally},
    },
    clock::Nanos,
    policy::shared::OnStoreError,
    store::StoreError,
    sync::{AtomicBool, Mutex, Ordering::Relaxed, lock},
};

/// After so many ticks without a call a circuit is no longer told of them, and its next caller wakes it.
const SLEEPY: u32 = 3;
/// Circuits of keys have nothing but successes to tell every so many ticks.
const LEISURELY: u32 = 4;
/// A report may leave between two ticks once in so many.
const HURRY: u32 = 2;
/// Numbers of places and commands: exact in Lua, and so many that none comes twice.
const NUMBERS: i64 = 1 << 52;

/// Gathers what the fleet is to hear of a circuit, and knows what the fleet says.
pub(in super::super) struct Outpost {
    hub: Arc<Hub>,
    seat: Seat,
    key: Vec<u8>,
    /// Somebody came since the last tick and was refused without a lock.
    called: AtomicBool,
    share: Mutex<Share>,
}

struct Share {
    /// Changed under the circuit's lock too, with what the circuit itself goes by.
    terms: Arc<FleetTerms>,
    instance: Instance,
    life: Life,
    /// What ended since the last report, and was told under the circuit's lock.
    counted: Tally,
    /// The number of successes that were not, as of the last report.
    base: u64,
    /// What is added to the open time that its own consecutive failures have begun, in millionths.
    jitter: Option<i64>,
    ticks: u32,
    idle: u32,
    may_hurry: bool,
    is_urgent: bool,
    has_news: bool,
    /// Why the store is away.
    cause: Option<Arc<StoreError>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// Nobody has called lately, or ever: the next one wakes it.
    Asleep,
    Awake,
    /// Nobody will find its circuit again, or it serves many keys: it has nothing to do with the fleet.
    Left,
}

/// What follows from a change, besides the change.
pub(in super::super) struct Conclusion {
    pub(in super::super) gate: Gate,
    /// Those who wait may look again.
    pub(in super::super) has_news: bool,
    /// A report is to leave now.
    pub(in super::super) is_urgent: bool,
}

impl Outpost {
    /// For the only circuit of a breaker, which is also what is set by hand for those of all keys.
    pub(in super::super) fn new(hub: Arc<Hub>, terms: Arc<FleetTerms>) -> Self {
        let key = hub.link.key("circuit");
        Self::at(hub, terms, Seat(None), key)
    }

    /// For that of a key.
    pub(in super::super) fn of_key(
        hub: Arc<Hub>,
        terms: Arc<FleetTerms>,
        cell: Weak<Cell>,
        key: &[u8],
    ) -> Self {
        let key = hub.link.key_of(key, "circuit");
        Self::at(hub, terms, Seat(Some(cell)), key)
    }

    fn at(hub: Arc<Hub>, terms: Arc<FleetTerms>, seat: Seat, key: Vec<u8>) -> Self {
        Self {
            hub,
            seat,
            key,
            called: AtomicBool::new(false),
            share: Mutex::new(Share {
                terms,
                instance: Instance::new(number()),
                life: Life::Asleep,
                counted: Tally::default(),
                base: 0,
                jitter: None,
                ticks: 0,
                idle: 0,
                may_hurry: true,
                is_urgent: false,
                has_news: false,
                cause: None,
            }),
        }
    }

    /// Goes by new settings from now on; true where the fleet decides how long its circuit stays open.
    pub(in super::super) fn configure(&self, terms: Arc<FleetTerms>) -> bool {
        let mut share = lock(&self.share);
        share.terms = terms;
        share.is_led()
    }

    /// What it goes by.
    pub(super) fn terms(&self) -> Arc<FleetTerms> {
        Arc::clone(&lock(&self.share).terms)
    }

    pub(super) fn key(&self) -> Vec<u8> {
        self.key.clone()
    }

    pub(super) fn seat(&self) -> Seat {
        self.seat.clone()
    }

    pub(super) fn is_keyed(&self) -> bool {
        self.seat.0.is_some()
    }

    /// Somebody came: the fleet's state is of interest.
    #[inline]
    pub(in super::super) fn note_caller(&self) {
        // A line that only is read stays with all who read it.
        if !self.called.load(Relaxed) {
            self.called.store(true, Relaxed);
        }
    }

    /// Whether the next tick will come by.
    pub(super) fn is_awake(&self) -> bool {
        lock(&self.share).life == Life::Awake
    }

    /// Somebody came after a while, or for the first time.
    pub(super) fn wake(&self) {
        self.wake_if_asleep(&mut lock(&self.share));
    }

    fn wake_if_asleep(&self, share: &mut Share) {
        if share.life == Life::Asleep {
            share.life = Life::Awake;
            share.idle = 0;
            share.is_urgent = true;
            self.note_caller();
            self.hub.watch(self.seat());
        }
    }

    /// From now on the circuit is this process's alone.
    pub(in super::super) fn leave_fleet(&self) {
        lock(&self.share).life = Life::Left;
    }

    pub(in super::super) fn is_idle(&self) -> bool {
        let share = lock(&self.share);
        share.life == Life::Left || (share.instance.is_idle() && share.counted.failures == 0)
    }

    /// The fleet's window, as last heard of; `None` where the circuit's own is the one that counts.
    pub(in super::super) fn tally(&self) -> Option<Tally> {
        let share = lock(&self.share);
        share.is_led().then(|| share.instance.tally())
    }

    /// What there is to say to a caller.
    pub(in super::super) fn acquire(
        &self,
        circuit: &mut Circuit,
        way: &Way,
        now: Nanos,
    ) -> (Result<Pass, Denial>, Option<Transition>) {
        self.note_caller();
        let mut share = lock(&self.share);
        if share.life == Life::Left {
            return by_itself(circuit, now);
        }
        match way {
            Way::NotSet => return (Err(Denial::Store(Arc::new(StoreError::NotSet))), None),
            Way::Down(cause) => share.go_alone(circuit, cause),
            Way::Up => {}
        }
        match share.instance.standing() {
            Standing::Joined => (share.ask_fleet(circuit, now), None),
            Standing::Alone if !is_by_hand(circuit.phase()) => match share.terms.on_store_error {
                OnStoreError::Local => share.decide(circuit, now),
                OnStoreError::Allow => (Ok(Pass::STRAY), None),
                OnStoreError::Deny => (Err(Denial::Store(share.cause())), None),
            },
            Standing::Alone | Standing::Fresh => share.decide(circuit, now),
        }
    }

    /// Takes the end of a call.
    pub(in super::super) fn record(
        &self,
        circuit: &mut Circuit,
        now: Nanos,
        pass: Pass,
        outcome: Outcome,
        random: impl FnOnce() -> f64,
    ) -> Option<Transition> {
        let mut share = lock(&self.share);
        // It began before everybody else fell silent.
        self.wake_if_asleep(&mut share);
        if !share.is_led() {
            let transition = circuit.record(now, pass, outcome, random);
            share.follow(circuit);
            return transition;
        }
        if pass.is_probe() {
            share.end_probe(now, pass, circuit.mark(outcome));
            return None;
        }
        let noted = circuit.note(now, pass, outcome)?;
        share.counted.add(noted.mark);
        if noted.is_past_threshold && share.terms.rules.quorum <= 1 {
            return share.open(circuit, now, random());
        }
        let is_bad = noted.mark.failed || noted.mark.slow;
        if noted.is_at_threshold || (is_bad && share.may_have_reached_rates()) {
            share.hurry();
        }
        None
    }

    /// Tells everybody of what was just done to the circuit by hand.
    pub(in super::super) fn tell_command(&self, circuit: &Circuit, command: Command, now: Nanos) {
        let mut share = lock(&self.share);
        if share.life == Life::Left {
            return;
        }
        let generation = circuit.generation().cast_signed();
        let phase = circuit.phase();
        share
            .instance
            .command(now, command, number(), phase, generation);
        share.counted = Tally::default();
        share.is_urgent = true;
        if !self.is_keyed() {
            self.hub.hold(circuit.phase() == Phase::Closed);
        }
    }

    /// The next report, if there is something to tell. `elsewhere` is the number of successes that were not
    /// told under the circuit's lock.
    pub(super) fn report(
        &self,
        circuit: &Circuit,
        now: Nanos,
        elsewhere: u64,
        callers: bool,
    ) -> Option<Report> {
        let mut share = lock(&self.share);
        if share.life != Life::Awake || (self.is_keyed() && self.hub.holds()) {
            return None;
        }
        let callers = callers || self.called.load(Relaxed);
        let terms = Arc::clone(&share.terms);
        let speech = Speech {
            batch: share.batch(elsewhere),
            reached: terms.rules.quorum > 1 && circuit.is_past_threshold(),
            jitter: share
                .jitter
                .unwrap_or_else(|| terms.jitter(fastrand::f64())),
            callers: callers || share.instance.standing() != Standing::Joined,
            epoch: if self.is_keyed() { self.hub.epoch() } else { 0 },
        };
        let report = share.instance.speak(now, &terms.rules, speech, number)?;
        share.void(elsewhere);
        share.is_urgent = false;
        Some(report)
    }

    /// Takes the answer to a report.
    pub(super) fn hear(
        &self,
        circuit: &mut Circuit,
        now: Nanos,
        elsewhere: u64,
        answer: Result<Reply, StoreError>,
    ) -> Option<Transition> {
        let mut share = lock(&self.share);
        if share.life == Life::Left {
            return None;
        }
        match answer {
            Ok(reply) => share.hear(circuit, now, elsewhere, &reply),
            Err(cause) => {
                let passing = matches!(
                    cause,
                    StoreError::TimedOut { .. } | StoreError::Overloaded { .. }
                );
                share.instance.miss(passing);
                if share.instance.standing() == Standing::Alone {
                    share.be_alone(circuit, &cause);
                }
                None
            }
        }
    }

    /// What the whole breaker's last reset was, as far as this circuit has heard.
    pub(super) fn epoch(&self) -> i64 {
        lock(&self.share).instance.epoch()
    }

    pub(super) fn has_command(&self) -> bool {
        lock(&self.share).instance.has_command()
    }

    /// The store is up, or it is not.
    pub(super) fn learn(&self, circuit: &mut Circuit, way: &Way) {
        if let Way::Down(cause) = way {
            lock(&self.share).go_alone(circuit, cause);
        }
    }

    /// Some time has passed: false where nobody needs to be told any more. `is_awaited` where somebody waits
    /// for the circuit to admit.
    pub(super) fn tick(
        &self,
        circuit: &mut Circuit,
        way: &Way,
        now: Nanos,
        elsewhere: u64,
        is_awaited: bool,
    ) -> Tick {
        let mut share = lock(&self.share);
        if share.life != Life::Awake {
            return Tick::Asleep;
        }
        share.ticks = share.ticks.wrapping_add(1);
        share.may_hurry |= share.ticks.is_multiple_of(HURRY);
        share.instance.tick(now);
        let batch = share.batch(elsewhere);
        let called = self.called.swap(false, Relaxed) || is_awaited;
        share.idle = if called || batch.calls > 0 {
            0
        } else {
            share.idle.saturating_add(1)
        };
        if share.idle >= SLEEPY && share.instance.is_idle() {
            share.life = Life::Asleep;
            return Tick::Asleep;
        }
        if let Way::Down(cause) = way {
            share.go_alone(circuit, cause);
            return Tick::Silent;
        }
        let leisurely = self.is_keyed()
            && share.is_led()
            && circuit.phase() == Phase::Closed
            && batch.failures == 0
            && batch.slow == 0
            && !share.ticks.is_multiple_of(LEISURELY);
        if leisurely && !share.instance.has_news() {
            Tick::Silent
        } else {
            Tick::Speak { called }
        }
    }

    /// When a caller would be admitted, if nothing else happens.
    pub(in super::super) fn admits_at(&self, circuit: &Circuit, now: Nanos) -> Option<Nanos> {
        let share = lock(&self.share);
        match share.instance.standing() {
            _ if share.life == Life::Left || is_by_hand(circuit.phase()) => circuit.admits_at(now),
            Standing::Joined => share.admits_at(circuit, now),
            Standing::Fresh if self.hub.link.store().is_err() => None,
            Standing::Fresh => circuit.admits_at(now),
            Standing::Alone => match share.terms.on_store_error {
                OnStoreError::Local => circuit.admits_at(now),
                OnStoreError::Allow => Some(now),
                OnStoreError::Deny => None,
            },
        }
    }

    /// What follows from what has just been done.
    pub(in super::super) fn conclude(&self, circuit: &Circuit, gate: Gate) -> Conclusion {
        let mut share = lock(&self.share);
        let is_away = share.instance.standing() == Standing::Alone && !is_by_hand(circuit.phase());
        let is_sealed = match share.life {
            Life::Left => false,
            Life::Asleep => true,
            Life::Awake => is_away && share.terms.on_store_error != OnStoreError::Local,
        };
        let gate = if is_sealed {
            gate.sealed()
        } else if self.is_keyed() {
            // What is not told under the lock has one count for all circuits.
            gate.never_clean()
        } else {
            gate
        };
        let is_urgent =
            share.is_urgent && share.life == Life::Awake && !share.instance.is_on_its_way();
        share.is_urgent &= !is_urgent;
        Conclusion {
            gate,
            has_news: std::mem::take(&mut share.has_news),
            is_urgent,
        }
    }
}

/// What a circuit has to do at a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tick {
    Asleep,
    Silent,
    Speak { called: bool },
}

impl Share {
    /// Whether the fleet decides.
    fn is_led(&self) -> bool {
        self.instance.standing() == Standing::Joined && self.life != Life::Left
    }

    fn cause(&self) -> Arc<StoreError> {
        match &self.cause {
            Some(cause) => Arc::clone(cause),
            None => Arc::new(StoreError::Closed),
        }
    }

    /// The circuit decides.
    fn decide(
        &mut self,
        circuit: &mut Circuit,
        now: Nanos,
    ) -> (Result<Pass, Denial>, Option<Transition>) {
        let decided = by_itself(circuit, now);
        self.follow(circuit);
        decided
    }

    /// The circuit has decided.
    fn follow(&mut self, circuit: &Circuit) {
        if self.life != Life::Left {
            let generation = circuit.generation().cast_signed();
            self.instance.moved(circuit.phase(), generation);
        }
    }

    fn ask_fleet(&mut self, circuit: &Circuit, now: Nanos) -> Result<Pass, Denial> {
        match self.instance.admit(now, self.terms.probe) {
            Answer::Admitted => Ok(Pass::ordinary(circuit.generation())),
            Answer::Probe(number) => Ok(Pass::probe(number.cast_unsigned())),
            Answer::Refused { retry_after } => {
                self.is_urgent |= self.instance.asks_now();
                Err(Refusal { retry_after }.into())
            }
        }
    }

    fn end_probe(&mut self, now: Nanos, pass: Pass, mark: Option<Mark>) {
        let end = match mark {
            None => End::Unused,
            Some(mark) if mark.failed || mark.slow => End::Failed,
            Some(_) => End::Passed,
        };
        let number = pass.number().unwrap_or(0).cast_signed();
        self.is_urgent |= self.instance.end(now, number, end);
    }

    /// Its own consecutive failures suffice.
    fn open(&mut self, circuit: &mut Circuit, now: Nanos, random: f64) -> Option<Transition> {
        let transition = circuit.open_now(now, || random);
        if let Some((since, until)) = circuit.open_time() {
            let generation = circuit.generation().cast_signed();
            self.instance.opened(generation, since, until);
            self.jitter = Some(self.terms.jitter(random));
            self.is_urgent = true;
        }
        transition
    }

    /// Whether the fleet's rates may have been reached with what it has not heard of yet.
    fn may_have_reached_rates(&self) -> bool {
        let mut tally = self.instance.tally();
        tally.join(self.counted);
        self.terms.rules.rates_reached(tally)
    }

    fn hurry(&mut self) {
        if std::mem::take(&mut self.may_hurry) {
            self.is_urgent = true;
        }
    }

    /// What is to be told.
    fn batch(&self, elsewhere: u64) -> Tally {
        let mut batch = self.counted;
        // A thread may have added to one of two counts only: the difference comes later.
        let new = elsewhere.wrapping_sub(self.base).cast_signed().max(0);
        batch.calls = batch.calls.saturating_add(new.cast_unsigned());
        batch
    }

    /// What there was to tell has been told, or is of no use any more.
    fn void(&mut self, elsewhere: u64) {
        self.counted = Tally::default();
        if elsewhere.wrapping_sub(self.base).cast_signed() > 0 {
            self.base = elsewhere;
        }
    }

    fn hear(
        &mut self,
        circuit: &mut Circuit,
        now: Nanos,
        elsewhere: u64,
        reply: &Reply,
    ) -> Option<Transition> {
        let was_led = self.is_led();
        let news = self.instance.hear(now, reply);
        self.cause = None;
        self.jitter = None;
        if news.is_some() || !was_led {
            self.void(elsewhere);
        }
        let (since, until) = self.instance.open_time();
        let transition = circuit.follow(Given {
            phase: self.instance.phase(),
            generation: self.instance.generation().cast_unsigned(),
            since,
            until,
            failed_recoveries: small(self.instance.failed_recoveries()),
            successes: small(self.instance.successes()),
        });
        self.has_news = !was_led || transition.is_some() || self.instance.has_place(now);
        self.is_urgent |= self.instance.has_news() || self.instance.asks_now();
        transition
    }

    fn admits_at(&self, circuit: &Circuit, now: Nanos) -> Option<Nanos> {
        match circuit.phase() {
            Phase::Closed | Phase::Disabled => Some(now),
            Phase::ForcedOpen => None,
            Phase::Open => circuit.admits_at(now).filter(|&at| now < at),
            // Whoever waits is woken when there is a place.
            Phase::HalfOpen => self.instance.has_place(now).then_some(now),
        }
    }

    fn go_alone(&mut self, circuit: &Circuit, cause: &StoreError) {
        if self.life == Life::Left || self.instance.standing() == Standing::Alone {
            return;
        }
        self.instance.go_alone();
        self.be_alone(circuit, cause);
    }

    fn be_alone(&mut self, circuit: &Circuit, cause: &StoreError) {
        self.cause = Some(Arc::new(cause.clone()));
        self.counted = Tally::default();
        self.has_news = true;
        self.follow(circuit);
    }
}

fn by_itself(circuit: &mut Circuit, now: Nanos) -> (Result<Pass, Denial>, Option<Transition>) {
    let (admitted, transition) = circuit.try_acquire(now);
    (admitted.map_err(Denial::from), transition)
}

/// What is set by hand holds whatever becomes of the store.
fn is_by_hand(phase: Phase) -> bool {
    matches!(phase, Phase::ForcedOpen | Phase::Disabled)
}

fn number() -> i64 {
    fastrand::i64(1..NUMBERS)
}

fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl fmt::Debug for Outpost {
    /// Without the key: it may be somebody's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outpost").finish_non_exhaustive()
    }
}
