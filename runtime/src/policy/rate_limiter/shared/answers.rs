//! What a script has answered.

use std::time::Duration;

use super::{
    lane::Told,
    scripts::{HEADER, PER_CALL},
};
use crate::{
    algorithm::{
        decision::Decision,
        fleet::{NEVER, WHOLE},
    },
    clock::Nanos,
    store::{Reply, StoreError},
};

/// A reply, checked.
#[derive(Debug)]
pub(super) struct Answers {
    /// Permits taken on top.
    pub(super) granted: u32,
    pub(super) mark: i64,
    limit: u32,
    share: Option<f64>,
    calls: Vec<i64>,
}

impl Answers {
    /// The reply to a batch of so many calls.
    ///
    /// # Errors
    /// It is not what the script gives: whoever answered is not running it.
    pub(super) fn read(reply: &Reply, calls: usize) -> Result<Self, StoreError> {
        let ints = reply.ints()?;
        let (Some(&[granted, mark, limit, share]), Some(told)) =
            (ints.get(..HEADER), ints.get(HEADER..))
        else {
            return Err(StoreError::BadReply);
        };
        let answers = Self {
            granted: count(granted),
            mark,
            limit: count(limit),
            share: (share >= 0).then(|| share as f64 / WHOLE as f64),
            calls: told.to_vec(),
        };
        // Only behind one who waits is anything left undecided.
        let is_whole = answers.len() == calls || answers.ends_with_a_wait();
        match told.len() % PER_CALL == 0 && answers.len() <= calls && is_whole {
            true => Ok(answers),
            false => Err(StoreError::BadReply),
        }
    }

    /// Calls that were decided.
    pub(super) fn len(&self) -> usize {
        self.calls.len() / PER_CALL
    }

    fn ends_with_a_wait(&self) -> bool {
        let last = self.len().checked_sub(1).and_then(|last| self.call(last));
        last.is_some_and(|[retry, ..]| retry > 0)
    }

    fn call(&self, index: usize) -> Option<[i64; PER_CALL]> {
        let start = index * PER_CALL;
        self.calls.get(start..start + PER_CALL)?.try_into().ok()
    }

    pub(super) fn decision(&self, index: usize) -> Option<Decision> {
        let [retry, remaining, reset] = self.call(index)?;
        Some(Decision {
            allowed: retry == 0,
            limit: self.limit,
            remaining: count(remaining),
            retry_after: (retry != NEVER).then(|| micros(retry)),
            reset_after: micros(reset),
            mark: 0,
        })
    }

    /// What to remember of how the limit stands; of the former, where nobody asked.
    pub(super) fn told(&self, former: Option<Told>, now: Nanos) -> Told {
        let last = self
            .len()
            .checked_sub(1)
            .and_then(|last| self.decision(last));
        let (remaining, reset) = match (last, former) {
            (Some(last), _) => (last.remaining, now.after(last.reset_after)),
            (None, Some(former)) => (former.remaining, former.reset),
            (None, None) => (0, now),
        };
        Told {
            limit: self.limit,
            share: self.share,
            remaining,
            reset,
        }
    }
}

fn count(int: i64) -> u32 {
    u32::try_from(int.max(0)).unwrap_or(u32::MAX)
}

/// Whole microseconds: what a caller waits is rounded up already.
fn micros(int: i64) -> Duration {
    Duration::from_micros(u64::try_from(int).unwrap_or(0))
}
