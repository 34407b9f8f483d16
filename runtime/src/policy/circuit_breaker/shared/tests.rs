//! Fleets of a few registries in one process, in virtual time.

mod reloads;

use std::{
    io,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    CircuitBreaker, CircuitBreakerBuilder, CircuitState, ConfigError, Event, MemoryStore,
    OnStoreError, Registry, Rejection, Store as _, StoreError, Subscription, test::isolated,
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);

/// One instance of a service.
struct Node {
    breaker: CircuitBreaker,
    registry: Registry,
    changes: Arc<Mutex<Vec<(CircuitState, CircuitState, u64)>>>,
    told: Arc<Mutex<Vec<Event>>>,
    _subscription: Subscription,
}

struct Fleet {
    store: MemoryStore,
    nodes: Vec<Node>,
}

fn node(
    store: Option<&MemoryStore>,
    settings: impl Fn(CircuitBreakerBuilder) -> CircuitBreakerBuilder,
) -> Node {
    let test = isolated();
    let registry = test.registry();
    if let Some(store) = store {
        registry.set_store(store.clone()).unwrap();
    }
    let (changes, told): (Arc<Mutex<Vec<_>>>, Arc<Mutex<Vec<_>>>) = Default::default();
    let subscription = registry.subscribe({
        let (changes, told) = (Arc::clone(&changes), Arc::clone(&told));
        move |event| {
            if let Event::StateChanged(change) = event {
                changes
                    .lock()
                    .unwrap()
                    .push((change.from, change.to, change.generation));
            }
            told.lock().unwrap().push(event.clone());
        }
    });
    let breaker = settings(CircuitBreaker::builder("quotes").shared(true))
        .build()
        .unwrap();
    Node {
        breaker,
        registry,
        changes,
        told,
        _subscription: subscription,
    }
}

fn fleet(nodes: usize, settings: impl Fn(CircuitBreakerBuilder) -> CircuitBreakerBuilder) -> Fleet {
    let store = MemoryStore::at_rest();
    let nodes = (0..nodes).map(|_| node(Some(&store), &settings)).collect();
    let fleet = Fleet { store, nodes };
    fleet.each(|node| node.good());
    fleet
}

impl Node {
    fn good(&self) {
        if let Ok(permit) = self.breaker.try_acquire() {
            permit.success();
        }
    }

    fn bad(&self) {
        if let Ok(permit) = self.breaker.try_acquire() {
            permit.failure();
        }
    }

    fn state(&self) -> CircuitState {
        self.breaker.state()
    }

    async fn call(&self, outcome: io::Result<u32>) -> io::Result<u32> {
        self.breaker.call(async { outcome }).await
    }

    fn assert_in_order(&self) {
        let changes = self.changes.lock().unwrap();
        assert!(changes.is_sorted_by(|a, b| a.2 < b.2), "{changes:?}");
        assert!(
            changes.windows(2).all(|pair| pair[0].1 == pair[1].0),
            "{changes:?}"
        );
    }
}

impl Fleet {
    fn each(&self, act: impl Fn(&Node)) {
        self.nodes.iter().for_each(act);
    }

    fn states(&self) -> Vec<CircuitState> {
        self.nodes.iter().map(Node::state).collect()
    }

    fn all(&self, state: CircuitState) -> bool {
        self.states().iter().all(|&other| other == state)
    }

    fn commands(&self) -> u64 {
        self.store.health().commands
    }

    async fn tick(&self) {
        tokio::time::sleep(TICK).await;
        self.store.tick();
    }

