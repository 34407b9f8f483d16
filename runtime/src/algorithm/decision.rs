//! What a limit answers.

use std::time::Duration;

use thiserror::Error;

/// The answer to "may this call take its permits now?"
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) allowed: bool,
    /// What an unused limit gives out at once.
    pub(crate) limit: u32,
    /// Permits that could be taken right after this decision.
    pub(crate) remaining: u32,
    /// How long to wait before asking again: zero where allowed, `None` where no wait helps.
    pub(crate) retry_after: Option<Duration>,
    /// How long until the limit is as if it had never been used.
    pub(crate) reset_after: Duration,
    /// Which permits these were, so that a refund gives back no more than they still hold.
    pub(crate) mark: u64,
}

/// The mark of permits that were not taken: there was no limit.
pub(crate) const UNTAKEN: u64 = u64::MAX;

impl Decision {
    /// Of a limit that is switched off: as one that was never used, and nothing is taken from it.
    pub(crate) const fn past(limit: u32) -> Self {
        Self {
            allowed: true,
            limit,
            remaining: limit,
            retry_after: Some(Duration::ZERO),
            reset_after: Duration::ZERO,
            mark: UNTAKEN,
        }
    }

    /// The same with a mark that lies so much further.
    #[must_use]
    pub(crate) fn further(self, shift: u64) -> Self {
        Self {
            mark: self.mark.saturating_add(shift),
            ..self
        }
    }

    /// Whether there was no limit.
    pub(crate) fn is_past(&self) -> bool {
        self.allowed && self.mark == UNTAKEN
    }

    /// Of a limit that lets nothing through.
    pub(crate) const NOTHING: Self = Self {
        allowed: false,
        limit: 0,
        remaining: 0,
        retry_after: None,
        reset_after: Duration::ZERO,
        mark: 0,
    };
}

/// Why no limit can be made of these settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{}", self.message())]
pub(crate) enum Unrepresentable {
    NoPermits,
    NoTime,
    NoBurst,
    TooFast,
    TooLong,
}

impl Unrepresentable {
    /// What is wrong, and what to write.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::NoPermits => {
                "a rate of no permits lets nothing through: write at least 1, as in \"1/s\""
            }
            Self::NoTime => "a rate needs a time longer than zero: write \"200/s\" or \"10/h\"",
            Self::NoBurst => "`burst` must be at least 1: a bucket of 0 lets nothing through",
            Self::TooFast => {
                "more than eight permits a nanosecond cannot be counted: write a lower rate, or no limit"
            }
            Self::TooLong => "a time of more than 584 years cannot be counted: write a shorter one",
        }
    }
}
