//! How long callers wait.

use std::time::Duration;

use super::rules::Rules;
use crate::clock::Nanos;

/// That a call may wait for its turn: as long as the rules say, but less where a timeout further out ends
/// it earlier.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// From when on, where that is not when it comes to the line.
    since: Option<Nanos>,
    deadline: Nanos,
}

/// How long one in line stays there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stay {
    patience: Patience,
    pub(super) give_up: Nanos,
}

impl Patience {
    pub(super) fn until(deadline: Nanos) -> Self {
        Self {
            since: None,
            deadline,
        }
    }

    /// The same for one who goes on waiting later.
    pub(super) fn from(self, now: Nanos) -> Self {
        Self {
            since: self.since.or(Some(now)),
            ..self
        }
    }

    /// How long one stays who comes now. `None`: it does not wait.
    pub(super) fn stay(self, rules: &Rules, now: Nanos) -> Option<Stay> {
        let patience = self.from(now);
        Some(Stay {
            patience,
            give_up: patience.give_up(rules.max_wait?),
        })
    }

    fn give_up(self, max_wait: Duration) -> Nanos {
        let since = self.since.unwrap_or(Nanos(0));
        since.after(max_wait).min(self.deadline)
    }
}

impl Stay {
    /// Of one who came at a time and gives up at another, whatever the rules are.
    #[cfg(test)]
    pub(super) fn between(since: Nanos, give_up: Nanos) -> Self {
        Self {
            patience: Patience::until(give_up).from(since),
            give_up,
        }
    }

    /// The same by other rules: it stays as if it had come under them.
    #[must_use]
    pub(super) fn under(self, rules: &Rules) -> Self {
        Self {
            give_up: self.patience.give_up(rules.max_wait.unwrap_or_default()),
            ..self
        }
    }
}
