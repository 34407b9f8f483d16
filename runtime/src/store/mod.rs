//! What policies need of the place where several processes keep their state.
//!
//! A store runs scripts and knows no policy; a policy brings its scripts and knows no store.

#[cfg(feature = "redis")]
mod answer;
mod census;
mod error;
mod health;
mod job;
mod link;
#[cfg(all(test, not(steadfast_loom)))]
pub(crate) mod on_server;
mod script;

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

#[cfg(all(test, not(steadfast_loom), feature = "redis"))]
pub(crate) use answer::Answer;
#[cfg(feature = "redis")]
pub(crate) use answer::ask;
pub(crate) use census::Census;
pub use error::StoreError;
pub use health::{StoreHealth, StoreStatus};
pub use job::Job;
pub(crate) use job::{Arg, Reply, Value, bytes, int};
pub(crate) use link::{Link, StoreSlot};
#[cfg(any(test, feature = "redis"))]
pub(crate) use script::PRELUDE;
pub(crate) use script::{Records, Script, Table};

/// Where the state of `shared` policies lives, so that all instances of a service act as one:
/// [`RedisStore`](crate::RedisStore) (feature `redis`), or a [`MemoryStore`](crate::MemoryStore) for
/// tests.
///
/// Given to the registry with [`set_store`](crate::Registry::set_store). What a store is asked to do is
/// Steadfast's own and changes without notice: it is not for other crates to implement.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Runs a script, and hands its reply to the job, once, on whatever thread, and before the deadline.
    /// Returns at once.
    #[doc(hidden)]
    fn run(&self, job: Job);

    /// Tells a policy of the passing of time and of outages, as long as it lives.
    #[doc(hidden)]
    fn attach(&self, member: Weak<dyn Member>);

    /// How long a job may take.
    #[doc(hidden)]
    fn deadline(&self) -> Duration {
        Duration::from_millis(50)
    }

    /// Whether it answers at present, as far as is known without asking.
    fn is_up(&self) -> bool;

    /// How it is doing, and has done since its start.
    fn health(&self) -> StoreHealth;

    /// Whether it goes by the real time though a test may have paused its callers' clock: what is timed
    /// between a policy and its store goes by this one.
    #[doc(hidden)]
    fn is_in_real_time(&self) -> bool {
        true
    }
}

/// Whoever has something to do with a store now and then. Called on the store's own thread: it must
/// neither block nor take long.
#[doc(hidden)]
pub trait Member: Send + Sync {
    /// Some time has passed, at most [`TICK`].
    fn tick(self: Arc<Self>);

    /// The store is away.
    fn down(self: Arc<Self>, _cause: &StoreError) {}

    /// It is back, after so long.
    fn up(self: Arc<Self>, _away: Duration) {}
}

/// How often members are called.
pub(crate) const TICK: Duration = Duration::from_millis(100);
