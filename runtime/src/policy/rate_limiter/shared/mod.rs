//! Limits that all instances of a service share: decided in the store, one script for each decision.

mod answers;
mod core;
mod denial;
mod entrance;
mod lane;
mod lanes;
mod locals;
mod lots;
mod scripts;
mod terms;
mod turn;

#[cfg(all(test, not(steadfast_loom)))]
mod tests;

use std::sync::Arc;

pub(super) use self::core::FleetChange;
pub(super) use entrance::{Landed, Pass, Start};

use self::core::Core;
use super::{RateLimiterSettings, limiter::Change, rules::Rules};
use crate::{
    event::Sink, keyed::Place, kind::PolicyKind, name::PolicyName, policy::Switch, store::Link,
    sync::AtomicBool,
};

/// What a shared limiter has beside a local one.
#[derive(Debug)]
pub(super) struct Shared {
    core: Arc<Core>,
    locals: locals::Locals,
    told_no_store: AtomicBool,
}

impl Shared {
    /// Where the settings ask for it.
    pub(super) fn new(
        name: &PolicyName,
        settings: &RateLimiterSettings,
        sink: &Sink,
    ) -> Option<Box<Self>> {
        settings.shared.filter(|shared| *shared)?;
        let link = Link::new(sink.store().clone(), PolicyKind::RateLimiter, name.clone());
        Some(Box::new(Self {
            core: Core::new(Rules::new(settings), link),
            locals: locals::Locals::default(),
            told_no_store: AtomicBool::new(false),
        }))
    }

    /// Where the limit is, as far as it is known here, and the share of successes.
    pub(super) fn standing(&self) -> (u32, Option<f64>) {
        let told = self.core.alone.books().told;
        match told {
            Some(told) => (told.limit, told.share),
            None => (self.core.in_force().limit(), None),
        }
    }

    /// Callers that are waiting.
    pub(super) fn waiting(&self) -> usize {
        let mut waiting = self.core.alone.books().waiting();
        for lane in self.core.lanes.all() {
            waiting += lane.books().waiting();
        }
        self.locals
            .for_each(|local| waiting += local.metrics().waiting as usize);
        waiting
    }

    pub(super) fn reset(&self) {
        self.core.reset();
        self.locals.for_each(super::RateLimiter::reset);
    }

    /// Puts other rules in force. The next question to the store carries them; what is held and remembered
    /// here is dropped, and those who wait ask anew. One at a time.
    pub(super) fn change(&self, rules: Rules, switch: Switch) -> Vec<Change> {
        let settings = *rules.settings();
        let mut changes = vec![Change::Fleet(self.core.change(rules))];
        self.locals.for_each_share(|share, local| {
            changes.extend(local.change(&locals::part(&settings, share), switch));
        });
        changes
    }

    /// Whether outcomes move the limit.
    pub(super) fn is_adaptive(&self) -> bool {
        self.core.in_force().rules.is_adaptive()
    }

    /// How a call ended, for an adaptive limit.
    pub(super) fn report(&self, place: Option<Place>, success: bool) {
        let lane = match place {
            None => Some(Arc::clone(&self.core.alone)),
            Some(place) => self.core.lanes.at(place.hash()),
        };
        if let Some(lane) = lane {
            self.core.report(lane, success);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.core.give_back();
    }
}
