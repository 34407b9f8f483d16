//! Fleets whose instances are given other settings, one after the other.

use super::*;
use crate::policy::{self, Policy as _, Switch, circuit_breaker::CircuitBreakerSettings};

impl Node {
    fn reload(&self, settings: CircuitBreakerSettings, switch: Switch) {
        policy::check::<CircuitBreaker>(self.breaker.name(), &settings).unwrap();
        self.breaker.reconfigure(&settings, switch);
    }

    /// The changes that it told, without their generations.
    fn path(&self) -> Vec<(CircuitState, CircuitState)> {
        let changes = self.changes.lock().unwrap();
        changes.iter().map(|&(from, to, _)| (from, to)).collect()
    }
}

/// As [`plain`] builds them.
fn settings() -> CircuitBreakerSettings {
    CircuitBreakerSettings::new()
        .shared(true)
        .failure_threshold(3)
        .recovery_timeout(SECOND.saturating_mul(10))
        .success_threshold(2)
        .half_open_timeout(SECOND.saturating_mul(5))
}

/// As [`by_rate`] does.
fn rates() -> CircuitBreakerSettings {
    CircuitBreakerSettings::new()
        .shared(true)
        .failure_rate(0.5)
        .minimum_calls(10)
        .recovery_timeout(SECOND.saturating_mul(10))
        .success_threshold(2)
        .half_open_timeout(SECOND.saturating_mul(5))
}

use CircuitState::{Closed, Disabled, ForcedOpen, Open};

