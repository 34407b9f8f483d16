//! What a shared fallback does after a call.

use super::{Shareable, flight::Asked};
use crate::{
    clock,
    outcome::Outcome,
    policy::fallback::{Fallback, Marks, memory::CacheKey, memory::Recalled},
    step::Step,
    waiter,
};

impl Fallback {
    #[doc(hidden)]
    /// Remembers a good answer, here and in the store.
    pub fn remember_shared<R: Outcome, X>(
        &self,
        key: &CacheKey,
        step: &Step<R, X>,
        marks: Marks<R::Value>,
    ) where
        R::Value: Clone + Send + Sync + 'static + Shareable,
    {
        let Some(value) = Self::memorable(step, marks) else {
            return;
        };
        let now = clock::now();
        self.0.answers.remember(key, value.clone(), now);
        if let Some(sharing) = &self.0.sharing {
            sharing.send(key, value, now);
        }
    }

    #[doc(hidden)]
    /// An earlier answer of this or another instance, if there is one young enough.
    pub async fn recall_shared<R: Outcome>(
        &self,
        key: &CacheKey,
        marks: Marks<R::Value>,
    ) -> Option<R>
    where
        R::Value: Clone + Send + Sync + 'static + Shareable,
    {
        let recalled = match self.ask::<R::Value>(key) {
            Some(asked) => self.settle(key, asked.await),
            None => self.0.answers.recall(key, self.0.ages, clock::now()),
        };
        self.serve(recalled?, marks)
    }

    #[doc(hidden)]
    /// The same, and waits for the store by blocking this thread.
    pub fn recall_shared_blocking<R: Outcome>(
        &self,
        key: &CacheKey,
        marks: Marks<R::Value>,
    ) -> Option<R>
    where
        R::Value: Clone + Send + Sync + 'static + Shareable,
    {
        let recalled = match self.ask::<R::Value>(key) {
            Some(asked) => self.settle(key, waiter::wait_blocking(asked)),
            None => self.0.answers.recall(key, self.0.ages, clock::now()),
        };
        self.serve(recalled?, marks)
    }

    /// Asks the store, unless a fresh answer is here.
    fn ask<T: Send + Sync + 'static>(&self, key: &CacheKey) -> Option<Asked> {
        let sharing = self.0.sharing.as_ref()?;
        let (here, now) = (self.0.answers.find::<T>(key), clock::now());
        match here {
            Some(here) if now.since(here.at) <= self.0.ages.fresh => None,
            here => sharing.ask(key, here, now),
        }
    }

    fn settle<T: Clone + Send + Sync + 'static + Shareable>(
        &self,
        key: &CacheKey,
        flight: std::sync::Arc<super::flight::Flight>,
    ) -> Option<Recalled<T>> {
        let sharing = self.0.sharing.as_ref()?;
        sharing.settle(&flight, key, &self.0.answers, clock::now())
    }
}
