//! Other settings while calls run and wait.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use proptest::prelude::*;

use super::{
    Bulkhead, BulkheadSettings,
    gate::{Full, Gate, Passage, Waiting, enter_or_refuse, judge_again},
    places::Places,
    rules::{InForce, Manner, Rules},
    striped::Striped,
};
use crate::{
    Rejection,
    admission::{Admits as _, Waits as _},
    call::Call,
    clock::{self, Nanos},
    policy::{Policy as _, Switch},
    waiter::{Progress, Wait, wait_blocking, wake},
};

const SECOND: Duration = Duration::from_secs(1);

/// Rules that are replaced.
struct Changing(Mutex<Rules>);

impl Changing {
    fn new(rules: Rules) -> Self {
        Self(Mutex::new(rules))
    }

    fn set(&self, rules: Rules) {
        *self.0.lock().unwrap() = rules;
    }
}

impl InForce for Changing {
    fn rules(&self) -> Rules {
        *self.0.lock().unwrap()
    }
}

fn waits(limit: u32, nanos: u64, max_queue: u32) -> Rules {
    let max_wait = Duration::from_nanos(nanos);
    Rules {
        limit,
        manner: Manner::Wait {
            max_wait,
            max_queue,
        },
    }
}

const ABSENT: Rules = Rules {
    limit: 0,
    manner: Manner::Absent,
};

#[derive(Debug, Clone, Copy)]
enum Step {
    Enter,
    Try,
    /// And has so long at the most.
    LineUp(u64),
    Poll(prop::sample::Index),
    Drop(prop::sample::Index),
    Release,
    Pass(u64),
    /// Other rules are in force, and those who wait are judged.
    Change(Rules),
    /// Other rules are in force, and those who wait have yet to be judged.
    Begin(Rules),
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let manner = prop_oneof![
        4 => (1u64..50, 1u32..5).prop_map(|(nanos, max_queue)| Manner::Wait {
            max_wait: Duration::from_nanos(nanos),
            max_queue,
        }),
        1 => Just(Manner::Refuse),
        1 => Just(Manner::Watch),
    ];
    let rules = (1u32..5, manner).prop_map(|(limit, manner)| Rules { limit, manner });
    prop_oneof![6 => rules, 1 => Just(ABSENT)]
}

fn any_step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        2 => Just(Step::Enter),
        1 => Just(Step::Try),
        6 => (1u64..80).prop_map(Step::LineUp),
        2 => index().prop_map(Step::Poll),
        1 => index().prop_map(Step::Drop),
        4 => Just(Step::Release),
        2 => (1u64..20).prop_map(Step::Pass),
        2 => any_rules().prop_map(Step::Change),
        1 => any_rules().prop_map(Step::Begin),
    ]
}

/// A number, and a list of those who wait or have been told and have not looked.
struct Model {
    rules: Rules,
    /// Of the rules that the line was last judged by.
    limit: u32,
    inside: u32,
    line: Vec<Caller>,
}

#[derive(Debug, Clone, Copy)]
struct Caller {
    came: u64,
    deadline: u64,
    give_up: u64,
    told: Option<Result<Passage, Full>>,
}

impl Model {
    fn waiting(&self) -> u32 {
        self.line
            .iter()
            .filter(|caller| caller.told.is_none())
            .count() as u32
    }

    fn has_place(&self) -> bool {
        self.waiting() == 0 && self.inside < self.limit
    }

    fn full(&self) -> Full {
        Full {
            waiting: self.waiting(),
            max_concurrent: self.limit,
        }
    }

    fn admit(&mut self) {
        for caller in self.line.iter_mut().filter(|caller| caller.told.is_none()) {
            if self.inside < self.limit {
                caller.told = Some(Ok(Passage::In));
                self.inside += 1;
            }
        }
    }

    fn judge(&mut self) {
        self.limit = self.rules.limit;
        self.admit();
        let keep = self.rules.manner.max_queue().min(self.waiting());
        let full = Full {
            waiting: keep,
            max_concurrent: self.limit,
        };
        let mut left = keep;
        for caller in self.line.iter_mut().filter(|caller| caller.told.is_none()) {
            if left > 0 {
                left -= 1;
                let waits = self.rules.manner.max_wait().as_nanos() as u64;
                caller.give_up = (caller.came + waits).min(caller.deadline);
                continue;
            }
            caller.told = Some(match self.rules.manner {
                Manner::Absent => Ok(Passage::By),
                Manner::Watch => Ok(Passage::Over(full)),
                _ => Err(full),
            });
            self.inside += u32::from(self.rules.manner == Manner::Watch);
        }
    }