    /// Everybody hears of the fleet's state. Calls that say nothing are noticed once the circuit has fallen
    /// asleep.
    async fn settle(&self) {
        for _ in 0..5 {
            self.each(|node| drop(node.breaker.try_acquire()));
            self.tick().await;
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // Circuits of keys have generations of their own.
        let keyed = |node: &Node| node.breaker.0.has_keys();
        if !std::thread::panicking() && !self.nodes.iter().any(keyed) {
            self.each(Node::assert_in_order);
        }
    }
}

fn plain(builder: CircuitBreakerBuilder) -> CircuitBreakerBuilder {
    builder
        .failure_threshold(3)
        .recovery_timeout(10 * SECOND)
        .success_threshold(2)
        .half_open_timeout(5 * SECOND)
}

fn by_rate(builder: CircuitBreakerBuilder) -> CircuitBreakerBuilder {
    builder
        .failure_rate(0.5)
        .minimum_calls(10)
        .recovery_timeout(10 * SECOND)
        .success_threshold(2)
        .half_open_timeout(5 * SECOND)
}

#[tokio::test(start_paused = true)]
async fn one_instance_opens_itself_at_once_and_the_others_within_a_tick() {
    let fleet = fleet(3, plain);
    (0..3).for_each(|_| fleet.nodes[0].bad());
    assert_eq!(fleet.nodes[0].state(), CircuitState::Open);
    fleet.nodes[1].good();
    fleet.nodes[2].good();
    fleet.tick().await;
    assert!(fleet.all(CircuitState::Open));
    let refused = fleet.nodes[1].breaker.try_acquire().unwrap_err();
    assert!(refused.retry_after.unwrap() > 9 * SECOND);
    let generations: Vec<u64> = fleet
        .nodes
        .iter()
        .map(|n| n.changes.lock().unwrap()[0].2)
        .collect();
    assert!(
        generations.iter().all(|&g| g == generations[0]),
        "{generations:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn rates_are_taken_over_the_whole_fleet() {
    let fleet = fleet(5, by_rate);
    fleet.tick().await;
    // Each sees seven calls: too few for anybody alone.
    for _ in 0..2 {
        fleet.each(|node| {
            node.good();
            node.bad();
            node.bad();
        });
        fleet.tick().await;
    }
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Open), "{:?}", fleet.states());
    assert!(fleet.nodes[0].breaker.metrics().calls >= 10);
}

#[tokio::test(start_paused = true)]
async fn an_instance_does_not_open_by_its_own_rates() {
    let fleet = fleet(2, by_rate);
    for _ in 0..100 {
        fleet.nodes[0].good();
    }
    fleet.tick().await;
    for _ in 0..20 {
        fleet.nodes[1].bad();
    }
    fleet.settle().await;
    assert!(
        fleet.all(CircuitState::Closed),
        "20 of 120: {:?}",
        fleet.states()
    );
}

#[tokio::test(start_paused = true)]
async fn healthy_calls_are_counted_once_whatever_the_window() {
    for time in [false, true] {
        let fleet = fleet(2, |b| match time {
            true => by_rate(b).window(60 * SECOND),
            false => by_rate(b).window(1_000),
        });
        fleet.tick().await;
        for _ in 0..10 {
            fleet.each(|node| (0..50).for_each(|_| node.good()));
            fleet.tick().await;
        }
        fleet.settle().await;
        let calls = fleet.nodes[0].breaker.metrics().calls;
        // The first call of each came before it had heard of the fleet.
        assert!((1_000..=1_002).contains(&calls), "{calls}");
    }
}

#[tokio::test(start_paused = true)]
async fn probes_are_exact_over_the_fleet() {
    let fleet = fleet(50, |b| plain(b).half_open_requests(4).success_threshold(4));
    (0..3).for_each(|_| fleet.nodes[0].bad());
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Open));
    tokio::time::sleep(10 * SECOND).await;
    let mut probes = Vec::new();
    for _ in 0..5 {
        for node in &fleet.nodes {
            for _ in 0..3 {
                probes.extend(node.breaker.try_acquire().ok());
            }
        }
        fleet.tick().await;
    }
    assert_eq!(probes.len(), 4);
    assert!(fleet.all(CircuitState::HalfOpen));
    for probe in probes {
        probe.success();
    }
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Closed));
}

/// Opens the fleet's circuit, and waits until probes are due.
async fn due(fleet: &Fleet) {
    (0..3).for_each(|_| fleet.nodes[0].bad());
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Open));
    tokio::time::sleep(10 * SECOND).await;
}

/// A probe of this instance.
async fn probe(fleet: &Fleet, node: usize) -> crate::Permit {
    for _ in 0..20 {
        if let Ok(permit) = fleet.nodes[node].breaker.try_acquire() {
            return permit;
        }
        fleet.tick().await;
    }
    panic!("no probe");
}

