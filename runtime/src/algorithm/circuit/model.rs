//! The machine against a naive one: plain lists, everything computed from scratch at every step.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const START: Nanos = Nanos(1_000_000_000 * 1_000_000_000);

/// What a test does to a circuit. Time goes in whole seconds, so that time windows are exact.
#[derive(Clone, Copy, Debug)]
enum Op {
    Acquire,
    /// Ends one of the newest calls.
    End(prop::sample::Index, Outcome),
    /// Ends one of the calls that were ever admitted, those that ended before included.
    EndLate(prop::sample::Index, Outcome),
    Advance(u32),
    StepBack(u32),
    ForceOpen,
    Disable,
    Reset,
    Configure(CircuitConfig),
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let verdict = prop_oneof![
        4 => Just(Verdict::Success),
        4 => Just(Verdict::Failure),
        1 => Just(Verdict::Abandoned),
        1 => Just(Verdict::Ignored),
    ];
    (verdict, prop::bool::weighted(0.2)).prop_map(|(verdict, slow)| Outcome { verdict, slow })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        40 => Just(Op::Acquire),
        40 => (any::<prop::sample::Index>(), outcome()).prop_map(|(index, outcome)| Op::End(index, outcome)),
        5 => (any::<prop::sample::Index>(), outcome()).prop_map(|(index, outcome)| Op::EndLate(index, outcome)),
        10 => (0..25_u32).prop_map(Op::Advance),
        3 => (0..40_u32).prop_map(Op::StepBack),
        1 => Just(Op::ForceOpen),
        1 => Just(Op::Disable),
        2 => Just(Op::Reset),
        3 => config().prop_map(Op::Configure),
    ]
}

fn positive(most: u32) -> impl Strategy<Value = NonZeroU32> {
    (1..=most).prop_map(|number| NonZeroU32::new(number).unwrap())
}

fn rate() -> impl Strategy<Value = f64> {
    prop_oneof![Just(1.0), Just(0.5), Just(0.1), 0.01..1.0_f64]
}

fn recovery() -> impl Strategy<Value = Recovery> {
    (1..20_u64, prop::option::of(1..5_u64)).prop_map(|(seconds, times)| Recovery {
        timeout: SECOND * seconds as u32,
        longest: times.map(|times| SECOND * (seconds * times) as u32),
        jitter: 0.0,
    })
}

fn config() -> impl Strategy<Value = CircuitConfig> {
    let window = prop_oneof![
        positive(12).prop_map(Span::Count),
        (10..30_u32).prop_map(|seconds| Span::Time(SECOND * seconds)),
    ];
    let opening = (
        prop::option::of(positive(6)),
        prop::option::of(rate()),
        prop::option::of(rate()),
        window,
        positive(8),
    );
    (opening, recovery(), positive(3), positive(3), 0..20_u32).prop_map(
        |(
            (failure_threshold, failure_rate, slow_rate, window, minimum_calls),
            recovery,
            requests,
            successes,
            timeout,
        )| {
            CircuitConfig {
                failure_threshold,
                failure_rate,
                slow_rate,
                window,
                minimum_calls,
                recovery,
                half_open_requests: requests,
                success_threshold: successes,
                half_open_timeout: SECOND * timeout,
            }
        },
    )
}

/// The naive machine.
struct Model {
    config: CircuitConfig,
    phase: Phase,
    generation: u64,
    /// Everything the window was told since the circuit closed, oldest first.
    marks: Vec<(Nanos, Mark)>,
    /// Whether each of the last calls that counted in this state failed.
    streak: Vec<bool>,
    since: Nanos,
    open_for: Duration,
    failed_recoveries: u32,
    probes: Vec<Probe>,
    /// The times that probes of this recovery were given, while others were out.
    times: Vec<Duration>,
    begun: u64,
}

#[derive(Clone, Copy)]
struct Probe {
    number: u64,
    deadline: Nanos,
    time: Duration,
}

