//! Why a store did not do what it was asked.

use std::time::Duration;

/// Why a store did not answer. It never tells a URL, a password, a key or a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The URL cannot be used.
    #[error("the URL of the store: {problem}")]
    BadUrl {
        /// What is wrong, and what to write.
        problem: String,
    },
    /// A setting of the store cannot be used.
    #[error("the store's `{setting}`: {problem}")]
    BadSetting {
        /// The setting.
        setting: &'static str,
        /// What is wrong, and what to write.
        problem: String,
    },
    /// There is no connection.
    #[error("the store cannot be reached: {problem}")]
    Unreachable {
        /// What the network says.
        problem: String,
    },
    /// It did not answer in time. What was asked may be done all the same.
    #[error("the store did not answer within {deadline:?}")]
    TimedOut {
        /// The time that it had.
        deadline: Duration,
    },
    /// So many calls wait for it that one more has no chance.
    #[error("the store has {in_flight} calls to answer already")]
    Overloaded {
        /// Calls that wait for an answer.
        in_flight: usize,
    },
    /// Wrong user or password.
    #[error("the store refused the login: {problem}")]
    Login {
        /// What the server says.
        problem: String,
    },
    /// The user may not do what is needed.
    #[error("the store's user lacks a permission: {problem}")]
    Forbidden {
        /// What the server says.
        problem: String,
    },
    /// The encrypted connection could not be made.
    #[error("no secure connection to the store: {problem}")]
    Tls {
        /// What is wrong with the certificate or the handshake.
        problem: String,
    },
    /// A key holds what Steadfast did not put there.
    #[error(
        "a key of the policy holds something else in the store: remove it, or set another key prefix"
    )]
    WrongType,
    /// The server has no memory left (`maxmemory`), and takes no writes.
    #[error("the store is full (`maxmemory`)")]
    Full,
    /// The server is not ready, or no longer the master.
    #[error("the store takes no writes now: {problem}")]
    NotReady {
        /// What the server says.
        problem: String,
    },
    /// The server ran into an error of another kind.
    #[error("the store answered with an error: {problem}")]
    Server {
        /// What the server says.
        problem: String,
    },
    /// The answer is not one of Steadfast's scripts.
    #[error("the store's answer is not what its script gives")]
    BadReply,
    /// The store was dropped.
    #[error("the store is closed")]
    Closed,
    /// No store was given to the registry.
    #[error(
        "no store is set: call `steadfast::registry().set_store(..)` before the first shared call"
    )]
    NotSet,
    /// A registry keeps the store it was given first.
    #[error("the registry has a store already: set it once, before the first shared call")]
    AlreadySet,
}
