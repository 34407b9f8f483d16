//! A store that answers when the test says so, and counts what it is asked.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{
    clock,
    event::Sink,
    lock::lock,
    name::PolicyName,
    policy::{
        Policy,
        rate_limiter::{RateLimiter, RateLimiterSettings},
    },
    store::{Job, Member, Reply, Store, StoreError, StoreHealth, StoreStatus, Table},
};

/// Clones are one store.
#[derive(Debug, Clone, Default)]
pub(super) struct SlowStore(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    table: Mutex<Table>,
    jobs: Mutex<VecDeque<Job>>,
    asked: AtomicU64,
    /// Whether it needs no word of the test's.
    at_once: AtomicBool,
}

impl SlowStore {
    /// One that answers at once.
    pub(super) fn prompt() -> Self {
        let store = Self::default();
        store.0.at_once.store(true, Relaxed);
        store
    }

    /// An instance of a service that keeps its state here.
    pub(super) fn limiter(&self, settings: RateLimiterSettings) -> RateLimiter {
        limiter(self.clone(), settings)
    }

    /// Limits asked for, leaving out signs of life.
    pub(super) fn asked(&self) -> u64 {
        self.0.asked.load(Relaxed)
    }

    /// Questions that wait for an answer.
    pub(super) fn waiting(&self) -> usize {
        lock(&self.0.jobs).len()
    }

    /// The time that the next question has left.
    pub(super) fn within(&self) -> Option<Duration> {
        lock(&self.0.jobs).front()?.within
    }

    /// Answers the first question.
    pub(super) fn answer(&self) -> bool {
        let Some(job) = lock(&self.0.jobs).pop_front() else {
            return false;
        };
        self.decide(job);
        true
    }

    /// Answers all, those that come of it included.
    pub(super) fn answer_all(&self) {
        while self.answer() {}
    }

    /// Answers the first question with an error; nothing was done.
    pub(super) fn fail(&self, error: StoreError) {
        let job = lock(&self.0.jobs).pop_front();
        if let Some(job) = job {
            job.finish(Err(error));
        }
    }

    pub(super) fn records(&self) -> usize {
        lock(&self.0.table).len()
    }

    fn decide(&self, job: Job) {
        let now = i64::try_from(clock::since_epoch(clock::now()) / 1_000).expect("a time");
        let outcome = {
            let mut table = lock(&self.0.table);
            let mut records = table.records(&job.keys, now);
            (job.script.twin)(&mut records, &job.args)
        };
        job.finish(outcome.map(Reply));
    }
}

/// An instance of a service that keeps its state there.
pub(super) fn limiter(store: impl Store, settings: RateLimiterSettings) -> RateLimiter {
    let sink = Sink::new();
    sink.store().set(Arc::new(store)).expect("the first one");
    assemble(settings, sink)
}

pub(super) fn assemble(settings: RateLimiterSettings, sink: Sink) -> RateLimiter {
    assert!(settings.problem().is_none(), "{:?}", settings.problem());
    RateLimiter::assemble(PolicyName::from("shared"), &settings, sink)
}

impl Store for SlowStore {
    fn run(&self, job: Job) {
        if job.script.name != "census" {
            self.0.asked.fetch_add(1, Relaxed);
        }
        if self.0.at_once.load(Relaxed) {
            self.decide(job);
        } else {
            lock(&self.0.jobs).push_back(job);
        }
    }

    /// What is told with time goes to a store in memory in these tests.
    fn attach(&self, _: Weak<dyn Member>) {}

    fn is_up(&self) -> bool {
        true
    }

    fn health(&self) -> StoreHealth {
        StoreHealth::new(StoreStatus::Up)
    }
}
