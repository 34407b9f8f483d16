//! What a function may return: aliases, other people's results, outcomes of one's own.

use std::{convert::Infallible, error::Error, io};

use steadfast::{Classify, Outcome, Rejection, circuit_breaker, fallback, retry, timeout};

use crate::support::{Failure, Tries};

type Answer<T = u32, E = Failure> = std::result::Result<T, E>;
type Exactly = Result<u32, Failure>;

#[retry(base_delay = "10ms")]
#[timeout("1s")]
async fn alias(tries: &Tries) -> Answer {
    tries.ask()
}

#[retry(base_delay = "10ms")]
async fn alias_with_a_parameter(tries: &Tries) -> Answer<String> {
    Ok(tries.ask()?.to_string())
}

#[fallback(default)]
#[retry(base_delay = "1ms")]
#[circuit_breaker(failure_threshold = 100)]
fn alias_without_parameters(tries: &Tries) -> Exactly {
    tries.ask()
}

#[retry(base_delay = "10ms")]
#[circuit_breaker]
#[timeout("20ms")]
async fn of_the_io_module(tries: &Tries) -> io::Result<u32> {
    let n = tries.ask().map_err(io::Error::other)?;
    if n > 100 {
        std::future::pending::<()>().await;
    }
    Ok(n)
}

#[retry(base_delay = "10ms")]
#[circuit_breaker(failure_threshold = 100)]
#[timeout("1s")]
async fn of_anyhow(tries: &Tries) -> anyhow::Result<u32> {
    let n = tries.ask()?;
    anyhow::ensure!(n < 10, "{n} is too much");
    Ok(n)
}

#[retry(base_delay = "10ms")]
#[circuit_breaker(failure_threshold = 1)]
async fn boxed(tries: &Tries) -> Result<u32, Box<dyn Error + Send + Sync>> {
    Ok(tries.ask()?)
}

#[retry(base_delay = "10ms")]
async fn boxed_and_not_sendable(tries: &Tries) -> Result<u32, Box<dyn Error>> {
    Ok(tries.ask()?)
}

#[retry]
#[fallback(default, when = |error| match *error {})]
async fn infallible() -> Result<u32, Infallible> {
    Ok(1)
}

#[retry(max_attempts = 2, base_delay = "1ms")]
fn unit_error(tries: &Tries) -> Result<u32, ()> {
    tries.ask().map_err(drop)
}

#[retry(base_delay = "10ms")]
#[circuit_breaker]
async fn rejection_itself(tries: &Tries) -> Result<u32, Rejection> {
    Ok(tries.made())
}

#[retry(max_attempts = 2, base_delay = "10ms")]
async fn result_in_a_result(tries: &Tries) -> Result<Result<u32, Failure>, Infallible> {
    Ok(tries.ask())
}

/// An outcome that is no `Result`.
#[derive(Debug, PartialEq)]
enum Verdict {
    Good(u32),
    Bad(&'static str),
}

impl From<Rejection> for Reason {
    fn from(_: Rejection) -> Self {
        Self("rejected")
    }
}

#[derive(Debug, PartialEq)]
struct Reason(&'static str);

impl Outcome for Verdict {
    type Value = u32;
    type Error = Reason;

    fn as_result(&self) -> Result<&u32, &Reason> {
        match self {
            Self::Good(n) => Ok(n),
            Self::Bad("down") => Err(&Reason("down")),
            Self::Bad(_) => Err(&Reason("bad")),
        }
    }

    fn into_result(self) -> Result<u32, Reason> {
        match self {
            Self::Good(n) => Ok(n),
            Self::Bad(why) => Err(Reason(why)),
        }
    }

    fn from_result(result: Result<u32, Reason>) -> Self {
        match result {
            Ok(n) => Self::Good(n),
            Err(Reason(why)) => Self::Bad(why),
        }
    }
}

#[fallback(|error| Verdict::Bad(if error.0 == "down" { "answered" } else { error.0 }))]
#[retry(max_attempts = 2, base_delay = "10ms", when = |reason| reason.0 == "down")]
#[circuit_breaker(failure_threshold = 2)]
#[timeout("1s")]
async fn own_outcome(tries: &Tries) -> Verdict {
    tries.ask().map_or(Verdict::Bad("down"), Verdict::Good)
}

#[derive(Debug, PartialEq)]
struct Fatal;

impl Classify for Fatal {
    fn is_retryable(&self) -> bool {
        false
    }
}

type Judged = Result<(), Fatal>;

#[retry]
async fn classified(tries: &Tries) -> Judged {
    tries.ask().map(drop).map_err(|_| Fatal)
}

/// Errors that borrow from a parameter: nothing can be asked of them at run time.
#[fallback(|error| Err(error))]
#[retry(max_attempts = 2, base_delay = "10ms")]
#[circuit_breaker(failure_threshold = 100, reject_with = |_rejection| "open")]
#[timeout("1s", reject_with = |_rejection| "late")]
async fn borrowed_error<'t>(text: &'t str, tries: &Tries) -> Result<u32, &'t str> {
    tries.ask().map_err(|_| &text[1..])
}

