//! Names of the prelude and of the standard library that mean something else here.

/// All that emitted code might want to say, with another meaning.
#[allow(non_snake_case, dead_code, non_camel_case_types)]
mod other {
    pub(super) struct Ok;
    pub(super) struct Err;
    pub(super) struct Some;
    pub(super) struct None;
    pub(super) struct Result;
    pub(super) struct Option;
    pub(super) struct Box;
    pub(super) struct String;
    pub(super) struct Vec;
    pub(super) struct Duration;
    pub(super) struct Future;
    pub(super) struct Step;
    pub(super) struct Call;
    pub(super) struct Body;
    pub(super) struct Judge;
    pub(super) struct Probe;
    pub(super) struct Retry;
    pub(super) struct Rejection;
    pub(super) struct Site;
    pub(super) struct Slot;
    pub(super) struct bool;
    pub(super) struct u32;
    pub(super) struct str;
    pub(super) trait Clone {}
    pub(super) trait Copy {}
    pub(super) trait Fn {}
    pub(super) trait FnOnce {}
    pub(super) trait Into {}
    pub(super) trait From {}
    pub(super) trait Default {}
    pub(super) trait Iterator {}
    pub(super) trait Send {}
    pub(super) trait Sync {}
    pub(super) trait Sized {}
    pub(super) trait Drop {}
    pub(super) trait Outcome {}
    pub(super) fn drop() {}
    pub(super) mod std {}
    pub(super) mod core {}
    pub(super) mod alloc {}
    pub(super) mod steadfast {}
    pub(super) mod tokio {}
}

/// Methods on everything, by value, so that they are found before any method by reference.
#[allow(dead_code, unused_variables)]
mod methods {
    macro_rules! methods {
        ($($name:ident)*) => {
            pub(super) trait Everything: Sized {
                $(fn $name(self) -> Wrong { Wrong })*
            }
            impl<T> Everything for T {}
        };
    }
    pub(super) struct Wrong;
    methods!(
        get enter enter_key enter_blocking enter_key_blocking admit admit_blocking try_admit succeed
        good settle elapsed elapsed_after run_body run_body_for begin attempt next next_with pause
        pause_blocking run run_for body finish traits marks serves take recall remember answered
        passed when when_value ignore until retry_after cache_key cost bypass key rate
        resolve as_result into_result is_some then unwrap_or_default rejected_with window
    );
}

mod glob_imports {
    use ::steadfast::{bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout};

    #[allow(unused_imports)]
    use super::other::*;
    use crate::support::{Failure, Tries};

    #[fallback(|error| error.is_down().then_some(7).ok_or(error))]
    #[retry(max_attempts = 3, base_delay = "10ms", when = Failure::is_down, until = |n| *n > 0)]
    #[circuit_breaker(failure_rate = 0.9, window = "10s", ignore = |error| !error.is_down())]
    #[rate_limited(rate = "1000/s", burst = 9, max_wait = "1s", key = "k", cost = 1)]
    #[bulkhead(max_concurrent = 3, max_wait = "1s")]
    #[timeout("1s")]
    pub(super) async fn stacked(
        tries: &Tries,
    ) -> ::core::result::Result<::core::primitive::u32, Failure> {
        tries.ask()
    }

    #[fallback(default)]
    #[retry(max_attempts = 3, base_delay = "1ms", timeouts = false, budget = 0.5)]
    #[circuit_breaker(failure_threshold = 100, cancelled = failure)]
    #[rate_limited(rate = "1000/s", algorithm = sliding_window)]
    #[bulkhead]
    pub(super) fn synchronous(
        tries: &Tries,
    ) -> ::core::result::Result<::core::primitive::u32, Failure> {
        tries.ask()
    }

    #[fallback(cache(key = name, fresh = "1m"))]
    #[retry(max_attempts = 1, clone(name))]
    pub(super) async fn cached(
        name: ::std::string::String,
        tries: &Tries,
    ) -> ::core::result::Result<::core::primitive::u32, Failure> {
        ::core::mem::drop(name);
        tries.ask()
    }
}

mod methods_on_everything {
    use steadfast::{bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout};

    #[allow(unused_imports)]
    use super::methods::*;
    use crate::support::{Failure, Tries};

    #[fallback(|error| Err(error))]
    #[retry(base_delay = "10ms", when = Failure::is_down)]
    #[circuit_breaker(failure_rate = 0.9)]
    #[rate_limited(rate = "1000/s", key = 7)]
    #[bulkhead]
    #[timeout("1s")]
    pub(super) async fn stacked(tries: &Tries) -> Result<u32, Failure> {
        tries.ask()
    }

    #[fallback(cache(key = 1, fresh = "1m"), value = 9)]
    #[retry(backoff = |_n| std::time::Duration::ZERO)]
    #[circuit_breaker(failure_rate = 0.9)]
    #[rate_limited(rate = "1000/s")]
    #[bulkhead(key = "k")]
    pub(super) fn synchronous(tries: &Tries) -> Result<u32, Failure> {
        tries.ask()
    }
}

