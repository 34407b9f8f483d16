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

/// Names that emitted code uses for its own variables.
#[fallback(|__error| { let _ = __error; Ok(__call + __step + __policy) })]
#[retry(max_attempts = 2, base_delay = "10ms", on_retry = |__event| *__entered += __event.attempt)]
#[circuit_breaker(failure_threshold = 100, key = __call)]
#[timeout("1s")]
async fn names_of_emitted_code(
    __call: u32,
    __step: u32,
    __policy: u32,
    __entered: &mut u32,
    __attempts: &Tries,
) -> Result<u32, Failure> {
    let __permit = __attempts.ask()?;
    Ok(__permit + __call)
}

/// More parameters than tuples have implementations.
#[circuit_breaker]
#[timeout("1s")]
#[allow(clippy::too_many_arguments)]
async fn many(
    a: String,
    b: String,
    c: String,
    d: String,
    e: String,
    f: String,
    g: String,
    h: String,
    i: String,
    j: String,
    k: String,
    l: String,
    m: String,
    n: String,
) -> Result<String, Failure> {
    Ok([a, b, c, d, e, f, g, h, i, j, k, l, m, n].concat())
}

mod restricted {
    use crate::support::{Failure, Tries};

    pub(super) mod inner {
        use super::{Failure, Tries};

        #[steadfast::retry(base_delay = "1ms")]
        pub(in crate::names) fn call(tries: &Tries) -> Result<u32, Failure> {
            tries.ask()
        }
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

#[tokio::test(start_paused = true)]
async fn names_of_emitted_code_are_free() {
    let mut entered = 0;
    let call = names_of_emitted_code(1, 2, 3, &mut entered, &Tries::good_at(2)).await;
    assert_eq!(call, Ok(3));
    assert_eq!(entered, 1);
    let down = Tries::never_good();
    assert_eq!(
        names_of_emitted_code(1, 2, 3, &mut entered, &down).await,
        Ok(6)
    );
    assert_eq!(restricted::inner::call(&Tries::good_at(3)), Ok(3));
}

#[tokio::test(start_paused = true)]
async fn there_may_be_many_parameters() {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n] =
        std::array::from_fn(|at| char::from(b'a' + u8::try_from(at).unwrap()).to_string());
    let all = many(a, b, c, d, e, f, g, h, i, j, k, l, m, n).await;
    assert_eq!(all.unwrap(), "abcdefghijklmn");
}
