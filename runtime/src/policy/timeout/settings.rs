//! What a timeout can be told.

use std::time::Duration;

use super::Timeout;
use crate::{
    kind::PolicyKind,
    policy::settings::{PolicySettings, Problem, Setting, settings},
};

settings! {
    /// Makes a [`Timeout`].
    TimeoutSettings, TimeoutBuilder => Timeout;

    /// The time that a call has. Required; longer than zero.
    after: Duration,
}

impl TimeoutSettings {
    pub(crate) const fn problem(&self) -> Option<Problem> {
        match self.after {
            Some(after) if after.is_zero() => Some(Problem::new(
                "after",
                "`after` must be longer than zero: a call needs some time",
            )),
            _ => None,
        }
    }
}

impl PolicySettings for TimeoutSettings {
    const KIND: PolicyKind = PolicyKind::Timeout;

    fn effective(&self) -> Vec<Setting> {
        // As long as can be is no limit.
        let after = self.after.filter(|&after| after < Duration::MAX);
        vec![Setting::new("after", after)]
    }

    fn brought(&self) -> &'static [&'static str] {
        &["after"]
    }

    fn missing(&self) -> Option<&'static str> {
        self.after.is_none().then_some("after")
    }

    fn harmless(self) -> Self {
        self.after(self.after.unwrap_or(Duration::MAX))
    }
}