#[tokio::test(start_paused = true)]
async fn one_failed_probe_opens_it_for_all() {
    let fleet = fleet(3, plain);
    due(&fleet).await;
    let (first, second) = (probe(&fleet, 1).await, probe(&fleet, 2).await);
    first.failure();
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Open));
    let before = fleet.nodes[2].changes.lock().unwrap().len();
    second.success();
    fleet.settle().await;
    assert!(
        fleet.all(CircuitState::Open),
        "a late probe changes nothing"
    );
    assert_eq!(fleet.nodes[2].changes.lock().unwrap().len(), before);
}

#[tokio::test(start_paused = true)]
async fn a_caller_when_probes_are_due_is_refused_for_a_moment_only() {
    let fleet = fleet(1, plain);
    due(&fleet).await;
    let node = &fleet.nodes[0];
    // The store in memory answers at once: what the first caller asked for is there for the second.
    let refused = node.breaker.try_acquire().unwrap_err();
    assert!(refused.retry_after.unwrap() <= TICK);
    let probe = node.breaker.try_acquire().unwrap();
    probe.success();
}

#[tokio::test(start_paused = true)]
async fn dropped_and_panicking_probes_give_their_places_back() {
    let fleet = fleet(2, plain);
    due(&fleet).await;
    drop(probe(&fleet, 0).await);
    drop(probe(&fleet, 1).await);
    fleet.settle().await;
    assert!(
        fleet.all(CircuitState::HalfOpen),
        "a dropped call says nothing"
    );
    let first = probe(&fleet, 0).await;
    let second = probe(&fleet, 1).await;
    // A call is cut off in the middle, and another panics.
    drop(first);
    second.success();
    fleet.settle().await;
    let node = &fleet.nodes[0];
    for _ in 0..20 {
        let panicking = std::panic::catch_unwind(AssertUnwindSafe(|| {
            futures_of(node.breaker.call(async { panic!("in a probe") }))
        }));
        if panicking.is_err() {
            break;
        }
        fleet.tick().await;
    }
    fleet.settle().await;
    assert!(
        fleet.all(CircuitState::Open),
        "a panic is a failure: {:?}",
        fleet.states()
    );
}

/// Polls a call that is ready at once.
fn futures_of(call: impl Future<Output = io::Result<u32>>) -> io::Result<u32> {
    let mut call = std::pin::pin!(call);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match call.as_mut().poll(&mut context) {
        std::task::Poll::Ready(outcome) => outcome,
        std::task::Poll::Pending => panic!("it has nothing to wait for"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_place_of_a_probe_that_hangs_is_given_to_another() {
    let fleet = fleet(2, |b| plain(b).half_open_requests(1).success_threshold(1));
    due(&fleet).await;
    let hanging = probe(&fleet, 0).await;
    tokio::time::sleep(4 * SECOND).await;
    fleet.settle().await;
    assert!(fleet.nodes[1].breaker.try_acquire().is_err());
    tokio::time::sleep(3 * SECOND).await;
    probe(&fleet, 1).await.success();
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Closed));
    hanging.failure();
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Closed), "it had lost its place");
}

#[tokio::test(start_paused = true)]
async fn the_place_of_an_instance_that_died_comes_back() {
    let mut fleet = fleet(2, |b| plain(b).half_open_requests(1).success_threshold(1));
    due(&fleet).await;
    // Killed: nothing is reported.
    std::mem::forget(probe(&fleet, 0).await);
    fleet.nodes.remove(0);
    tokio::time::sleep(7 * SECOND).await;
    probe(&fleet, 0).await.success();
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_no_caller_takes_is_given_back() {
    let fleet = fleet(2, |b| plain(b).half_open_requests(1).success_threshold(1));
    due(&fleet).await;
    assert!(fleet.nodes[0].breaker.try_acquire().is_err());
    for _ in 0..12 {
        fleet.tick().await;
    }
    probe(&fleet, 1).await.success();
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_quorum_is_of_instances_that_fail_at_the_same_time() {
    let fleet = fleet(3, |b| plain(b).quorum(2));
    fleet.tick().await;
    (0..9).for_each(|_| fleet.nodes[0].bad());
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Closed), "one is not enough");
    fleet.nodes[0].good();
    fleet.tick().await;
    (0..3).for_each(|_| fleet.nodes[1].bad());
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Closed), "the first has recovered");
    (0..3).for_each(|_| fleet.nodes[2].bad());
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Open), "{:?}", fleet.states());
}