    /// `None`: it waits.
    fn come(&mut self, can_wait: bool) -> Option<Result<Passage, Full>> {
        if self.limit != self.rules.limit {
            self.judge();
        }
        if self.rules.manner == Manner::Absent {
            return Some(Ok(Passage::By));
        }
        let full = self.full();
        if self.has_place() {
            self.inside += 1;
            return Some(Ok(Passage::In));
        }
        match self.rules.manner {
            Manner::Watch => {
                self.inside += 1;
                Some(Ok(Passage::Over(full)))
            }
            manner if can_wait && full.waiting < manner.max_queue() => None,
            _ => Some(Err(full)),
        }
    }

    fn release(&mut self) {
        self.inside -= 1;
        self.admit();
    }
}

fn behaves_like_the_model<P: Places>(
    steps: Vec<Step>,
    places: &P,
    rules: Rules,
) -> Result<(), TestCaseError> {
    let in_force = Changing::new(rules);
    let mut model = Model {
        rules,
        limit: rules.limit,
        inside: 0,
        line: Vec::new(),
    };
    let mut line: Vec<Waiting<&P, &Changing>> = Vec::new();
    let mut now = 1_000;
    for step in steps {
        match step {
            Step::Enter => {
                let expected = model.has_place();
                prop_assert_eq!(places.try_enter(), expected);
                model.inside += u32::from(expected);
            }
            Step::Try => {
                let expected = model.come(false);
                prop_assert_eq!(Some(enter_or_refuse(places, &in_force)), expected);
            }
            Step::LineUp(time) => {
                let deadline = now + time;
                let mut new = Waiting::new(places, &in_force, Nanos(now), Nanos(deadline));
                let progress = new.poll(Waker::noop(), Nanos(now));
                if let Some(told) = model.come(true) {
                    prop_assert_eq!(progress, Progress::Ready(told));
                    continue;
                }
                let max_wait = model.rules.manner.max_wait().as_nanos() as u64;
                let give_up = deadline.min(now + max_wait);
                prop_assert_eq!(progress, Progress::Until(Nanos(give_up)));
                line.push(new);
                let (came, told) = (now, None);
                model.line.push(Caller {
                    came,
                    deadline,
                    give_up,
                    told,
                });
            }
            Step::Poll(index) if !line.is_empty() => {
                let index = index.index(line.len());
                let progress = line[index].poll(Waker::noop(), Nanos(now));
                let caller = model.line[index];
                let expected = match caller.told {
                    Some(told) => Progress::Ready(told),
                    None if now < caller.give_up => Progress::Until(Nanos(caller.give_up)),
                    None => {
                        let waiting = model.waiting() - 1;
                        let max_concurrent = model.limit;
                        Progress::Ready(Err(Full {
                            waiting,
                            max_concurrent,
                        }))
                    }
                };
                prop_assert_eq!(progress, expected);
                if let Progress::Ready(_) = expected {
                    line.remove(index);
                    model.line.remove(index);
                }
            }
            Step::Drop(index) if !line.is_empty() => {
                let index = index.index(line.len());
                drop(line.remove(index));
                let caller = model.line.remove(index);
                if let Some(Ok(Passage::In | Passage::Over(_))) = caller.told {
                    model.release();
                }
            }
            Step::Release => {
                let untaken = model.line.iter().filter(|caller| {
                    matches!(caller.told, Some(Ok(Passage::In | Passage::Over(_))))
                });
                if model.inside > untaken.count() as u32 {
                    places.release();
                    model.release();
                }
            }
            Step::Pass(time) => now += time,
            Step::Change(rules) => {
                in_force.set(rules);
                model.rules = rules;
                judge_again(places, &in_force).into_iter().for_each(wake);
                model.judge();
            }
            Step::Begin(rules) => {
                in_force.set(rules);
                model.rules = rules;
            }
            _ => {}
        }
        prop_assert_eq!(places.in_flight(), model.inside);
        prop_assert_eq!(places.gate().waiting(), model.waiting());
    }
    line.clear();
    while places.in_flight() > 0 {
        places.release();
    }
    prop_assert_eq!(places.gate().waiting(), 0);
    Ok(())
}

