//! So many permits in each window of the wall clock.

use super::{Answer, Commit, NEVER, Rules, Standing};

/// Windows aligned to the Unix epoch, each with its own count. Across a boundary it gives out up to twice
/// the count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) per: i64,
    pub(crate) count: i64,
}

/// What was taken in the window that ends then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowState {
    ends: i64,
    used: i64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowView {
    now: i64,
    state: WindowState,
    changed: bool,
}

impl Rules for Window {
    type State = WindowState;
    type View = WindowView;

    fn view(&self, state: Option<&WindowState>, now: i64) -> WindowView {
        let ends = (now / self.per + 1) * self.per;
        // What was taken in a window that has not ended, of whatever length, counts in this one: also if
        // the clock was set back, and then no longer than to the end of this one.
        let running = state.filter(|state| state.ends > now);
        WindowView {
            now,
            state: WindowState {
                ends,
                used: running.map_or(0, |state| state.used),
            },
            changed: running.is_some_and(|state| state.ends > ends),
        }
    }

    fn take(&self, _: Option<&WindowState>, view: &mut WindowView, cost: i64) -> Answer {
        let WindowView {
            now,
            state,
            changed,
        } = view;
        let rest = state.ends - *now;
        let mut retry = 0;
        if cost > self.count {
            retry = NEVER;
        } else if cost > 0 {
            if state.used + cost <= self.count {
                state.used += cost;
                *changed = true;
            } else {
                retry = rest;
            }
        }
        Answer {
            retry,
            remaining: (self.count - state.used).max(0),
            reset: if state.used > 0 { rest } else { 0 },
        }
    }

    fn standing(&self, _: &WindowView) -> Standing {
        Standing {
            limit: self.count,
            share: -1,
            mark: 0,
        }
    }

    fn commit(&self, state: Option<WindowState>, view: WindowView) -> Commit<WindowState> {
        match view.changed {
            false => Commit::Keep(state),
            true => Commit::Put(view.state, view.state.ends - view.now),
        }
    }
}
