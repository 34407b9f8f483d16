//! What a store is asked to do.

use std::{fmt, time::Duration};

use super::{Script, StoreError};

/// One run of a script.
pub struct Job {
    pub(crate) script: &'static Script,
    /// Every key that the script touches. They share a hash tag, so that a cluster keeps them together.
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) args: Vec<Arg>,
    /// The time in microseconds, for tests; else the store's.
    pub(crate) now: Option<i64>,
    /// Less time than the store gives every job.
    pub(crate) within: Option<Duration>,
    done: Option<Done>,
}

type Done = Box<dyn FnOnce(Result<Reply, StoreError>) + Send>;

/// An argument of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arg {
    /// A whole number, under 2^53.
    Int(i64),
    /// Anything else.
    Bytes(Vec<u8>),
}

/// What a script gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(not(feature = "redis"), allow(dead_code))] // only shared answers give more than integers
pub(crate) enum Value {
    /// A whole number.
    Int(i64),
    /// Anything else.
    Bytes(Vec<u8>),
    /// Nothing.
    Nil,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply(pub(crate) Vec<Value>);

impl Job {
    /// To be run; `done` gets what became of it, exactly once.
    pub(crate) fn new(
        script: &'static Script,
        keys: Vec<Vec<u8>>,
        args: Vec<Arg>,
        done: impl FnOnce(Result<Reply, StoreError>) + Send + 'static,
    ) -> Self {
        Self {
            script,
            keys,
            args,
            now: None,
            within: None,
            done: Some(Box::new(done)),
        }
    }

    /// At a time of a test's own, in microseconds.
    #[cfg(all(test, not(steadfast_loom), feature = "redis"))]
    pub(crate) fn at(mut self, now: Option<i64>) -> Self {
        self.now = now;
        self
    }

    /// The caller has no more time than this.
    pub(crate) fn within(mut self, time: Duration) -> Self {
        self.within = Some(time);
        self
    }

    pub(crate) fn finish(mut self, outcome: Result<Reply, StoreError>) {
        if let Some(done) = self.done.take() {
            done(outcome);
        }
    }
}

/// A job that is dropped was never run to its end: whoever waits for it must not wait for ever.
impl Drop for Job {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            done(Err(StoreError::Closed));
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never keys or arguments: they are the user's.
        f.debug_struct("Job")
            .field("script", &self.script.name)
            .finish_non_exhaustive()
    }
}

impl Reply {
    /// The `nth` integer.
    ///
    /// # Errors
    /// There is none: whoever answered is not running the script.
    pub(crate) fn int(&self, nth: usize) -> Result<i64, StoreError> {
        match self.0.get(nth) {
            Some(Value::Int(int)) => Ok(*int),
            _ => Err(StoreError::BadReply),
        }
    }

    /// All of it, as integers.
    ///
    /// # Errors
    /// One of them is something else.
    pub(crate) fn ints(&self) -> Result<Vec<i64>, StoreError> {
        (0..self.0.len()).map(|nth| self.int(nth)).collect()
    }
}

impl From<i64> for Arg {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl From<u32> for Arg {
    fn from(int: u32) -> Self {
        Self::Int(int.into())
    }
}

impl From<&[u8]> for Arg {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl Arg {
    /// The integer.
    ///
    /// # Errors
    /// It is something else.
    pub(crate) fn int(&self) -> Result<i64, StoreError> {
        match self {
            Self::Int(int) => Ok(*int),
            Self::Bytes(_) => Err(StoreError::BadReply),
        }
    }

    /// The bytes.
    ///
    /// # Errors
    /// It is something else.
    pub(crate) fn bytes(&self) -> Result<&[u8], StoreError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Int(_) => Err(StoreError::BadReply),
        }
    }
}

/// The `nth` argument of a script, an integer.
///
/// # Errors
/// There is none: whoever asks does not know the script.
pub(crate) fn int(args: &[Arg], nth: usize) -> Result<i64, StoreError> {
    args.get(nth).ok_or(StoreError::BadReply)?.int()
}

/// The same, bytes.
///
/// # Errors
/// As of [`int`].
pub(crate) fn bytes(args: &[Arg], nth: usize) -> Result<&[u8], StoreError> {
    args.get(nth).ok_or(StoreError::BadReply)?.bytes()
}
