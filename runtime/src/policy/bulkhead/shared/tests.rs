//! Several instances and one store, in virtual time: an instance is a bulkhead of a registry of its own.
#![allow(clippy::unwrap_used)] // clippy does not see that this module is for tests

use std::{
    collections::BTreeMap,
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::{advance, sleep};

use crate::{
    Bulkhead, BulkheadBuilder, BulkheadPermit, ConfigError, Event, MemoryStore, OnStoreError,
    Rejection, StoreError,
    admission::{Admits as _, Fenced as _, Waits as _},
    call::Call,
    clock,
    event::Subscription,
    policy::{Policy as _, Switch},
    test::isolated,
};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);
const LEASE: Duration = Duration::from_secs(10);

/// One process of the fleet.
struct Instance {
    bulkhead: Bulkhead,
    events: Arc<Mutex<Vec<Event>>>,
    _subscription: Subscription,
}

impl Instance {
    fn new(store: &MemoryStore, build: impl FnOnce(BulkheadBuilder) -> BulkheadBuilder) -> Self {
        Self::of(Some(store), build)
    }

    fn of(
        store: Option<&MemoryStore>,
        build: impl FnOnce(BulkheadBuilder) -> BulkheadBuilder,
    ) -> Self {
        let isolated = isolated();
        let registry = isolated.registry();
        if let Some(store) = store {
            registry.set_store(store.clone()).unwrap();
        }
        let events = Arc::<Mutex<Vec<Event>>>::default();
        let told = Arc::clone(&events);
        let subscription =
            registry.subscribe(move |event| told.lock().unwrap().push(event.clone()));
        let builder = Bulkhead::builder("b").shared(true).max_concurrent(2);
        Self {
            bulkhead: build(builder).build().unwrap(),
            events,
            _subscription: subscription,
        }
    }

    fn lost(&self) -> Vec<u64> {
        let events = self.events.lock().unwrap();
        let lost = events.iter().filter_map(|event| match event {
            Event::LeaseLost(lost) => Some(lost.fence),
            _ => None,
        });
        lost.collect()
    }

    fn misconfigured(&self) -> usize {
        let events = self.events.lock().unwrap();
        let is = |event: &&Event| matches!(event, Event::Misconfigured(m) if matches!(m.error, ConfigError::NoStore { .. }));
        events.iter().filter(is).count()
    }
}

impl std::ops::Deref for Instance {
    type Target = Bulkhead;

    fn deref(&self) -> &Bulkhead {
        &self.bulkhead
    }
}

fn fleet(
    instances: usize,
    build: impl Fn(BulkheadBuilder) -> BulkheadBuilder,
) -> (MemoryStore, Vec<Instance>) {
    let store = MemoryStore::at_rest();
    let instances = (0..instances).map(|_| Instance::new(&store, &build));
    let instances = instances.collect();
    (store, instances)
}

fn full(result: Result<BulkheadPermit, Rejection>) -> bool {
    matches!(result, Err(Rejection::BulkheadFull(_)))
}

