//! What is in force at a gate, for those who come and those who wait.

use std::time::Duration;

/// Read under the lock of the line, so that what a gate does follows from one set of rules, and its line
/// is never judged by older ones than a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    /// How many may be in. Zero where the bulkhead is not there: so nobody enters without asking, and
    /// those who enter at once need not ask.
    pub(super) limit: u32,
    /// What becomes of whoever finds no place.
    pub(super) manner: Manner,
}

/// What becomes of a caller who finds no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// It waits, so long and behind so many.
    Wait { max_wait: Duration, max_queue: u32 },
    /// It is refused.
    Refuse,
    /// It is told of, and let in all the same.
    Watch,
    /// It goes by: the bulkhead is not there.
    Absent,
}

impl Manner {
    /// How many may wait.
    pub(super) fn max_queue(self) -> u32 {
        match self {
            Self::Wait { max_queue, .. } => max_queue,
            _ => 0,
        }
    }

    /// How long.
    pub(super) fn max_wait(self) -> Duration {
        match self {
            Self::Wait { max_wait, .. } => max_wait,
            _ => Duration::ZERO,
        }
    }
}

/// Where the rules are found that are in force.
pub(super) trait InForce {
    fn rules(&self) -> Rules;
}

impl<R: InForce> InForce for &R {
    fn rules(&self) -> Rules {
        (*self).rules()
    }
}
