//! Other attributes beside the stack: documentation, lints, `cfg`, on the function and its parameters.

use steadfast::{circuit_breaker, fallback, retry, timeout};

use crate::support::{Failure, Tries};

/// Documented above.
#[retry(base_delay = "10ms")]
/// Documented between.
#[timeout("1s")]
/// Documented below.
#[must_use = "ask for it"]
#[inline]
async fn documented(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[cfg(not(doctest))]
#[retry(base_delay = "10ms")]
#[cfg(not(any()))]
async fn configured(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[cfg(any())]
#[retry(no_such_argument)]
async fn configured(_: NoSuchType) -> NoSuchType {}

#[cfg_attr(all(), retry(max_attempts = 4, base_delay = "10ms"), timeout("1s"))]
#[cfg_attr(any(), retry(no_such_argument))]
async fn conditionally(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[fallback(value = 9)]
#[cfg_attr(all(), retry(max_attempts = 2, base_delay = "10ms"))]
#[cfg_attr(any(), circuit_breaker(failure_threshold = 1))]
#[timeout("1s")]
async fn conditionally_between(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[retry(base_delay = "1ms")]
fn parameters(
    #[cfg(any())] absent: NoSuchType,
    #[cfg(not(doctest))] tries: &Tries,
    #[allow(unused_variables)] unused: u32,
    #[cfg_attr(all(), allow(unused_variables))] also_unused: u32,
) -> Result<u32, Failure> {
    tries.ask()
}

#[fallback(stand_in)]
#[retry(max_attempts = 2, base_delay = "1ms")]
fn parameters_in_a_fallback(
    #[cfg(any())] absent: NoSuchType,
    #[cfg(not(doctest))] tries: &Tries,
) -> Result<u32, Failure> {
    tries.ask()
}

fn stand_in(tries: &Tries, _error: Failure) -> Result<u32, Failure> {
    Ok(tries.made() + 100)
}

#[retry(base_delay = "10ms")]
#[timeout("1s")]
async fn inner(tries: &Tries) -> Result<u32, Failure> {
    #![allow(unused_variables, clippy::let_unit_value)]
    #![allow(non_snake_case)]
    let Unused = ();
    tries.ask()
}

#[circuit_breaker]
fn inner_synchronous(tries: &Tries) -> Result<u32, Failure> {
    #![allow(unused_variables)]
    //! And an inner document.
    let unused = 1;
    tries.ask()
}

#[expect(unused_variables)]
#[retry(base_delay = "10ms")]
#[expect(clippy::needless_return)]
async fn expected(tries: &Tries) -> Result<u32, Failure> {
    let unused = 1;
    return tries.ask();
}

#[deprecated = "not really"]
#[retry(base_delay = "1ms")]
#[cold]
#[doc(hidden)]
fn discouraged(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[retry(max_attempts = 1)]
#[track_caller]
fn tracked() -> Result<u32, Failure> {
    Ok(std::panic::Location::caller().line())
}

struct Client {
    #[cfg(not(doctest))]
    tries: Tries,
}

impl Client {
    /// Asks.
    #[cfg_attr(all(), retry(base_delay = "10ms"))]
    #[allow(clippy::unused_self)]
    async fn ask(&self) -> Result<u32, Failure> {
        self.tries.ask()
    }
}

#[tokio::test(start_paused = true)]
async fn documentation_and_lints_stay_on_the_function() {
    assert_eq!(documented(&Tries::good_at(3)).await, Ok(3));
    assert_eq!(expected(&Tries::good_at(3)).await, Ok(3));
    #[allow(deprecated)]
    let discouraged = discouraged(&Tries::good_at(3));
    assert_eq!(discouraged, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn conditions_are_seen_through() {
    assert_eq!(configured(&Tries::good_at(3)).await, Ok(3));
    assert_eq!(conditionally(&Tries::good_at(4)).await, Ok(4));
    let tries = Tries::never_good();
    assert_eq!(conditionally_between(&tries).await, Ok(9));
    assert_eq!(tries.made(), 2);
    let client = Client {
        tries: Tries::good_at(3),
    };
    assert_eq!(client.ask().await, Ok(3));
}

#[test]
fn parameters_have_attributes() {
    assert_eq!(parameters(&Tries::good_at(3), 1, 2), Ok(3));
    assert_eq!(parameters_in_a_fallback(&Tries::never_good()), Ok(102));
}

#[tokio::test(start_paused = true)]
async fn inner_attributes_hold_for_the_body() {
    assert_eq!(inner(&Tries::good_at(3)).await, Ok(3));
    assert_eq!(inner_synchronous(&Tries::good_at(1)), Ok(1));
}

#[test]
fn the_caller_is_tracked() {
    let _ = tracked();
}
