//! Limits whose state lies in a store that many processes ask.
//!
//! Time is the store's, in whole microseconds since the Unix epoch, and may step either way. Everything is
//! a whole number under 2^53: the same decisions are made in Lua, which counts in doubles.

mod adapting;
mod batch;
mod bucket;
mod counters;
mod log;
#[cfg(all(test, not(steadfast_loom)))]
mod models;
mod ratio;
mod window;

pub(crate) use adapting::{Adapting, WHOLE, scaled};
pub(crate) use batch::{Ask, decide};
pub(crate) use bucket::{Bucket, BucketState, Refunded};
pub(crate) use counters::Counters;
pub(crate) use log::Log;
pub(crate) use ratio::{Ratio, micros};
pub(crate) use window::Window;

/// The longest time that is counted, in microseconds: some 71 years. With the present it stays under 2^53.
pub(crate) const LONGEST: i64 = 1 << 51;

/// What a caller is told, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// How long to wait before asking again: zero where the permits were taken, [`NEVER`] where no wait
    /// helps.
    pub(crate) retry: i64,
    /// Permits that could be taken right after.
    pub(crate) remaining: i64,
    /// How long until the limit is as if unused.
    pub(crate) reset: i64,
}

/// No wait helps.
pub(crate) const NEVER: i64 = -1;

impl Answer {
    pub(crate) fn is_allowed(self) -> bool {
        self.retry == 0
    }
}

/// What has to be written after a batch of calls.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Commit<S> {
    /// Nothing: the state as it was.
    Keep(Option<S>),
    /// This state, which is worth nothing after so many microseconds.
    Put(S, i64),
}

/// How a limit is standing, for those who were let through and for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Permits that an unused limit gives out at once.
    pub(crate) limit: i64,
    /// The share of successes in millionths; -1 where none is known.
    pub(crate) share: i64,
    /// Which permits were taken last, for a refund; zero where nothing is ever refunded.
    pub(crate) mark: i64,
}

/// The rules of a limit: what one batch of calls does, as if they came one after another.
///
/// [`view`](Self::view) reads the state as of now, [`take`](Self::take) decides, and only
/// [`commit`](Self::commit) says what is written: nothing where every call was refused, unless the clock
/// was set back.
pub(crate) trait Rules {
    type State: Send + 'static;
    type View;

    fn view(&self, state: Option<&Self::State>, now: i64) -> Self::View;

    /// Takes `cost` permits or nothing. A cost of zero is always let through.
    fn take(&self, state: Option<&Self::State>, view: &mut Self::View, cost: i64) -> Answer;

    fn standing(&self, view: &Self::View) -> Standing;

    fn commit(&self, state: Option<Self::State>, view: Self::View) -> Commit<Self::State>;
}

/// Whole quotient, rounded up; of nothing below zero.
pub(crate) fn ceil(dividend: i64, divisor: i64) -> i64 {
    let (dividend, divisor) = (dividend.max(0), divisor.max(1));
    dividend / divisor + i64::from(dividend % divisor != 0)
}
