//! The settings of a store.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::oneshot;

use crate::store::StoreError;

use super::{RedisStore, desk::Desk, driver::Opened, plan::Plan, thread, url::Url};

/// Settings of a [`RedisStore`], from [`RedisStore::builder`].
///
/// ```no_run
/// # async fn example() -> Result<(), steadfast::StoreError> {
/// use std::time::Duration;
///
/// let store = steadfast::RedisStore::builder("redis+cluster://10.0.0.5,10.0.0.6/")
///     .deadline(Duration::from_millis(20))
///     .key_prefix("shop:")
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `connect` or `lazy`"]
pub struct RedisStoreBuilder {
    url: String,
    deadline: Duration,
    prefix: String,
    connections: usize,
    #[cfg(feature = "redis-tls")]
    tls: super::tls::TlsSettings,
}

const MOST_CONNECTIONS: usize = 64;
const LONGEST_DEADLINE: Duration = Duration::from_secs(60);

impl RedisStoreBuilder {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            deadline: Duration::from_millis(50),
            prefix: "steadfast:".to_owned(),
            connections: 1,
            #[cfg(feature = "redis-tls")]
            tls: super::tls::TlsSettings::default(),
        }
    }

    /// How long a call waits for the store at most, everything included. From 1 ms to 1 min; 50 ms where
    /// it is not set.
    ///
    /// A command that is not answered in time may be done all the same.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// What all keys begin with: services that share a server and have policies of the same names set
    /// different ones. `steadfast:` where it is not set; without `{` and `}`, which mean something to a
    /// cluster.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Connections to each server, from 1 to 64; 1 where it is not set, which is enough for some ten
    /// thousand calls a second. More of them help where answers are large. The calls for one key all go
    /// over the same one.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// The authority that the server's certificate must be of, as PEM, in place of those that the system
    /// trusts. Several may stand in one text.
    #[cfg(feature = "redis-tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis-tls")))]
    pub fn ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.ca = Some(pem.into());
        self
    }

    /// Our own certificate and its private key, as PEM, for servers that want one.
    #[cfg(feature = "redis-tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis-tls")))]
    pub fn client_certificate(
        mut self,
        certificate_pem: impl Into<Vec<u8>>,
        key_pem: impl Into<Vec<u8>>,
    ) -> Self {
        self.tls.client = Some((certificate_pem.into(), key_pem.into()));
        self
    }

    /// The store, once its server has answered. It may be called in any runtime, or in none.
    ///
    /// # Errors
    /// The URL or a setting is wrong, the server cannot be reached within ten deadlines (0.5 s at least,
    /// 5 s at most), or it refuses the user, the password or the encryption.
    ///
    /// # Cancellation
    /// Nothing is left of it.
    pub async fn connect(self) -> Result<RedisStore, StoreError> {
        let (opened, outcome) = oneshot::channel();
        let store = self.begin(Some(opened))?;
        outcome.await.unwrap_or(Err(StoreError::Closed))?;
        Ok(store)
    }

    /// The store, which joins its server as soon as it can.
    ///
    /// # Errors
    /// The URL or a setting is wrong.
    pub fn lazy(self) -> Result<RedisStore, StoreError> {
        self.begin(None)
    }

    fn begin(self, opened: Option<Opened>) -> Result<RedisStore, StoreError> {
        let plan = self.check()?;
        let desk = Arc::new(Desk::new(plan.deadline));
        // Closes the desk if there is no thread for it.
        let store = RedisStore::at(Arc::clone(&desk));
        thread::begin(&desk, plan, opened)?;
        Ok(store)
    }

    fn check(self) -> Result<Plan, StoreError> {
        let url = Url::parse(&self.url)?;
        if !(Duration::from_millis(1)..=LONGEST_DEADLINE).contains(&self.deadline) {
            return Err(bad("deadline", "write a time from 1 ms to 1 min"));
        }
        if !(1..=MOST_CONNECTIONS).contains(&self.connections) {
            return Err(bad("connections", "write a number from 1 to 64"));
        }
        if self.prefix.contains(['{', '}']) {
            return Err(bad(
                "key_prefix",
                "write it without `{` and `}`, which mean something to a cluster",
            ));
        }
        #[cfg(feature = "redis-tls")]
        let tls = match url.tls {
            true => Some(self.tls.check()?),
            false if self.tls.is_set() => {
                return Err(bad(
                    "ca_certificate` or `client_certificate",
                    "the connection is not encrypted: write `rediss://` in the URL",
                ));
            }
            false => None,
        };
        Ok(Plan {
            target: url.target,
            login: url.login,
            db: url.db,
            prefix: self.prefix.into_bytes(),
            deadline: self.deadline,
            connections: self.connections,
            #[cfg(feature = "redis-tls")]
            tls,
        })
    }
}

fn bad(setting: &'static str, problem: &str) -> StoreError {
    StoreError::BadSetting {
        setting,
        problem: problem.to_owned(),
    }
}

/// The URL may hold a password, and so may the certificates.
impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreBuilder")
            .field("deadline", &self.deadline)
            .field("key_prefix", &self.prefix)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}
