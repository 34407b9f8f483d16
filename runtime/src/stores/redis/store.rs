//! The store, as users hold it.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use crate::store::{Job, Member, Store, StoreError, StoreHealth, ask};

use super::{RedisStoreBuilder, desk::Desk, errand::PING};

/// Makes all instances of a service act as one, through a Redis or Valkey server: what is `shared`
/// keeps its state there.
///
/// Cheap to clone; clones are one store. It has a thread of its own, with its own runtime and clock,
/// which ends with the last clone.
///
/// ```no_run
/// # async fn example() -> Result<(), steadfast::StoreError> {
/// let store = steadfast::RedisStore::connect("redis://10.0.0.5/").await?;
/// steadfast::registry().set_store(store)?;
/// # Ok(())
/// # }
/// ```
///
/// # URLs
///
/// | URL | what is reached |
/// |---|---|
/// | `redis://user:password@host:port/db` | one server; user, password, port (6379) and database (0) may be left out, `:password@` is the default user's |
/// | `redis+sentinel://host:port,host:port/master/db` | the master of that name, as the sentinels know it (port 26379); it is asked for anew after each failure |
/// | `redis+cluster://host:port,host:port/` | a cluster, of which these servers are some |
/// | `rediss://`, `rediss+sentinel://`, `rediss+cluster://` | the same over TLS (feature `redis-tls`) |
///
/// A user and password stand before the first host; special characters in them are percent-encoded. An
/// IPv6 address stands in brackets.
///
/// # When the server is away
///
/// No call waits for the store longer than the [`deadline`](RedisStoreBuilder::deadline). Once a
/// connection is lost, or has owed answers for three deadlines (150 ms at least) and said nothing, calls
/// do not wait at all: they end with the cause, and `on_store_error` decides. Meanwhile one connection
/// is tried after the other, with a random delay of at most 0.4 s between them (5 s after a refused login
/// or certificate); when one works, the store is back.
///
/// A command whose answer did not come is never sent again: it may have been done.
///
/// # What a user of the server needs
///
/// The commands of the scripts on all keys that begin with the
/// [`key_prefix`](RedisStoreBuilder::key_prefix), and `EVALSHA`, `EVAL`, `SCRIPT LOAD`, `PING`,
/// `PERSIST`; `ROLE` behind sentinels, `CLUSTER SLOTS` in a cluster.
#[derive(Clone)]
pub struct RedisStore(Arc<Handle>);

/// Closes the desk with the last clone. Whoever works there holds the desk alone.
struct Handle(Arc<Desk>);

impl RedisStore {
    /// A store on the server at this URL, which answers already.
    ///
    /// # Errors
    /// The URL is wrong, the server cannot be reached, or it refuses the user, the password or the
    /// encryption.
    ///
    /// # Cancellation
    /// Nothing is left of it.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder(url).connect().await
    }

    /// The same without waiting: it joins as soon as it can, and until then `on_store_error` decides.
    /// Calls made before the first attempt has failed wait for it, up to the deadline.
    ///
    /// # Errors
    /// The URL is wrong.
    pub fn lazy(url: &str) -> Result<Self, StoreError> {
        Self::builder(url).lazy()
    }

    /// A store with settings of its own.
    pub fn builder(url: &str) -> RedisStoreBuilder {
        RedisStoreBuilder::new(url)
    }

    pub(super) fn at(desk: Arc<Desk>) -> Self {
        Self(Arc::new(Handle(desk)))
    }

    /// One round trip to the server and back, on the way of all others.
    #[doc(hidden)]
    pub async fn ping(&self) -> Result<(), StoreError> {
        let ping = ask(self, |done| Job::new(&PING, Vec::new(), Vec::new(), done));
        ping.await.map(drop)
    }
}

impl Store for RedisStore {
    fn run(&self, job: Job) {
        self.0.0.hand_in(job);
    }

    fn attach(&self, member: Weak<dyn Member>) {
        self.0.0.attach(member);
    }

    fn deadline(&self) -> Duration {
        self.0.0.deadline()
    }

    fn is_up(&self) -> bool {
        self.0.0.is_up()
    }

    fn health(&self) -> StoreHealth {
        self.0.0.health()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("status", &self.health().status)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(steadfast_loom)))]
impl RedisStore {
    /// Who works at the desk, besides the store.
    pub(super) fn desk(&self) -> Weak<Desk> {
        Arc::downgrade(&self.0.0)
    }
}