impl Model {
    fn new(config: CircuitConfig) -> Self {
        Self {
            config,
            phase: Phase::Closed,
            generation: 0,
            marks: Vec::new(),
            streak: Vec::new(),
            since: START,
            open_for: Duration::ZERO,
            failed_recoveries: 0,
            probes: Vec::new(),
            times: Vec::new(),
            begun: 0,
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
        self.streak.clear();
        self.probes.clear();
        self.times.clear();
        if phase == Phase::Closed {
            self.marks.clear();
            self.failed_recoveries = 0;
        }
    }

    fn enter_by_hand(&mut self, phase: Phase) {
        if self.phase != phase {
            self.enter(phase);
        }
    }

    fn open(&mut self, now: Nanos) {
        self.since = now;
        self.open_for = self.recovery_time();
        self.enter(Phase::Open);
    }

    fn recovery_time(&self) -> Duration {
        let recovery = self.config.recovery;
        let mut time = recovery.timeout;
        for _ in 0..self.failed_recoveries {
            if let Some(longest) = recovery.longest {
                time = (time * 2).min(longest);
            }
        }
        time
    }

    /// The newest outcomes stay that both windows hold, none where they are of two kinds. The open time is
    /// that of the new settings, if they say another one. Everything else is as it was.
    fn configure(&mut self, now: Nanos, config: CircuitConfig) {
        self.settle(now);
        let before = std::mem::replace(&mut self.config, config);
        match (before.window, config.window) {
            (Span::Count(old), Span::Count(new)) => {
                let kept = old.min(new).get() as usize;
                self.marks.drain(..self.marks.len().saturating_sub(kept));
            }
            (Span::Time(_), Span::Time(new)) => {
                let newest = self.marks.last().map_or(now, |(at, _)| *at);
                self.marks.retain(|(at, _)| newest.since(*at) < new);
            }
            _ => self.marks.clear(),
        }
        if before.recovery != config.recovery {
            self.open_for = self.recovery_time();
        }
    }

    fn acquire(&mut self, now: Nanos) -> Result<Pass, Refusal> {
        if self.phase == Phase::Open {
            self.since = self.since.min(now);
            if now.since(self.since) >= self.open_for {
                self.enter(Phase::HalfOpen);
            }
        }
        match self.phase {
            Phase::Closed | Phase::Disabled => Ok(Pass::ordinary(self.generation)),
            Phase::Open => Err(Refusal {
                retry_after: Some(self.open_for - now.since(self.since)),
            }),
            Phase::ForcedOpen => Err(Refusal { retry_after: None }),
            Phase::HalfOpen => self.probe(now),
        }
    }

    fn probe(&mut self, now: Nanos) -> Result<Pass, Refusal> {
        let places = self.config.half_open_requests.get() as usize;
        // Where all have the same time, the oldest is the first to lose its place, and asked alone.
        self.times.dedup();
        if self.times.len() > 1 && self.probes.len() >= places {
            for probe in &mut self.probes {
                probe.deadline = probe.deadline.min(now.after(probe.time));
            }
            self.probes.retain(|probe| probe.deadline >= now);
        }
        while self.probes.len() >= places {
            let oldest = &mut self.probes[0];
            if oldest.deadline < now {
                self.probes.remove(0);
            } else {
                oldest.deadline = oldest.deadline.min(now.after(oldest.time));
                return Err(Refusal { retry_after: None });
            }
        }
        self.begun += 1;
        let time = self.config.half_open_timeout;
        if self.probes.is_empty() && self.times.len() <= 1 {
            self.times.clear();
        }
        self.times.push(time);
        self.probes.push(Probe {
            number: self.begun,
            deadline: now.after(time),
            time,
        });
        Ok(Pass::probe(self.begun))
    }

    fn end(&mut self, now: Nanos, pass: Pass, outcome: Outcome) {
        if !pass.is_probe() && pass != Pass::ordinary(self.generation) {
            return;
        }
        let slow = outcome.slow && self.config.slow_rate.is_some();
        let failed = outcome.verdict == Verdict::Failure;
        let counts = match outcome.verdict {
            Verdict::Success | Verdict::Failure => true,
            Verdict::Abandoned => slow,
            Verdict::Ignored => false,
        };
        match self.phase {
            Phase::Closed if counts && !pass.is_probe() => {
                self.remember(now, Mark { failed, slow });
                if outcome.verdict != Verdict::Abandoned {
                    self.streak.push(failed);
                }
                if self.must_open(now) {
                    self.open(now);
                }
            }
            Phase::HalfOpen => {
                let held = |probe: &Probe| Pass::probe(probe.number) == pass;
                let Some(at) = self.probes.iter().position(held) else {
                    return;
                };
                let probe = self.probes.remove(at);
                if now <= probe.deadline && counts {
                    self.end_probe(now, failed, slow);
                }
            }
            _ => {}
        }
    }

    fn end_probe(&mut self, now: Nanos, failed: bool, slow: bool) {
        self.remember(now, Mark { failed, slow });
        if failed || slow {
            self.failed_recoveries += 1;
            self.open(now);
            return;
        }
        self.streak.push(false);
        if self.streak.len() >= self.config.success_threshold.get() as usize {
            self.enter(Phase::Closed);
        }
    }

    fn must_open(&mut self, now: Nanos) -> bool {
        let in_a_row = self
            .streak
            .iter()
            .rev()
            .take_while(|failed| **failed)
            .count();
        let threshold = self.config.failure_threshold;
        if threshold.is_some_and(|threshold| in_a_row >= threshold.get() as usize) {
            return true;
        }
        let tally = self.tally(now);
        let mut minimum = u64::from(self.config.minimum_calls.get());
        if let Span::Count(size) = self.config.window {
            minimum = minimum.min(u64::from(size.get()));
        }
        let at_least = |part: u64, rate: Option<f64>| {
            rate.is_some_and(|rate| part as f64 / tally.calls as f64 >= rate)
        };
        tally.calls >= minimum
            && (at_least(tally.failures, self.config.failure_rate)
                || at_least(tally.slow, self.config.slow_rate))
    }

    /// Sets the list to the clock: what is older than the window goes, and where the clock has fallen
    /// back, the outcome belongs to the newest one's time, or, past a whole window, the list falls too.
    fn settle(&mut self, now: Nanos) -> Nanos {
        let (Span::Time(length), Some((newest, _))) = (self.config.window, self.marks.last())
        else {
            return now;
        };
        let (newest, back) = (*newest, newest.since(now));
        if back >= length {
            self.marks
                .iter_mut()
                .for_each(|(at, _)| *at = at.before(back));
            return now;
        }
        let at = newest.max(now);
        self.marks.retain(|(mark, _)| at.since(*mark) < length);
        at
    }

    fn remember(&mut self, now: Nanos, mark: Mark) {
        let at = self.settle(now);
        self.marks.push((at, mark));
    }

    fn tally(&mut self, now: Nanos) -> Tally {
        self.settle(now);
        let newest = match self.config.window {
            Span::Count(size) => size.get() as usize,
            Span::Time(_) => usize::MAX,
        };
        let mut tally = Tally::default();
        for (_, mark) in self.marks.iter().rev().take(newest) {
            tally.calls += 1;
            tally.failures += u64::from(mark.failed);
            tally.slow += u64::from(mark.slow);
        }
        tally
    }
}

/// Both machines, and what must hold between them.
struct Pair {
    circuit: Circuit,
    model: Model,
    now: Nanos,
    passes: Vec<Pass>,
    /// There may be more probes than places: those that are out stay.
    configured: bool,
}

impl Pair {
    fn step(&mut self, op: Op) -> Result<(), TestCaseError> {
        let (phase, generation) = (self.circuit.phase(), self.circuit.generation());
        let transition = self.apply(op)?;
        prop_assert_eq!(self.circuit.phase(), self.model.phase);
        prop_assert_eq!(self.circuit.generation(), self.model.generation);
        prop_assert_eq!(self.circuit.tally(self.now), self.model.tally(self.now));
        let told = transition.map(|told| (told.from, told.to, told.generation));
        let changed = phase != self.circuit.phase();
        let expected = changed.then_some((phase, self.circuit.phase(), self.circuit.generation()));
        prop_assert_eq!(told, expected);
        prop_assert!(self.circuit.generation() >= generation);
        if let (State::HalfOpen { probes, .. }, false) = (&self.circuit.state, self.configured) {
            prop_assert!(probes.len() <= self.circuit.places());
        }
        Ok(())
    }

