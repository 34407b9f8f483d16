//! What all places of one shared bulkhead have in common: its terms, its store, whom it tells.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{
    algorithm::desk::{Alone, Terms},
    clock::{self, Nanos},
    error::ConfigError,
    event::{Event, LeaseLost, Misconfigured, Sink},
    kind::PolicyKind,
    name::PolicyName,
    policy::{
        bulkhead::{BulkheadSettings, settings::Limits},
        shared::OnStoreError,
    },
    store::{Census, Link, Store, StoreError, StoreStatus},
};

#[derive(Debug)]
pub(super) struct Home {
    pub(super) name: PolicyName,
    pub(super) link: Link,
    sink: Sink,
    limit: AtomicU32,
    limits: Limits,
    lease: Duration,
    on_store_error: OnStoreError,
    instances: u32,
    census: Arc<Census>,
    /// What the holders of this instance are called, before their numbers: never twice the same.
    tag: String,
    lanes: AtomicU64,
    has_told: AtomicBool,
}

impl Home {
    pub(super) fn new(
        name: PolicyName,
        settings: &BulkheadSettings,
        limits: Limits,
        sink: Sink,
    ) -> Self {
        let link = Link::new(sink.store().clone(), PolicyKind::Bulkhead, name.clone());
        let mut random = fastrand::Rng::new();
        Self {
            name,
            census: Census::new(link.clone()),
            link,
            sink,
            limit: AtomicU32::new(limits.max_concurrent),
            limits,
            lease: settings.lease_in_force(),
            on_store_error: settings.on_store_error.unwrap_or_default(),
            instances: settings.instances.unwrap_or(1),
            tag: format!("{:016x}{:016x}", random.u64(..), random.u64(..)),
            lanes: AtomicU64::new(0),
            has_told: AtomicBool::new(false),
        }
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    pub(super) fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Relaxed);
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Begins to count instances, once there is a store.
    pub(super) fn begin(&self) -> Result<(), StoreError> {
        self.census.begin()
    }

    /// The store. That there is none is told once.
    pub(super) fn store(&self) -> Result<&Arc<dyn Store>, StoreError> {
        let store = self.link.store();
        if store.is_err() && !self.has_told.swap(true, Relaxed) {
            let policy = self.name.clone();
            let error = ConfigError::NoStore {
                kind: PolicyKind::Bulkhead,
                policy: policy.clone(),
            };
            self.sink
                .tell(&Event::Misconfigured(Misconfigured { policy, error }));
        }
        store
    }

    pub(super) fn tell_lost(&self, fence: u64) {
        let policy = self.name.clone();
        self.sink
            .tell(&Event::LeaseLost(LeaseLost { policy, fence }));
    }

    /// The time by which leases go.
    pub(super) fn now(&self) -> Nanos {
        // A model takes the same way each time.
        if cfg!(steadfast_loom) {
            return Nanos(1 << 60);
        }
        let in_real_time = self.link.store().is_ok_and(|store| store.is_in_real_time());
        clock::now_for(in_real_time)
    }

    pub(super) fn terms(&self) -> Terms {
        let store = self.link.store().ok();
        Terms {
            limit: self.limit(),
            watches: !self.limits.enforce,
            waits: self.limits.enforce && self.limits.max_wait.is_some(),
            max_queue: self.limits.max_queue,
            lease: self.lease,
            deadline: store.map_or(Duration::ZERO, |store| store.deadline()),
            alone: self.alone(),
            up: store.is_some_and(|store| is_worth_asking(&**store)),
        }
    }

    /// What this instance does by itself.
    fn alone(&self) -> Alone {
        match self.on_store_error {
            OnStoreError::Allow => Alone::Open,
            OnStoreError::Deny => Alone::Shut,
            OnStoreError::Local => {
                let instances = self.instances.max(self.census.seen()).max(1);
                Alone::Share((self.limit() / instances).max(1))
            }
        }
    }

    /// The most that the store may let in.
    pub(super) fn most(&self) -> u32 {
        match self.limits.enforce {
            true => self.limit(),
            false => crate::policy::bulkhead::gate::MAX_CONCURRENT,
        }
    }

    pub(super) fn lease_micros(&self) -> i64 {
        i64::try_from(self.lease.as_micros())
            .unwrap_or(LONGEST)
            .min(LONGEST)
    }

    /// What the holders of one more lane are called, before their numbers.
    pub(super) fn prefix(&self) -> String {
        let lane = self.lanes.fetch_add(1, Relaxed);
        format!("{}:{}.{lane}.", self.lease_micros(), self.tag)
    }
}

/// It answers, or it is not known yet whether it does: then calls wait for that.
fn is_worth_asking(store: &dyn Store) -> bool {
    store.is_up() || store.health().status == StoreStatus::Connecting
}

/// Ten years: sums of it stay whole numbers in every language.
const LONGEST: i64 = 10 * 365 * 86_400 * 1_000_000;