fn cause(rejection: Rejection) -> StoreError {
    match rejection {
        Rejection::StoreUnavailable(unavailable) => (*unavailable.cause).clone(),
        other => panic!("{other}"),
    }
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Time passes, and the store's thread goes on meanwhile.
async fn pass(store: &MemoryStore, time: Duration) {
    let mut left = time;
    while !left.is_zero() {
        let step = left.min(100 * MILLI);
        advance(step).await;
        store.tick();
        left -= step;
    }
}

fn fence(permit: &BulkheadPermit) -> u64 {
    permit.fence().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_limit_holds_for_all_instances_together() {
    let (_, fleet) = fleet(3, |b| b);
    let first = fleet[0].acquire().await.unwrap();
    let second = fleet[1].acquire().await.unwrap();
    assert!(full(fleet[2].acquire().await) && full(fleet[0].acquire().await));
    assert!(fence(&second) > fence(&first));
    assert_eq!(fleet[2].metrics().refused, 1);
    drop(first);
    let third = fleet[2].acquire().await.unwrap();
    assert!(fence(&third) > fence(&second));
    assert_eq!(
        (fleet[0].metrics().in_flight, fleet[2].metrics().in_flight),
        (0, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn annotated_calls_sit_in_seats_and_leave_them() {
    let (_, fleet) = fleet(2, |b| b);
    let call = Call::new();
    assert!(fleet[0].try_admit(&call).is_none());
    let plain = fleet[0].admit(&call).await.unwrap();
    call.wants_fence();
    let fenced = fleet[1].admit_blocking(&call).unwrap();
    assert!(fenced.fence() > 0);
    assert!(fleet[0].admit(&call).await.is_err());
    drop((plain, fenced));
    let again = fleet[0].admit(&call).await.unwrap();
    assert!(again.fence() > 0);
    let of_key = fleet[0].enter_key(&call, "k").await.unwrap();
    assert!(of_key.fence() > 0);
    assert!(fleet[1].enter_key_blocking(&call, "k").is_ok());
    drop((again, of_key));
    assert_eq!(fleet[0].metrics().in_flight, 0);
    let answer: Result<u32, Rejection> = fleet[0].call(async { Ok(3) }).await;
    assert_eq!(answer, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn keys_have_places_of_their_own_and_are_forgotten() {
    let (store, fleet) = fleet(2, |b| b.max_concurrent(1).max_keys(3));
    let held = fleet[0].acquire_for("a").await.unwrap();
    assert!(full(fleet[1].acquire_for("a").await));
    let other = fleet[1].acquire_for("b").await.unwrap();
    assert!(full(fleet[1].acquire_blocking_for("b")));
    drop((held, other));
    for n in 0..100 {
        drop(fleet[0].acquire_for(&n).await.unwrap());
        pass(&store, 100 * MILLI).await;
    }
    let held: Vec<_> = [
        fleet[0].acquire_for("x").await,
        fleet[0].acquire_for("y").await,
        fleet[0].acquire_for("z").await,
    ]
    .into_iter()
    .map(Result::unwrap)
    .collect();
    // There is room for three keys: those that come now share a place.
    let shared = fleet[0].acquire_for("v").await.unwrap();
    assert!(full(fleet[0].acquire_for("w").await));
    drop((held, shared));
    assert_eq!(fleet[0].metrics().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_served_in_order_of_arrival() {
    let (store, fleet) = fleet(1, |b| b.max_concurrent(1).max_wait(60 * SECOND));
    let order = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let (order, bulkhead) = (Arc::clone(&order), fleet[0].bulkhead.clone());
            tokio::spawn(async move {
                let permit = bulkhead.acquire().await.unwrap();
                order.lock().unwrap().push((n, fence(&permit)));
                sleep(SECOND).await;
            })
        })
        .collect();
    let start = clock::now();
    for task in tasks {
        while !task.is_finished() {
            pass(&store, 100 * MILLI).await;
        }
    }
    let order = order.lock().unwrap();
    assert!(order.iter().map(|(n, _)| *n).eq(0..20), "{order:?}");
    assert!(
        order.is_sorted_by(|a, b| a.1 < b.1),
        "each has a higher number"
    );
    assert!(clock::now().since(start) < 25 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_comes_free_elsewhere_is_found() {
    let (_, fleet) = fleet(2, |b| b.max_concurrent(1).max_wait(60 * SECOND));
    let held = fleet[0].acquire().await.unwrap();
    let bulkhead = fleet[1].bulkhead.clone();
    let waits = tokio::spawn(async move { bulkhead.acquire().await });
    sleep(3 * SECOND).await;
    assert!(!waits.is_finished());
    let start = clock::now();
    drop(held);
    drop(waits.await.unwrap().unwrap());
    // The longest delay between two questions.
    assert!(clock::now().since(start) <= 160 * MILLI);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_after_max_wait_and_a_line_has_its_bound() {
    let (_, fleet) = fleet(1, |b| b.max_concurrent(1).max_wait(3 * SECOND).max_queue(2));
    let _held = fleet[0].acquire().await.unwrap();
    let start = clock::now();
    let mut first = pin!(fleet[0].acquire());
    let mut second = pin!(fleet[0].acquire());
    assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
    assert!(full(fleet[0].acquire().await));
    assert_eq!(clock::now().since(start), Duration::ZERO);
    assert!(full(first.await) && full(second.await));
    assert_eq!(clock::now().since(start), 3 * SECOND);
    assert_eq!(fleet[0].metrics().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_past_the_deadline_of_a_timeout_further_out() {
    let (_, fleet) = fleet(1, |b| b.max_concurrent(1).max_wait(60 * SECOND));
    let _held = fleet[0].acquire().await.unwrap();
    let (call, start) = (Call::new(), clock::now());
    call.set_deadline(start.after(2 * SECOND));
    assert!(fleet[0].admit(&call).await.is_err());
    assert_eq!(clock::now().since(start), 2 * SECOND);
    assert_eq!(call.waited(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_gives_its_place_to_the_next() {
    let (_, fleet) = fleet(1, |b| b.max_concurrent(1).max_wait(60 * SECOND));
    let held = fleet[0].acquire().await.unwrap();
    let mut first = Box::pin(fleet[0].acquire());
    let mut second = Box::pin(fleet[0].acquire());
    let mut third = Box::pin(fleet[0].acquire());
    for waits in [&mut first, &mut second, &mut third] {
        assert!(poll(waits.as_mut()).is_pending());
    }
    drop(first);
    drop(held);
    // Given to the second, which is dropped before it looks.
    drop(second);
    assert!(third.await.is_ok());
    assert!(fleet[0].acquire().await.is_ok(), "nothing is lost");
}

#[tokio::test(start_paused = true)]
async fn calls_of_an_instance_hand_their_place_over_without_the_store() {
    let (store, fleet) = fleet(1, |b| b.max_concurrent(1).max_wait(60 * SECOND));
    let call = Call::new();
    let mut entry = fleet[0].admit(&call).await.unwrap();
    let mut asked = 0;
    for _ in 0..10 {
        let mut waits = Box::pin(fleet[0].admit(&call).into_future());
        assert!(poll(waits.as_mut()).is_pending());
        asked = commands(&store);
        drop(entry);
        entry = waits.await.unwrap();
        assert_eq!(commands(&store), asked);
    }
    assert!(asked > 0);
}

fn commands(store: &MemoryStore) -> u64 {
    crate::Store::health(store).commands
}

#[tokio::test(start_paused = true)]
async fn a_place_is_renewed_while_its_call_runs_and_comes_back_when_its_process_is_gone() {
    let (store, mut fleet) = fleet(2, |b| b.max_concurrent(1));
    let held = fleet[0].acquire().await.unwrap();
    pass(&store, 60 * SECOND).await;
    assert!(full(fleet[1].acquire().await));
    assert_eq!(fleet[0].lost(), [0; 0]);
    // Nobody renews it any more, and nobody gives it back.
    std::mem::forget((held, fleet.remove(0)));
    // It was renewed at most a third of a lease and a tick ago.
    advance(LEASE * 2 / 3 - 100 * MILLI).await;
    assert!(full(fleet[0].acquire().await));
    advance(LEASE / 3 + 100 * MILLI).await;
    assert!(fleet[0].acquire().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_flushed_store_gives_new_places_with_higher_numbers_and_tells_of_the_lost() {
    let (store, fleet) = fleet(2, |b| b.max_concurrent(1));
    let held = fleet[0].acquire().await.unwrap();
    advance(MILLI).await;
    store.clear();
    let other = fleet[1].acquire().await.unwrap();
    assert!(fence(&other) > fence(&held));
    // With the next renewal, long before the lease is over.
    pass(&store, LEASE / 3 + 100 * MILLI).await;
    assert_eq!(fleet[0].lost(), [fence(&held)]);
    pass(&store, LEASE).await;
    assert_eq!(fleet[0].lost(), [fence(&held)], "once");
    assert_eq!(fleet[0].metrics().in_flight, 1);
    drop(held);
    pass(&store, SECOND).await;
    assert!(
        full(fleet[0].acquire().await),
        "what was not its own it has not given back"
    );
    assert_eq!(fleet[1].lost(), [0; 0]);
    drop(other);
    assert!(fleet[0].acquire().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_for_longer_than_the_lease_costs_the_places() {
    let (store, fleet) = fleet(1, |b| b.max_concurrent(1));
    let held = fleet[0].acquire().await.unwrap();
    store.disconnect();
    pass(&store, LEASE - SECOND).await;
    assert_eq!(fleet[0].lost(), [0; 0]);
    pass(&store, SECOND).await;
    assert_eq!(fleet[0].lost(), [fence(&held)]);
    store.restore();
    pass(&store, LEASE).await;
    assert_eq!(fleet[0].lost().len(), 1);
    drop(held);
    assert!(fleet[0].acquire().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_short_absence_costs_nothing() {
    let (store, fleet) = fleet(2, |b| b.max_concurrent(1));
    let held = fleet[0].acquire().await.unwrap();
    store.disconnect();
    pass(&store, 6 * SECOND).await;
    store.restore();
    pass(&store, LEASE).await;
    assert!(full(fleet[1].acquire().await));
    assert_eq!(fleet[0].lost(), [0; 0]);
    drop(held);
    assert!(fleet[1].acquire().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn without_its_store_each_instance_has_its_share_and_comes_back_to_the_whole() {
    let (store, fleet) = fleet(2, |b| b.max_concurrent(4).instances(2));
    let shared = fleet[0].acquire().await.unwrap();
    store.disconnect();
    let alone = fleet[0].acquire().await.unwrap();
    assert_eq!((alone.fence(), shared.fence().is_some()), (None, true));
    assert!(
        full(fleet[0].acquire().await),
        "its share is two, and it has two"
    );
    let others = [
        fleet[1].acquire().await.unwrap(),
        fleet[1].acquire().await.unwrap(),
    ];
    assert!(full(fleet[1].acquire().await));
    store.restore();
    let back: Vec<_> = [
        fleet[0].acquire().await,
        fleet[1].acquire().await,
        fleet[0].acquire().await,
    ]
    .into_iter()
    .map(Result::unwrap)
    .collect();
    assert!(back.iter().all(|permit| permit.fence().is_some()));
    assert!(
        full(fleet[1].acquire().await),
        "four are known to the store"
    );
    drop((alone, others, back, shared));
    assert_eq!(
        fleet[0].metrics().in_flight + fleet[1].metrics().in_flight,
        0
    );
    assert!(fleet[0].acquire().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_share_is_by_the_instances_last_seen() {
    let (store, fleet) = fleet(3, |b| b.max_concurrent(6));
    for instance in &fleet {
        drop(instance.acquire().await.unwrap());
    }
    pass(&store, 5 * SECOND).await;
    store.disconnect();
    let _held = [
        fleet[0].acquire().await.unwrap(),
        fleet[0].acquire().await.unwrap(),
    ];
    assert!(full(fleet[0].acquire().await));
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_served_by_the_share_or_by_the_store_when_it_is_back() {
    let (store, fleet) = fleet(1, |b| {
        b.max_concurrent(2).instances(2).max_wait(60 * SECOND)
    });
    store.disconnect();
    let alone = fleet[0].acquire().await.unwrap();
    let mut first = Box::pin(fleet[0].acquire());
    let mut second = Box::pin(fleet[0].acquire());
    assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
    drop(alone);
    let first = first.await.unwrap();
    assert_eq!(first.fence(), None);
    assert!(poll(second.as_mut()).is_pending());
    store.restore();
    assert!(second.await.unwrap().fence().is_some());
}

#[tokio::test(start_paused = true)]
async fn allow_lets_everybody_in_and_deny_nobody() {
    let (store, fleet) = fleet(1, |b| {
        b.max_concurrent(1).on_store_error(OnStoreError::Allow)
    });
    store.disconnect();
    let _held: Vec<_> = [fleet[0].acquire().await, fleet[0].acquire().await]
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert!(fleet[0].try_acquire().is_ok());
    let denying = Instance::new(&store, |b| {
        b.on_store_error(OnStoreError::Deny).max_wait(SECOND)
    });
    assert!(matches!(
        cause(denying.acquire().await.unwrap_err()),
        StoreError::Unreachable { .. }
    ));
    assert!(denying.try_acquire().is_err());
    store.restore();
    assert!(denying.acquire().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn without_a_store_every_call_says_so_and_one_event_does() {
    let lone = Instance::of(None, |b| b.on_store_error(OnStoreError::Allow));
    for _ in 0..3 {
        assert_eq!(cause(lone.acquire().await.unwrap_err()), StoreError::NotSet);
        assert_eq!(
            cause(lone.acquire_blocking().map(drop).unwrap_err()),
            StoreError::NotSet
        );
        assert!(lone.try_acquire().is_err());
    }
    assert_eq!((lone.misconfigured(), lone.metrics().refused), (1, 9));
    let watching = Instance::of(None, |b| b.enforce(false));
    let permit = watching.acquire().await.unwrap();
    assert_eq!((permit.fence(), watching.metrics().in_flight), (None, 1));
    drop(permit);
    assert_eq!(
        (watching.metrics().in_flight, watching.metrics().refused),
        (0, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn what_only_watches_counts_and_tells_and_lets_everybody_in() {
    let (store, fleet) = fleet(2, |b| b.enforce(false).max_wait(SECOND));
    let held: Vec<_> = [
        fleet[0].acquire().await,
        fleet[1].acquire().await,
        fleet[0].acquire().await,
        fleet[1].acquire().await,
    ]
    .into_iter()
    .map(Result::unwrap)
    .collect();
    assert!(held.iter().all(|permit| permit.fence().is_some()));
    assert_eq!(
        (fleet[0].metrics().refused, fleet[1].metrics().refused),
        (1, 1)
    );
    store.disconnect();
    let alone = fleet[0].acquire().await.unwrap();
    assert_eq!(alone.fence(), None);
    assert!(fleet[0].try_acquire().is_ok());
    drop((held, alone));
    assert_eq!(fleet[0].metrics().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_wait_has_a_place_fetched_that_goes_back_after_a_second() {
    let (store, fleet) = fleet(2, |b| b.max_concurrent(1));
    assert!(fleet[0].try_acquire().is_err());
    let first = fleet[0].try_acquire().unwrap();
    assert!(fleet[0].try_acquire().is_err());
    let before = fence(&first);
    drop(first);
    // Its place was kept, and has a new number.
    let second = fleet[0].try_acquire().unwrap();
    assert!(fence(&second) > before);
    drop(second);
    assert!(full(fleet[1].acquire().await), "kept for now");
    pass(&store, SECOND + 100 * MILLI).await;
    assert!(fleet[1].acquire().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_lowered_limit_drains_and_a_raised_one_lets_in() {
    let (store, fleet) = fleet(2, |b| b.max_concurrent(2).max_wait(60 * SECOND));
    let (call, start) = (Call::new(), clock::now());
    let first = fleet[0].admit(&call).await.unwrap();
    let _second = fleet[1].acquire().await.unwrap();
    for instance in &fleet {
        instance.change(|settings| settings.max_concurrent(1));
    }
    let mut waits = Box::pin(fleet[0].admit(&call).into_future());
    assert!(poll(waits.as_mut()).is_pending());
    pass(&store, 4 * SECOND).await;
    drop(first);
    assert!(poll(waits.as_mut()).is_pending(), "not handed over");
    assert_eq!(fleet[0].metrics().max_concurrent, 1);
    fleet[0].change(|settings| settings.max_concurrent(2));
    assert!(poll(waits.as_mut()).is_ready());
    assert!(clock::now().since(start) < 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn switched_off_it_lets_by_those_who_come_and_those_who_wait() {
    let (store, fleet) = fleet(2, |b| b.max_concurrent(1).max_wait(600 * SECOND));
    let call = Call::new();
    let first = fleet[0].acquire().await.unwrap();
    let keyed = fleet[0].acquire_for("a").await.unwrap();
    let mut line = [fleet[0].admit(&call), fleet[0].admit(&call)].map(|waits| {
        let mut waits = Box::pin(waits.into_future());
        assert!(poll(waits.as_mut()).is_pending());
        waits
    });
    let mut of_key = Box::pin(fleet[0].acquire_for("a"));
    assert!(poll(of_key.as_mut()).is_pending());
    fleet[0].switch(Switch::Off);
    let by = match (poll(line[0].as_mut()), poll(of_key.as_mut())) {
        (Poll::Ready(entry), Poll::Ready(permit)) => (entry.unwrap(), permit.unwrap()),
        other => panic!("{other:?}"),
    };
    assert_eq!((by.0.fence(), by.1.fence()), (0, None));
    let more = (
        fleet[0].try_acquire().unwrap(),
        fleet[0].try_acquire_for("b").unwrap(),
        fleet[0].acquire_blocking().unwrap(),
        fleet[0].admit_blocking(&call).unwrap(),
    );
    assert_eq!(fleet[0].metrics().in_flight, 2);
    assert!(fleet[0].condition().is_none());
    drop(line);
    assert_eq!(fleet[0].metrics().waiting, 0);
    fleet[0].switch(Switch::On);
    drop((by, more));
    assert_eq!(fleet[0].metrics().in_flight, 2);
    assert!(fleet[1].try_acquire().is_err(), "the places are taken");
    drop((first, keyed));
    pass(&store, 2 * SECOND).await;
    assert_eq!(fleet[0].metrics().in_flight, 0);
    assert!(fleet[1].acquire().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_judged_by_other_settings() {
    let (_store, fleet) = fleet(1, |b| b.max_concurrent(1).max_wait(600 * SECOND));
    let bulkhead = &fleet[0];
    let _held = bulkhead.acquire().await.unwrap();
    let line = || {
        [bulkhead.acquire(), bulkhead.acquire(), bulkhead.acquire()].map(|waits| {
            let mut waits = Box::pin(waits);
            assert!(poll(waits.as_mut()).is_pending());
            waits
        })
    };
    let is_full = |polled| match polled {
        Poll::Ready(entered) => full(entered),
        Poll::Pending => false,
    };

    let mut shorter = line();
    bulkhead.change(|settings| settings.max_queue(2));
    let sent = shorter
        .each_mut()
        .map(|waits| is_full(poll(waits.as_mut())));
    assert_eq!(sent, [false, false, true]);
    drop(shorter);

    bulkhead.change(|settings| settings.max_queue(10));
    let start = clock::now();
    let mut brief = line();
    sleep(3 * SECOND).await;
    bulkhead.change(|settings| settings.max_wait(5 * SECOND));
    assert!(poll(brief[0].as_mut()).is_pending());
    for waits in brief {
        assert!(full(waits.await));
    }
    assert_eq!(clock::now().since(start), 5 * SECOND);

    bulkhead.change(|settings| settings.max_wait(600 * SECOND));
    let refused = line();
    let waits = *bulkhead.settings_in_force();
    let none = crate::policy::bulkhead::BulkheadSettings::new();
    bulkhead.reconfigure(&none.shared(true).max_concurrent(1), Switch::On);
    for mut waits in refused {
        assert!(is_full(poll(waits.as_mut())));
    }

    bulkhead.reconfigure(&waits, Switch::On);
    let watched = line();
    bulkhead.change(|settings| settings.enforce(false));
    for mut waits in watched {
        assert!(matches!(poll(waits.as_mut()), Poll::Ready(Ok(_))));
    }
    assert_eq!(
        (bulkhead.metrics().in_flight, bulkhead.metrics().waiting),
        (1, 0)
    );
}

/// The store answers at once, and hands over a place: under no lock of the configuration's.
#[cfg(feature = "config")]
#[test]
fn whoever_is_woken_by_a_reload_may_load_again() {
    struct Loads(crate::Registry);
    impl std::task::Wake for Loads {
        fn wake(self: Arc<Self>) {
            self.0.configure_toml("").unwrap();
        }
    }
    let (done, is_done) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().unwrap();
        let _in_it = runtime.enter();
        let isolated = isolated();
        let registry = isolated.registry();
        registry.set_store(MemoryStore::at_rest()).unwrap();
        let builder = Bulkhead::builder("b").shared(true).max_concurrent(1);
        let bulkhead = builder.max_wait(60 * SECOND).install().unwrap();
        let _held = bulkhead.acquire_blocking().unwrap();
        let waker = Waker::from(Arc::new(Loads(registry.clone())));
        let mut acquiring = pin!(bulkhead.acquire());
        let mut context = Context::from_waker(&waker);
        assert!(acquiring.as_mut().poll(&mut context).is_pending());
        let text = "[bulkhead.b]\nmax_concurrent = 2";
        registry.configure_toml(text).unwrap();
        assert!(acquiring.as_mut().poll(&mut context).is_ready());
        done.send(()).unwrap();
    });
    let outcome = is_done.recv_timeout(60 * SECOND);
    let waits = Err(std::sync::mpsc::RecvTimeoutError::Timeout);
    assert_ne!(outcome, waits, "it waits for itself");
    thread.join().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_place_keeps_the_lease_that_it_was_taken_with() {
    let (store, fleet) = fleet(2, |b| b.max_concurrent(2).lease(2 * SECOND));
    let old = fleet[0].acquire().await.unwrap();
    for instance in &fleet {
        instance.change(|settings| settings.lease(60 * SECOND));
    }
    let new = fleet[0].acquire().await.unwrap();
    // Both are renewed, each in its time.
    pass(&store, 90 * SECOND).await;
    assert!(full(fleet[1].acquire().await));
    drop((old, new));
    pass(&store, SECOND + 100 * MILLI).await;
    let both = [fleet[1].acquire().await, fleet[1].acquire().await];
    assert!(both.iter().all(Result::is_ok));
    assert!(fleet.iter().all(|instance| instance.lost().is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_place_of_an_instance_that_is_gone_comes_back_after_the_lease_in_force_when_it_was_taken()
{
    let (_store, mut fleet) = fleet(2, |b| b.max_concurrent(1).lease(60 * SECOND));
    fleet[0].change(|settings| settings.lease(2 * SECOND));
    let held = fleet[0].acquire().await.unwrap();
    // Nobody renews it, and nobody gives it back.
    std::mem::forget((held, fleet.remove(0)));
    advance(SECOND).await;
    assert!(full(fleet[0].acquire().await));
    advance(SECOND).await;
    assert!(fleet[0].acquire().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_is_done_without_the_store_follows_the_settings_in_force() {
    let (store, fleet) = fleet(1, |b| {
        b.max_concurrent(1)
            .max_wait(600 * SECOND)
            .on_store_error(OnStoreError::Local)
    });
    let _held = fleet[0].acquire().await.unwrap();
    store.disconnect();
    let mut waits = Box::pin(fleet[0].acquire());
    assert!(poll(waits.as_mut()).is_pending());
    pass(&store, SECOND).await;
    assert!(poll(waits.as_mut()).is_pending());
    fleet[0].change(|settings| settings.on_store_error(OnStoreError::Allow));
    assert!(matches!(poll(waits.as_mut()), Poll::Ready(Ok(_))));
    fleet[0].change(|settings| settings.on_store_error(OnStoreError::Deny));
    assert!(matches!(
        fleet[0].acquire().await,
        Err(Rejection::StoreUnavailable(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_reset_takes_nothing_from_those_inside() {
    let (_, fleet) = fleet(1, |b| b);
    let held = [
        fleet[0].acquire().await.unwrap(),
        fleet[0].acquire_for("a").await.unwrap(),
    ];
    assert!(fleet[0].try_acquire().is_err());
    fleet[0].bulkhead.reset();
    assert_eq!(
        (fleet[0].metrics().in_flight, fleet[0].metrics().refused),
        (2, 0)
    );
    drop(held);
    assert_eq!(fleet[0].metrics().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_gives_the_place_back() {
    let (_, fleet) = fleet(1, |b| b.max_concurrent(1));
    let bulkhead = fleet[0].bulkhead.clone();
    let panics = tokio::spawn(async move {
        let answer: Result<(), Rejection> = bulkhead.call(async { panic!("on purpose") }).await;
        answer
    });
    assert!(panics.await.is_err());
    assert!(fleet[0].acquire().await.is_ok());
}

/// Random callers of three instances, of whom many give up, while the store comes and goes: never more
/// with a place that is not lost than may be, numbers rise, and in the end all is as at the beginning.
#[tokio::test(start_paused = true)]
async fn a_busy_fleet_keeps_the_bound_and_loses_nothing() {
    for seed in 0..30 {
        let mut random = fastrand::Rng::with_seed(seed);
        let limit = random.u32(1..5);
        let wait = random.bool();
        let (store, fleet) = fleet(3, |b| match wait {
            true => b.max_concurrent(limit).max_wait(2 * SECOND),
            false => b.max_concurrent(limit),
        });
        type Wait<'f> = Pin<Box<dyn Future<Output = Result<BulkheadPermit, Rejection>> + 'f>>;
        let mut waits: Vec<Wait<'_>> = Vec::new();
        let mut held: Vec<BulkheadPermit> = Vec::new();
        let mut highest = BTreeMap::new();
        for _ in 0..400 {
            let instance = random.usize(..3);
            match random.u32(..12) {
                0..4 => waits.push(Box::pin(fleet[instance].acquire())),
                4 if !waits.is_empty() => drop(waits.swap_remove(random.usize(..waits.len()))),
                5..8 if !held.is_empty() => drop(held.swap_remove(random.usize(..held.len()))),
                8 => held.extend(fleet[instance].try_acquire().ok()),
                9 => pass(&store, 100 * MILLI).await,
                10 => pass(&store, Duration::from_millis(random.u64(1..50))).await,
                _ => {}
            }
            let mut index = 0;
            while index < waits.len() {
                match poll(waits[index].as_mut()) {
                    Poll::Pending => index += 1,
                    Poll::Ready(done) => {
                        drop(waits.remove(index));
                        held.extend(done.ok());
                    }
                }
            }
            assert!(held.len() <= limit as usize, "seed {seed}");
            for permit in &held {
                let next = highest.len();
                highest.entry(fence(permit)).or_insert(next);
            }
        }
        drop((waits, held));
        pass(&store, 2 * SECOND).await;
        let all: Vec<_> = (0..limit)
            .map(|_| fleet[0].acquire_blocking().unwrap())
            .collect();
        assert!(full(fleet[1].acquire().await) || wait, "seed {seed}");
        drop(all);
        for instance in &fleet {
            assert_eq!(instance.metrics().in_flight, 0, "seed {seed}");
            assert_eq!(instance.lost(), [0; 0], "seed {seed}");
        }
    }
}