#[derive(Debug, PartialEq)]
struct Quoting<'t>(&'t str);

impl<'t> From<Rejection> for Quoting<'t> {
    fn from(_: Rejection) -> Self {
        Self("rejected")
    }
}

impl Classify for Quoting<'_> {
    fn is_retryable(&self) -> bool {
        self.0 != "final"
    }
}

#[retry(max_attempts = 3, base_delay = "1ms")]
#[circuit_breaker(failure_threshold = 100)]
fn quoting_error<'t>(text: &'t str, tries: &Tries) -> Result<&'t str, Quoting<'t>> {
    match tries.ask() {
        Ok(_) => Ok(text),
        Err(_) => Err(Quoting(text)),
    }
}

#[tokio::test(start_paused = true)]
async fn aliases_are_results() {
    assert_eq!(alias(&Tries::good_at(3)).await, Ok(3));
    assert_eq!(
        alias_with_a_parameter(&Tries::good_at(2)).await.unwrap(),
        "2"
    );
    assert_eq!(alias_without_parameters(&Tries::good_at(2)), Ok(2));
}

#[tokio::test(start_paused = true)]
async fn results_of_other_libraries_carry_rejections() {
    assert_eq!(of_the_io_module(&Tries::good_at(3)).await.unwrap(), 3);
    let tries = Tries::good_at(2);
    for _ in 0..100 {
        let _ = tries.ask();
    }
    let cut = of_the_io_module(&tries).await.unwrap_err();
    assert_eq!(cut.kind(), io::ErrorKind::TimedOut);

    assert_eq!(of_anyhow(&Tries::good_at(3)).await.unwrap(), 3);
    assert!(of_anyhow(&Tries::good_at(20)).await.is_err());

    let refused = boxed(&Tries::never_good()).await.unwrap_err();
    assert!(refused.downcast_ref::<Rejection>().is_some(), "{refused}");
    assert_eq!(boxed_and_not_sendable(&Tries::good_at(2)).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn peculiar_errors_work() {
    assert_eq!(infallible().await, Ok(1));
    assert_eq!(unit_error(&Tries::good_at(2)), Ok(2));
    assert_eq!(rejection_itself(&Tries::good_at(1)).await, Ok(0));
    let tries = Tries::good_at(2);
    assert_eq!(result_in_a_result(&tries).await, Ok(Err(Failure::Down)));
}

#[tokio::test(start_paused = true)]
async fn an_outcome_of_ones_own_is_judged_by_its_trait() {
    assert_eq!(own_outcome(&Tries::good_at(2)).await, Verdict::Good(2));
    let tries = Tries::never_good();
    assert_eq!(own_outcome(&tries).await, Verdict::Bad("answered"));
    assert_eq!(tries.made(), 2);
}

#[tokio::test(start_paused = true)]
async fn classification_is_found_behind_an_alias() {
    let tries = Tries::never_good();
    assert_eq!(classified(&tries).await, Err(Fatal));
    assert_eq!(tries.made(), 1);
}

#[tokio::test(start_paused = true)]
async fn errors_may_borrow() {
    let text = String::from("text");
    let tries = Tries::never_good();
    assert_eq!(borrowed_error(&text, &tries).await, Err("ext"));
    assert_eq!(tries.made(), 2);
    assert_eq!(borrowed_error(&text, &Tries::good_at(2)).await, Ok(2));
    assert_eq!(quoting_error("text", &Tries::good_at(3)), Ok("text"));
    let tries = Tries::never_good();
    assert_eq!(quoting_error("final", &tries), Err(Quoting("final")));
    assert_eq!(tries.made(), 1);
}
