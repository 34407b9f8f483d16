//! A refusal that is remembered.

use std::time::Duration;

use crate::{algorithm::decision::Decision, clock::Nanos, rate::Rate};

/// The store has refused `cost`, and so refuses that and more until the permits have come back.
///
/// What could free them sooner is a reset or a refund by another instance: so nothing is remembered for
/// longer than [`LONGEST`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Denial {
    cost: u32,
    rate: Option<Rate>,
    /// When the permits will have come back; counted from before the store was asked, so never late.
    ready: Nanos,
    until: Nanos,
    limit: u32,
    remaining: u32,
    reset: Nanos,
}

const LONGEST: Duration = Duration::from_secs(1);

impl Denial {
    /// What a decision says that was asked for at `sent`.
    pub(super) fn new(
        cost: u32,
        rate: Option<Rate>,
        decision: &Decision,
        sent: Nanos,
    ) -> Option<Self> {
        let retry = decision.retry_after?;
        Some(Self {
            cost,
            rate,
            ready: sent.after(retry),
            until: sent.after(retry.min(LONGEST)),
            limit: decision.limit,
            remaining: decision.remaining,
            reset: sent.after(decision.reset_after),
        })
    }

    /// The answer to a call that may wait until `give_up`; `None` where the store has to be asked.
    #[inline]
    pub(super) fn answer(
        &self,
        now: Nanos,
        cost: u32,
        rate: Option<Rate>,
        give_up: Option<Nanos>,
    ) -> Option<Decision> {
        let covers = cost >= self.cost && now < self.until && rate == self.rate;
        if !covers || give_up.is_some_and(|give_up| give_up >= self.ready) {
            return None;
        }
        Some(Decision {
            allowed: false,
            limit: self.limit,
            remaining: self.remaining,
            retry_after: Some(self.ready.since(now)),
            reset_after: self.reset.since(now),
            mark: 0,
        })
    }

    /// Whether it says more than `other`: it covers as many costs, or the other one no longer covers any.
    pub(super) fn replaces(&self, other: &Self, now: Nanos) -> bool {
        other.until <= now || other.rate != self.rate || self.cost <= other.cost
    }
}