#[tokio::test(start_paused = true)]
async fn a_sign_of_failure_ages() {
    let fleet = fleet(2, |b| plain(b).quorum(2));
    fleet.tick().await;
    (0..3).for_each(|_| fleet.nodes[0].bad());
    fleet.tick().await;
    tokio::time::sleep(11 * SECOND).await;
    (0..3).for_each(|_| fleet.nodes[1].bad());
    fleet.tick().await;
    fleet.tick().await;
    assert_eq!(fleet.nodes[1].state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn what_is_set_by_hand_reaches_everybody() {
    let fleet = fleet(3, plain);
    type Act = fn(&CircuitBreaker);
    let steps: [(Act, CircuitState); 5] = [
        (CircuitBreaker::force_open, CircuitState::ForcedOpen),
        (CircuitBreaker::disable, CircuitState::Disabled),
        (CircuitBreaker::reset, CircuitState::Closed),
        (CircuitBreaker::force_open, CircuitState::ForcedOpen),
        (CircuitBreaker::reset, CircuitState::Closed),
    ];
    for (at, (act, state)) in steps.into_iter().enumerate() {
        let node = &fleet.nodes[at % 3].breaker;
        act(node);
        assert_eq!(node.state(), state);
        fleet.settle().await;
        assert!(fleet.all(state), "{:?}", fleet.states());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_set_by_hand_while_the_store_is_away_is_told_later_and_the_last_counts() {
    let fleet = fleet(3, plain);
    fleet.store.disconnect();
    fleet.nodes[0].breaker.force_open();
    tokio::time::sleep(SECOND).await;
    fleet.nodes[1].breaker.disable();
    tokio::time::sleep(SECOND).await;
    assert_eq!(fleet.nodes[0].state(), CircuitState::ForcedOpen);
    assert_eq!(fleet.nodes[2].state(), CircuitState::Closed);
    fleet.settle().await;
    fleet.store.restore();
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Disabled), "{:?}", fleet.states());
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_away_each_goes_on_by_itself_and_joins_again() {
    let fleet = fleet(2, |b| by_rate(b).failure_threshold(3));
    fleet.settle().await;
    fleet.store.disconnect();
    (0..3).for_each(|_| fleet.nodes[0].bad());
    assert_eq!(fleet.states(), [CircuitState::Open, CircuitState::Closed]);
    // It recovers by itself, too.
    tokio::time::sleep(10 * SECOND).await;
    fleet.nodes[0].good();
    fleet.nodes[0].good();
    assert!(fleet.all(CircuitState::Closed));
    // By its own rates.
    for _ in 0..10 {
        fleet.nodes[1].good();
        fleet.nodes[1].bad();
        fleet.nodes[1].bad();
    }
    assert_eq!(fleet.states(), [CircuitState::Closed, CircuitState::Open]);
    fleet.store.restore();
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Closed), "the fleet's state counts");
    (0..3).for_each(|_| fleet.nodes[1].bad());
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Open));
}

