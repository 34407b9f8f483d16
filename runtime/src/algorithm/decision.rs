//! What a limit answers.

use std::time::Duration;

use thiserror::Error;

/// The answer to "may this call take its permits now?"
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) allowed: bool,
    /// Permits that could be taken right after this decision.
    pub(crate) remaining: u32,
    /// How long to wait before asking again: zero where allowed, `None` where no wait helps.
    pub(crate) retry_after: Option<Duration>,
    /// How long until the limit is as if it had never been used.
    pub(crate) reset_after: Duration,
    /// Which permits these were, so that a refund gives back no more than they still hold.
    pub(crate) mark: u64,
}

/// Why no limit can be made of these settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Unrepresentable {
    #[error("a rate of no permits lets nothing through: write at least 1, as in \"1/s\"")]
    NoPermits,
    #[error("a rate over no time is no limit: write a time, as in \"200/s\"")]
    NoTime,
    #[error("a limit that holds no permits lets nothing through: write a burst of at least 1")]
    NoBurst,
    #[error(
        "more than eight permits a nanosecond cannot be counted: write a lower rate, or use no limit"
    )]
    TooFast,
    #[error("a time of more than 584 years cannot be counted: write a shorter one")]
    TooLong,
}
