//! The sliding window, exact: a log of what was taken.

use std::{collections::VecDeque, time::Duration};

use crate::clock::{Nanos, nanos};
use crate::rate::Rate;

use super::{
    decision::{Decision, Unrepresentable},
    pace::period,
    skew,
};

/// Never more than the count in any window: a permit taken at `t` is free again at `t + per`.
///
/// The log holds at most as many entries as the limit has permits, sixteen bytes each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlidingLog {
    count: u32,
    per: Duration,
}

/// What was taken when, oldest first; permits taken at one time share an entry.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    entries: VecDeque<(Nanos, u32)>,
    used: u32,
    /// The newest reading: what it has seen expire must not be followed by something earlier.
    seen: Nanos,
}

impl SlidingLog {
    pub(crate) fn new(rate: Rate) -> Result<Self, Unrepresentable> {
        period(rate)?;
        Ok(Self {
            count: rate.count(),
            per: rate.per(),
        })
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn take(&self, log: &mut Log, now: Nanos, cost: u32) -> Decision {
        let at = self.expire(log, now);
        let allowed = cost <= self.count.saturating_sub(log.used);
        if allowed && cost > 0 {
            log.push(at, cost);
        }
        Decision {
            allowed,
            limit: self.count,
            remaining: self.count.saturating_sub(log.used),
            retry_after: match allowed {
                true => Some(Duration::ZERO),
                false => self
                    .ready_at(log, at, 0, cost)
                    .map(|ready| ready.since(now)),
            },
            reset_after: self.reset_after(log, now),
            mark: at.0,
        }
    }

    /// Drops what is older than the window; returns `now` as the log sees it.
    fn expire(&self, log: &mut Log, now: Nanos) -> Nanos {
        if skew::stepped_back(now, log.seen) {
            *log = Log::default();
        }
        log.seen = now.max(log.seen);
        while let Some(&(at, cost)) = log.entries.front() {
            if at.after(self.per) > log.seen {
                break;
            }
            log.entries.pop_front();
            log.used -= cost;
        }
        log.seen
    }

    fn reset_after(&self, log: &Log, now: Nanos) -> Duration {
        log.entries
            .back()
            .map_or(Duration::ZERO, |newest| newest.0.after(self.per).since(now))
    }

    /// Takes the permits out of the log again, if they are still in it.
    pub(crate) fn refund(&self, log: &mut Log, now: Nanos, mark: u64, cost: u32) {
        self.expire(log, now);
        log.remove(Nanos(mark), cost);
    }

    /// When `cost` could be taken after `ahead` others, each as early as it can.
    pub(crate) fn ready_at(&self, log: &Log, now: Nanos, ahead: u64, cost: u32) -> Option<Nanos> {
        let nth = |before| log.nth(before);
        self.ready(log, self.live(log, now), ahead, cost, nth)
    }

    /// The same for many, without going through the log for each.
    pub(crate) fn outlook<'l>(&'l self, log: &'l Log, now: Nanos) -> Outlook<'l> {
        let up_to = |sum: &mut u32, &(_, cost): &(Nanos, u32)| {
            *sum += cost;
            Some(*sum)
        };
        Outlook {
            rules: self,
            log,
            live: self.live(log, now),
            sums: log.entries.iter().scan(0, up_to).collect(),
        }
    }

    /// `nth` as [`Log::nth`].
    fn ready(
        &self,
        log: &Log,
        (now, live): (Nanos, u32),
        ahead: u64,
        cost: u32,
        nth: impl Fn(u32) -> Option<Nanos>,
    ) -> Option<Nanos> {
        if cost > self.count {
            return None;
        }
        // Permit m of all, past and to come, follows permit m - count by at least one window.
        let count = u128::from(self.count);
        let last = (u128::from(live) + u128::from(ahead) + u128::from(cost)).max(1) - 1;
        let mut windows = u64::try_from(last / count).unwrap_or(u64::MAX);
        let mut follows = (last % count) as u32;
        let first = if follows < live {
            // There are more than the count where that was lowered.
            let over = (live - 1 - follows) / self.count;
            follows += over * self.count;
            windows -= u64::from(over);
            nth(log.used - live + follows).unwrap_or(now)
        } else {
            now
        };
        let wait = u128::from(windows) * u128::from(nanos(self.per));
        let ready = u128::from(first.0) + wait;
        Some(Nanos(u64::try_from(ready).unwrap_or(u64::MAX)).max(now))
    }

    /// `now` as the log sees it, and the permits in the window that ends there.
    fn live(&self, log: &Log, now: Nanos) -> (Nanos, u32) {
        if skew::stepped_back(now, log.seen) {
            return (now, 0);
        }
        let now = now.max(log.seen);
        let expired = log
            .entries
            .iter()
            .take_while(|(at, _)| at.after(self.per) <= now);
        (now, log.used - expired.map(|&(_, cost)| cost).sum::<u32>())
    }

    pub(crate) fn is_unused(&self, log: &Log, now: Nanos) -> bool {
        self.live(log, now).1 == 0
    }
}

/// What a log says of the times to come: made once, for a whole line of callers.
#[derive(Debug)]
pub(crate) struct Outlook<'l> {
    rules: &'l SlidingLog,
    log: &'l Log,
    /// As of [`SlidingLog::live`].
    live: (Nanos, u32),
    /// The permits up to each entry, its own included.
    sums: Vec<u32>,
}