#[tokio::test(start_paused = true)]
async fn allow_lets_everything_through_and_deny_nothing_while_the_store_is_away() {
    for (choice, passes) in [(OnStoreError::Allow, true), (OnStoreError::Deny, false)] {
        let fleet = fleet(1, |b| plain(b).on_store_error(choice));
        fleet.settle().await;
        let node = &fleet.nodes[0];
        fleet.store.disconnect();
        for _ in 0..10 {
            let answer = node.call(Err(io::ErrorKind::TimedOut.into())).await;
            let error = answer.unwrap_err();
            assert_eq!(error.kind() == io::ErrorKind::TimedOut, passes);
            let inner = error.get_ref().and_then(|e| e.downcast_ref::<Rejection>());
            let unavailable = matches!(inner, Some(Rejection::StoreUnavailable(e)) if matches!(*e.cause, StoreError::Unreachable { .. }));
            assert_eq!(unavailable, !passes);
        }
        assert_eq!(node.breaker.try_acquire().is_ok(), passes);
        assert_eq!(node.state(), CircuitState::Closed);
        node.breaker.force_open();
        assert!(node.breaker.try_acquire().is_err(), "by hand in any case");
        node.breaker.disable();
        assert!(node.breaker.try_acquire().is_ok(), "by hand in any case");
        node.breaker.reset();
        fleet.store.restore();
        fleet.settle().await;
        assert!(node.breaker.try_acquire().is_ok());
        assert_eq!(node.state(), CircuitState::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_store_every_call_is_refused_and_one_event_says_why() {
    for choice in [OnStoreError::Local, OnStoreError::Allow, OnStoreError::Deny] {
        let node = node(None, |b| plain(b).on_store_error(choice));
        for _ in 0..3 {
            let error = node.call(Ok(1)).await.unwrap_err();
            let inner = error.get_ref().and_then(|e| e.downcast_ref::<Rejection>());
            assert!(
                matches!(inner, Some(Rejection::StoreUnavailable(e)) if *e.cause == StoreError::NotSet)
            );
        }
        assert!(node.breaker.try_acquire().is_err());
        assert_eq!(node.breaker.metrics().total_refused, 4);
        let told = node.told.lock().unwrap().clone();
        let misconfigured = told.iter().filter(|event| {
            matches!(event, Event::Misconfigured(e) if matches!(e.error, ConfigError::NoStore { .. }))
        });
        assert_eq!(misconfigured.count(), 1);
        node.registry.set_store(MemoryStore::at_rest()).unwrap();
        assert!(node.call(Ok(1)).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_record_closes_the_circuit_and_generations_rise() {
    let fleet = fleet(3, plain);
    due(&fleet).await;
    let late = probe(&fleet, 1).await;
    fleet.store.clear();
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Closed), "{:?}", fleet.states());
    late.failure();
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Closed));
    (0..3).for_each(|_| fleet.nodes[2].bad());
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Open));
}

#[tokio::test(start_paused = true)]
async fn instances_that_nobody_calls_say_nothing() {
    let fleet = fleet(3, by_rate);
    for _ in 0..20 {
        fleet.tick().await;
    }
    let before = fleet.commands();
    for _ in 0..50 {
        fleet.tick().await;
    }
    assert_eq!(fleet.commands(), before);
    // Whoever comes then asks at once.
    fleet.nodes[0].breaker.force_open();
    fleet.nodes[1].good();
    assert_eq!(fleet.nodes[1].state(), CircuitState::ForcedOpen);
}

#[tokio::test(start_paused = true)]
async fn a_closed_breaker_sends_fewer_than_twenty_commands_a_second() {
    for bad_share in [0, 3] {
        let fleet = fleet(1, |b| {
            by_rate(b)
                .failure_threshold(1_000)
                .failure_rate(0.9)
                .slow_call(SECOND)
        });
        fleet.settle().await;
        let before = fleet.commands();
        for _ in 0..100 {
            for _ in 0..20 {
                fleet.nodes[0].good();
                (0..bad_share).for_each(|_| fleet.nodes[0].bad());
                (0..2).for_each(|_| fleet.nodes[0].good());
            }
            fleet.tick().await;
        }
        assert_eq!(fleet.nodes[0].state(), CircuitState::Closed);
        let commands = fleet.commands() - before;
        assert!(commands < 200, "{commands} in ten seconds");
    }
}

