//! A fallback with its answers, as a value.

use std::{convert::Infallible, future::Future};

use super::{CacheKey, Fallback, Marks, Serving, Shareable, Taken};
use crate::{judge::Judge, outcome::Outcome, probe::Traits, step::Step};

/// A [`Fallback`] that knows what to answer: made by [`Fallback::or_else`] and [`Fallback::cached`].
#[must_use = "does nothing until `call`"]
#[derive(Debug)]
pub struct Answering<'f, M, A> {
    fallback: &'f Fallback,
    memory: M,
    answer: A,
}

/// Remembers nothing.
#[derive(Debug)]
pub struct Forgetful;

/// Remembers for all instances; see [`Answering::shared`].
#[derive(Debug)]
pub struct SharedKey(CacheKey);

/// Has no answer of its own: the error passes.
#[derive(Debug)]
pub struct Pass;

/// Answers with what a closure makes of the error.
#[derive(Debug)]
pub struct OrElse<A>(A);

/// Where earlier answers are kept.
pub trait Memory<R: Outcome> {
    #[doc(hidden)]
    fn remember(&self, fallback: &Fallback, step: &Step<R, Infallible>);

    #[doc(hidden)]
    fn recall(&self, fallback: &Fallback, serving: Serving<'_>) -> impl Future<Output = Option<R>>;
}

impl<R: Outcome> Memory<R> for Forgetful {
    fn remember(&self, _: &Fallback, _: &Step<R, Infallible>) {}

    async fn recall(&self, _: &Fallback, _: Serving<'_>) -> Option<R> {
        None
    }
}

impl<R: Outcome<Value: Clone + Send + Sync + 'static>> Memory<R> for CacheKey {
    fn remember(&self, fallback: &Fallback, step: &Step<R, Infallible>) {
        fallback.expect_shared(false);
        fallback.remember(self, step, Marks::none());
    }

    async fn recall(&self, fallback: &Fallback, serving: Serving<'_>) -> Option<R> {
        fallback.expect_shared(false);
        fallback.recall(self, Marks::none(), serving)
    }
}

impl<R: Outcome<Value: Clone + Send + Sync + 'static + Shareable>> Memory<R> for SharedKey {
    fn remember(&self, fallback: &Fallback, step: &Step<R, Infallible>) {
        fallback.expect_shared(true);
        fallback.remember_shared(&self.0, step, Marks::none());
    }

    async fn recall(&self, fallback: &Fallback, serving: Serving<'_>) -> Option<R> {
        fallback.expect_shared(true);
        fallback
            .recall_shared(&self.0, Marks::none(), serving)
            .await
    }
}

/// What a failed call is answered with.
pub trait Answer<R: Outcome> {
    #[doc(hidden)]
    fn answer(self, fallback: &Fallback, error: R::Error) -> impl Future<Output = R>;
}

impl<R: Outcome> Answer<R> for Pass {
    async fn answer(self, fallback: &Fallback, error: R::Error) -> R {
        fallback
            .passed::<R, Infallible>(error)
            .finish(|never| match never {})
    }
}

impl<R: Outcome, A: FnOnce(R::Error) -> F, F: Future<Output = R>> Answer<R> for OrElse<A> {
    async fn answer(self, fallback: &Fallback, error: R::Error) -> R {
        fallback.answered((self.0)(error).await, Marks::none())
    }
}

impl<'f> Answering<'f, Forgetful, Pass> {
    pub(super) fn new(fallback: &'f Fallback) -> Self {
        Self {
            fallback,
            memory: Forgetful,
            answer: Pass,
        }
    }
}

impl<'f, A> Answering<'f, CacheKey, A> {
    /// Remembers in the registry's [store](crate::Store) as well, and serves what other instances
    /// remembered: for a fallback that was built with [`shared`](crate::FallbackBuilder::shared), and
    /// values that implement `serde`'s `Serialize` and `DeserializeOwned`. As
    /// [`#[fallback(.., shared)]`](macro@crate::fallback) does it.
    ///
    /// ```
    /// # #[cfg(feature = "redis")] {
    /// use std::time::Duration;
    /// use steadfast::{Fallback, MemoryStore};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// steadfast::registry().set_store(MemoryStore::new())?; // in earnest, a `RedisStore`
    /// let fallback = Fallback::builder("quotes").fresh(Duration::from_secs(60)).shared(true).build()?;
    /// let good: Result<u32, String> = fallback.cached("ACME").shared().call(async { Ok(7) }).await;
    /// let bad = fallback.cached("ACME").shared().call(async { Err("no connection".to_owned()) }).await;
    /// assert_eq!(good, bad);
    /// # Ok(())
    /// # }
    /// # main().unwrap();
    /// # }
    /// ```
    ///
    /// A call that fails without a fresh answer at hand waits for the store, at most for its deadline.
    pub fn shared(self) -> Answering<'f, SharedKey, A> {
        Answering {
            fallback: self.fallback,
            memory: SharedKey(self.memory),
            answer: self.answer,
        }
    }
}

impl<'f, M, A> Answering<'f, M, A> {
    /// Answers with what `answer` makes of the error, where memory has nothing.
    pub fn or_else<B>(self, answer: B) -> Answering<'f, M, OrElse<B>> {
        Answering {
            fallback: self.fallback,
            memory: self.memory,
            answer: OrElse(answer),
        }
    }

    pub(super) fn cached(self, key: CacheKey) -> Answering<'f, CacheKey, A> {
        Answering {
            fallback: self.fallback,
            memory: key,
            answer: self.answer,
        }
    }

    /// Makes the call, and answers in its place if it fails. Every error counts as a failure.
    pub async fn call<F>(self, future: F) -> F::Output
    where
        F: Future<Output: Outcome>,
        M: Memory<F::Output>,
        A: Answer<F::Output>,
    {
        let fallback = self.fallback;
        let step: Step<F::Output, Infallible> = Step::Done(future.await);
        let serving = fallback.serves(Judge::new(&step, Traits::unknown()));
        match fallback.take(step, serving) {
            Taken::Failed(error) => match self.memory.recall(fallback, serving).await {
                Some(answer) => answer,
                None => self.answer.answer(fallback, error).await,
            },
            Taken::Keep(step) => {
                self.memory.remember(fallback, &step);
                step.finish(|never| match never {})
            }
        }
    }
}
