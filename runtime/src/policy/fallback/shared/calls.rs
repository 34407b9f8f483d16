//! What a shared fallback does after a call.

use std::sync::Arc;

use super::{
    Shareable,
    flight::{Asked, Flight},
};
use crate::{
    clock,
    outcome::Outcome,
    policy::fallback::{
        Fallback, Marks,
        memory::{CacheKey, Recalled, Remembered},
    },
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
        let known = self.0.answers.find::<R::Value>(key);
        let flight = match self.ask(key, known.as_deref()) {
            Some(asked) => Some(asked.await),
            None => None,
        };
        let recalled = self.settle(key, known, flight);
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
        let known = self.0.answers.find::<R::Value>(key);
        let flight = self.ask(key, known.as_deref());
        let flight = flight.map(waiter::wait_blocking);
        let recalled = self.settle(key, known, flight);
        self.serve(recalled?, marks)
    }

    /// Asks the store, unless what is known is fresh.
    fn ask<T: Send + Sync + 'static>(
        &self,
        key: &CacheKey,
        known: Option<&Remembered<T>>,
    ) -> Option<Asked> {
        let (sharing, now) = (self.0.sharing.as_ref()?, clock::now());
        match known {
            Some(known) if now.since(known.at) <= self.0.ages.fresh => None,
            known => sharing.ask(key, known, now),
        }
    }

    fn settle<T: Clone + Send + Sync + 'static + Shareable>(
        &self,
        key: &CacheKey,
        known: Option<Arc<Remembered<T>>>,
        flight: Option<Arc<Flight>>,
    ) -> Option<Recalled<T>> {
        let (answers, now) = (&self.0.answers, clock::now());
        match (&self.0.sharing, flight) {
            (Some(sharing), Some(flight)) => sharing.settle(&flight, known, key, answers, now),
            _ => known?.recalled(self.0.ages, now),
        }
    }
}
