//! One instance of a service.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use steadfast::{
    Event, OnStoreError, Rate, RateLimiter, RedisStore, Registry, Store, StoreError, StoreHealth,
    StoreStatus, Subscription, test::isolated,
};
use steadfast_servers::wait_until;

use crate::SOON;

/// What a process is to the others: a registry with its store, and what it has told.
pub(crate) struct Instance {
    registry: Registry,
    told: Arc<Mutex<Vec<Event>>>,
    _subscription: Subscription,
}

/// A store for tests of what is decided, not of when: on a machine with much else to do, a deadline of
/// 50 ms passes now and then.
pub(crate) async fn patient(url: &str) -> RedisStore {
    let store = RedisStore::builder(url).deadline(Duration::from_secs(2));
    store.connect().await.expect("a store")
}

/// A shared limit of eight an hour: two of them for this instance while the store is away.
pub(crate) fn limiter(name: &'static str, on_store_error: OnStoreError) -> RateLimiter {
    RateLimiter::builder(name)
        .rate(Rate::new(8, Duration::from_secs(3_600)))
        .shared(true)
        .instances(4)
        .on_store_error(on_store_error)
        .build()
        .expect("good settings")
}

impl Instance {
    /// With policies that are made in it.
    pub(crate) fn with<P>(store: impl Store, policies: impl FnOnce() -> P) -> (Self, P) {
        let isolated = isolated();
        let registry = isolated.registry();
        registry.set_store(store).expect("the first store");
        let told = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&told);
        let subscription = registry.subscribe(move |event| {
            lock(&list).push(event.clone());
        });
        let instance = Self {
            registry,
            told,
            _subscription: subscription,
        };
        (instance, policies())
    }

    pub(crate) fn health(&self) -> StoreHealth {
        self.registry.store_health().expect("a store")
    }

    pub(crate) fn is_up(&self) -> bool {
        self.health().status == StoreStatus::Up
    }

    /// Why the store is away, if it is.
    pub(crate) fn cause(&self) -> Option<StoreError> {
        match self.health().status {
            StoreStatus::Down { cause, .. } => Some(cause),
            _ => None,
        }
    }

    #[track_caller]
    pub(crate) fn wait_until_up(&self) {
        wait_until("the store is up", SOON, || self.is_up());
    }

    #[track_caller]
    pub(crate) fn wait_until_down(&self) {
        wait_until("the store is down", SOON, || self.cause().is_some());
    }

    /// Outages told, and their ends.
    pub(crate) fn outages(&self) -> (usize, usize) {
        let told = lock(&self.told);
        let count = |is: fn(&Event) -> bool| told.iter().filter(|event| is(event)).count();
        (
            count(|event| matches!(event, Event::StoreDown(_))),
            count(|event| matches!(event, Event::StoreUp(_))),
        )
    }

    /// The causes of the outages told.
    pub(crate) fn causes(&self) -> Vec<StoreError> {
        let cause = |event: &Event| match event {
            Event::StoreDown(down) => Some(down.cause.clone()),
            _ => None,
        };
        lock(&self.told).iter().filter_map(cause).collect()
    }

    /// The fencing numbers of leases that were lost.
    pub(crate) fn lost(&self) -> Vec<u64> {
        let fence = |event: &Event| match event {
            Event::LeaseLost(lost) => Some(lost.fence),
            _ => None,
        };
        lock(&self.told).iter().filter_map(fence).collect()
    }

    /// All that it has told, as somebody reads it who must not find a secret there.
    pub(crate) fn all_told(&self) -> String {
        format!("{:?}", lock(&self.told))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
