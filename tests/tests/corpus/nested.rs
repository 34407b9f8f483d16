//! Annotated functions inside functions, closures, blocks and constants.

use steadfast::{circuit_breaker, fallback, retry, timeout};

use crate::support::{Failure, Tries};

async fn outer(tries: &Tries) -> Result<u32, Failure> {
    #[retry(base_delay = "10ms")]
    #[timeout("1s")]
    async fn inner(tries: &Tries) -> Result<u32, Failure> {
        tries.ask()
    }
    inner(tries).await
}

#[retry(max_attempts = 2, base_delay = "10ms")]
#[circuit_breaker(failure_threshold = 100)]
async fn annotated_outer(tries: &Tries) -> Result<u32, Failure> {
    #[fallback(|error| Err(error))]
    #[retry(max_attempts = 2, base_delay = "10ms")]
    async fn inner(tries: &Tries) -> Result<u32, Failure> {
        #[retry(max_attempts = 2, base_delay = "1ms")]
        fn innermost(tries: &Tries) -> Result<u32, Failure> {
            tries.ask()
        }
        innermost(tries)
    }
    inner(tries).await
}

fn in_a_closure() -> impl Fn(&Tries) -> Result<u32, Failure> {
    |tries| {
        #[retry(base_delay = "1ms")]
        fn inner(tries: &Tries) -> Result<u32, Failure> {
            tries.ask()
        }
        inner(tries)
    }
}

fn with_a_local_type(tries: Tries) -> Result<u32, Failure> {
    struct Local(Tries);

    impl Local {
        #[retry(base_delay = "1ms")]
        fn call(&self) -> Result<u32, Failure> {
            self.0.ask()
        }
    }

    Local(tries).call()
}

const POINTER: fn(&Tries) -> Result<u32, Failure> = {
    #[retry(base_delay = "1ms")]
    fn hidden(tries: &Tries) -> Result<u32, Failure> {
        tries.ask()
    }
    hidden
};

fn generic_outer<T: From<u32>>(tries: &Tries) -> Result<T, Failure> {
    #[retry(base_delay = "1ms")]
    fn inner<T: From<u32>>(tries: &Tries) -> Result<T, Failure> {
        tries.ask().map(T::from)
    }
    inner(tries)
}

#[retry(base_delay = "10ms")]
async fn same_name(tries: &Tries) -> Result<u32, Failure> {
    mod hidden {
        use crate::support::{Failure, Tries};

        #[steadfast::retry(base_delay = "10ms")]
        pub(super) async fn same_name(tries: &Tries) -> Result<u32, Failure> {
            tries.ask()
        }
    }
    hidden::same_name(tries).await
}

#[tokio::test(start_paused = true)]
async fn functions_in_functions_are_retried() {
    assert_eq!(outer(&Tries::good_at(3)).await, Ok(3));
    assert_eq!(same_name(&Tries::good_at(5)).await, Ok(5));
}

#[tokio::test(start_paused = true)]
async fn attempts_multiply() {
    let tries = Tries::never_good();
    assert_eq!(annotated_outer(&tries).await, Err(Failure::Down));
    assert_eq!(tries.made(), 8);
}

#[test]
fn functions_hide_in_closures_types_and_constants() {
    assert_eq!(in_a_closure()(&Tries::good_at(3)), Ok(3));
    assert_eq!(with_a_local_type(Tries::good_at(3)), Ok(3));
    assert_eq!(POINTER(&Tries::good_at(3)), Ok(3));
    assert_eq!(generic_outer::<u64>(&Tries::good_at(3)), Ok(3));
}
