//! A breaker whose settings are replaced while it is in use.

use std::{
    future::Future,
    io,
    pin::pin,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use crate::{
    Cancelled, CircuitBreaker, CircuitState, Event, Registry, Subscription, Window,
    policy::{self, Policy, Switch, circuit_breaker::CircuitBreakerSettings},
    test::isolated,
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

type Change = (CircuitState, CircuitState);

/// A breaker, and the changes of state that were told.
struct Scene {
    breaker: CircuitBreaker,
    told: Arc<Mutex<Vec<Change>>>,
    registry: Registry,
    _subscription: Subscription,
}

fn scene(settings: CircuitBreakerSettings) -> Scene {
    let test = isolated();
    let registry = test.registry();
    let told: Arc<Mutex<Vec<Change>>> = Arc::default();
    let subscription = registry.subscribe({
        let told = Arc::clone(&told);
        move |event| {
            if let Event::StateChanged(change) = event {
                told.lock().unwrap().push((change.from, change.to));
            }
        }
    });
    Scene {
        breaker: policy::build("quotes".into(), &settings).unwrap(),
        told,
        registry,
        _subscription: subscription,
    }
}

impl Scene {
    fn now(&self, settings: CircuitBreakerSettings) {
        self.switch(settings, Switch::On);
    }

    fn switch(&self, settings: CircuitBreakerSettings, switch: Switch) {
        policy::check::<CircuitBreaker>(self.breaker.name(), &settings).unwrap();
        self.breaker.reconfigure(&settings, switch);
    }

    fn good(&self, times: u32) {
        (0..times).for_each(|_| self.breaker.try_acquire().unwrap().success());
    }

    fn bad(&self, times: u32) {
        (0..times).for_each(|_| self.breaker.try_acquire().unwrap().failure());
    }

    fn is_refused(&self) -> bool {
        self.breaker.try_acquire().is_err()
    }

    fn state(&self) -> CircuitState {
        self.breaker.state()
    }

    /// Changes told since this was asked last.
    fn told(&self) -> Vec<Change> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }
}

fn threshold(failures: u32) -> CircuitBreakerSettings {
    CircuitBreakerSettings::new()
        .failure_threshold(failures)
        .recovery_timeout(SECOND * 60)
        .success_threshold(2)
}

fn window(calls: u32) -> CircuitBreakerSettings {
    CircuitBreakerSettings::new()
        .failure_rate(0.5)
        .minimum_calls(4.min(calls))
        .window(Window::Count(calls))
}

fn window_of(time: Duration) -> CircuitBreakerSettings {
    CircuitBreakerSettings::new()
        .failure_rate(0.5)
        .minimum_calls(4)
        .window(Window::Time(time))
}

/// Polls once; whether it is done.
fn poll(future: std::pin::Pin<&mut impl Future>, waker: &Waker) -> bool {
    future.poll(&mut Context::from_waker(waker)).is_ready()
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_is_what_is_in_force() {
    let scene = scene(threshold(5));
    let shown = |name: &str| {
        let settings = scene.breaker.settings();
        settings.into_iter().find(|s| s.name == name).unwrap().value
    };
    assert_eq!(
        (shown("failure_threshold"), shown("enforce")),
        ("5".into(), "true".into())
    );
    scene.good(1);
    assert_eq!(scene.breaker.metrics().slow_call_rate, None);
    scene.now(threshold(8).enforce(false).slow_call(SECOND));
    assert_eq!(
        (shown("failure_threshold"), shown("enforce")),
        ("8".into(), "false".into())
    );
    assert_eq!(shown("slow_call"), "1s");
    assert_eq!(scene.breaker.metrics().slow_call_rate, Some(0.0));
    assert_eq!(scene.told(), []);
}

#[tokio::test(start_paused = true)]
async fn a_lower_threshold_opens_at_the_next_failure() {
    let scene = scene(threshold(10));
    scene.bad(4);
    scene.now(threshold(3));
    assert_eq!(scene.state(), CircuitState::Closed);
    scene.bad(1);
    assert_eq!(scene.state(), CircuitState::Open);
    assert_eq!(scene.told(), [(CircuitState::Closed, CircuitState::Open)]);
}

#[tokio::test(start_paused = true)]
async fn a_lower_threshold_forgives_at_a_success() {
    let scene = scene(threshold(10));
    scene.bad(4);
    scene.now(threshold(3));
    scene.good(1);
    scene.bad(2);
    assert_eq!(scene.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_resized_window_keeps_its_newest_outcomes() {
    let scene = scene(window(10).failure_rate(1.0));
    scene.bad(3);
    scene.good(5);
    scene.now(window(6).failure_rate(1.0));
    let metrics = scene.breaker.metrics();
    assert_eq!((metrics.calls, metrics.failures), (6, 1));
    scene.now(window(100).failure_rate(1.0));
    scene.good(1);
    let metrics = scene.breaker.metrics();
    assert_eq!((metrics.calls, metrics.failures), (7, 1));
}

#[tokio::test(start_paused = true)]
async fn a_clean_window_that_grows_counts_again() {
    let scene = scene(window(4));
    scene.good(20);
    assert_eq!(scene.breaker.metrics().calls, 4);
    scene.now(window(10));
    scene.good(3);
    assert_eq!(scene.breaker.metrics().calls, 7);
    scene.good(30);
    assert_eq!(scene.breaker.metrics().calls, 10);
    scene.now(window(2));
    assert_eq!(scene.breaker.metrics().calls, 2);
    assert_eq!(scene.breaker.metrics().total_successes, 53);
}

#[tokio::test(start_paused = true)]
async fn a_window_of_time_keeps_what_fits() {
    let scene = scene(window_of(SECOND * 60));
    scene.good(7);
    tokio::time::sleep(SECOND * 20).await;
    scene.good(2);
    scene.now(window_of(SECOND * 120));
    assert_eq!(scene.breaker.metrics().calls, 9);
    scene.now(window_of(SECOND * 10));
    assert_eq!(scene.breaker.metrics().calls, 2);
    scene.now(window_of(SECOND * 120));
    scene.good(1);
    assert_eq!(scene.breaker.metrics().calls, 3);
}

#[tokio::test(start_paused = true)]
async fn what_has_left_a_window_of_time_stays_out_of_a_longer_one() {
    let scene = scene(window_of(SECOND * 10));
    scene.good(5);
    tokio::time::sleep(SECOND * 30).await;
    scene.now(window_of(SECOND * 60));
    assert_eq!(scene.breaker.metrics().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_window_of_the_other_kind_starts_empty_and_counts() {
    let scene = scene(window(10));
    scene.good(10);
    for settings in [window_of(SECOND * 60), window(10), window_of(SECOND * 60)] {
        scene.now(settings);
        assert_eq!(scene.breaker.metrics().calls, 0);
        scene.good(6);
        assert_eq!(scene.breaker.metrics().calls, 6);
        scene.bad(2);
        assert_eq!(scene.breaker.metrics().failures, 2);
    }
    scene.bad(4);
    assert_eq!(scene.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_stays_open_for_the_new_time() {
    let scene = scene(threshold(1));
    scene.bad(1);
    tokio::time::sleep(SECOND * 20).await;
    let left = || {
        scene
            .breaker
            .try_acquire()
            .map(drop)
            .unwrap_err()
            .retry_after
    };
    assert_eq!(left(), Some(SECOND * 40));
    scene.now(threshold(1).recovery_timeout(SECOND * 30));
    assert_eq!(left(), Some(SECOND * 10));
    // Nothing that concerns the recovery.
    scene.now(threshold(7).recovery_timeout(SECOND * 30));
    assert_eq!(left(), Some(SECOND * 10));
    scene.now(threshold(1).recovery_timeout(SECOND * 600));
    assert_eq!(left(), Some(SECOND * 580));
    scene.now(threshold(1).recovery_timeout(SECOND * 5));
    assert_eq!(scene.state(), CircuitState::Open);
    assert!(!scene.is_refused());
    assert_eq!(scene.state(), CircuitState::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn probes_that_are_out_keep_their_places_and_their_time() {
    let settings = threshold(1)
        .half_open_requests(3)
        .success_threshold(3)
        .half_open_timeout(SECOND * 30);
    let scene = scene(settings);
    scene.bad(1);
    tokio::time::sleep(SECOND * 60).await;
    let probes: Vec<_> = (0..3)
        .map(|_| scene.breaker.try_acquire().unwrap())
        .collect();
    scene.now(
        settings
            .half_open_requests(1)
            .success_threshold(2)
            .half_open_timeout(SECOND),
    );
    assert!(scene.is_refused());
    tokio::time::sleep(SECOND * 20).await;
    // Three are out and one may be: nobody else before two of them have ended.
    assert!(scene.is_refused());
    for probe in probes.into_iter().take(2) {
        assert_eq!(scene.state(), CircuitState::HalfOpen);
        probe.success();
    }
    assert_eq!(scene.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_with_less_time_than_those_before_it_is_the_first_to_lose_its_place() {
    let settings = threshold(1)
        .half_open_requests(2)
        .half_open_timeout(SECOND * 600);
    let scene = scene(settings);
    scene.bad(1);
    tokio::time::sleep(SECOND * 60).await;
    let slow = scene.breaker.try_acquire().unwrap();
    scene.now(settings.half_open_timeout(SECOND));
    let quick = scene.breaker.try_acquire().unwrap();
    assert!(scene.is_refused());
    tokio::time::sleep(SECOND * 2).await;
    scene.breaker.try_acquire().unwrap().success();
    quick.failure();
    assert_eq!(
        scene.state(),
        CircuitState::HalfOpen,
        "it had lost its place"
    );
    slow.success();
    assert_eq!(scene.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_under_the_terms_that_it_began_under() {
    let scene = scene(threshold(9).slow_call(SECOND).slow_call_rate(1.0));
    let slow = scene.breaker.try_acquire().unwrap();
    let dropped = scene.breaker.try_acquire().unwrap();
    scene.now(
        threshold(9)
            .slow_call(SECOND * 10)
            .cancelled(Cancelled::Failure),
    );
    let quick = scene.breaker.try_acquire().unwrap();
    tokio::time::sleep(SECOND * 2).await;
    slow.success();
    quick.success();
    drop(dropped);
    let metrics = scene.breaker.metrics();
    assert_eq!((metrics.slow_calls, metrics.failures), (2, 0));
    drop(scene.breaker.try_acquire());
    assert_eq!(scene.breaker.metrics().failures, 1);
    scene.now(threshold(9));
    drop(scene.breaker.try_acquire());
    assert_eq!(scene.breaker.metrics().failures, 1);
}

#[tokio::test(start_paused = true)]
async fn an_awaited_call_ends_under_the_terms_that_it_began_under() {
    let scene = scene(threshold(9).slow_call(SECOND).slow_call_rate(1.0));
    let call = scene.breaker.call(async {
        tokio::time::sleep(SECOND * 5).await;
        io::Result::Ok(())
    });
    let reload = async {
        tokio::time::sleep(SECOND).await;
        scene.now(threshold(9).slow_call(SECOND * 60));
    };
    let (answer, ()) = tokio::join!(call, reload);
    answer.unwrap();
    assert_eq!(scene.breaker.metrics().slow_calls, 1);
}

#[tokio::test(start_paused = true)]
async fn whether_it_enforces_changes_at_once() {
    let scene = scene(threshold(1));
    scene.bad(1);
    assert!(scene.is_refused());
    scene.now(threshold(1).enforce(false));
    assert!(!scene.is_refused());
    assert_eq!(scene.breaker.metrics().total_refused, 2);
    scene.now(threshold(1));
    assert!(scene.is_refused());
    assert_eq!(scene.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn switched_off_it_is_as_if_it_were_not_there() {
    let settings = threshold(2).slow_call(SECOND);
    let scene = scene(settings);
    scene.bad(1);
    let before = scene.breaker.observe();
    let running = scene.breaker.try_acquire().unwrap();
    scene.switch(settings, Switch::Off);
    scene.bad(5);
    scene.good(5);
    drop(scene.breaker.try_acquire());
    let answer: io::Result<()> = scene
        .breaker
        .call(async { Err(io::ErrorKind::TimedOut.into()) })
        .await;
    assert_eq!(answer.unwrap_err().kind(), io::ErrorKind::TimedOut);
    let unseen = scene.breaker.try_acquire().unwrap();
    assert_eq!(scene.breaker.observe(), before);
    assert!(scene.breaker.condition().is_none());
    scene.now(settings);
    unseen.failure();
    assert_eq!(scene.breaker.observe(), before);
    // It began before.
    running.failure();
    assert_eq!(scene.state(), CircuitState::Open);
    scene.switch(settings, Switch::Off);
    assert!(!scene.is_refused());
    assert_eq!(scene.state(), CircuitState::Open);
    scene.now(settings);
    assert!(scene.is_refused());
    assert_eq!(scene.told(), [(CircuitState::Closed, CircuitState::Open)]);
}

#[tokio::test(start_paused = true)]
async fn a_probe_ends_as_one_while_it_is_switched_off() {
    let scene = scene(threshold(1).success_threshold(1));
    scene.bad(1);
    tokio::time::sleep(SECOND * 60).await;
    let probe = scene.breaker.try_acquire().unwrap();
    scene.switch(threshold(1).success_threshold(1), Switch::Off);
    probe.success();
    assert_eq!(scene.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_goes_on_where_new_settings_let_them() {
    let shorter = threshold(1).recovery_timeout(MS);
    for (settings, switch) in [
        (threshold(1), Switch::Off),
        (threshold(1), Switch::ForcedClosed),
        (threshold(1).enforce(false), Switch::On),
        (shorter, Switch::On),
    ] {
        let scene = scene(threshold(1));
        scene.bad(1);
        tokio::time::sleep(SECOND).await;
        let flag = Arc::new(Flag::default());
        let waker = Waker::from(Arc::clone(&flag));
        let mut ready = pin!(scene.breaker.ready());
        assert!(!poll(ready.as_mut(), &waker));
        scene.switch(settings, switch);
        assert!(flag.0.load(Relaxed), "{switch:?}");
        assert!(poll(ready.as_mut(), &waker), "{switch:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_waits_on_where_they_do_not() {
    let scene = scene(threshold(1));
    scene.bad(1);
    let flag = Arc::new(Flag::default());
    let waker = Waker::from(Arc::clone(&flag));
    let mut ready = pin!(scene.breaker.ready());
    assert!(!poll(ready.as_mut(), &waker));
    scene.now(threshold(1).recovery_timeout(SECOND * 90));
    assert!(!poll(ready.as_mut(), &waker));
    tokio::time::sleep(SECOND * 60).await;
    assert!(!poll(ready.as_mut(), &waker));
    tokio::time::sleep(SECOND * 30).await;
    assert!(poll(ready.as_mut(), &waker));
}

#[tokio::test(start_paused = true)]
async fn forced_open_and_back_is_told_once_each() {
    let scene = scene(threshold(3));
    scene.bad(2);
    for _ in 0..3 {
        scene.switch(threshold(3), Switch::ForcedOpen);
        assert_eq!(scene.state(), CircuitState::ForcedOpen);
        assert!(scene.is_refused());
    }
    scene.switch(threshold(4), Switch::ForcedOpen);
    assert_eq!(
        scene.told(),
        [(CircuitState::Closed, CircuitState::ForcedOpen)]
    );
    for _ in 0..2 {
        scene.now(threshold(4));
    }
    assert_eq!(
        scene.told(),
        [(CircuitState::ForcedOpen, CircuitState::Closed)]
    );
    assert_eq!(scene.breaker.metrics().calls, 0, "the window is empty");
}

#[tokio::test(start_paused = true)]
async fn forced_closed_admits_all_and_counts_nothing() {
    let scene = scene(threshold(1));
    scene.bad(1);
    scene.switch(threshold(1), Switch::ForcedClosed);
    assert_eq!(scene.state(), CircuitState::Disabled);
    scene.bad(3);
    scene.switch(threshold(1), Switch::ForcedOpen);
    assert!(scene.is_refused());
    scene.now(threshold(1));
    assert_eq!(scene.state(), CircuitState::Closed);
    use CircuitState::{Closed, Disabled, ForcedOpen, Open};
    assert_eq!(
        scene.told(),
        [
            (Closed, Open),
            (Open, Disabled),
            (Disabled, ForcedOpen),
            (ForcedOpen, Closed)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_somebody_did_by_hand_since_stays() {
    type ByHand = fn(&CircuitBreaker);
    let cases: [(ByHand, CircuitState); 4] = [
        (CircuitBreaker::reset, CircuitState::Closed),
        (CircuitBreaker::disable, CircuitState::Disabled),
        (CircuitBreaker::force_open, CircuitState::ForcedOpen),
        (
            |breaker| {
                breaker.disable();
                breaker.force_open();
            },
            CircuitState::ForcedOpen,
        ),
    ];
    for (by_hand, state) in cases {
        let scene = scene(threshold(1));
        scene.switch(threshold(1), Switch::ForcedOpen);
        by_hand(&scene.breaker);
        // The same again takes nothing back.
        scene.switch(threshold(2), Switch::ForcedOpen);
        assert_eq!(scene.state(), state);
        scene.now(threshold(2));
        assert_eq!(scene.state(), state);
    }
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_opened_after_a_reset_by_hand_stays_open() {
    let scene = scene(threshold(1));
    scene.switch(threshold(1), Switch::ForcedClosed);
    scene.breaker.reset();
    scene.bad(1);
    scene.now(threshold(1));
    assert_eq!(scene.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn what_was_forced_ends_with_the_switch_off() {
    let scene = scene(threshold(1));
    scene.switch(threshold(1), Switch::ForcedOpen);
    scene.switch(threshold(1), Switch::Off);
    assert!(!scene.is_refused());
    assert_eq!(scene.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_begins_forced_tells_nobody() {
    let scene = scene(threshold(1));
    scene.breaker.begin(&threshold(1), Switch::ForcedOpen);
    assert_eq!(scene.state(), CircuitState::ForcedOpen);
    assert_eq!(scene.told(), []);
    scene.now(threshold(1));
    assert_eq!(
        scene.told(),
        [(CircuitState::ForcedOpen, CircuitState::Closed)]
    );
}

#[tokio::test(start_paused = true)]
async fn circuits_of_keys_take_new_settings_those_that_are_made_later_too() {
    let scene = scene(threshold(9));
    let fail = |key: &str| {
        scene
            .breaker
            .try_acquire_for(key)
            .map(crate::Permit::failure)
    };
    for _ in 0..3 {
        fail("old").unwrap();
    }
    scene.now(threshold(2).max_keys(1));
    fail("old").unwrap();
    assert!(fail("old").is_err());
    // There is room for one key: the others share what is left, by the same settings.
    for key in ["new", "newer"] {
        while fail(key).is_ok() {}
        assert!(fail(key).is_err());
    }
    assert_eq!(scene.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn circuits_of_keys_are_forced_together_and_forgotten_after() {
    let scene = scene(threshold(1));
    let call = |key: &str| scene.breaker.try_acquire_for(key);
    call("down").unwrap().failure();
    assert!(call("down").is_err());
    scene.switch(threshold(1), Switch::Off);
    assert!(call("down").is_ok());
    scene.now(threshold(1));
    assert!(call("down").is_err() && call("up").is_ok());
    scene.switch(threshold(1), Switch::ForcedOpen);
    assert!(call("up").is_err());
    scene.switch(threshold(1), Switch::ForcedClosed);
    call("down").unwrap().failure();
    scene.now(threshold(1));
    assert!(call("down").is_ok() && call("up").is_ok());
}

#[tokio::test(start_paused = true)]
async fn whoever_is_told_may_come_back_with_other_settings() {
    let scene = scene(threshold(1));
    let again = scene.registry.subscribe({
        let breaker = scene.breaker.clone();
        move |event| {
            if let Event::StateChanged(change) = event
                && change.to == CircuitState::ForcedOpen
            {
                breaker.reconfigure(&threshold(1), Switch::On);
            }
        }
    });
    scene.switch(threshold(1), Switch::ForcedOpen);
    assert_eq!(scene.state(), CircuitState::Closed);
    drop(again);
}

/// Windows of calls that hold them all, and of time: what changes in turn.
fn kept_whole(turn: u32, time: bool) -> CircuitBreakerSettings {
    let window = match time {
        true => Window::Time(SECOND * (3_600 + 977 * (turn % 7))),
        false => Window::Count(2_000_000 + turn % 5),
    };
    CircuitBreakerSettings::new()
        .failure_rate(1.0)
        .failure_threshold(u32::MAX)
        .minimum_calls(1_000_000)
        .window(window)
        .enforce(turn.is_multiple_of(2))
}

#[test]
fn every_outcome_is_counted_once_while_settings_come_and_go() {
    const THREADS: u64 = 4;
    const EACH: u64 = 30_000;
    for time in [true, false] {
        let scene = scene(kept_whole(0, time));
        let done = AtomicBool::new(false);
        let begin = Barrier::new(THREADS as usize + 1);
        thread::scope(|scope| {
            let callers: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        begin.wait();
                        for call in 0..EACH {
                            let permit = scene.breaker.try_acquire().unwrap();
                            match call % 5_000 {
                                4_999 => permit.failure(),
                                _ => permit.success(),
                            }
                        }
                    })
                })
                .collect();
            scope.spawn(|| {
                begin.wait();
                for turn in (0..u32::MAX).take_while(|_| !done.load(Relaxed)) {
                    scene
                        .breaker
                        .reconfigure(&kept_whole(turn, time), Switch::On);
                }
            });
            for caller in callers {
                caller.join().unwrap();
            }
            done.store(true, Relaxed);
        });
        let metrics = scene.breaker.metrics();
        let failures = THREADS * EACH / 5_000;
        assert_eq!(
            (metrics.calls, metrics.failures),
            (THREADS * EACH, failures)
        );
        assert_eq!(metrics.total_failures, failures);
        assert_eq!(metrics.total_successes, THREADS * EACH - failures);
    }
}

#[test]
fn a_call_is_seen_or_unseen_as_a_whole_while_it_is_switched_on_and_off() {
    const EACH: u64 = 30_000;
    let scene = scene(kept_whole(0, true));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let callers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    for call in 0..EACH {
                        let permit = scene.breaker.try_acquire().unwrap();
                        match call % 100 {
                            99 => permit.failure(),
                            _ => permit.success(),
                        }
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            for turn in (0..u32::MAX).take_while(|_| !done.load(Relaxed)) {
                let switch = match turn % 2 {
                    0 => Switch::Off,
                    _ => Switch::On,
                };
                scene.breaker.reconfigure(&kept_whole(turn, true), switch);
            }
        });
        for caller in callers {
            caller.join().unwrap();
        }
        done.store(true, Relaxed);
    });
    let metrics = scene.breaker.metrics();
    assert_eq!(
        metrics.calls,
        metrics.total_successes + metrics.total_failures
    );
    assert_eq!(metrics.failures, metrics.total_failures);
}

#[test]
fn no_key_stays_on_settings_that_are_gone() {
    const KEYS: u32 = 400;
    let scene = scene(threshold(1_000).max_keys(KEYS));
    for round in 0..20 {
        scene.breaker.reset();
        scene.now(threshold(1_000).max_keys(KEYS));
        let begin = Barrier::new(3);
        thread::scope(|scope| {
            for half in 0..2 {
                let (scene, begin) = (&scene, &begin);
                scope.spawn(move || {
                    begin.wait();
                    for key in (0..KEYS).filter(|key| key % 2 == half) {
                        // A failure, so that it is worth remembering.
                        scene.breaker.try_acquire_for(&key).unwrap().failure();
                    }
                });
            }
            begin.wait();
            scene.now(threshold(2).max_keys(KEYS));
        });
        for key in 0..KEYS {
            if let Ok(permit) = scene.breaker.try_acquire_for(&key) {
                permit.failure();
            }
            assert!(
                scene.breaker.try_acquire_for(&key).is_err(),
                "{key} in round {round}"
            );
        }
    }
}