#[tokio::test(start_paused = true)]
async fn what_every_instance_is_told_to_force_is_one_change_and_so_is_its_end() {
    for (switch, state) in [
        (Switch::ForcedOpen, ForcedOpen),
        (Switch::ForcedClosed, Disabled),
    ] {
        let fleet = fleet(3, plain);
        fleet.settle().await;
        fleet.nodes[0].reload(settings(), switch);
        fleet.settle().await;
        assert!(fleet.all(state), "the fleet's: {:?}", fleet.states());
        fleet.nodes[1].reload(settings(), switch);
        fleet.nodes[2].reload(settings(), switch);
        fleet.settle().await;
        fleet.each(|node| assert_eq!(node.path(), [(Closed, state)]));
        fleet.nodes[2].reload(settings(), Switch::On);
        fleet.settle().await;
        assert!(fleet.all(Closed), "{:?}", fleet.states());
        fleet.nodes[0].reload(settings(), Switch::On);
        fleet.nodes[1].reload(settings(), Switch::On);
        fleet.settle().await;
        fleet.each(|node| assert_eq!(node.path(), [(Closed, state), (state, Closed)]));
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_slept_takes_nothing_back_that_has_ended_meanwhile() {
    let fleet = fleet(2, plain);
    fleet.each(|node| node.reload(settings(), Switch::ForcedOpen));
    fleet.settle().await;
    assert!(fleet.all(ForcedOpen));
    // Nobody calls the second any more, and it hears of nothing.
    for _ in 0..10 {
        drop(fleet.nodes[0].breaker.try_acquire());
        fleet.tick().await;
    }
    fleet.nodes[0].reload(settings(), Switch::On);
    (0..3).for_each(|_| fleet.nodes[0].bad());
    fleet.tick().await;
    assert_eq!(fleet.states(), [Open, ForcedOpen]);
    fleet.nodes[1].reload(settings(), Switch::On);
    fleet.settle().await;
    assert!(fleet.all(Open), "{:?}", fleet.states());
}

#[tokio::test(start_paused = true)]
async fn what_somebody_did_by_hand_elsewhere_stays() {
    let fleet = fleet(2, plain);
    fleet.each(|node| node.reload(settings(), Switch::ForcedOpen));
    fleet.settle().await;
    fleet.nodes[1].breaker.disable();
    fleet.settle().await;
    assert!(fleet.all(Disabled));
    fleet.each(|node| node.reload(settings(), Switch::On));
    fleet.settle().await;
    assert!(fleet.all(Disabled), "{:?}", fleet.states());
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_begins_forced_forces_the_fleet_at_its_first_call() {
    let fleet = fleet(1, plain);
    let late = node(Some(&fleet.store), plain);
    late.breaker.begin(&settings(), Switch::ForcedOpen);
    assert_eq!(late.state(), ForcedOpen);
    assert!(late.breaker.try_acquire().is_err());
    fleet.settle().await;
    assert!(fleet.all(ForcedOpen), "{:?}", fleet.states());
    assert_eq!(late.path(), []);
    late.reload(settings(), Switch::On);
    fleet.settle().await;
    assert!(fleet.all(Closed), "{:?}", fleet.states());
}

#[tokio::test(start_paused = true)]
async fn forced_before_there_is_a_store_it_misses_none() {
    let node = node(None, plain);
    node.reload(settings(), Switch::ForcedOpen);
    assert!(
        !node
            .told
            .lock()
            .unwrap()
            .iter()
            .any(|event| matches!(event, Event::Misconfigured(_)))
    );
    let store = MemoryStore::at_rest();
    node.registry.set_store(store.clone()).unwrap();
    assert!(node.breaker.try_acquire().is_err());
    let other = self::node(Some(&store), plain);
    other.good();
    assert_eq!(other.state(), ForcedOpen);
}

#[tokio::test(start_paused = true)]
async fn new_settings_leave_with_the_next_report() {
    let fleet = fleet(2, by_rate);
    fleet.settle().await;
    fleet.each(|node| node.reload(rates().minimum_calls(5), Switch::On));
    fleet.each(Node::bad);
    fleet.tick().await;
    assert!(fleet.all(Closed));
    fleet.each(|node| (0..2).for_each(|_| node.bad()));
    fleet.settle().await;
    assert!(fleet.all(Open), "{:?}", fleet.states());
    let wait = fleet.nodes[0]
        .breaker
        .try_acquire()
        .unwrap_err()
        .retry_after;
    assert!(wait.unwrap() <= 10 * SECOND);
    // How long the fleet stays open was decided when it opened.
    fleet.each(|node| node.reload(rates().recovery_timeout(SECOND), Switch::On));
    fleet.settle().await;
    assert!(fleet.all(Open));
    let wait = fleet.nodes[0]
        .breaker
        .try_acquire()
        .unwrap_err()
        .retry_after;
    assert!(wait.unwrap() > 8 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_fleets_window_keeps_its_newest_outcomes_unless_it_becomes_one_of_the_other_kind() {
    let calls = |fleet: &Fleet| fleet.nodes[0].breaker.metrics().calls;
    let fleet = fleet(1, |b| by_rate(b).window(10_000));
    fleet.settle().await;
    for _ in 0..50 {
        (0..10).for_each(|_| fleet.nodes[0].good());
        fleet.tick().await;
    }
    assert!((500..=501).contains(&calls(&fleet)));
    let then = |settings| {
        fleet.nodes[0].reload(settings, Switch::On);
        fleet.nodes[0].good();
    };
    then(rates().window(crate::Window::Count(100)));
    fleet.tick().await;
    // Reports that were put together for the longer window leave together.
    assert!((100..=180).contains(&calls(&fleet)), "{}", calls(&fleet));
    then(rates().window(crate::Window::Time(60 * SECOND)));
    fleet.tick().await;
    assert_eq!(calls(&fleet), 1);
    for seconds in [2, 90, 7, 60] {
        then(rates().window(crate::Window::Time(seconds * SECOND)));
        fleet.tick().await;
    }
    assert_eq!(calls(&fleet), 5, "in pieces of other lengths");
    then(rates().window(crate::Window::Count(100)));
    fleet.tick().await;
    assert_eq!(calls(&fleet), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lower_threshold_opens_an_instance_at_its_next_failure() {
    let fleet = fleet(2, |b| plain(b).failure_threshold(100));
    fleet.settle().await;
    (0..7).for_each(|_| fleet.nodes[0].bad());
    fleet.tick().await;
    fleet.nodes[0].reload(settings(), Switch::On);
    assert!(fleet.all(Closed));
    fleet.nodes[0].bad();
    assert_eq!(fleet.nodes[0].state(), Open);
    fleet.settle().await;
    assert!(fleet.all(Open));
}

#[tokio::test(start_paused = true)]
async fn what_happens_while_the_store_is_away_changes_at_once() {
    let fleet = fleet(1, plain);
    fleet.settle().await;
    let node = &fleet.nodes[0];
    fleet.store.disconnect();
    assert!(node.breaker.try_acquire().is_ok());
    for (choice, passes) in [
        (OnStoreError::Deny, false),
        (OnStoreError::Allow, true),
        (OnStoreError::Deny, false),
        (OnStoreError::Local, true),
    ] {
        node.reload(settings().on_store_error(choice), Switch::On);
        assert_eq!(node.breaker.try_acquire().is_ok(), passes, "{choice:?}");
    }
    node.reload(settings().on_store_error(OnStoreError::Deny), Switch::Off);
    assert!(node.breaker.try_acquire().is_ok());
}

#[tokio::test(start_paused = true)]
async fn circuits_of_keys_go_by_the_new_settings_too() {
    let fleet = fleet(2, |b| plain(b).failure_threshold(100));
    let fail = |key: &str| {
        let permit = fleet.nodes[0].breaker.try_acquire_for(key);
        permit.map(crate::Permit::failure)
    };
    fail("old").unwrap();
    fleet.nodes[0].reload(settings(), Switch::On);
    for key in ["old", "new"] {
        while fail(key).is_ok() {}
    }
    fleet.tick().await;
    for key in ["old", "new"] {
        assert!(fleet.nodes[1].breaker.try_acquire_for(key).is_err());
    }
    fleet.each(|node| node.reload(settings(), Switch::ForcedClosed));
    fail("old").unwrap();
    fleet.each(|node| node.reload(settings(), Switch::On));
    fleet.settle().await;
    for node in &fleet.nodes {
        assert!(node.breaker.try_acquire_for("old").is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn switched_off_it_passes_without_the_store_and_says_nothing() {
    let node = node(None, plain);
    node.reload(settings(), Switch::Off);
    assert!(node.breaker.try_acquire().is_ok());
    node.breaker.ready().await;
    assert!(node.told.lock().unwrap().is_empty());
    node.reload(settings(), Switch::On);
    assert!(node.breaker.try_acquire().is_err());
}