    fn apply(&mut self, op: Op) -> Result<Option<Transition>, TestCaseError> {
        Ok(match op {
            Op::Acquire => {
                let promised = self.circuit.admits_at(self.now);
                let (admitted, transition) = self.circuit.try_acquire(self.now);
                prop_assert_eq!(admitted, self.model.acquire(self.now));
                prop_assert!(admitted.is_ok() || promised.is_none_or(|at| at > self.now));
                self.passes.extend(admitted);
                transition
            }
            Op::End(index, outcome) => self.end(index, 3, outcome),
            Op::EndLate(index, outcome) => self.end(index, usize::MAX, outcome),
            Op::Advance(seconds) => {
                self.now = self.now.after(SECOND * seconds);
                None
            }
            Op::StepBack(seconds) => {
                self.now = self.now.before(SECOND * seconds);
                None
            }
            Op::ForceOpen => {
                self.model.enter_by_hand(Phase::ForcedOpen);
                self.circuit.force_open()
            }
            Op::Disable => {
                self.model.enter_by_hand(Phase::Disabled);
                self.circuit.disable()
            }
            Op::Reset => {
                self.model.enter(Phase::Closed);
                self.circuit.reset()
            }
            Op::Configure(config) => {
                self.configured = true;
                self.model.configure(self.now, config);
                let before = self.circuit.configure(self.now, config);
                self.circuit.recover_anew(before, || 0.0);
                None
            }
        })
    }

