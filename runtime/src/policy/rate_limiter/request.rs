//! What one call asks of a limiter.

use std::fmt::Display;

use crate::rate::Rate;

/// The site arguments of one call.
#[derive(Clone, Copy)]
#[must_use]
pub struct Request<'k> {
    pub(super) cost: u32,
    pub(super) bypass: bool,
    pub(super) key: Option<&'k dyn Display>,
    pub(super) rate: Option<Rate>,
}

impl<'k> Request<'k> {
    /// One permit, of the limit that all calls share.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self {
            cost: 1,
            bypass: false,
            key: None,
            rate: None,
        }
    }

    /// How many permits the call takes.
    pub const fn cost(mut self, cost: u32) -> Self {
        self.cost = cost;
        self
    }

    /// Whether the call goes past the limit.
    pub const fn bypass(mut self, bypass: bool) -> Self {
        self.bypass = bypass;
        self
    }

    /// Whose limit it is.
    pub const fn key(mut self, key: &'k dyn Display) -> Self {
        self.key = Some(key);
        self
    }

    /// The rate of that key.
    pub const fn rate(mut self, rate: Rate) -> Self {
        self.rate = Some(rate);
        self
    }
}
