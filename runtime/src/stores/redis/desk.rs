//! Where callers hand in their jobs, and the store's thread takes them: all that both sides see.

use std::{
    sync::Weak,
    time::{Duration, Instant},
};

use crate::{
    store::{Job, Member, Reply, StoreError, StoreHealth, StoreStatus},
    sync::{AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering::Relaxed, lock},
};

use super::{errand::Errand, inbox::Inbox};

/// How many jobs may be under way. At a hundred thousand a second, each has its deadline for it.
pub(super) const MOST_IN_FLIGHT: usize = 16_384;

pub(super) struct Desk {
    deadline: Duration,
    pub(super) inbox: Inbox<Errand>,
    newcomers: Mutex<Vec<Weak<dyn Member>>>,
    standing: Mutex<Standing>,
    /// The same as `standing`, for those who have no time for a lock.
    is_up: AtomicBool,
    is_down: AtomicBool,
    in_flight: AtomicUsize,
    commands: AtomicU64,
    timeouts: AtomicU64,
    errors: AtomicU64,
    refused: AtomicU64,
    connections: AtomicU64,
    outages: AtomicU64,
}

#[derive(Debug, Clone)]
pub(super) enum Standing {
    Connecting,
    Up,
    Down { cause: StoreError, since: Instant },
}

impl Desk {
    pub(super) fn new(deadline: Duration) -> Self {
        Self {
            deadline,
            inbox: Inbox::new(),
            newcomers: Mutex::new(Vec::new()),
            standing: Mutex::new(Standing::Connecting),
            is_up: AtomicBool::new(false),
            is_down: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            commands: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            outages: AtomicU64::new(0),
        }
    }

    /// How long a job may take.
    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Takes a job. Where it has no chance it is over at once: nothing is queued while the store is away.
    pub(super) fn hand_in(&self, job: Job) {
        if let Some(cause) = self.cause() {
            count(&self.refused);
            // Outside the lock: whoever hears of it may ask again.
            return job.finish(Err(cause));
        }
        let in_flight = self.in_flight.fetch_add(1, Relaxed);
        if in_flight >= MOST_IN_FLIGHT {
            self.in_flight.fetch_sub(1, Relaxed);
            self.errors.fetch_add(1, Relaxed);
            return job.finish(Err(StoreError::Overloaded { in_flight }));
        }
        let errand = Errand::new(job, Instant::now(), self.deadline);
        if let Some(errand) = self.inbox.put(errand) {
            self.settle(errand, Err(StoreError::Closed));
        }
    }

    /// Why the store is away, if it is.
    fn cause(&self) -> Option<StoreError> {
        if !self.is_down.load(Relaxed) {
            return None;
        }
        match &*lock(&self.standing) {
            Standing::Down { cause, .. } => Some(cause.clone()),
            Standing::Connecting | Standing::Up => None,
        }
    }

    /// Nobody will ever take anything: ends what is there, and whatever comes.
    pub(super) fn give_up(&self, cause: StoreError) {
        let since = Instant::now();
        self.stand(Standing::Down { cause, since });
        self.inbox.close();
        let mut left = Vec::new();
        self.inbox.take(&mut left);
        for errand in left {
            self.settle(errand, Err(StoreError::Closed));
        }
    }

    /// Ends an errand that was under way.
    pub(super) fn settle(&self, errand: Errand, outcome: Result<Reply, StoreError>) {
        match &outcome {
            Ok(_) => {}
            Err(StoreError::TimedOut { .. }) => count(&self.timeouts),
            Err(_) => count(&self.errors),
        }
        self.end(errand, outcome);
    }

    /// Ends an errand that was never sent.
    pub(super) fn refuse(&self, errand: Errand, cause: StoreError) {
        count(&self.refused);
        self.end(errand, Err(cause));
    }

    fn end(&self, errand: Errand, outcome: Result<Reply, StoreError>) {
        // Before its caller knows: who has its answer is in flight no more.
        self.in_flight.fetch_sub(1, Relaxed);
        errand.end(outcome);
    }

    pub(super) fn overloaded(&self) -> StoreError {
        StoreError::Overloaded {
            in_flight: self.in_flight.load(Relaxed),
        }
    }

    pub(super) fn sent(&self) {
        count(&self.commands);
    }

    pub(super) fn connected(&self) {
        count(&self.connections);
    }

    pub(super) fn standing(&self) -> Standing {
        lock(&self.standing).clone()
    }

    /// Says how the store is. An outage is counted when it begins, and its cause may change meanwhile.
    pub(super) fn stand(&self, new: Standing) {
        let mut standing = lock(&self.standing);
        let (up, down) = match &new {
            Standing::Connecting => (false, false),
            Standing::Up => (true, false),
            Standing::Down { .. } => (false, true),
        };
        if down && !matches!(*standing, Standing::Down { .. }) {
            count(&self.outages);
        }
        *standing = new;
        self.is_up.store(up, Relaxed);
        self.is_down.store(down, Relaxed);
    }

    pub(super) fn is_up(&self) -> bool {
        self.is_up.load(Relaxed)
    }

    pub(super) fn health(&self) -> StoreHealth {
        let status = match self.standing() {
            Standing::Connecting => StoreStatus::Connecting,
            Standing::Up => StoreStatus::Up,
            Standing::Down { cause, since } => StoreStatus::Down {
                cause,
                since: since.elapsed(),
            },
        };
        StoreHealth {
            commands: self.commands.load(Relaxed),
            timeouts: self.timeouts.load(Relaxed),
            errors: self.errors.load(Relaxed),
            refused: self.refused.load(Relaxed),
            connections: self.connections.load(Relaxed),
            outages: self.outages.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed) as u64,
            ..StoreHealth::new(status)
        }
    }

    pub(super) fn attach(&self, member: Weak<dyn Member>) {
        lock(&self.newcomers).push(member);
    }

    pub(super) fn newcomers(&self) -> Vec<Weak<dyn Member>> {
        std::mem::take(&mut *lock(&self.newcomers))
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
