//! What an instance goes by while the store is away.

use std::sync::OnceLock;

use crate::{
    event::Sink,
    name::PolicyName,
    policy::{
        Policy, Switch,
        rate_limiter::{RateLimiter, RateLimiterSettings},
    },
    rate::Rate,
};

/// Limits of this instance alone, each the share of one of so many. They are kept, for calls hold
/// permits of them.
#[derive(Debug, Default)]
pub(super) struct Locals(OnceLock<Box<Node>>);

#[derive(Debug)]
struct Node {
    share: u32,
    limiter: RateLimiter,
    next: Locals,
}

/// After so many sizes of a fleet, further ones are rounded up to powers of two.
const SIZES: usize = 32;

impl Locals {
    /// The limit of one of so many instances, made if need be. Not while settings are being changed.
    pub(super) fn of(
        &self,
        instances: u32,
        name: &PolicyName,
        (settings, switch): (&RateLimiterSettings, Switch),
        sink: &Sink,
    ) -> &RateLimiter {
        let mut wanted = instances.max(1);
        let mut here = self;
        for passed in 0.. {
            if passed == SIZES {
                wanted = wanted.checked_next_power_of_two().unwrap_or(u32::MAX);
                here = self;
            }
            let make = || {
                let settings = part(settings, wanted);
                let limiter = RateLimiter::assemble(name.clone(), &settings, sink.clone());
                limiter.reconfigure(&settings, switch);
                Box::new(Node {
                    share: wanted,
                    limiter,
                    next: Self::default(),
                })
            };
            let node = here.0.get_or_init(make);
            if node.share == wanted {
                return &node.limiter;
            }
            here = &node.next;
        }
        unreachable!("there are fewer powers of two")
    }

    pub(super) fn for_each(&self, mut act: impl FnMut(&RateLimiter)) {
        self.for_each_share(|_, limiter| act(limiter));
    }

    /// The same, told what share each is.
    pub(super) fn for_each_share(&self, mut act: impl FnMut(u32, &RateLimiter)) {
        let mut here = self;
        while let Some(node) = here.0.get() {
            act(node.share, &node.limiter);
            here = &node.next;
        }
    }

    /// The limit of one of so many, if it was made.
    pub(super) fn find(&self, instances: u32) -> Option<&RateLimiter> {
        let mut here = self;
        while let Some(node) = here.0.get() {
            if node.share == instances.max(1) {
                return Some(&node.limiter);
            }
            here = &node.next;
        }
        None
    }
}

/// The share of one of so many, of everything that is a number of permits; at least one.
pub(super) fn part(settings: &RateLimiterSettings, instances: u32) -> RateLimiterSettings {
    let mut part = *settings;
    part.shared = None;
    part.mode = None;
    part.on_store_error = None;
    part.instances = None;
    part.rate = settings.rate.map(|rate| share_of(rate, instances));
    part.burst = settings.burst.map(|burst| (burst / instances).max(1));
    part.min_rate = settings.min_rate.map(|rate| share_of(rate, instances));
    if part.problem().is_some() {
        // A lower end above the share of a rate that is hardly more than it.
        part.min_rate = part.rate;
    }
    part
}

/// The share of a rate.
pub(super) fn share_of(rate: Rate, instances: u32) -> Rate {
    // A rate of nothing stays one.
    let least = rate.count().min(1);
    Rate::new((rate.count() / instances.max(1)).max(least), rate.per())
}
