//! A breaker whose settings are replaced at random, against what its page says: one plain circuit, one for
//! each key, and a note of what the configuration has forced. What a circuit does by itself has a model of
//! its own.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::prelude::*;

use super::{Cancelled, CircuitBreaker, CircuitBreakerSettings, Permit, Window};
use crate::{
    CircuitState,
    algorithm::{
        circuit::{Circuit, Outcome, Pass, Phase, Transition, Verdict},
        window::Tally,
    },
    clock::{self, Nanos},
    event::{Event, Sink},
    policy::{Policy as _, Switch, settings::Written as _},
};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin(Option<u8>),
    End(prop::sample::Index, End),
    Pass(u64),
    Configure(CircuitBreakerSettings, Switch),
    /// Another switch alone.
    Switch(Switch),
    ByHand(Hand),
}

#[derive(Clone, Copy, Debug)]
enum End {
    Success,
    Failure,
    Dropped,
}

#[derive(Clone, Copy, Debug)]
enum Hand {
    ForceOpen,
    Disable,
    Reset,
}

fn switches() -> impl Strategy<Value = Switch> {
    prop_oneof![
        6 => Just(Switch::On),
        2 => Just(Switch::Off),
        1 => Just(Switch::ForcedOpen),
        1 => Just(Switch::ForcedClosed),
    ]
}

