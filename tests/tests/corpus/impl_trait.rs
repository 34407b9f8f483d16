//! `impl Trait` in arguments and inside the return type.

use std::{fmt::Display, future::Future};

use steadfast::{circuit_breaker, fallback, retry, timeout};

use crate::support::{Failure, Tries};

#[retry(base_delay = "10ms")]
#[timeout("1s")]
async fn taken(words: &(impl Display + Sync + ?Sized), tries: &Tries) -> Result<String, Failure> {
    tries.ask()?;
    Ok(words.to_string())
}

#[retry(base_delay = "1ms", clone(words))]
fn taken_by_value(
    words: impl IntoIterator<Item = impl Into<String>> + Clone,
    tries: &Tries,
) -> Result<Vec<String>, Failure> {
    tries.ask()?;
    Ok(words.into_iter().map(Into::into).collect())
}

#[retry(base_delay = "10ms")]
async fn given(tries: &Tries) -> Result<impl Iterator<Item = u32> + Clone, Failure> {
    let n = tries.ask()?;
    Ok((0..n).filter(|n| n % 2 == 0))
}

#[fallback(|error| Err(error))]
#[retry(base_delay = "10ms")]
#[circuit_breaker(failure_threshold = 100)]
#[timeout("1s")]
async fn given_by_a_stack<'t>(
    text: &'t str,
    tries: &Tries,
) -> Result<impl Display + use<'t>, Failure> {
    tries.ask()?;
    Ok(text)
}

#[circuit_breaker]
fn nested(tries: &Tries) -> Result<Option<(u32, impl Fn(u32) -> u32 + use<>)>, Failure> {
    let n = tries.ask()?;
    Ok(Some((n, move |by| n + by)))
}

#[retry(base_delay = "1ms")]
fn boxed(tries: &Tries) -> Result<Box<dyn Fn(u32) -> u32 + Send>, Failure> {
    let n = tries.ask()?;
    if n > 10 {
        return Ok(Box::new(|by| by));
    }
    Ok(Box::new(move |by| n * by))
}

#[retry(base_delay = "10ms")]
async fn closures(
    ask: impl AsyncFn(u32) -> Result<u32, Failure>,
    mut observe: impl FnMut(u32),
) -> Result<u32, Failure> {
    observe(1);
    ask(2).await
}

#[retry(base_delay = "10ms")]
async fn futures_made_by_a_closure<F, R>(mut make: F) -> Result<R, Failure>
where
    F: FnMut() -> R,
    R: Future<Output = Result<u32, Failure>>,
{
    Ok(make())
}

#[tokio::test(start_paused = true)]
async fn arguments_are_lent_or_cloned() {
    assert_eq!(taken("abc", &Tries::good_at(2)).await.unwrap(), "abc");
    assert_eq!(
        taken_by_value(["a", "b"], &Tries::good_at(2)).unwrap(),
        ["a", "b"]
    );
    let tries = Tries::good_at(3);
    let mut seen = 0;
    let asked = closures(async |by| tries.ask().map(|n| n + by), |n| seen += n).await;
    assert_eq!(asked, Ok(5));
    assert_eq!(seen, 3);
}

#[tokio::test(start_paused = true)]
async fn results_are_opaque() {
    let tries = Tries::good_at(3);
    let even = given(&tries).await.unwrap();
    assert_eq!(even.clone().collect::<Vec<_>>(), [0, 2]);
    let text = String::from("text");
    let shown = given_by_a_stack(&text, &Tries::good_at(2)).await.unwrap();
    assert_eq!(shown.to_string(), "text");
    let (n, add) = nested(&Tries::good_at(1)).unwrap().unwrap();
    assert_eq!((n, add(4)), (1, 5));
    assert_eq!(boxed(&Tries::good_at(3)).unwrap()(5), 15);
    let future = futures_made_by_a_closure(|| async { Ok(3) }).await;
    assert_eq!(future.unwrap().await, Ok(3));
}
