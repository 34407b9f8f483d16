//! Trait methods: in implementations, as default bodies, and native `async fn` in traits.

use std::future::Future;

use steadfast::{bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout};

use crate::support::{Failure, Tries, assert_send};

trait Store {
    const SCALE: u32;
    type Key: Copy + Into<u32> + Sync;

    async fn load(&self, key: Self::Key) -> Result<u32, Failure>;

    fn load_now(&self, key: Self::Key) -> Result<u32, Failure>;

    fn load_sendable(
        &self,
        key: Self::Key,
    ) -> impl Future<Output = Result<u32, Failure>> + Send + '_;

    #[retry(base_delay = "10ms")]
    async fn load_twice(&self, key: Self::Key) -> Result<u32, Failure> {
        let first = self.load(key).await?;
        let second = self.load(key).await?;
        Ok(first + second)
    }

    #[fallback(value = Self::SCALE)]
    #[retry(max_attempts = 2, base_delay = "1ms")]
    #[circuit_breaker(failure_threshold = 100)]
    fn scaled(&mut self, key: Self::Key) -> Result<u32, Failure>
    where
        Self: Sized,
    {
        self.touch();
        Ok(Self::SCALE * self.load_now(key)?)
    }

    fn touch(&mut self);

    #[timeout("1s")]
    async fn nothing() -> Result<(), Failure>
    where
        Self: Sized,
    {
        Ok(())
    }
}

struct Memory {
    tries: Tries,
    touched: u32,
}

impl Store for Memory {
    const SCALE: u32 = 1000;
    type Key = u16;

    #[fallback(|error| Err(error))]
    #[retry(base_delay = "10ms")]
    #[circuit_breaker(failure_threshold = 100)]
    #[rate_limited(rate = "1000/s")]
    #[bulkhead]
    #[timeout("1s")]
    async fn load(&self, key: u16) -> Result<u32, Failure> {
        Ok(self.tries.ask()? + u32::from(key))
    }

    #[retry(base_delay = "1ms")]
    fn load_now(&self, key: Self::Key) -> Result<u32, Failure> {
        Ok(self.tries.ask()? + u32::from(key))
    }

    #[retry(base_delay = "10ms")]
    fn load_sendable(
        &self,
        key: Self::Key,
    ) -> impl Future<Output = Result<u32, Failure>> + Send + '_ {
        async move { Ok(self.tries.ask()? + u32::from(key)) }
    }

    fn touch(&mut self) {
        self.touched += 1;
    }
}

fn memory(good_at: u32) -> Memory {
    Memory {
        tries: Tries::good_at(good_at),
        touched: 0,
    }
}

/// A trait with parameters of its own, implemented for every type.
trait Convert<T> {
    #[retry(base_delay = "1ms")]
    fn convert(&self, tries: &Tries) -> Result<T, Failure>
    where
        Self: Clone + Into<T>,
    {
        tries.ask()?;
        Ok(self.clone().into())
    }
}

impl<T, U> Convert<T> for U {}

/// Object-safe, with an annotated default body.
trait Ping {
    fn tries(&self) -> &Tries;

    #[retry(base_delay = "1ms")]
    fn ping(&self) -> Result<u32, Failure> {
        self.tries().ask()
    }
}

impl Ping for Tries {
    fn tries(&self) -> &Tries {
        self
    }
}

impl dyn Ping + '_ {
    #[retry(base_delay = "1ms")]
    fn ping_twice(&self) -> Result<u32, Failure> {
        self.ping()?;
        self.ping()
    }
}

#[tokio::test(start_paused = true)]
async fn native_async_methods_are_retried() {
    assert_eq!(memory(3).load(10).await, Ok(13));
}

#[tokio::test(start_paused = true)]
async fn default_bodies_are_retried_as_a_whole() {
    assert_eq!(memory(5).load_twice(10).await, Ok(31));
    assert_eq!(Memory::nothing().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_method_that_returns_a_sendable_future_stays_sendable() {
    let memory = memory(3);
    assert_eq!(assert_send(memory.load_sendable(10)).await, Ok(13));
}

#[test]
fn synchronous_methods_and_default_bodies_work() {
    let mut store = memory(4);
    assert_eq!(store.scaled(1), Ok(5000));
    assert_eq!(store.touched, 2);
    let mut store = memory(u32::MAX);
    assert_eq!(store.scaled(1), Ok(1000));
    assert_eq!(store.touched, 2);
}

#[test]
fn generic_and_object_safe_traits_work() {
    let wide: Result<u64, _> = 7_u32.convert(&Tries::good_at(2));
    assert_eq!(wide, Ok(7));
    let object: &dyn Ping = &Tries::good_at(2);
    assert_eq!(object.ping(), Ok(2));
    assert_eq!(object.ping_twice(), Ok(4));
}