mod function_names {
    use steadfast::{circuit_breaker, fallback, retry, timeout};

    use crate::support::{Failure, Tries};

    #[allow(non_snake_case, dead_code)]
    fn Ok(_: ()) {}
    #[allow(non_snake_case, dead_code)]
    fn Err(_: ()) {}
    #[allow(non_snake_case, dead_code)]
    fn Some(_: ()) {}
    #[allow(non_upper_case_globals, dead_code)]
    const None: () = ();

    #[fallback(value = 3)]
    #[retry(max_attempts = 2, base_delay = "10ms")]
    #[circuit_breaker(failure_threshold = 100)]
    #[timeout("1s")]
    pub(super) async fn stacked(tries: &Tries) -> Result<u32, Failure> {
        tries.ask()
    }
}

mod macro_names {
    #[allow(unused_macros)]
    macro_rules! concat {
        ($($t:tt)*) => {
            compile_error!("not this one")
        };
    }
    #[allow(unused_macros)]
    macro_rules! module_path {
        ($($t:tt)*) => {
            compile_error!("not this one")
        };
    }
    #[allow(unused_macros)]
    macro_rules! matches {
        ($($t:tt)*) => {
            compile_error!("not this one")
        };
    }

    use steadfast::{circuit_breaker, fallback, retry, timeout};

    use crate::support::{Failure, Tries};

    #[fallback(value = 3)]
    #[retry(max_attempts = 2, base_delay = "10ms")]
    #[circuit_breaker(failure_threshold = 100)]
    #[timeout("1s")]
    pub(super) async fn stacked(tries: &Tries) -> Result<u32, Failure> {
        tries.ask()
    }
}

use self::other::{core, std, steadfast};
use crate::support::{Failure, Tries};

/// Paths that begin at a module of that name, not at the crate.
#[::steadfast::retry(base_delay = "10ms")]
#[::steadfast::timeout("1s")]
async fn crates_are_shadowed(tries: &Tries) -> Result<u32, Failure> {
    #[allow(unused_imports)]
    use self::{core as _, std as _, steadfast as _};
    tries.ask()
}

/// Parameters with names that emitted code might use.
#[::steadfast::fallback(|error| { let _ = error; Ok(step + call + site + event) })]
#[::steadfast::retry(max_attempts = 2, base_delay = "10ms")]
#[::steadfast::timeout("1s")]
async fn ordinary_names(
    step: u32,
    call: u32,
    site: u32,
    event: u32,
    rejection: &Tries,
) -> Result<u32, Failure> {
    rejection.ask()
}

/// A local type parameter named like what emitted code needs.
#[::steadfast::retry(base_delay = "10ms", clone(value))]
#[::steadfast::timeout("1s")]
async fn generic_names<Step: Clone + Send + Sync, R, E>(
    value: Step,
    ask: impl Fn() -> Result<R, E>,
) -> Result<(R, Step), E>
where
    E: From<::steadfast::Rejection>,
{
    Ok((ask()?, value))
}

#[::tokio::test(start_paused = true)]
async fn glob_imports_change_nothing() {
    use ::std::assert_eq;

    assert_eq!(glob_imports::stacked(&Tries::good_at(3)).await, Ok(3));
    assert_eq!(glob_imports::stacked(&Tries::never_good()).await, Ok(7));
    assert_eq!(glob_imports::synchronous(&Tries::good_at(3)), Ok(3));
    let tries = Tries::good_at(1);
    assert_eq!(glob_imports::cached("n".to_owned(), &tries).await, Ok(1));
    let down = Tries::never_good();
    assert_eq!(glob_imports::cached("n".to_owned(), &down).await, Ok(1));
    assert_eq!(
        glob_imports::cached("other".to_owned(), &down).await,
        Err(Failure::Down)
    );
}

#[::tokio::test(start_paused = true)]
async fn methods_on_everything_change_nothing() {
    assert_eq!(
        methods_on_everything::stacked(&Tries::good_at(3)).await,
        Ok(3)
    );
    assert_eq!(
        methods_on_everything::synchronous(&Tries::good_at(3)),
        Ok(3)
    );
}

#[::tokio::test(start_paused = true)]
async fn functions_and_macros_of_those_names_change_nothing() {
    assert_eq!(function_names::stacked(&Tries::good_at(2)).await, Ok(2));
    assert_eq!(macro_names::stacked(&Tries::never_good()).await, Ok(3));
}

#[::tokio::test(start_paused = true)]
async fn modules_named_like_crates_change_nothing() {
    assert_eq!(crates_are_shadowed(&Tries::good_at(3)).await, Ok(3));
}

#[::tokio::test(start_paused = true)]
async fn parameters_and_types_of_ordinary_names_work() {
    assert_eq!(ordinary_names(1, 2, 3, 4, &Tries::good_at(2)).await, Ok(2));
    assert_eq!(
        ordinary_names(1, 2, 3, 4, &Tries::never_good()).await,
        Ok(10)
    );
    let tries = Tries::good_at(3);
    assert_eq!(generic_names("v", || tries.ask()).await, Ok((3, "v")));
}
