//! Names: raw, foreign, unused, and those of the attributes themselves.

use steadfast::{circuit_breaker, fallback, retry, timeout};

use crate::support::{Failure, Tries};

#[retry(base_delay = "10ms", clone(r#type), attempt = r#loop)]
#[timeout("1s")]
async fn r#match(r#type: String, r#fn: &Tries) -> Result<u32, Failure> {
    drop(r#type);
    r#fn.ask().map(|n| n * r#loop)
}

#[fallback(|errör| { let _ = errör; Ok(größe) })]
#[retry(max_attempts = 2, base_delay = "10ms")]
async fn größer(größe: u32, versuche: &Tries) -> Result<u32, Failure> {
    versuche.ask()
}

mod named_like_attributes {
    use steadfast as policies;

    use crate::support::{Failure, Tries};

    #[policies::retry(base_delay = "10ms")]
    pub(super) async fn retry(timeout: &Tries) -> Result<u32, Failure> {
        timeout.ask()
    }

    #[policies::fallback(self::stand_in, crate = policies)]
    #[policies::timeout("1s")]
    pub(super) async fn fallback(fallback: &Tries) -> Result<u32, Failure> {
        fallback.ask()
    }

    pub(super) async fn stand_in(fallback: &Tries, _error: Failure) -> Result<u32, Failure> {
        Ok(fallback.made() + 10)
    }
}

#[retry(base_delay = "10ms")]
async fn _underscored(_tries: &Tries, __double: u32) -> Result<u32, Failure> {
    _tries.ask().map(|n| n + __double)
}

#[circuit_breaker]
async fn unused(_: u32, _a: u32, _b: &str) -> Result<(), Failure> {
    Ok(())
}

#[retry(base_delay = "1ms")]
fn a_name_that_is_so_long_that_nobody_would_want_to_write_it_a_second_time_in_any_file_of_theirs_or_ours(
    tries: &Tries,
) -> Result<u32, Failure> {
    tries.ask()
}

/// Two methods of one name in one module: two policies.
struct First;
struct Second;

impl First {
    #[circuit_breaker(failure_threshold = 1)]
    fn call(&self) -> Result<(), Failure> {
        Err(Failure::Down)
    }
}

impl Second {
    #[circuit_breaker(failure_threshold = 1)]
    fn call(&self) -> Result<(), Failure> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn raw_and_foreign_names_work() {
    assert_eq!(r#match("t".into(), &Tries::good_at(3)).await, Ok(9));
    assert_eq!(größer(5, &Tries::never_good()).await, Ok(5));
}

#[tokio::test(start_paused = true)]
async fn names_of_attributes_work() {
    use named_like_attributes::{fallback, retry};

    assert_eq!(retry(&Tries::good_at(3)).await, Ok(3));
    assert_eq!(fallback(&Tries::never_good()).await, Ok(11));
}

#[tokio::test(start_paused = true)]
async fn underscores_work() {
    assert_eq!(_underscored(&Tries::good_at(3), 4).await, Ok(7));
    assert_eq!(unused(1, 2, "").await, Ok(()));
}

#[test]
fn methods_of_one_name_have_policies_of_their_own() {
    assert_eq!(First.call(), Err(Failure::Down));
    assert!(matches!(First.call(), Err(Failure::Rejected(_))));
    assert_eq!(Second.call(), Ok(()));
    let long = a_name_that_is_so_long_that_nobody_would_want_to_write_it_a_second_time_in_any_file_of_theirs_or_ours;
    assert_eq!(long(&Tries::good_at(3)), Ok(3));
}