    fn end(
        &mut self,
        index: prop::sample::Index,
        newest: usize,
        outcome: Outcome,
    ) -> Option<Transition> {
        let choice = &self.passes[self.passes.len().saturating_sub(newest)..];
        if choice.is_empty() {
            return None;
        }
        let pass = *index.get(choice);
        self.model.end(self.now, pass, outcome);
        self.circuit.record(self.now, pass, outcome, || 0.0)
    }
}

fn pair(config: CircuitConfig) -> Pair {
    Pair {
        circuit: Circuit::new(config),
        model: Model::new(config),
        now: START,
        passes: Vec::new(),
        configured: false,
    }
}

/// More cases than elsewhere; `PROPTEST_CASES` raises them all alike.
fn thorough() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig {
        cases: config.cases.saturating_mul(4),
        ..config
    }
}

proptest! {
    #![proptest_config(thorough())]

    #[test]
    fn agrees_with_a_naive_machine(config in config(), ops in prop::collection::vec(op(), 1..300)) {
        let mut pair = pair(config);
        for op in ops {
            pair.step(op)?;
        }
    }

    /// Whatever happened before, calls that succeed from now on close the circuit.
    #[test]
    fn never_stays_stuck(config in config(), ops in prop::collection::vec(op(), 1..200)) {
        let mut pair = pair(config);
        for op in ops {
            pair.step(op)?;
        }
        let circuit = &mut pair.circuit;
        if matches!(circuit.phase(), Phase::ForcedOpen | Phase::Disabled) {
            circuit.reset();
        }
        // The longest open time, then each lost probe's time: 100 s and 3 times 20 s at most.
        for _ in 0..400 {
            pair.now = pair.now.after(SECOND);
            if let (Ok(pass), _) = circuit.try_acquire(pair.now) {
                let success = Outcome { verdict: Verdict::Success, slow: false };
                circuit.record(pair.now, pass, success, || 0.0);
            }
        }
        prop_assert_eq!(circuit.phase(), Phase::Closed);
    }

    #[test]
    fn a_success_on_a_clean_circuit_changes_nothing(config in config(), calls in 1..40_u32, ops in prop::collection::vec(op(), 1..100)) {
        let mut skipped = pair(config);
        let success = Outcome { verdict: Verdict::Success, slow: false };
        for _ in 0..calls {
            skipped.apply(Op::Acquire)?;
            let pass = skipped.passes.pop().unwrap();
            skipped.model.end(skipped.now, pass, success);
            if !skipped.circuit.is_clean() {
                skipped.circuit.record(skipped.now, pass, success, || 0.0);
            }
        }
        for op in ops {
            skipped.step(op)?;
        }
    }
}

fn closed_by_three() -> CircuitConfig {
    let three = NonZeroU32::new(3).unwrap();
    CircuitConfig {
        failure_threshold: Some(three),
        failure_rate: None,
        slow_rate: None,
        window: Span::Count(NonZeroU32::new(100).unwrap()),
        minimum_calls: NonZeroU32::new(10).unwrap(),
        recovery: Recovery {
            timeout: SECOND * 60,
            longest: None,
            jitter: 0.0,
        },
        half_open_requests: three,
        success_threshold: three,
        half_open_timeout: SECOND * 60,
    }
}

const FAILURE: Outcome = Outcome {
    verdict: Verdict::Failure,
    slow: false,
};

/// Opens the circuit, and fails one probe of each recovery.
fn open_times(config: CircuitConfig, random: f64, recoveries: u32) -> Vec<Duration> {
    let mut circuit = Circuit::new(config);
    let mut now = START;
    let mut times = Vec::new();
    while times.len() < recoveries as usize {
        let (Ok(pass), _) = circuit.try_acquire(now) else {
            panic!("refused after its open time");
        };
        circuit.record(now, pass, FAILURE, || random);
        if let Some((since, until)) = circuit.open_time() {
            times.push(until.since(since));
            now = until;
        }
    }
    times
}

