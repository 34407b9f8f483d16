//! A fallback's part of what all instances remember.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
    time::Duration,
};

use super::{
    flight::{Asked, Flight, Flights, Said},
    json::Shareable,
    pace::Pace,
    script::{FORGET, RECALL, REMEMBER, micros},
    tag::Tags,
};
use crate::{
    clock::Nanos,
    event::Sink,
    kind::PolicyKind,
    name::PolicyName,
    policy::fallback::{
        memory::{Answers, CacheKey, Recalled, Remembered, Slot},
        settings::{Ages, Terms},
    },
    store::{Arg, Job, Link, Member, Store, StoreError},
    sync::AtomicBool,
};

/// The largest answer that is shared, as JSON and with its key.
const LARGEST: usize = 1 << 20;

/// By so much must the store's answer be younger to be sent here: a copy of one answer looks a little
/// younger on one side or the other, by the time that messages take.
const SLACK: Duration = Duration::from_millis(100);

/// What a shared fallback has beside its own memory.
#[derive(Debug)]
pub(in crate::policy::fallback) struct Sharing {
    name: PolicyName,
    link: Link,
    sink: Sink,
    tags: Tags,
    flights: Flights,
    pace: Pace,
    /// Counts the resets: what began before one must not be remembered after it.
    epoch: AtomicU64,
    is_attached: AtomicBool,
    told_no_store: AtomicBool,
    from_store: AtomicU64,
    unshared: AtomicU64,
    unreadable: AtomicU64,
}

/// What was counted since the last reset.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::policy::fallback) struct Counts {
    pub(in crate::policy::fallback) from_store: u64,
    pub(in crate::policy::fallback) unshared: u64,
    pub(in crate::policy::fallback) unreadable: u64,
}

/// An answer on its way into the store. Dropped, it is not there.
struct Write {
    sharing: Arc<Sharing>,
    slot: Slot,
    field: Vec<u8>,
    bytes: usize,
    begun: Nanos,
    epoch: u64,
    is_done: bool,
}

impl Sharing {
    pub(in crate::policy::fallback) fn new(
        name: &PolicyName,
        max_entries: u32,
        sink: &Sink,
    ) -> Option<Arc<Self>> {
        let slot = sink.store().clone();
        Some(Arc::new(Self {
            name: name.clone(),
            link: Link::new(slot, PolicyKind::Fallback, name.clone()),
            sink: sink.clone(),
            tags: Tags::default(),
            flights: Flights::default(),
            pace: Pace::new(max_entries),
            epoch: AtomicU64::new(0),
            is_attached: AtomicBool::new(false),
            told_no_store: AtomicBool::new(false),
            from_store: AtomicU64::new(0),
            unshared: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
        }))
    }

