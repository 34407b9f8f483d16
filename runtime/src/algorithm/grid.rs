//! Windows of one length, side by side.

use crate::clock::Nanos;

use super::skew;

/// Divides the line of time into windows of equal length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    per: u64,
    /// How far the line's zero lies inside its window.
    phase: u64,
}

impl Grid {
    /// Windows of `per` nanoseconds, aligned to the Unix epoch where `since_epoch` says how long ago
    /// that was at `now`.
    pub(crate) fn new(per: u64, now: Nanos, since_epoch: u128) -> Self {
        let per = per.max(1);
        let (epoch, line) = (since_epoch % u128::from(per), u128::from(now.0 % per));
        let phase = (epoch + u128::from(per) - line) % u128::from(per);
        Self {
            per,
            phase: phase as u64,
        }
    }

    pub(crate) fn per(&self) -> u64 {
        self.per
    }

    pub(crate) fn index(&self, now: Nanos) -> u64 {
        now.0.saturating_add(self.phase) / self.per
    }

    /// Where a window begins.
    pub(crate) fn start(&self, index: u64) -> Nanos {
        let start = u128::from(index) * u128::from(self.per);
        Nanos(u64::try_from(start.saturating_sub(u128::from(self.phase))).unwrap_or(u64::MAX))
    }

    /// `now` as a state in window `newest` sees it: skew across a boundary stays on the newer side,
    /// a clock that was set back is believed.
    pub(crate) fn settle(&self, now: Nanos, newest: u64) -> Nanos {
        let start = self.start(newest);
        if now < start && !skew::stepped_back(now, start) {
            start
        } else {
            now
        }
    }
}