#[tokio::test(start_paused = true)]
async fn a_streak_of_failed_recoveries_is_the_fleets() {
    let fleet = fleet(2, |b| {
        plain(b)
            .max_recovery_timeout(30 * SECOND)
            .half_open_requests(1)
    });
    due(&fleet).await;
    probe(&fleet, 0).await.failure();
    fleet.settle().await;
    let wait = fleet.nodes[1]
        .breaker
        .try_acquire()
        .unwrap_err()
        .retry_after
        .unwrap();
    assert!(wait > 19 * SECOND && wait <= 20 * SECOND, "{wait:?}");
    tokio::time::sleep(20 * SECOND).await;
    probe(&fleet, 1).await.failure();
    fleet.settle().await;
    let wait = fleet.nodes[0]
        .breaker
        .try_acquire()
        .unwrap_err()
        .retry_after
        .unwrap();
    assert!(wait > 29 * SECOND && wait <= 30 * SECOND, "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_until_it_admits_is_woken() {
    let fleet = fleet(2, |b| plain(b).half_open_requests(1).success_threshold(1));
    due(&fleet).await;
    let breaker = fleet.nodes[1].breaker.clone();
    let waiting = tokio::spawn(async move {
        breaker.ready().await;
        breaker.try_acquire().unwrap().success();
    });
    for _ in 0..5 {
        fleet.tick().await;
    }
    waiting.await.unwrap();
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_does_not_enforce_follows_the_fleet_and_lets_through() {
    let fleet = fleet(2, |b| plain(b).enforce(false));
    (0..3).for_each(|_| fleet.nodes[0].bad());
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Open));
    assert!(fleet.nodes[1].breaker.try_acquire().is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_ends_after_a_reset_is_late_in_every_instance() {
    let fleet = fleet(2, by_rate);
    fleet.settle().await;
    let old: Vec<_> = (0..20)
        .map(|_| fleet.nodes[1].breaker.try_acquire().unwrap())
        .collect();
    fleet.nodes[0].breaker.reset();
    fleet.settle().await;
    old.into_iter().for_each(crate::Permit::failure);
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Closed));
    assert!(fleet.nodes[1].breaker.metrics().failures == 0);
}

