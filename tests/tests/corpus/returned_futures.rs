//! Functions that return a future instead of being `async`.

use std::{future::Future, pin::Pin};

use steadfast::{bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout};

use crate::support::{Failure, Tries, assert_send};

#[retry(base_delay = "10ms")]
fn opaque(tries: &Tries) -> impl Future<Output = Result<u32, Failure>> + Send + '_ {
    async move { tries.ask() }
}

#[fallback(|error| Err(error))]
#[retry(base_delay = "10ms")]
#[circuit_breaker(failure_threshold = 100)]
#[rate_limited(rate = "1000/s")]
#[bulkhead]
#[timeout("1s")]
fn opaque_in_a_stack<'a, T>(
    tries: &'a Tries,
    plus: &'a T,
) -> impl Future<Output = Result<u32, Failure>> + Send + 'a
where
    T: Copy + Into<u32> + Sync,
{
    let plus = (*plus).into();
    async move {
        tokio::task::yield_now().await;
        Ok(tries.ask()? + plus)
    }
}

#[retry(base_delay = "10ms")]
#[timeout("1s")]
fn boxed<'a>(
    tries: &'a Tries,
    text: &'a str,
) -> Pin<Box<dyn Future<Output = Result<usize, Failure>> + Send + 'a>> {
    let length = text.len();
    Box::pin(async move {
        tries.ask()?;
        Ok(length)
    })
}

#[timeout("1s")]
fn boxed_by_full_paths(
    text: String,
) -> std::pin::Pin<std::boxed::Box<dyn std::future::Future<Output = Result<String, Failure>>>> {
    std::boxed::Box::pin(async move { Ok(text) })
}

#[circuit_breaker]
fn plain(n: u32) -> impl Future<Output = Result<u32, Failure>> {
    let _before = n;
    async move { if n > 0 { Ok(n) } else { Err(Failure::Down) } }
}

struct Client {
    tries: Tries,
}

impl Client {
    #[retry(base_delay = "10ms")]
    #[circuit_breaker(failure_threshold = 100)]
    fn call(&self) -> impl Future<Output = Result<u32, Failure>> + Send {
        async { self.tries.ask() }
    }

    #[retry(base_delay = "10ms")]
    fn call_boxed<'s>(
        &'s mut self,
        by: u32,
    ) -> Pin<Box<dyn Future<Output = Result<u32, Failure>> + Send + 's>> {
        Box::pin(async move { Ok(self.tries.ask()? + by) })
    }
}

#[tokio::test(start_paused = true)]
async fn opaque_futures_are_retried_and_stay_sendable() {
    assert_eq!(assert_send(opaque(&Tries::good_at(3))).await, Ok(3));
    let tries = Tries::good_at(3);
    let call = opaque_in_a_stack(&tries, &7_u8);
    assert_eq!(assert_send(call).await, Ok(10));
    assert_eq!(plain(1).await, Ok(1));
    let client = Client {
        tries: Tries::good_at(3),
    };
    assert_eq!(assert_send(client.call()).await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn boxed_futures_are_retried_and_stay_sendable() {
    let tries = Tries::good_at(3);
    assert_eq!(assert_send(boxed(&tries, "four")).await, Ok(4));
    assert_eq!(boxed_by_full_paths("s".into()).await.unwrap(), "s");
    let mut client = Client {
        tries: Tries::good_at(3),
    };
    assert_eq!(assert_send(client.call_boxed(4)).await, Ok(7));
}