    /// Writes a good answer to the store, in the background, unless one was a moment ago. Nobody waits
    /// for it, and nobody hears whether it arrived.
    pub(super) fn send<T: Shareable + 'static>(
        self: &Arc<Self>,
        key: &CacheKey,
        value: &T,
        now: Nanos,
        terms: &Terms,
    ) {
        let Some(store) = self.store().filter(|store| store.is_up()) else {
            return;
        };
        let slot = Slot::of::<T>(key);
        if !self.pace.begin(&slot, now, terms.ages.fresh) {
            return;
        }
        let mut write = Write {
            sharing: Arc::clone(self),
            slot,
            field: Vec::new(),
            bytes: 0,
            begun: now,
            epoch: self.epoch.load(Acquire),
            is_done: false,
        };
        let Some((field, json)) = self.written(key, value) else {
            // The next one is tried after the interval: writing it as JSON took its time, too.
            write.is_done = true;
            self.unshared.fetch_add(1, Relaxed);
            return;
        };
        let bytes = field.len() + json.len();
        if !self.pace.load(bytes) {
            return;
        }
        (write.bytes, write.field) = (bytes, field.clone());
        let args = vec![
            Arg::Bytes(field),
            Arg::Bytes(json),
            micros(terms.ages.stale).into(),
            terms.max_entries.into(),
        ];
        store.run(Job::new(&REMEMBER, self.keys(), args, move |outcome| {
            write.end(outcome.is_ok());
        }));
    }

    fn written<T: Shareable + 'static>(
        &self,
        key: &CacheKey,
        value: &T,
    ) -> Option<(Vec<u8>, Vec<u8>)> {
        let field = self.tags.field::<T>(key)?;
        let json = value.to_json(LARGEST.checked_sub(field.len())?)?;
        Some((field, json))
    }

    /// Asks the store for an answer younger than the one that is known, together with all who ask for
    /// the same at the same time. `None` where there is nobody to ask.
    pub(super) fn ask<T: Send + Sync + 'static>(
        self: &Arc<Self>,
        key: &CacheKey,
        known: Option<&Remembered<T>>,
        now: Nanos,
        ages: Ages,
    ) -> Option<Asked> {
        let store = self.store()?;
        let field = self.tags.field::<T>(key)?;
        let known = known.map(|known| known.at);
        let known = known.filter(|at| now.since(*at) <= ages.stale);
        let under = known.map_or(-1, |at| micros(now.since(at).saturating_sub(SLACK)));
        // All that can fail comes before the flight: nobody else would end it.
        let args = vec![Arg::Bytes(field), micros(ages.stale).into(), under.into()];
        let (keys, slot, this) = (self.keys(), Slot::of::<T>(key), Arc::clone(self));
        let flight = Flight::new(now, self.epoch.load(Acquire), known, ages.stale);
        let (asked, is_new) = self.flights.join(&slot, flight);
        if is_new {
            let flight = asked.flight();
            store.run(Job::new(&RECALL, keys, args, move |outcome| {
                this.flights.land(&slot, &flight, Said::from(outcome));
            }));
        }
        Some(asked)
    }

    /// The youngest answer that there is: the one that was known, one that has come meanwhile, or the
    /// store's.
    pub(super) fn settle<T: Clone + Send + Sync + 'static + Shareable>(
        &self,
        flight: &Flight,
        known: Option<Arc<Remembered<T>>>,
        key: &CacheKey,
        answers: &Answers,
        now: Nanos,
        ages: Ages,
    ) -> Option<Recalled<T>> {
        let here = answers.find::<T>(key).into_iter().chain(known);
        let here = here.max_by_key(|answer| answer.at);
        let Said::Answer { age, json } = &*flight.said() else {
            return here?.recalled(ages, now);
        };
        // From when it was asked on: so much at the least has passed since the store looked.
        let at = flight.sent.before(*age);
        let best = match here {
            // Also where somebody who asked together with this caller has read it already.
            Some(here) if here.at >= at => here,
            here => self.read(flight, json, key, answers, at).or(here)?,
        };
        let recalled = best.recalled(ages, now)?;
        if best.at == at {
            self.from_store.fetch_add(1, Relaxed);
        }
        Some(recalled)
    }

    fn read<T: Clone + Send + Sync + 'static + Shareable>(
        &self,
        flight: &Flight,
        json: &[u8],
        key: &CacheKey,
        answers: &Answers,
        at: Nanos,
    ) -> Option<Arc<Remembered<T>>> {
        let Some(value) = T::from_json(json) else {
            self.unreadable.fetch_add(1, Relaxed);
            return None;
        };
        let read = Arc::new(Remembered { value, at });
        if self.epoch.load(Acquire) == flight.epoch {
            answers.adopt(key, Arc::clone(&read));
        }
        Some(read)
    }

    pub(in crate::policy::fallback) fn counts(&self) -> Counts {
        Counts {
            from_store: self.from_store.load(Relaxed),
            unshared: self.unshared.load(Relaxed),
            unreadable: self.unreadable.load(Relaxed),
        }
    }

    /// Other terms are in force: every key may be written at once, so that the store keeps it by those.
    #[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody changes them
    pub(in crate::policy::fallback) fn change(&self, max_entries: u32) {
        self.pace.set_max_entries(max_entries);
        self.pace.forget();
    }

    /// Has the store forget the answers of this policy, as soon as it can be reached by a message.
    pub(in crate::policy::fallback) fn reset(&self) {
        self.epoch.fetch_add(1, AcqRel);
        self.pace.forget();
        for counter in [&self.from_store, &self.unshared, &self.unreadable] {
            counter.store(0, Relaxed);
        }
        self.forget(Vec::new());
    }

    fn forget(&self, field: Vec<u8>) {
        if let Ok(store) = self.link.store() {
            let args = vec![Arg::Bytes(field)];
            store.run(Job::new(&FORGET, self.keys(), args, |_| ()));
        }
    }

    fn keys(&self) -> Vec<Vec<u8>> {
        vec![self.link.key("answers"), self.link.key("ages")]
    }

    /// The store. Where none is set, it says so once, and the fallback goes on with what it remembers
    /// itself.
    fn store(self: &Arc<Self>) -> Option<&Arc<dyn Store>> {
        let store = self.link.store();
        match store {
            Ok(_) if !self.is_attached.load(Relaxed) => self.attach(),
            Err(StoreError::NotSet) => {
                let kind = PolicyKind::Fallback;
                self.sink
                    .tell_no_store(kind, &self.name, &self.told_no_store);
            }
            _ => {}
        }
        store.ok()
    }

    #[cold]
    fn attach(self: &Arc<Self>) {
        if self.is_attached.swap(true, Relaxed) {
            return;
        }
        let this: Arc<dyn Member> = self.clone();
        drop(self.link.attach(Arc::downgrade(&this)));
    }
}

impl Member for Sharing {
    fn tick(self: Arc<Self>) {}

    fn up(self: Arc<Self>, _: Duration) {
        // It may have come back without what it had.
        self.pace.forget();
    }
}

impl Write {
    fn end(mut self, is_done: bool) {
        self.is_done = is_done;
        if self.epoch != self.sharing.epoch.load(Acquire) {
            // A reset came in between, and may have been faster than this.
            self.sharing.forget(std::mem::take(&mut self.field));
        }
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        let pace = &self.sharing.pace;
        pace.ended(&self.slot, self.bytes, self.begun, self.is_done);
    }
}
