//! How long a call took, without the time it spent waiting in the policies below.

use std::time::Duration;

use super::Cancelled;
use crate::{
    algorithm::circuit::{Pass, Verdict},
    call::Call,
    clock::{self, Nanos, nanos},
};

/// What the settings say of the measuring of calls, in one word: each call reads it once.
///
/// Twice the time after which a call is slow, in nanoseconds; zero where none is. The lowest bit: a call that
/// its caller drops counts as a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measure(u64);

/// What a call keeps of it until it ends, whatever is in force by then: twice the moment from which on it is
/// slow, moved back by what it has waited until it began, and the same lowest bit; nothing but that bit where
/// it cannot be slow. One word to keep across awaits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopwatch(u64);

const DROPPED_FAILS: u64 = 1;
/// Seventy years are as good as for ever, and comparisons stay within a signed word.
const LONGEST: u64 = 1 << 61;

impl Measure {
    /// No call is seen at all.
    pub(super) const OFF: Self = Self(u64::MAX);

    pub(super) fn new(slow_call: Option<Duration>, cancelled: Cancelled) -> Self {
        let limit = slow_call.map_or(0, |limit| nanos(limit).clamp(1, LONGEST));
        let dropped = match cancelled {
            Cancelled::Ignore => 0,
            Cancelled::Failure => DROPPED_FAILS,
        };
        Self(limit << 1 | dropped)
    }

    /// For a call that is admitted with this pass, and begins now. No clock is read where no call is slow.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn begin(self, pass: Pass, call: Option<&Call>) -> (Pass, Stopwatch) {
        if self.0 <= DROPPED_FAILS {
            return (pass, Stopwatch(self.0));
        }
        if self == Self::OFF {
            return (Pass::UNSEEN, Stopwatch(0));
        }
        let now = call.map_or_else(clock::now, Call::now);
        (pass, self.start(now, call))
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn start(self, now: Nanos, call: Option<&Call>) -> Stopwatch {
        let start = now.0.wrapping_sub(waited(call));
        Stopwatch((start << 1).wrapping_add(self.0))
    }
}

impl Stopwatch {
    /// Whether the call cannot be slow: the time is of no interest.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn is_off(self) -> bool {
        self.0 <= DROPPED_FAILS
    }

    /// Whether the call, which ends now, is slow. A clock that has fallen back says that it is not.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn has_run_out(self, now: Nanos, call: Option<&Call>) -> bool {
        let end = now.0.wrapping_sub(waited(call)) << 1;
        end.wrapping_sub(self.0 & !DROPPED_FAILS).cast_signed() > 0
    }

    /// What the call counts as if its caller drops it.
    pub(super) fn verdict_of_dropped(self) -> Verdict {
        match self.0 & DROPPED_FAILS {
            0 => Verdict::Abandoned,
            _ => Verdict::Failure,
        }
    }
}

#[cfg_attr(not(debug_assertions), inline(always))]
fn waited(call: Option<&Call>) -> u64 {
    call.map_or(0, Call::waited_nanos)
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;

    const START: Nanos = Nanos(1 << 60);

    fn begun(limit: Duration, cancelled: Cancelled) -> Stopwatch {
        Measure::new(Some(limit), cancelled).start(START, None)
    }

    #[test]
    fn a_call_is_slow_from_the_first_nanosecond_beyond_its_limit() {
        for cancelled in [Cancelled::Ignore, Cancelled::Failure] {
            for limit in [1, 2, 1_000_000_000].map(Duration::from_nanos) {
                let watch = begun(limit, cancelled);
                assert!(!watch.is_off());
                assert!(!watch.has_run_out(START.after(limit), None));
                let late = START.after(limit).after(Duration::from_nanos(1));
                assert!(watch.has_run_out(late, None));
                assert!(!watch.has_run_out(START.before(limit), None));
            }
        }
    }

    #[test]
    fn no_call_exceeds_a_limit_of_ages() {
        let watch = begun(Duration::MAX, Cancelled::Failure);
        let years = Duration::from_secs(70 * 365 * 86_400);
        assert!(!watch.has_run_out(START.after(years), None));
    }

    #[test]
    fn what_a_dropped_call_counts_as_is_kept_with_and_without_a_limit() {
        for (cancelled, verdict) in [
            (Cancelled::Ignore, Verdict::Abandoned),
            (Cancelled::Failure, Verdict::Failure),
        ] {
            let timed = begun(Duration::from_secs(1), cancelled);
            assert_eq!(timed.verdict_of_dropped(), verdict);
            let (pass, watch) = Measure::new(None, cancelled).begin(Pass::ordinary(7), None);
            assert_eq!((pass, watch.is_off()), (Pass::ordinary(7), true));
            assert_eq!(watch.verdict_of_dropped(), verdict);
        }
    }
}
