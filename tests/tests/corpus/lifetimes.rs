//! Lifetimes: elided, named, anonymous, bounded, higher-ranked, and borrows that are returned.

use std::{borrow::Cow, collections::HashMap};

use steadfast::{circuit_breaker, fallback, retry, timeout};

use crate::support::{Failure, Tries};

struct View<'a> {
    text: &'a str,
    tries: &'a Tries,
}

#[retry(base_delay = "10ms")]
async fn elided(text: &str, tries: &Tries) -> Result<usize, Failure> {
    tries.ask()?;
    Ok(text.len())
}

#[retry(base_delay = "10ms")]
#[timeout("1s")]
async fn named<'t>(text: &'t str, tries: &Tries) -> Result<&'t str, Failure> {
    tries.ask()?;
    Ok(text.trim())
}

#[retry(base_delay = "10ms")]
async fn anonymous(view: View<'_>) -> Result<usize, Failure> {
    view.tries.ask()?;
    Ok(view.text.len())
}

#[fallback(|_error| Ok(second))]
#[retry(base_delay = "10ms")]
#[circuit_breaker(failure_threshold = 100)]
async fn bounded<'long: 'short, 'short>(
    first: &'long str,
    second: &'short str,
    tries: &Tries,
) -> Result<&'short str, Failure>
where
    'long: 'short,
{
    tries.ask()?;
    Ok(first)
}

#[retry(base_delay = "1ms")]
fn higher_ranked<F>(text: &str, tries: &Tries, pick: F) -> Result<String, Failure>
where
    F: for<'x> Fn(&'x str) -> &'x str,
{
    tries.ask()?;
    Ok(pick(text).to_owned())
}

#[retry(base_delay = "10ms")]
#[timeout("1s")]
async fn higher_ranked_object(
    text: &str,
    tries: &Tries,
    pick: &(dyn for<'x> Fn(&'x str) -> &'x str + Send + Sync),
) -> Result<String, Failure> {
    tries.ask()?;
    Ok(pick(text).to_owned())
}

#[retry(base_delay = "10ms")]
async fn nested_references<'a>(
    table: &'a HashMap<&'a str, Vec<&'a str>>,
    key: &str,
    tries: &Tries,
) -> Result<Option<&'a str>, Failure> {
    tries.ask()?;
    Ok(table.get(key).and_then(|row| row.first().copied()))
}

#[fallback(value = "unknown")]
#[retry(base_delay = "10ms")]
async fn static_result(tries: &Tries) -> Result<&'static str, Failure> {
    tries.ask().map(|_| "known")
}

#[retry(base_delay = "10ms")]
async fn copy_on_write<'a>(text: &'a str, tries: &Tries) -> Result<Cow<'a, str>, Failure> {
    tries.ask()?;
    Ok(if text.is_empty() {
        Cow::Owned("empty".to_owned())
    } else {
        Cow::Borrowed(text)
    })
}

#[timeout("1s")]
async fn unique_once<'v>(values: &'v mut Vec<u32>, tries: &Tries) -> Result<&'v mut u32, Failure> {
    values.push(tries.ask()?);
    values.last_mut().ok_or(Failure::Down)
}

#[circuit_breaker]
fn unique_once_synchronously(values: &mut [u32]) -> Result<&mut u32, Failure> {
    values.first_mut().ok_or(Failure::Down)
}

#[retry(base_delay = "1ms")]
fn elided_result(view: &View<'_>) -> Result<char, Failure> {
    view.tries.ask()?;
    view.text.chars().next().ok_or(Failure::Down)
}

impl<'a> View<'a> {
    #[retry(base_delay = "10ms")]
    async fn longer_than_self(&self) -> Result<&'a str, Failure> {
        self.tries.ask()?;
        Ok(self.text)
    }

    #[retry(base_delay = "10ms")]
    async fn as_long_as_self(&self, _other: &str) -> Result<&str, Failure> {
        self.tries.ask()?;
        Ok(self.text)
    }

    #[retry(base_delay = "10ms")]
    async fn shortened<'b>(&'b mut self, to: &'b str) -> Result<usize, Failure>
    where
        'a: 'b,
    {
        self.text = &self.text[1..];
        self.tries.ask()?;
        Ok(self.text.len() + to.len())
    }
}

#[tokio::test(start_paused = true)]
async fn elided_named_and_anonymous_lifetimes_work() {
    assert_eq!(elided("abc", &Tries::good_at(2)).await, Ok(3));
    let owned = String::from(" abc ");
    assert_eq!(named(&owned, &Tries::good_at(2)).await, Ok("abc"));
    let tries = Tries::good_at(2);
    let view = View {
        text: "abc",
        tries: &tries,
    };
    assert_eq!(elided_result(&view), Ok('a'));
    assert_eq!(anonymous(view).await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn bounds_between_lifetimes_work() {
    let second = String::from("second");
    assert_eq!(
        bounded("first", &second, &Tries::good_at(2)).await,
        Ok("first")
    );
    assert_eq!(
        bounded("first", &second, &Tries::never_good()).await,
        Ok("second")
    );
}

#[tokio::test(start_paused = true)]
async fn higher_ranked_bounds_work() {
    assert_eq!(
        higher_ranked(" a ", &Tries::good_at(2), str::trim).unwrap(),
        "a"
    );
    assert_eq!(
        higher_ranked_object(" a ", &Tries::good_at(2), &str::trim)
            .await
            .unwrap(),
        "a"
    );
}

#[tokio::test(start_paused = true)]
async fn shared_borrows_are_returned_from_retried_functions() {
    let table = HashMap::from([("k", vec!["v"])]);
    assert_eq!(
        nested_references(&table, "k", &Tries::good_at(2)).await,
        Ok(Some("v"))
    );
    assert_eq!(static_result(&Tries::good_at(2)).await, Ok("known"));
    assert_eq!(static_result(&Tries::never_good()).await, Ok("unknown"));
    assert_eq!(
        copy_on_write("abc", &Tries::good_at(2)).await.unwrap(),
        "abc"
    );
    assert_eq!(
        copy_on_write("", &Tries::good_at(2)).await.unwrap(),
        "empty"
    );
}

#[tokio::test(start_paused = true)]
async fn unique_borrows_are_returned_from_functions_that_run_once() {
    let mut values = vec![5];
    *unique_once(&mut values, &Tries::good_at(1)).await.unwrap() += 1;
    assert_eq!(values, [5, 2]);
    *unique_once_synchronously(&mut values).unwrap() += 1;
    assert_eq!(values, [6, 2]);
}

#[tokio::test(start_paused = true)]
async fn methods_borrow_from_self_and_beyond() {
    let tries = Tries::good_at(2);
    let mut view = View {
        text: "abcdef",
        tries: &tries,
    };
    assert_eq!(view.longer_than_self().await, Ok("abcdef"));
    assert_eq!(view.as_long_as_self("x").await, Ok("abcdef"));
    let again = Tries::good_at(3);
    view.tries = &again;
    assert_eq!(view.shortened("xy").await, Ok(5));
}