proptest! {
    #[test]
    fn a_gate_whose_rules_change_behaves_like_a_plain_line(
        steps in prop::collection::vec(any_step(), 0..200),
    ) {
        behaves_like_the_model(steps, &Gate::new(2), waits(2, 20, 3))?;
    }

    #[test]
    fn so_do_places_that_lend_permits(steps in prop::collection::vec(any_step(), 0..200)) {
        behaves_like_the_model(steps, &Striped::new(2), waits(2, 20, 3))?;
    }
}

fn bulkhead(settings: BulkheadSettings) -> Bulkhead {
    crate::policy::build("test".into(), &settings).unwrap()
}

fn settings(max_concurrent: u32) -> BulkheadSettings {
    BulkheadSettings::new().max_concurrent(max_concurrent)
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

type Acquiring<'b> =
    Pin<Box<dyn Future<Output = Result<crate::BulkheadPermit, Rejection>> + Send + 'b>>;

/// So many callers who wait, of the places of that key.
fn line<'b>(bulkhead: &'b Bulkhead, key: Option<&'b str>, length: usize) -> Vec<Acquiring<'b>> {
    let new = |_| -> Acquiring<'b> {
        let mut acquiring: Acquiring<'b> = match key {
            Some(key) => Box::pin(bulkhead.acquire_for(key)),
            None => Box::pin(bulkhead.acquire()),
        };
        assert!(poll(acquiring.as_mut()).is_pending());
        acquiring
    };
    (0..length).map(new).collect()
}

fn is_full(polled: &Poll<Result<crate::BulkheadPermit, Rejection>>) -> bool {
    matches!(polled, Poll::Ready(Err(Rejection::BulkheadFull(_))))
}

#[test]
fn switched_off_it_lets_every_call_by_and_counts_none() {
    let bulkhead = bulkhead(settings(1).max_wait(SECOND));
    let before = (
        bulkhead.try_acquire().unwrap(),
        bulkhead.try_acquire_for("a").unwrap(),
    );
    bulkhead.switch(Switch::Off);
    let call = Call::new();
    let by = [
        bulkhead.try_acquire().unwrap(),
        bulkhead.try_acquire_for("a").unwrap(),
        bulkhead.try_acquire_for("new").unwrap(),
        bulkhead.acquire_blocking().unwrap(),
        bulkhead.acquire_blocking_for("a").unwrap(),
    ];
    let entries = (
        bulkhead.admit_blocking(&call).unwrap(),
        bulkhead.enter_key_blocking(&call, "a").unwrap(),
    );
    assert!(matches!(
        bulkhead.admit(&call),
        crate::entered::Entered::In(_)
    ));
    let metrics = bulkhead.metrics();
    assert_eq!(
        (metrics.in_flight, metrics.waiting, metrics.refused),
        (2, 0, 0)
    );
    assert_eq!((metrics.max_concurrent, by[0].fence()), (1, None));
    assert!(bulkhead.condition().is_none());
    drop(before.0);
    assert_eq!(bulkhead.metrics().in_flight, 1);
    bulkhead.switch(Switch::On);
    // What they hold is no place, whenever they give it back.
    let held = bulkhead.try_acquire().unwrap();
    drop((by, entries));
    assert_eq!(bulkhead.metrics().in_flight, 2);
    assert!(bulkhead.try_acquire().is_err() && bulkhead.try_acquire_for("a").is_err());
    drop((held, before.1));
    assert_eq!(bulkhead.metrics().in_flight, 0);
    assert!(bulkhead.try_acquire().is_ok() && bulkhead.try_acquire_for("a").is_ok());
}

