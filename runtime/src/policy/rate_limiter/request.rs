//! What one call asks of a limiter.

use crate::{key::Shown, rate::Rate};

/// The site arguments of one call.
#[derive(Clone, Copy)]
#[must_use]
pub struct Request<'k> {
    pub(super) cost: u32,
    pub(super) bypass: bool,
    pub(super) key: Option<Shown<'k>>,
    pub(super) rate: Option<Rate>,
}

impl<'k> Request<'k> {
    /// One permit, of the limit that all calls share.
    #[inline]
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
    #[inline]
    pub const fn cost(mut self, cost: u32) -> Self {
        self.cost = cost;
        self
    }

    /// Whether the call goes past the limit.
    #[inline]
    pub const fn bypass(mut self, bypass: bool) -> Self {
        self.bypass = bypass;
        self
    }

    /// Whose limit it is.
    #[inline]
    pub fn key(mut self, key: impl Into<Shown<'k>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The rate of that key.
    #[inline]
    pub const fn rate(mut self, rate: Rate) -> Self {
        self.rate = Some(rate);
        self
    }
}
