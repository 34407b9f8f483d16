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
        Fallback, Marks, Serving,
        memory::{CacheKey, Recalled, Remembered},
        settings::Ages,
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
        let terms = self.0.terms.get();
        let Some(value) = Self::memorable(step, marks).filter(|_| terms.is_on) else {
            return;
        };
        let now = clock::now();
        self.0.answers.remember(key, value.clone(), now);
        if let Some(sharing) = &self.0.sharing {
            sharing.send(key, value, now, terms);
        }
    }

    #[doc(hidden)]
    /// An earlier answer of this or another instance, if there is one young enough.
    pub async fn recall_shared<R: Outcome>(
        &self,
        key: &CacheKey,
        marks: Marks<R::Value>,
        serving: Serving<'_>,
    ) -> Option<R>
    where
        R::Value: Clone + Send + Sync + 'static + Shareable,
    {
        let ages = serving.terms()?.ages;
        let known = self.0.answers.find::<R::Value>(key);
        let flight = match self.ask(key, known.as_deref(), ages) {
            Some(asked) => Some(asked.await),
            None => None,
        };
        let recalled = self.settle(key, known, flight, ages);
        self.serve(recalled?, marks)
    }

    #[doc(hidden)]
    /// The same, and waits for the store by blocking this thread.
    pub fn recall_shared_blocking<R: Outcome>(
        &self,
        key: &CacheKey,
        marks: Marks<R::Value>,
        serving: Serving<'_>,
    ) -> Option<R>
    where
        R::Value: Clone + Send + Sync + 'static + Shareable,
    {
        let ages = serving.terms()?.ages;
        let known = self.0.answers.find::<R::Value>(key);
        let flight = self.ask(key, known.as_deref(), ages);
        let flight = flight.map(waiter::wait_blocking);
        let recalled = self.settle(key, known, flight, ages);
        self.serve(recalled?, marks)
    }

    /// Asks the store, unless what is known is fresh.
    fn ask<T: Send + Sync + 'static>(
        &self,
        key: &CacheKey,
        known: Option<&Remembered<T>>,
        ages: Ages,
    ) -> Option<Asked> {
        let (sharing, now) = (self.0.sharing.as_ref()?, clock::now());
        match known {
            Some(known) if now.since(known.at) <= ages.fresh => None,
            known => sharing.ask(key, known, now, ages),
        }
    }

    fn settle<T: Clone + Send + Sync + 'static + Shareable>(
        &self,
        key: &CacheKey,
        known: Option<Arc<Remembered<T>>>,
        flight: Option<Arc<Flight>>,
        ages: Ages,
    ) -> Option<Recalled<T>> {
        let (answers, now) = (&self.0.answers, clock::now());
        match (&self.0.sharing, flight) {
            (Some(sharing), Some(flight)) => {
                sharing.settle(&flight, known, key, answers, now, ages)
            }
            _ => known?.recalled(ages, now),
        }
    }
}