fn any_settings() -> impl Strategy<Value = CircuitBreakerSettings> {
    let windows = prop_oneof![
        (1u32..12).prop_map(Window::Count),
        (1u64..30).prop_map(|seconds| Window::Time(SECOND * seconds as u32)),
    ];
    let opens = (
        prop::option::of(1u32..6),
        prop::option::of(prop::sample::select(vec![0.1, 0.5, 1.0])),
        prop::option::of(windows),
        1u32..6,
    );
    let slow = prop::option::of((1u64..5, prop::sample::select(vec![0.3, 1.0])));
    let recovers = (
        1u64..20,
        prop::option::of(1u64..4),
        1u32..4,
        1u32..4,
        prop::option::of(1u64..20),
    );
    let counts = (any::<bool>(), prop::bool::weighted(0.9));
    (opens, slow, recovers, counts).prop_map(|(opens, slow, recovers, (cancelled, enforce))| {
        let (threshold, rate, window, minimum) = opens;
        let (timeout, longest, probes, successes, lost) = recovers;
        let most = match window {
            Some(Window::Count(calls)) => calls,
            _ => u32::MAX,
        };
        let mut settings = CircuitBreakerSettings::new()
            .recovery_timeout(SECOND * timeout as u32)
            .half_open_requests(probes)
            .success_threshold(successes)
            .enforce(enforce);
        settings.failure_threshold = threshold;
        settings.minimum_calls = (rate.is_some() || slow.is_some()).then_some(minimum.min(most));
        settings.failure_rate = rate;
        settings.window = window;
        settings.slow_call = slow.map(|(seconds, _)| SECOND * seconds as u32);
        settings.slow_call_rate = slow.map(|(_, rate)| rate);
        settings.max_recovery_timeout = longest.map(|times| SECOND * (timeout * times) as u32);
        settings.half_open_timeout = lost.map(|seconds| SECOND * seconds as u32);
        settings.cancelled = cancelled.then_some(Cancelled::Failure);
        settings
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = prop_oneof![2 => Just(None), 1 => (0u8..2).prop_map(Some)];
    let end =
        prop_oneof![3 => Just(End::Success), 3 => Just(End::Failure), 1 => Just(End::Dropped)];
    let hand = prop::sample::select(vec![Hand::ForceOpen, Hand::Disable, Hand::Reset]);
    let step = prop_oneof![
        40 => key.prop_map(Step::Begin),
        40 => (any::<prop::sample::Index>(), end).prop_map(|(index, end)| Step::End(index, end)),
        12 => (0u64..9_000).prop_map(Step::Pass),
        6 => (any_settings(), switches()).prop_map(|(settings, switch)| Step::Configure(settings, switch)),
        3 => switches().prop_map(Step::Switch),
        1 => hand.prop_map(Step::ByHand),
    ];
    prop::collection::vec(step, 1..200)
}

type Told = (CircuitState, CircuitState, u64);

/// Calls that ended, in all: successes, failures, slow ones, ignored ones, and refused ones.
type Totals = [u64; 5];

/// What the page says.
struct Page {
    settings: CircuitBreakerSettings,
    switch: Switch,
    forced: Option<Phase>,
    all: Rc<RefCell<Circuit>>,
    keys: BTreeMap<u8, Rc<RefCell<Circuit>>>,
    totals: Totals,
    told: Vec<Told>,
}

/// A call as the page has it.
struct Call {
    /// `None`: nobody sees it.
    circuit: Option<Rc<RefCell<Circuit>>>,
    pass: Pass,
    begun: Nanos,
    slow_call: Option<Duration>,
    cancelled: Cancelled,
}

impl Page {
    fn new(settings: CircuitBreakerSettings) -> Self {
        Self {
            settings,
            switch: Switch::On,
            forced: None,
            all: Rc::new(RefCell::new(Circuit::new(settings.config()))),
            keys: BTreeMap::new(),
            totals: Totals::default(),
            told: Vec::new(),
        }
    }

    fn tell(&mut self, transition: Option<Transition>) {
        let told = transition.map(|told| (told.from.into(), told.to.into(), told.generation));
        self.told.extend(told);
    }

    /// The circuit of a key, unless all are set by hand.
    fn circuit(&mut self, key: Option<u8>) -> Rc<RefCell<Circuit>> {
        let by_hand = matches!(
            self.all.borrow().phase(),
            Phase::ForcedOpen | Phase::Disabled
        );
        let new = || Rc::new(RefCell::new(Circuit::new(self.settings.config())));
        match key.filter(|_| !by_hand) {
            None => Rc::clone(&self.all),
            Some(key) => Rc::clone(self.keys.entry(key).or_insert_with(new)),
        }
    }

    fn begin(&mut self, key: Option<u8>) -> Result<Call, Option<Duration>> {
        let now = clock::now();
        let (slow_call, cancelled) = (
            self.settings.slow_call,
            self.settings.cancelled.unwrap_or_default(),
        );
        let call = |circuit, pass| Call {
            circuit,
            pass,
            begun: now,
            slow_call,
            cancelled,
        };
        if self.switch == Switch::Off {
            return Ok(call(None, Pass::UNSEEN));
        }
        let circuit = self.circuit(key);
        let (admitted, transition) = circuit.borrow_mut().try_acquire(now);
        self.tell(transition);
        let enforce = self.settings.enforce.unwrap_or(true);
        let pass = match admitted {
            Ok(pass) => pass,
            Err(refusal) => {
                self.totals[4] += 1;
                if enforce {
                    return Err(refusal.retry_after);
                }
                Pass::STRAY
            }
        };
        Ok(call(Some(circuit), pass))
    }

    fn end(&mut self, call: Call, end: End) {
        let Some(circuit) = call.circuit else { return };
        let now = clock::now();
        let verdict = match (end, call.cancelled) {
            (End::Success, _) => Verdict::Success,
            (End::Failure, _) | (End::Dropped, Cancelled::Failure) => Verdict::Failure,
            (End::Dropped, _) => Verdict::Abandoned,
        };
        let slow = call
            .slow_call
            .is_some_and(|slow| now.since(call.begun) > slow);
        self.totals[match verdict {
            Verdict::Success => 0,
            Verdict::Failure => 1,
            _ => 3,
        }] += 1;
        self.totals[2] += u64::from(slow);
        let transition =
            circuit
                .borrow_mut()
                .record(now, call.pass, Outcome { verdict, slow }, || 0.0);
        self.tell(transition);
    }

    fn configure(&mut self, settings: CircuitBreakerSettings, switch: Switch) {
        if (self.settings, self.switch) == (settings, switch) {
            return;
        }
        let now = clock::now();
        for circuit in std::iter::once(&self.all).chain(self.keys.values()) {
            let mut circuit = circuit.borrow_mut();
            let before = circuit.configure(now, settings.config());
            circuit.recover_anew(before, || 0.0);
        }
        self.settings = settings;
        if std::mem::replace(&mut self.switch, switch) == switch {
            return;
        }
        let phase = match switch {
            Switch::On | Switch::Off => None,
            Switch::ForcedOpen => Some(Phase::ForcedOpen),
            Switch::ForcedClosed => Some(Phase::Disabled),
        };
        let before = std::mem::replace(&mut self.forced, phase);
        let transition = match (phase, before) {
            (Some(Phase::ForcedOpen), _) => self.all.borrow_mut().force_open(),
            (Some(_), _) => self.all.borrow_mut().disable(),
            // It takes back what it has set, and nothing else.
            (None, Some(before)) if self.all.borrow().phase() == before => return self.reset(),
            (None, _) => None,
        };
        self.tell(transition);
    }

    fn by_hand(&mut self, hand: Hand) {
        self.forced = None;
        let transition = match hand {
            Hand::ForceOpen => self.all.borrow_mut().force_open(),
            Hand::Disable => self.all.borrow_mut().disable(),
            Hand::Reset => return self.reset(),
        };
        self.tell(transition);
    }

    /// Circuits of keys are forgotten.
    fn reset(&mut self) {
        let keys = std::mem::take(&mut self.keys).into_values();
        for circuit in std::iter::once(Rc::clone(&self.all)).chain(keys) {
            let transition = circuit.borrow_mut().reset();
            self.tell(transition);
        }
    }

    fn tally(&self) -> Tally {
        let mut sum = self.all.borrow_mut().tally(clock::now());
        for circuit in self.keys.values() {
            sum.join(circuit.borrow_mut().tally(clock::now()));
        }
        sum
    }
}

/// The breaker beside its page.
struct Both {
    breaker: CircuitBreaker,
    page: Page,
    calls: Vec<(Permit, Call)>,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Both {
    async fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Begin(key) => self.begin(key)?,
            Step::End(index, end) if !self.calls.is_empty() => {
                let (permit, call) = self.calls.swap_remove(index.index(self.calls.len()));
                match end {
                    End::Success => permit.success(),
                    End::Failure => permit.failure(),
                    End::Dropped => drop(permit),
                }
                self.page.end(call, end);
            }
            Step::End(..) => {}
            Step::Pass(millis) => tokio::time::advance(Duration::from_millis(millis)).await,
            Step::Configure(settings, switch) => {
                assert_eq!(settings.check(), Ok(()));
                self.breaker.reconfigure(&settings, switch);
                self.page.configure(settings, switch);
            }
            Step::Switch(switch) => {
                let settings = self.page.settings;
                self.breaker.reconfigure(&settings, switch);
                self.page.configure(settings, switch);
            }
            Step::ByHand(hand) => {
                match hand {
                    Hand::ForceOpen => self.breaker.force_open(),
                    Hand::Disable => self.breaker.disable(),
                    Hand::Reset => self.breaker.reset(),
                }
                self.page.by_hand(hand);
            }
        }
        self.compare()
    }

    fn begin(&mut self, key: Option<u8>) -> Result<(), TestCaseError> {
        let permit = match key {
            None => self.breaker.try_acquire(),
            Some(key) => self.breaker.try_acquire_for(&key),
        };
        match (permit, self.page.begin(key)) {
            (Ok(permit), Ok(call)) => self.calls.push((permit, call)),
            (permit, call) => {
                let refused = permit.map(drop).map_err(|open| open.retry_after);
                prop_assert_eq!(refused, call.map(drop));
            }
        }
        Ok(())
    }

    fn compare(&mut self) -> Result<(), TestCaseError> {
        let (page, metrics) = (&mut self.page, self.breaker.metrics());
        let phase = page.all.borrow().phase();
        prop_assert_eq!(self.breaker.state(), CircuitState::from(phase));
        let tally = page.tally();
        let window = (metrics.calls, metrics.failures, metrics.slow_calls);
        prop_assert_eq!(window, (tally.calls, tally.failures, tally.slow));
        let totals = [
            metrics.total_successes,
            metrics.total_failures,
            metrics.total_slow_calls,
            metrics.total_ignored,
            metrics.total_refused,
        ];
        prop_assert_eq!(totals, page.totals);
        // Circuits of keys are in no order.
        let by_text = |told: &Told| format!("{told:?}");
        let (mut told, mut expected) = (
            std::mem::take(&mut *self.told.lock().unwrap()),
            std::mem::take(&mut page.told),
        );
        told.sort_by_key(by_text);
        expected.sort_by_key(by_text);
        prop_assert_eq!(told, expected);
        Ok(())
    }
}

fn both(settings: CircuitBreakerSettings) -> (Both, crate::Subscription) {
    let (sink, told) = (Sink::new(), Arc::new(Mutex::new(Vec::new())));
    let subscription = sink.subscribe({
        let told = Arc::clone(&told);
        move |event| {
            if let Event::StateChanged(change) = event {
                told.lock()
                    .unwrap()
                    .push((change.from, change.to, change.generation));
            }
        }
    });
    let both = Both {
        breaker: CircuitBreaker::assemble("quotes".into(), &settings, sink),
        page: Page::new(settings),
        calls: Vec::new(),
        told,
    };
    (both, subscription)
}

proptest! {
    #[test]
    fn a_breaker_does_what_its_page_says_whatever_is_in_force(settings in any_settings(), steps in steps()) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (mut both, _subscription) = both(settings);
            for step in steps {
                both.step(step).await?;
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}