impl Outlook<'_> {
    /// As [`SlidingLog::ready_at`].
    pub(crate) fn ready_at(&self, ahead: u64, cost: u32) -> Option<Nanos> {
        let nth = |before| {
            let entry = self.sums.partition_point(|sum| *sum <= before);
            self.log.entries.get(entry).map(|&(at, _)| at)
        };
        self.rules.ready(self.log, self.live, ahead, cost, nth)
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            used: 0,
            seen: Nanos(0),
        }
    }
}

impl Log {
    /// Later than every mark that was given out.
    pub(crate) fn front(&self) -> u64 {
        self.seen.0.saturating_add(1)
    }

    fn push(&mut self, at: Nanos, cost: u32) {
        match self.entries.back_mut() {
            Some((last, sum)) if *last == at => *sum += cost,
            _ => self.entries.push_back((at, cost)),
        }
        self.used += cost;
    }

    fn remove(&mut self, at: Nanos, cost: u32) {
        let Ok(index) = self.entries.binary_search_by_key(&at, |&(at, _)| at) else {
            return;
        };
        let entry = &mut self.entries[index];
        let returned = cost.min(entry.1);
        entry.1 -= returned;
        self.used -= returned;
        if entry.1 == 0 {
            self.entries.remove(index);
        }
    }

    /// When the permit that has `before` others in front of it was taken.
    fn nth(&self, before: u32) -> Option<Nanos> {
        let mut seen = 0u32;
        self.entries.iter().find_map(|&(at, cost)| {
            seen += cost;
            (seen > before).then_some(at)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Nanos = Nanos(1 << 60);

    fn at(millis: u64) -> Nanos {
        START.after(Duration::from_millis(millis))
    }

    fn window(count: u32) -> (SlidingLog, Log) {
        (
            SlidingLog::new(Rate::per_second(count)).unwrap(),
            Log::default(),
        )
    }

    #[test]
    fn a_permit_is_free_again_after_exactly_one_window() {
        let (window, mut log) = window(2);
        assert!(window.take(&mut log, at(0), 1).allowed);
        assert!(window.take(&mut log, at(400), 1).allowed);
        let refused = window.take(&mut log, at(500), 1);
        assert_eq!(refused.retry_after, Some(Duration::from_millis(500)));
        assert_eq!(refused.reset_after, Duration::from_millis(900));
        assert!(!window.take(&mut log, Nanos(at(1000).0 - 1), 1).allowed);
        assert!(window.take(&mut log, at(1000), 1).allowed);
    }

    #[test]
    fn memory_is_bounded_by_the_limit() {
        let (window, mut log) = window(10);
        for millis in 0..10_000 {
            window.take(&mut log, at(millis), 1);
        }
        assert!(log.entries.len() <= 10 && log.entries.capacity() <= 32);
    }

    #[test]
    fn waiters_are_told_their_own_time() {
        let (window, mut log) = window(2);
        window.take(&mut log, at(0), 1);
        window.take(&mut log, at(400), 1);
        let ready = |ahead| window.ready_at(&log, at(500), ahead, 1);
        assert_eq!(
            [ready(0), ready(1), ready(2), ready(3)].map(Option::unwrap),
            [at(1000), at(1400), at(2000), at(2400)]
        );
    }

    #[test]
    fn a_clock_that_was_set_back_gains_one_window_and_locks_nobody_out() {
        let (window, mut log) = window(2);
        assert!(window.take(&mut log, at(10_000), 2).allowed);
        assert!(window.take(&mut log, at(5_000), 2).allowed);
        assert!(!window.take(&mut log, at(5_001), 1).allowed);
    }

    proptest! {
        #[test]
        fn never_over_the_limit_in_any_window(
            count in 1u32..12,
            steps in prop::collection::vec((0u64..400_000_000, 0u32..5, any::<bool>()), 1..200),
        ) {
            let (window, mut log) = window(count);
            let mut kept: Vec<(u64, u32)> = Vec::new();
            let mut newest = START.0;
            let mut last = None;
            for (by, cost, back) in steps {
                // Some readings come from a core that is behind.
                newest = if back { newest } else { newest + by };
                let now = if back { newest - by / 100 } else { newest };
                if let (true, Some((mark, cost))) = (back, last.take()) {
                    window.refund(&mut log, Nanos(now), mark, cost);
                    let index = kept.iter().rposition(|&entry| entry == (mark, cost)).unwrap();
                    kept.remove(index);
                }
                let live: u32 = kept.iter().filter(|&&(at, _)| at + 1_000_000_000 > newest).map(|&(_, cost)| cost).sum();
                let decision = window.take(&mut log, Nanos(now), cost);
                prop_assert_eq!(decision.allowed, live + cost <= count);
                if decision.allowed {
                    kept.push((decision.mark, cost));
                    last = Some((decision.mark, cost));
                }
            }
            for &(start, _) in &kept {
                let inside: u32 =
                    kept.iter().filter(|&&(at, _)| at >= start && at < start + 1_000_000_000).map(|&(_, cost)| cost).sum();
                prop_assert!(inside <= count);
            }
        }
    }
}
