//! A store in the memory of one process.

use std::{
    fmt,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use crate::{
    clock,
    lock::lock,
    store::{Job, Member, Reply, Store, StoreError, StoreHealth, StoreStatus, TICK, Table},
};

/// Shared state without a server: for tests of functions with `shared` policies, and for several
/// registries of one process.
///
/// Cheap to clone; clones are one store. It answers at once, and goes by Steadfast's clock: with
/// `tokio::time::pause()` its limits refill in virtual time.
///
/// ```
/// use steadfast::{MemoryStore, RateLimiter, Rate};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// steadfast::registry().set_store(MemoryStore::new())?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryStore(Arc<Inner>);

struct Inner {
    table: Mutex<Table>,
    members: Mutex<Vec<Weak<dyn Member>>>,
    away: Mutex<Option<(StoreError, Instant)>>,
    is_away: AtomicBool,
    commands: AtomicU64,
    errors: AtomicU64,
    refused: AtomicU64,
    outages: AtomicU64,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store. A thread of its own has policies send what they have gathered, ten times a second.
    #[must_use]
    pub fn new() -> Self {
        let store = Self::at_rest();
        let inner = Arc::downgrade(&store.0);
        let tick = move || {
            while let Some(inner) = inner.upgrade() {
                inner.tick();
                drop(inner);
                std::thread::sleep(TICK);
            }
        };
        // Without the thread nothing is lost: what is gathered waits for the next `tick`.
        let spawned = std::thread::Builder::new().name("steadfast-store".into());
        drop(spawned.spawn(tick));
        store
    }

    /// An empty store whose policies send what they have gathered at [`tick`](Self::tick), and then only:
    /// for tests that want to say when.
    #[must_use]
    pub fn at_rest() -> Self {
        Self(Arc::new(Inner {
            table: Mutex::default(),
            members: Mutex::default(),
            away: Mutex::default(),
            is_away: AtomicBool::new(false),
            commands: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            outages: AtomicU64::new(0),
        }))
    }

    /// Has every policy send what it has gathered.
    pub fn tick(&self) {
        self.0.tick();
    }

    /// Forgets everything, as a server that was flushed.
    pub fn clear(&self) {
        lock(&self.0.table).clear();
    }

    /// Answers nobody from now on, until [`restore`](Self::restore): for tests of what happens then.
    pub fn disconnect(&self) {
        let cause = StoreError::Unreachable {
            problem: "disconnected by hand".to_owned(),
        };
        let before = lock(&self.0.away).replace((cause.clone(), Instant::now()));
        self.0.is_away.store(true, Relaxed);
        if before.is_none() {
            self.0.outages.fetch_add(1, Relaxed);
            self.0.each(|member| member.down(&cause));
        }
    }

    /// Answers again.
    pub fn restore(&self) {
        let before = lock(&self.0.away).take();
        self.0.is_away.store(false, Relaxed);
        if let Some((_, since)) = before {
            self.0.each(|member| member.up(since.elapsed()));
        }
    }

    /// The number of records that it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.0.table).len()
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Inner {
    fn tick(&self) {
        self.each(Member::tick);
    }

    fn each(&self, act: impl Fn(Arc<dyn Member>)) {
        let mut alive = Vec::new();
        // Outside the lock: members come back to the store.
        lock(&self.members).retain(|member| match member.upgrade() {
            Some(member) => {
                alive.push(member);
                true
            }
            None => false,
        });
        alive.into_iter().for_each(act);
    }

    fn decide(&self, job: &Job) -> Result<Reply, StoreError> {
        if let Some((cause, _)) = &*lock(&self.away) {
            self.refused.fetch_add(1, Relaxed);
            return Err(cause.clone());
        }
        self.commands.fetch_add(1, Relaxed);
        let now = job.now.unwrap_or_else(micros_now);
        let outcome = {
            let mut table = lock(&self.table);
            let mut records = table.records(&job.keys, now);
            (job.script.twin)(&mut records, &job.args)
        };
        if outcome.is_err() {
            self.errors.fetch_add(1, Relaxed);
        }
        outcome.map(Reply)
    }
}

/// The wall clock, in virtual time the virtual one.
fn micros_now() -> i64 {
    let micros = clock::since_epoch(clock::now()) / 1_000;
    i64::try_from(micros).unwrap_or(i64::MAX)
}

impl Store for MemoryStore {
    fn run(&self, job: Job) {
        let outcome = self.0.decide(&job);
        job.finish(outcome);
    }

    fn attach(&self, member: Weak<dyn Member>) {
        lock(&self.0.members).push(member);
    }

    fn is_up(&self) -> bool {
        !self.0.is_away.load(Relaxed)
    }

    fn is_in_real_time(&self) -> bool {
        false
    }

    fn health(&self) -> StoreHealth {
        let status = match &*lock(&self.0.away) {
            None => StoreStatus::Up,
            Some((cause, since)) => StoreStatus::Down {
                cause: cause.clone(),
                since: since.elapsed(),
            },
        };
        StoreHealth {
            commands: self.0.commands.load(Relaxed),
            errors: self.0.errors.load(Relaxed),
            refused: self.0.refused.load(Relaxed),
            outages: self.0.outages.load(Relaxed),
            connections: 1,
            ..StoreHealth::new(status)
        }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