#[tokio::test(start_paused = true)]
async fn each_key_is_one_circuit_of_the_fleet() {
    let fleet = fleet(2, plain);
    let [a, b] = [&fleet.nodes[0].breaker, &fleet.nodes[1].breaker];
    for _ in 0..3 {
        a.try_acquire_for("down").unwrap().failure();
        b.try_acquire_for("up").unwrap().success();
    }
    assert!(a.try_acquire_for("down").is_err());
    fleet.tick().await;
    assert!(b.try_acquire_for("down").is_err());
    assert!(b.try_acquire_for("up").is_ok());
    assert_eq!(b.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_reset_reaches_the_circuits_of_all_keys_and_so_does_what_is_forced() {
    let fleet = fleet(2, plain);
    let [a, b] = [&fleet.nodes[0].breaker, &fleet.nodes[1].breaker];
    for breaker in [a, b] {
        drop(breaker.try_acquire_for("down"));
    }
    (0..3).for_each(|_| a.try_acquire_for("down").unwrap().failure());
    for _ in 0..5 {
        drop(b.try_acquire_for("down"));
        fleet.tick().await;
    }
    assert!(b.try_acquire_for("down").is_err());
    b.reset();
    for _ in 0..5 {
        drop(b.try_acquire_for("down"));
        drop(a.try_acquire_for("down"));
        fleet.tick().await;
    }
    assert!(b.try_acquire_for("down").is_ok());
    assert!(a.try_acquire_for("down").is_ok());
    a.force_open();
    drop(b.try_acquire_for("other"));
    fleet.tick().await;
    assert!(b.try_acquire_for("other").is_err());
}

#[tokio::test(start_paused = true)]
async fn keys_are_bounded_and_forgotten_circuits_say_nothing() {
    let fleet = fleet(1, |b| plain(b).max_keys(100));
    let breaker = &fleet.nodes[0].breaker;
    for key in 0..5_000 {
        breaker.try_acquire_for(&key).unwrap().success();
    }
    let before = fleet.commands();
    fleet.tick().await;
    fleet.tick().await;
    fleet.tick().await;
    fleet.tick().await;
    let commands = fleet.commands() - before;
    assert!(commands <= 150, "{commands}");
}

#[tokio::test(start_paused = true)]
async fn late_comers_that_share_a_circuit_are_none_of_the_fleets() {
    let fleet = fleet(2, |b| plain(b).max_keys(1));
    let [a, b] = [&fleet.nodes[0].breaker, &fleet.nodes[1].breaker];
    (0..3).for_each(|_| a.try_acquire_for("down").unwrap().failure());
    for key in 0..40 {
        drop(a.try_acquire_for(&key).map(crate::Permit::failure));
    }
    fleet.tick().await;
    // Nobody else learns of the keys that found no room.
    assert!((0..40).all(|key| {
        let other = node(Some(&fleet.store), plain);
        other.breaker.try_acquire_for(&key).is_ok()
    }));
    assert!(b.try_acquire_for("down").is_err());
}

#[tokio::test(start_paused = true)]
async fn slow_calls_open_the_fleets_circuit() {
    let fleet = fleet(2, |b| {
        plain(b)
            .slow_call(100 * MS)
            .slow_call_rate(0.5)
            .minimum_calls(6)
    });
    fleet.settle().await;
    for _ in 0..2 {
        for node in &fleet.nodes {
            let slow: io::Result<u32> = node
                .breaker
                .call(async {
                    tokio::time::sleep(200 * MS).await;
                    Ok(1)
                })
                .await;
            slow.unwrap();
        }
        fleet.tick().await;
    }
    fleet.settle().await;
    assert!(fleet.all(CircuitState::Open));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_while_others_probe_is_woken_when_a_place_comes_back() {
    let fleet = fleet(2, |b| plain(b).half_open_requests(1).success_threshold(1));
    due(&fleet).await;
    let other = probe(&fleet, 0).await;
    // It knows that the circuit is half-open, and has no place.
    fleet.settle().await;
    assert_eq!(fleet.nodes[1].state(), CircuitState::HalfOpen);
    let breaker = fleet.nodes[1].breaker.clone();
    let waiting = tokio::spawn(async move {
        breaker.ready().await;
        breaker.try_acquire().unwrap().success();
    });
    fleet.tick().await;
    drop(other);
    for _ in 0..5 {
        fleet.tick().await;
    }
    assert!(waiting.is_finished());
    waiting.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn calls_without_a_key_are_not_told_as_those_of_a_key() {
    let fleet = fleet(1, |b| by_rate(b).minimum_calls(4));
    let node = &fleet.nodes[0];
    drop(node.breaker.try_acquire_for("a"));
    for _ in 0..10 {
        (0..50).for_each(|_| node.good());
        fleet.tick().await;
    }
    for _ in 0..4 {
        (0..50).for_each(|_| node.good());
        node.breaker.try_acquire_for("a").unwrap().failure();
    }
    for _ in 0..4 {
        (0..50).for_each(|_| node.good());
        fleet.tick().await;
    }
    assert!(node.breaker.try_acquire_for("a").is_err());
    assert_eq!(node.state(), CircuitState::Closed);
}

/// What ends while a report is under way, whose answer says that the generation is over.
#[test]
fn what_is_counted_belongs_to_its_generation() {
    let breaker = by_rate(CircuitBreaker::builder("a").shared(true))
        .build()
        .unwrap();
    let core = &breaker.0;
    let outpost = core.cell.shared.as_deref().unwrap();
    let mut record = None;
    let mut talk = |elsewhere: (u64, u64), changes: bool| {
        let now = crate::clock::now();
        let report = core
            .cell
            .change(|circuit| (outpost.report(circuit, now, elsewhere.0, true), None));
        let report = report.0.unwrap();
        core.cell.try_pass().into_iter().for_each(|pass| {
            let failure = crate::algorithm::circuit::Outcome {
                verdict: crate::algorithm::circuit::Verdict::Failure,
                slow: false,
            };
            core.cell.record(pass, failure, now, || 0.0).wake();
        });
        let (next, mut reply) = crate::algorithm::fleet_circuit::Fleet::exchange(
            record.take(),
            1_000,
            &outpost.terms().rules,
            &report,
        );
        record = Some(next);
        reply.generation += i64::from(changes);
        let hear = core
            .cell
            .change(|circuit| ((), outpost.hear(circuit, now, elsewhere.1, Ok(reply))));
        hear.1.wake();
        report.batch
    };
    core.cell.change(|_| (outpost.wake(), None)).1.wake();
    talk((0, 0), false);
    assert_eq!(talk((10, 12), false).calls, 10);
    let batch = talk((15, 20), true);
    assert_eq!((batch.calls, batch.failures), (5 + 1, 1));
    let batch = talk((21, 21), false);
    assert_eq!((batch.calls, batch.failures), (1, 0));
}
