//! What fallbacks, caches and conditions do with values of many types.

use std::{rc::Rc, sync::Arc, time::Duration};

use steadfast::{Served, Source, fallback, retry, timeout};

use crate::support::{Failure, Tries};

#[fallback(cache(key = name, fresh = "5m", stale = "1h"), |error| Err(error))]
#[retry(max_attempts = 2, base_delay = "10ms")]
async fn cached(name: &str, tries: &Tries) -> Result<Arc<str>, Failure> {
    tries.ask()?;
    Ok(name.into())
}

#[fallback(cache(key = "all", fresh = "5m", max_entries = 5), value = vec![0].into())]
#[timeout("1s")]
async fn served<T>(input: T, fails: bool) -> Result<Served<Vec<u32>>, Failure>
where
    T: Into<u32> + Send,
{
    if fails {
        return Err(Failure::Down);
    }
    Ok(vec![input.into()].into())
}

#[fallback(default)]
async fn no_bounds_without_a_cache(tries: &Tries) -> Result<Option<Rc<u32>>, Failure> {
    tries.ask().map(|n| Some(Rc::new(n)))
}

#[fallback(|error: Failure| -> Result<u32, Failure> {
    if error.is_down() {
        return Ok(5);
    }
    let n: u32 = "7".parse().map_err(|_| error)?;
    Ok(n)
})]
async fn annotated_closure(error: Failure) -> Result<u32, Failure> {
    Err(error)
}

#[fallback(|error| match error {
    Failure::Gone(n) if n > limit => Ok(u32::from(n)),
    other => Err(other)?,
}, when = |error| !error.is_down())]
async fn restricted(error: Failure, limit: u16) -> Result<u32, Failure> {
    Err(error)
}

#[fallback(value = { let mut all = given.to_vec(); all.push(0); all })]
async fn computed_from_parameters(given: &[u32]) -> Result<Vec<u32>, Failure> {
    Err(Failure::Gone(u16::try_from(given.len()).unwrap_or(0)))
}

struct Code(u32);

#[fallback(|Code(code)| Ok(code))]
async fn pattern_in_the_closure() -> Result<u32, Code> {
    Err(Code(1))
}

#[fallback(|_| Ok(()))]
fn wildcard_in_the_closure() -> Result<(), Failure> {
    Err(Failure::Down)
}

#[tokio::test(start_paused = true)]
async fn a_good_answer_is_remembered() {
    assert_eq!(&*cached("a", &Tries::good_at(1)).await.unwrap(), "a");
    assert_eq!(&*cached("a", &Tries::never_good()).await.unwrap(), "a");
    assert!(cached("b", &Tries::never_good()).await.is_err());
    tokio::time::sleep(Duration::from_secs(3601)).await;
    assert!(cached("a", &Tries::never_good()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_caller_is_told_where_the_answer_came_from() {
    let first = served(3_u8, true).await.unwrap();
    assert_eq!(first.source, Source::Fallback);
    assert_eq!(first.value, [0]);
    let second = served(4_u8, false).await.unwrap();
    assert_eq!(second.source, Source::Primary);
    let third = served(5_u16, true).await.unwrap();
    assert_eq!(third.source, Source::Cache);
    assert_eq!(*third, [4]);
}

#[tokio::test(start_paused = true)]
async fn answers_are_closures_values_and_defaults() {
    let tries = Tries::never_good();
    assert_eq!(no_bounds_without_a_cache(&tries).await, Ok(None));
    assert_eq!(annotated_closure(Failure::Down).await, Ok(5));
    assert_eq!(annotated_closure(Failure::Gone(1)).await, Ok(7));
    assert_eq!(restricted(Failure::Gone(9), 5).await, Ok(9));
    assert_eq!(restricted(Failure::Gone(3), 5).await, Err(Failure::Gone(3)));
    assert_eq!(restricted(Failure::Down, 5).await, Err(Failure::Down));
    assert_eq!(computed_from_parameters(&[1]).await, Ok(vec![1, 0]));
    assert_eq!(pattern_in_the_closure().await.ok(), Some(1));
    assert_eq!(wildcard_in_the_closure(), Ok(()));
}