#[tokio::test(start_paused = true)]
async fn callers_who_wait_go_by_when_it_is_switched_off() {
    let bulkhead = bulkhead(settings(1).max_wait(60 * SECOND));
    for key in [None, Some("a")] {
        let held = match key {
            Some(key) => bulkhead.try_acquire_for(key).unwrap(),
            None => bulkhead.try_acquire().unwrap(),
        };
        let mut line = line(&bulkhead, key, 3);
        bulkhead.switch(Switch::Off);
        assert_eq!(bulkhead.metrics().waiting, 0);
        drop(line.pop());
        let mut by = Vec::new();
        for waits in line {
            by.push(waits.await.unwrap());
        }
        assert_eq!(bulkhead.metrics().in_flight, 1);
        bulkhead.switch(Switch::On);
        drop(by);
        assert_eq!(bulkhead.metrics().in_flight, 1);
        drop(held);
        assert_eq!(bulkhead.metrics().in_flight, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn who_only_watches_lets_those_in_who_wait_and_tells_of_them() {
    let bulkhead = bulkhead(settings(1).max_wait(60 * SECOND));
    let held = bulkhead.try_acquire().unwrap();
    let line = line(&bulkhead, None, 3);
    bulkhead.change(|settings| settings.enforce(false));
    assert_eq!(
        (bulkhead.metrics().in_flight, bulkhead.metrics().waiting),
        (4, 0)
    );
    let mut inside = Vec::new();
    for waits in line {
        inside.push(waits.await.unwrap());
    }
    assert_eq!(bulkhead.metrics().refused, 3);
    bulkhead.change(|settings| settings.enforce(true));
    drop((held, inside));
    assert_eq!(bulkhead.metrics().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_raised_limit_lets_in_at_once_those_who_came_first() {
    let bulkhead = bulkhead(settings(1).max_wait(60 * SECOND));
    for key in [None, Some("a")] {
        bulkhead.change(|settings| settings.max_concurrent(1));
        let _held = match key {
            Some(key) => bulkhead.try_acquire_for(key).unwrap(),
            None => bulkhead.try_acquire().unwrap(),
        };
        let mut line = line(&bulkhead, key, 3);
        bulkhead.change(|settings| settings.max_concurrent(3));
        assert!(poll(line[2].as_mut()).is_pending());
        assert!(poll(line[0].as_mut()).is_ready());
        assert!(poll(line[1].as_mut()).is_ready());
    }
}

#[tokio::test(start_paused = true)]
async fn room_is_filled_before_anybody_is_sent_away() {
    let bulkhead = bulkhead(settings(1).max_wait(60 * SECOND));
    let _held = bulkhead.try_acquire().unwrap();
    let mut line = line(&bulkhead, None, 5);
    bulkhead.change(|settings| settings.max_concurrent(3).max_queue(2));
    let polled: Vec<_> = line.iter_mut().map(|waits| poll(waits.as_mut())).collect();
    let ready: Vec<_> = polled
        .iter()
        .map(|p| matches!(p, Poll::Ready(Ok(_))))
        .collect();
    let full: Vec<_> = polled.iter().map(is_full).collect();
    assert_eq!(ready, [true, true, false, false, false]);
    assert_eq!(full, [false, false, false, false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_line_sends_those_at_its_end_away() {
    let bulkhead = bulkhead(settings(1).max_wait(60 * SECOND));
    let held = bulkhead.try_acquire().unwrap();
    let mut line = line(&bulkhead, None, 4);
    bulkhead.change(|settings| settings.max_queue(2));
    assert_eq!(bulkhead.metrics().waiting, 2);
    for sent in line.drain(2..) {
        match sent.await {
            Err(Rejection::BulkheadFull(full)) => {
                assert_eq!((full.waiting, full.max_concurrent), (2, 1));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bulkhead.metrics().refused, 2);
    drop(held);
    assert!(poll(line[1].as_mut()).is_pending());
    assert!(poll(line[0].as_mut()).is_ready());
}

#[tokio::test(start_paused = true)]
async fn another_max_wait_counts_from_when_each_began_to_wait() {
    let bulkhead = Arc::new(bulkhead(settings(1).max_wait(60 * SECOND)));
    let _held = bulkhead.try_acquire().unwrap();
    let start = clock::now();
    let spawn = || {
        let bulkhead = Arc::clone(&bulkhead);
        tokio::spawn(async move {
            assert!(bulkhead.acquire().await.is_err());
            clock::now().since(start)
        })
    };
    let early = spawn();
    tokio::time::sleep(10 * SECOND).await;
    let late = spawn();
    tokio::time::sleep(5 * SECOND).await;
    bulkhead.change(|settings| settings.max_wait(12 * SECOND));
    assert_eq!(early.await.unwrap(), 15 * SECOND, "its time is up: at once");
    let longer = spawn();
    tokio::time::sleep(SECOND).await;
    bulkhead.change(|settings| settings.max_wait(30 * SECOND));
    assert_eq!(late.await.unwrap(), 40 * SECOND);
    assert_eq!(longer.await.unwrap(), 45 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_may_wait_any_more_those_who_do_are_refused() {
    let bulkhead = bulkhead(settings(1).max_wait(60 * SECOND));
    let _held = bulkhead.try_acquire().unwrap();
    let line = line(&bulkhead, None, 3);
    bulkhead.reconfigure(&settings(2), Switch::On);
    let (mut inside, mut refused) = (0, 0);
    let start = clock::now();
    let mut kept = Vec::new();
    for waits in line {
        match waits.await {
            Ok(permit) => {
                inside += 1;
                kept.push(permit);
            }
            Err(_) => refused += 1,
        }
    }
    assert_eq!((inside, refused, clock::now()), (1, 2, start));
    assert!(bulkhead.try_acquire().is_err());
    assert_eq!(bulkhead.metrics().refused, 3);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_timeout_further_out_stays() {
    let bulkhead = bulkhead(settings(1).max_wait(SECOND));
    let _held = bulkhead.try_acquire().unwrap();
    let (call, start) = (Call::new(), clock::now());
    call.set_deadline(start.after(3 * SECOND));
    let mut waits = Box::pin(bulkhead.admit(&call).into_future());
    assert!(poll(waits.as_mut()).is_pending());
    bulkhead.change(|settings| settings.max_wait(60 * SECOND));
    assert!(waits.await.is_err());
    assert_eq!(clock::now().since(start), 3 * SECOND);
}

#[test]
fn a_lowered_limit_drains() {
    let bulkhead = bulkhead(settings(3));
    let mut held: Vec<_> = (0..3).map(|_| bulkhead.try_acquire().unwrap()).collect();
    bulkhead.change(|settings| settings.max_concurrent(1));
    assert_eq!(bulkhead.metrics().in_flight, 3);
    for _ in 0..2 {
        drop(held.pop());
        assert!(bulkhead.try_acquire().is_err());
    }
    drop(held);
    assert!(bulkhead.try_acquire().is_ok());
}

#[test]
fn the_settings_in_force_are_shown() {
    let bulkhead = bulkhead(settings(3).max_wait(SECOND));
    let other = settings(7);
    bulkhead.reconfigure(&other, Switch::On);
    assert_eq!(bulkhead.metrics().max_concurrent, 7);
    let shown = bulkhead.settings();
    let value = |name| shown.iter().find(|s| s.name == name).map(|s| &*s.value);
    assert_eq!(value("max_concurrent"), Some("7"));
    assert_eq!(value("max_wait"), Some("none"));
}

#[test]
fn fewer_keys_are_remembered_from_then_on() {
    let bulkhead = bulkhead(settings(1).max_keys(1));
    let held = bulkhead.try_acquire_for("a").unwrap();
    bulkhead.change(|settings| settings.max_keys(3));
    let _own = [
        bulkhead.try_acquire_for("b").unwrap(),
        bulkhead.try_acquire_for("c").unwrap(),
    ];
    bulkhead.change(|settings| settings.max_keys(1));
    // In use, none may be forgotten: new keys share.
    let shared = bulkhead.try_acquire_for("d").unwrap();
    drop(held);
    assert!(bulkhead.try_acquire_for("b").is_err());
    drop(shared);
    assert_eq!(bulkhead.metrics().in_flight, 2);
}

/// Blocking callers stand in the line of which others are sent away, and go on when it is switched off.
#[test]
fn a_blocking_caller_is_judged_again() {
    let bulkhead = bulkhead(settings(1).max_wait(600 * SECOND));
    let waits_until = |number| {
        while bulkhead.metrics().waiting != number {
            thread::yield_now();
        }
    };
    for outcome in ["raised", "off", "refused", "short"] {
        bulkhead.reconfigure(&settings(1).max_wait(600 * SECOND), Switch::On);
        let held = bulkhead.try_acquire().unwrap();
        thread::scope(|scope| {
            let waits = scope.spawn(|| bulkhead.acquire_blocking());
            waits_until(1);
            match outcome {
                "raised" => bulkhead.change(|settings| settings.max_concurrent(2)),
                "off" => bulkhead.switch(Switch::Off),
                "refused" => bulkhead.reconfigure(&settings(1), Switch::On),
                _ => bulkhead.change(|settings| settings.max_wait(Duration::from_nanos(1))),
            }
            let entered = waits.join().unwrap();
            assert_eq!(
                entered.is_ok(),
                ["raised", "off"].contains(&outcome),
                "{outcome}"
            );
        });
        drop(held);
        assert_eq!(bulkhead.metrics().in_flight, 0, "{outcome}");
    }
}

/// Callers of all sorts, while another thread changes the settings to and fro: never more are in than the
/// larger limit, nobody who waits without end is forgotten, and in the end all places are free.
#[test]
fn no_place_and_no_caller_is_lost_while_the_limit_goes_to_and_fro() {
    const LARGE: u32 = 6;
    let small = settings(2).max_wait(600 * SECOND).max_queue(100_000);
    let large = small.max_concurrent(LARGE);
    let bulkhead = bulkhead(small);
    let (inside, most) = (AtomicU32::new(0), AtomicU32::new(0));
    let (entered, done) = (AtomicU64::new(0), AtomicBool::new(false));
    // For the timer of those who are asked once and dropped.
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build().unwrap();
    let work = |rounds: u32| {
        most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
        entered.fetch_add(1, SeqCst);
        (0..rounds).for_each(|_| thread::yield_now());
        inside.fetch_sub(1, SeqCst);
    };
    thread::scope(|scope| {
        let callers: Vec<_> = (0..8u64)
            .map(|thread| {
                let (bulkhead, work, runtime) = (&bulkhead, &work, &runtime);
                scope.spawn(move || {
                    let _runtime = runtime.enter();
                    let mut random = fastrand::Rng::with_seed(thread);
                    let mut waited = 0;
                    while waited < 1_500 {
                        match random.u8(..4) {
                            0 => drop(bulkhead.try_acquire().inspect(|_| work(0))),
                            1 => {
                                let mut acquiring = Box::pin(bulkhead.acquire());
                                if let Poll::Ready(entered) = poll(acquiring.as_mut()) {
                                    drop(entered.inspect(|_| work(1)));
                                }
                            }
                            _ => {
                                let permit = bulkhead.acquire_blocking().unwrap();
                                work(random.u32(..2));
                                drop(permit);
                                waited += 1;
                            }
                        }
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !done.load(SeqCst) {
                bulkhead.reconfigure(&large, Switch::On);
                thread::yield_now();
                bulkhead.reconfigure(&small, Switch::On);
            }
        });
        callers
            .into_iter()
            .for_each(|caller| caller.join().unwrap());
        done.store(true, SeqCst);
    });
    assert!(most.load(SeqCst) <= LARGE, "{}", most.load(SeqCst));
    assert!(entered.load(SeqCst) >= 8 * 1_500);
    bulkhead.reconfigure(&large, Switch::On);
    let all: Vec<_> = (0..LARGE)
        .map(|_| bulkhead.try_acquire().unwrap())
        .collect();
    assert!(bulkhead.try_acquire().is_err());
    drop(all);
    let metrics = bulkhead.metrics();
    assert_eq!((metrics.in_flight, metrics.waiting), (0, 0));
}

/// The same with everything that can be said: whoever comes is let in or refused, and nothing is lost.
#[test]
fn nothing_is_lost_while_everything_changes() {
    let all = [
        (settings(2).max_wait(600 * SECOND), Switch::On),
        (settings(3), Switch::On),
        (settings(2).max_wait(600 * SECOND).max_queue(1), Switch::On),
        (settings(1).max_wait(Duration::from_micros(20)), Switch::On),
        (settings(4).enforce(false), Switch::On),
        (settings(1).max_wait(600 * SECOND), Switch::Off),
    ];
    let bulkhead = bulkhead(all[0].0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let callers: Vec<_> = (0..6u64)
            .map(|thread| {
                let bulkhead = &bulkhead;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(thread);
                    let mut held = Vec::new();
                    for _ in 0..3_000 {
                        let key = ["a", "b"][random.usize(..2)];
                        let permit = match random.u8(..5) {
                            0 => bulkhead.try_acquire().ok(),
                            1 => bulkhead.try_acquire_for(key).ok(),
                            2 => bulkhead.acquire_blocking_for(key).ok(),
                            _ => bulkhead.acquire_blocking().ok(),
                        };
                        // One is kept now and then beyond a change, and given back before any wait.
                        held.clear();
                        held.extend(permit.filter(|_| random.bool()));
                        if random.bool() {
                            thread::yield_now();
                        }
                        held.clear();
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            let mut random = fastrand::Rng::with_seed(99);
            while !done.load(SeqCst) {
                let (settings, switch) = &all[random.usize(..all.len())];
                bulkhead.reconfigure(settings, *switch);
                thread::yield_now();
            }
            bulkhead.reconfigure(&all[0].0, Switch::On);
        });
        callers
            .into_iter()
            .for_each(|caller| caller.join().unwrap());
        done.store(true, SeqCst);
    });
    let metrics = bulkhead.metrics();
    assert_eq!((metrics.in_flight, metrics.waiting), (0, 0));
    for key in [None, Some("a"), Some("b")] {
        let acquire = || match key {
            Some(key) => bulkhead.try_acquire_for(key),
            None => bulkhead.try_acquire(),
        };
        let _both = [acquire().unwrap(), acquire().unwrap()];
        assert!(acquire().is_err());
    }
}

/// Two settings, of which each serves a second caller at once: one refuses it, the other lets it in.
/// A mixture would let it wait.
#[test]
fn a_caller_sees_the_old_settings_or_the_new_and_no_mixture() {
    // Two places and nobody waits; or one place, and whoever finds it taken waits.
    let (refuses, waits) = (settings(2), settings(1).max_wait(600 * SECOND));
    let bulkhead = bulkhead(refuses);
    let done = AtomicBool::new(false);
    let _held = bulkhead.try_acquire().unwrap();
    thread::scope(|scope| {
        let callers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        // One caller beside the one held: it enters, or waits and enters after the next
                        // change. It is refused where there are two, by a limit of two.
                        match bulkhead.acquire_blocking() {
                            Ok(permit) => drop(permit),
                            Err(Rejection::BulkheadFull(full)) => {
                                assert_eq!(full.max_concurrent, 2);
                            }
                            Err(other) => panic!("{other}"),
                        }
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !done.load(SeqCst) {
                bulkhead.reconfigure(&waits, Switch::On);
                thread::yield_now();
                bulkhead.reconfigure(&refuses, Switch::On);
                thread::yield_now();
            }
        });
        callers
            .into_iter()
            .for_each(|caller| caller.join().unwrap());
        done.store(true, SeqCst);
    });
}

#[tokio::test(start_paused = true)]
async fn a_waker_that_comes_back_in_finds_no_lock_taken() {
    struct Comes(Bulkhead);
    impl std::task::Wake for Comes {
        fn wake(self: Arc<Self>) {
            self.0.change(|settings| settings.max_concurrent(3));
            drop(self.0.try_acquire_for("first"));
        }
    }
    let bulkhead = bulkhead(settings(1).max_wait(600 * SECOND));
    let _held = bulkhead.try_acquire().unwrap();
    let waker = Waker::from(Arc::new(Comes(bulkhead.clone())));
    let mut acquiring = Box::pin(bulkhead.acquire());
    let mut context = Context::from_waker(&waker);
    assert!(acquiring.as_mut().poll(&mut context).is_pending());
    bulkhead.change(|settings| settings.max_concurrent(2));
    assert!(acquiring.as_mut().poll(&mut context).is_ready());
    assert_eq!(bulkhead.metrics().max_concurrent, 3);
}

/// A caller in the line of a gate that is handed a permit, and one that is sent away: each once.
#[test]
fn who_is_dropped_without_having_looked_takes_nothing_along() {
    let gate = Gate::new(1);
    let in_force = Changing::new(waits(1, 100, 10));
    assert!(gate.try_enter());
    let new = || {
        let mut waiting = Waiting::new(&gate, &in_force, Nanos(0), Nanos(100));
        assert_eq!(
            waiting.poll(Waker::noop(), Nanos(0)),
            Progress::Until(Nanos(100))
        );
        waiting
    };
    for (rules, left) in [
        (
            Rules {
                limit: 2,
                manner: Manner::Refuse,
            },
            2,
        ),
        (
            Rules {
                limit: 1,
                manner: Manner::Watch,
            },
            3,
        ),
        (ABSENT, 1),
    ] {
        let line = [new(), new()];
        in_force.set(rules);
        judge_again(&gate, &in_force).into_iter().for_each(wake);
        assert_eq!((gate.in_flight(), gate.waiting()), (left, 0));
        drop(line);
        assert_eq!(gate.in_flight(), 1);
        in_force.set(waits(1, 100, 10));
        judge_again(&gate, &in_force).into_iter().for_each(wake);
    }
    let waiting = Waiting::new(&gate, &in_force, Nanos(0), Nanos::NEVER);
    in_force.set(ABSENT);
    assert_eq!(
        wait_blocking(waiting),
        Ok(Passage::By),
        "it had not lined up"
    );
}