#[test]
fn each_failed_recovery_doubles_the_open_time_up_to_the_longest() {
    let mut config = closed_by_three();
    config.recovery.longest = Some(SECOND * 200);
    assert_eq!(
        open_times(config, 0.0, 5),
        [60, 120, 200, 200, 200].map(|seconds| SECOND * seconds)
    );
}

#[test]
fn many_failed_recoveries_overflow_nothing() {
    let recovery = Recovery {
        timeout: SECOND * 60,
        longest: Some(Duration::MAX),
        jitter: 1.0,
    };
    let length = |failed| recovery.length(failed, || 0.99);
    for failed in 0..200 {
        assert!(length(failed) <= length(failed + 1));
    }
    assert!(length(u32::MAX) >= SECOND * 60 * u32::MAX);
}

#[test]
fn jitter_adds_up_to_its_fraction() {
    let mut config = closed_by_three();
    config.recovery.jitter = 0.5;
    assert_eq!(open_times(config, 0.0, 1), [SECOND * 60]);
    assert_eq!(open_times(config, 0.5, 1), [SECOND * 75]);
}

#[test]
fn a_clock_that_fell_back_locks_nobody_out() {
    let mut circuit = Circuit::new(closed_by_three());
    for _ in 0..3 {
        let pass = circuit.try_acquire(START).0.unwrap();
        circuit.record(START, pass, FAILURE, || 0.0);
    }
    let now = START.before(SECOND * 86_400);
    let refusal = circuit.try_acquire(now).0.unwrap_err();
    assert_eq!(refusal.retry_after, Some(SECOND * 60));
    assert!(circuit.try_acquire(now.after(SECOND * 60)).0.is_ok());
}

#[test]
fn a_probe_that_ends_on_its_deadline_counts_and_a_later_one_does_not() {
    for (late, expected) in [
        (Duration::ZERO, Phase::Open),
        (Duration::from_nanos(1), Phase::HalfOpen),
    ] {
        let mut circuit = Circuit::new(closed_by_three());
        for _ in 0..3 {
            let pass = circuit.try_acquire(START).0.unwrap();
            circuit.record(START, pass, FAILURE, || 0.0);
        }
        let begun = START.after(SECOND * 60);
        let probe = circuit.try_acquire(begun).0.unwrap();
        circuit.record(begun.after(SECOND * 60).after(late), probe, FAILURE, || 0.0);
        assert_eq!(circuit.phase(), expected);
    }
}

#[test]
fn new_settings_keep_the_state_and_the_newest_outcomes() {
    let mut circuit = Circuit::new(closed_by_three());
    for _ in 0..2 {
        let pass = circuit.try_acquire(START).0.unwrap();
        circuit.record(START, pass, FAILURE, || 0.0);
    }
    let mut config = closed_by_three();
    config.window = Span::Count(NonZeroU32::MIN);
    circuit.configure(START, config);
    assert_eq!(circuit.tally(START).failures, 1);
    let pass = circuit.try_acquire(START).0.unwrap();
    let opened = circuit.record(START, pass, FAILURE, || 0.0).unwrap();
    assert_eq!((opened.from, opened.to), (Phase::Closed, Phase::Open));
}

#[test]
fn a_healthy_circuit_may_be_forgotten_and_a_troubled_one_once_it_is_quiet() {
    let success = Outcome {
        verdict: Verdict::Success,
        slow: false,
    };
    let mut circuit = Circuit::new(closed_by_three());
    let pass = circuit.try_acquire(START).0.unwrap();
    circuit.record(START, pass, success, || 0.0);
    assert!(circuit.is_forgettable(START));
    circuit.record(START, pass, FAILURE, || 0.0);
    assert!(!circuit.is_forgettable(START.after(SECOND * 59)));
    assert!(circuit.is_forgettable(START.after(SECOND * 60)));
    for _ in 0..2 {
        circuit.record(START, pass, FAILURE, || 0.0);
    }
    assert_eq!(circuit.phase(), Phase::Open);
    assert!(!circuit.is_forgettable(START.after(SECOND * 119)));
    assert!(circuit.is_forgettable(START.after(SECOND * 120)));
    circuit.force_open();
    assert!(!circuit.is_forgettable(START.after(SECOND * 999)));
}
