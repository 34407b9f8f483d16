//! What the files of the corpus share.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use steadfast::Rejection;

/// An error as the documentation recommends it: the user's own, with one variant for rejections.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("down")]
    Down,
    #[error("gone: {0}")]
    Gone(u16),
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

impl Failure {
    pub(crate) fn is_down(&self) -> bool {
        *self == Self::Down
    }
}

/// Fails until it is asked for the `good`th time; then answers with how often it was asked.
#[derive(Debug)]
pub(crate) struct Tries {
    made: AtomicU32,
    good: u32,
}

impl Tries {
    pub(crate) const fn good_at(good: u32) -> Self {
        Self {
            made: AtomicU32::new(0),
            good,
        }
    }

    pub(crate) const fn never_good() -> Self {
        Self::good_at(u32::MAX)
    }

    pub(crate) fn ask(&self) -> Result<u32, Failure> {
        let made = self.made.fetch_add(1, Relaxed) + 1;
        if made >= self.good {
            Ok(made)
        } else {
            Err(Failure::Down)
        }
    }

    pub(crate) fn made(&self) -> u32 {
        self.made.load(Relaxed)
    }
}

/// Fails to compile where `value` is not `Send`.
pub(crate) fn assert_send<T: Send>(value: T) -> T {
    value
}
