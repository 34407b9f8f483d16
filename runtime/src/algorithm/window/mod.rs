//! What a breaker remembers of the calls that ended: the last so many of them, or those of the last while.

mod count;
mod time;

use std::{num::NonZeroU32, ops::Range, time::Duration};

use self::{count::CountWindow, time::TimeWindow};
use crate::clock::Nanos;

/// How far back a window reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    Count(NonZeroU32),
    Time(Duration),
}

/// One remembered call. A call that was given up may be slow without having failed or succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) failed: bool,
    pub(crate) slow: bool,
}

/// The sums over a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Tally {
    pub(crate) calls: u64,
    pub(crate) failures: u64,
    pub(crate) slow: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, mark: Mark) {
        self.calls += 1;
        self.failures += u64::from(mark.failed);
        self.slow += u64::from(mark.slow);
    }

    pub(crate) fn subtract(&mut self, other: Self) {
        self.calls -= other.calls;
        self.failures -= other.failures;
        self.slow -= other.slow;
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.calls += other.calls;
        self.failures += other.failures;
        self.slow += other.slow;
    }

    /// The share of calls that failed; `None` where there is no call to take a share of.
    pub(crate) fn failure_rate(self) -> Option<f64> {
        share(self.failures, self.calls)
    }

    /// The share of calls that were slow; `None` where there is no call to take a share of.
    pub(crate) fn slow_rate(self) -> Option<f64> {
        share(self.slow, self.calls)
    }
}

/// Division of two integers rounds to the double nearest to the true quotient, and so does a decimal
/// literal: "3 of 30" equals `0.1` exactly, and `>=` needs no tolerance.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// A window that really slides: every record drops what has left it.
#[derive(Clone, Debug)]
pub(crate) enum Window {
    Count(CountWindow),
    /// Elsewhere: where there is one window per key, they should be small, and most are the other kind.
    Time(Box<TimeWindow>),
}

impl Window {
    pub(crate) fn new(span: Span) -> Self {
        match span {
            Span::Count(size) => Self::Count(CountWindow::new(size)),
            Span::Time(length) => Self::Time(Box::new(TimeWindow::new(length))),
        }
    }

    pub(crate) fn record(&mut self, now: Nanos, mark: Mark) {
        match self {
            Self::Count(window) => window.record(mark),
            Self::Time(window) => window.record(now, mark),
        }
    }

    /// The sums over what is inside the window at `now`.
    pub(crate) fn tally(&mut self, now: Nanos) -> Tally {
        match self {
            Self::Count(window) => window.tally(),
            Self::Time(window) => window.tally(now),
        }
    }

    /// Whether one more success would change nothing, however often it came.
    pub(crate) fn is_clean(&self) -> bool {
        match self {
            Self::Count(window) => window.is_clean(),
            Self::Time(_) => false,
        }
    }

    /// Where it is a time window that holds nothing but quick successes: from when on, and until when, one
    /// more is counted with the newest of them, and changes nothing else.
    pub(crate) fn calm_time(&self) -> Option<Range<Nanos>> {
        match self {
            Self::Count(_) => None,
            Self::Time(window) => window.calm_time(),
        }
    }

    /// Counts so many quick successes with the newest outcome; only time windows have a piece for them.
    pub(crate) fn count_successes(&mut self, number: u64) {
        if let Self::Time(window) = self {
            window.count_successes(number);
        }
    }

    pub(crate) fn clear(&mut self) {
        match self {
            Self::Count(window) => window.clear(),
            Self::Time(window) => window.clear(),
        }
    }

    /// Takes a new span and keeps the newest outcomes; a window of the other kind starts empty.
    pub(crate) fn resize(&mut self, span: Span) {
        match (&mut *self, span) {
            (Self::Count(window), Span::Count(size)) => window.resize(size),
            (Self::Time(window), Span::Time(length)) => window.resize(length),
            (window, span) => *window = Self::new(span),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: Mark = Mark {
        failed: true,
        slow: false,
    };

    fn count(size: u32) -> Span {
        Span::Count(NonZeroU32::new(size).unwrap())
    }

    #[test]
    fn a_changed_kind_starts_empty() {
        let now = Nanos(1 << 60);
        let mut window = Window::new(count(4));
        window.record(now, FAILED);
        window.resize(Span::Time(Duration::from_secs(10)));
        assert_eq!(window.tally(now), Tally::default());
        window.record(now, FAILED);
        window.resize(count(4));
        assert_eq!(window.tally(now), Tally::default());
    }

    #[test]
    fn a_share_equals_the_decimal_that_names_it() {
        for whole in 1..=1_000_u64 {
            for part in [whole / 10, whole / 3, whole / 2, whole] {
                if part * 10 == whole {
                    assert_eq!(share(part, whole), Some(0.1));
                }
                if part * 2 == whole {
                    assert_eq!(share(part, whole), Some(0.5));
                }
            }
        }
        assert_eq!(share(3, 10), Some(0.3));
        assert_eq!(share(0, 0), None);
    }
}
