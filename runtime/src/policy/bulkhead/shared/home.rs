//! What all places of one shared bulkhead have in common: its terms, its store, whom it tells.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{
    algorithm::desk::{Alone, Terms},
    clock::{self, Nanos},
    event::{Event, LeaseLost, Sink},
    kind::PolicyKind,
    name::PolicyName,
    policy::{
        bulkhead::{gate::MAX_CONCURRENT, rules::Manner, terms},
        reloadable::Reloadable,
        shared::OnStoreError,
    },
    store::{Census, Link, Store, StoreError, StoreStatus},
    sync::AtomicBool,
};

#[derive(Debug)]
pub(super) struct Home {
    pub(super) name: PolicyName,
    pub(super) link: Link,
    sink: Sink,
    terms: Arc<Reloadable<terms::Terms>>,
    census: Arc<Census>,
    /// What the holders of this instance are called, before their numbers: never twice the same.
    tag: String,
    lanes: AtomicU64,
    told_no_store: AtomicBool,
}

impl Home {
    pub(super) fn new(name: PolicyName, terms: Arc<Reloadable<terms::Terms>>, sink: Sink) -> Self {
        let link = Link::new(sink.store().clone(), PolicyKind::Bulkhead, name.clone());
        let mut random = fastrand::Rng::new();
        Self {
            name,
            census: Census::new(link.clone()),
            link,
            sink,
            terms,
            tag: format!("{:016x}{:016x}", random.u64(..), random.u64(..)),
            lanes: AtomicU64::new(0),
            told_no_store: AtomicBool::new(false),
        }
    }

    /// What is in force.
    pub(super) fn in_force(&self) -> &terms::Terms {
        self.terms.get()
    }

    /// Begins to count instances, once there is a store.
    pub(super) fn begin(&self) -> Result<(), StoreError> {
        self.census.begin()
    }

    /// The store. That there is none is told once.
    pub(super) fn store(&self) -> Result<&Arc<dyn Store>, StoreError> {
        let store = self.link.store();
        if store.is_err() {
            let kind = PolicyKind::Bulkhead;
            self.sink
                .tell_no_store(kind, &self.name, &self.told_no_store);
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
        let terms = self.in_force();
        let manner = terms.manner();
        Terms {
            limit: terms.limits.max_concurrent,
            watches: manner == Manner::Watch,
            // Whoever waits goes by as soon as it looks: until then nobody is refused.
            waits: matches!(manner, Manner::Wait { .. } | Manner::Absent),
            max_queue: match manner {
                Manner::Absent => u32::MAX,
                _ => terms.limits.max_queue,
            },
            lease: terms.settings.lease_in_force(),
            deadline: store.map_or(Duration::ZERO, |store| store.deadline()),
            alone: self.alone(terms),
            up: store.is_some_and(|store| is_worth_asking(&**store)),
        }
    }

    /// What this instance does by itself.
    fn alone(&self, terms: &terms::Terms) -> Alone {
        match terms.settings.on_store_error.unwrap_or_default() {
            _ if terms.is_off() => Alone::Open,
            OnStoreError::Allow => Alone::Open,
            OnStoreError::Deny => Alone::Shut,
            OnStoreError::Local => {
                let least = terms.settings.instances.unwrap_or(1);
                let instances = least.max(self.census.seen()).max(1);
                Alone::Share((terms.limits.max_concurrent / instances).max(1))
            }
        }
    }

    /// The most that the store may let in.
    pub(super) fn most(&self) -> u32 {
        let terms = self.in_force();
        match terms.limits.enforce {
            true => terms.limits.max_concurrent,
            false => MAX_CONCURRENT,
        }
    }

    /// What the holders of one more lane are called, between the length of their leases and their numbers.
    pub(super) fn tag(&self) -> String {
        let lane = self.lanes.fetch_add(1, Relaxed);
        format!("{}.{lane}.", self.tag)
    }
}

/// It answers, or it is not known yet whether it does: then calls wait for that.
fn is_worth_asking(store: &dyn Store) -> bool {
    store.is_up() || store.health().status == StoreStatus::Connecting
}
