//! In place of what instances share, where the feature `redis` is off: settings that ask for it have been
//! refused by then.

use std::{convert::Infallible, sync::Arc};

use super::{CacheKey, Fallback, Marks, Serving};
use crate::{event::Sink, name::PolicyName, outcome::Outcome, step::Step};

/// What a fallback can share between instances.
pub trait Shareable {}

impl<T> Shareable for T {}

#[derive(Debug)]
pub(super) struct Sharing(Infallible);

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) from_store: u64,
    pub(super) unshared: u64,
    pub(super) unreadable: u64,
}

impl Sharing {
    pub(super) fn new(_: &PolicyName, _: u32, _: &Sink) -> Option<Arc<Self>> {
        None
    }

    pub(super) fn counts(&self) -> Counts {
        match self.0 {}
    }

    #[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody changes it
    pub(super) fn change(&self, _: u32) {
        match self.0 {}
    }

    pub(super) fn reset(&self) {
        match self.0 {}
    }
}

impl Fallback {
    #[doc(hidden)]
    /// Remembers a good answer.
    pub fn remember_shared<R: Outcome, X>(
        &self,
        key: &CacheKey,
        step: &Step<R, X>,
        marks: Marks<R::Value>,
    ) where
        R::Value: Clone + Send + Sync + 'static + Shareable,
    {
        self.remember(key, step, marks);
    }

    #[doc(hidden)]
    /// An earlier answer.
    pub async fn recall_shared<R: Outcome>(
        &self,
        key: &CacheKey,
        marks: Marks<R::Value>,
        serving: Serving<'_>,
    ) -> Option<R>
    where
        R::Value: Clone + Send + Sync + 'static + Shareable,
    {
        self.recall(key, marks, serving)
    }

    #[doc(hidden)]
    /// An earlier answer.
    pub fn recall_shared_blocking<R: Outcome>(
        &self,
        key: &CacheKey,
        marks: Marks<R::Value>,
        serving: Serving<'_>,
    ) -> Option<R>
    where
        R::Value: Clone + Send + Sync + 'static + Shareable,
    {
        self.recall(key, marks, serving)
    }
}
