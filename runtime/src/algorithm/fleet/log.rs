//! The sliding window, exact: a log of what was taken.

use std::collections::VecDeque;

use super::{Answer, Commit, NEVER, Rules, Standing};

/// Never more than the count in any window. The log holds at most one entry for each permit of the limit,
/// and only of calls that were let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) per: i64,
    pub(crate) count: i64,
}

/// When something was taken, and how much had been before; wrapping at [`ROUND`], so that what lies
/// between two entries is one subtraction however long the log goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LogState {
    entries: VecDeque<(i64, i64)>,
    total: i64,
}

/// Far above what any limit has in one window.
pub(crate) const ROUND: i64 = 1 << 40;

#[derive(Debug)]
pub(crate) struct LogView {
    now: i64,
    /// The first entry that is in the window.
    head: usize,
    /// The first from a time to come: the clock was set back. They count as taken now.
    ahead: usize,
    /// Permits in the window when the batch began.
    used: i64,
    /// Permits that the batch has taken.
    added: i64,
}

impl LogState {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn time(&self, index: usize) -> i64 {
        self.entries.get(index).map_or(0, |entry| entry.0)
    }

    /// Permits taken before that entry.
    fn before(&self, index: usize) -> i64 {
        self.entries.get(index).map_or(self.total, |entry| entry.1)
    }

    /// Permits from one entry up to another.
    fn between(&self, from: usize, to: usize) -> i64 {
        (self.before(to) - self.before(from)).rem_euclid(ROUND)
    }

    /// The first entry later than `time`.
    fn after(&self, time: i64) -> usize {
        self.entries.partition_point(|entry| entry.0 <= time)
    }
}

impl Log {
    fn retry(&self, state: Option<&LogState>, view: &LogView, cost: i64) -> i64 {
        let needed = view.used + view.added + cost - self.count;
        let Some(state) = state.filter(|_| needed <= view.used) else {
            return self.per;
        };
        let (mut low, mut high) = (view.head, state.len());
        while low < high {
            let middle = (low + high) / 2;
            match state.between(view.head, middle + 1) >= needed {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        state.time(low).min(view.now) + self.per - view.now
    }
}

impl Rules for Log {
    type State = LogState;
    type View = LogView;

    fn view(&self, state: Option<&LogState>, now: i64) -> LogView {
        let (head, ahead, used) = match state {
            None => (0, 0, 0),
            Some(state) => {
                let head = state.after(now - self.per);
                let used = state.between(head, state.len());
                (head, state.after(now), used)
            }
        };
        LogView {
            now,
            head,
            ahead,
            used,
            added: 0,
        }
    }

    fn take(&self, state: Option<&LogState>, view: &mut LogView, cost: i64) -> Answer {
        let mut retry = 0;
        if cost > self.count {
            retry = NEVER;
        } else if cost > 0 {
            if view.used + view.added + cost <= self.count {
                view.added += cost;
            } else {
                retry = self.retry(state, view, cost);
            }
        }
        let newest = match state {
            _ if view.added > 0 => view.now,
            Some(state) if state.len() > view.head => state.time(state.len() - 1).min(view.now),
            _ => view.now - self.per,
        };
        Answer {
            retry,
            remaining: (self.count - view.used - view.added).max(0),
            reset: newest + self.per - view.now,
        }
    }

    fn standing(&self, _: &LogView) -> Standing {
        Standing {
            limit: self.count,
            share: -1,
            mark: 0,
        }
    }

    fn commit(&self, state: Option<LogState>, view: LogView) -> Commit<LogState> {
        let set_back = state.as_ref().is_some_and(|state| view.ahead < state.len());
        if view.added == 0 && !set_back {
            return Commit::Keep(state);
        }
        let mut state = state.unwrap_or_default();
        let before = state.before(view.ahead);
        state.entries.truncate(view.ahead);
        state.entries.drain(..view.head.min(state.entries.len()));
        if set_back {
            state.entries.push_back((view.now, before));
        } else if state.entries.back().is_none_or(|last| last.0 != view.now) {
            state.entries.push_back((view.now, state.total));
        }
        state.total = (state.total + view.added) % ROUND;
        Commit::Put(state, self.per)
    }
}
