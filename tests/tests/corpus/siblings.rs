//! Which attributes belong to the stack, and which stay on the function.

use std::time::Duration;

use crate::support::{Failure, Tries};

/// Another crate's attributes have names like ours, and keep their places.
mod foreign {
    pub(super) use steadfast::{retry as again, timeout as cut};
}

#[steadfast::fallback(value = 9)]
#[::steadfast::retry(max_attempts = 2, base_delay = "10ms")]
#[steadfast::timeout("1s")]
async fn qualified(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

mod mixed {
    use steadfast::retry;

    use crate::support::{Failure, Tries};

    #[steadfast::fallback(value = 9)]
    #[retry(max_attempts = 2, base_delay = "10ms")]
    #[::steadfast::timeout("1s")]
    pub(super) async fn call(tries: &Tries) -> Result<u32, Failure> {
        tries.ask()
    }
}

/// Under another name an attribute is not recognised as one of the stack: it makes a stack of its own
/// inside, which comes to the same.
#[steadfast::fallback(value = 9)]
#[foreign::again(max_attempts = 2, base_delay = "10ms")]
#[foreign::cut("1s")]
async fn renamed(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[foreign::again(max_attempts = 2, base_delay = "10ms")]
#[steadfast::timeout("1s")]
async fn renamed_above(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[steadfast::retry(base_delay = "10ms", crate = ::steadfast)]
#[steadfast::timeout("1s", crate = steadfast)]
async fn with_a_path(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

/// A test harness below the stack: the whole function is the test.
#[steadfast::retry(max_attempts = 2, base_delay = "1ms")]
#[steadfast::timeout("10s")]
#[tokio::test(start_paused = true)]
async fn a_test_below_a_stack_is_protected_by_it() -> Result<(), Failure> {
    static TRIES: Tries = Tries::good_at(2);
    tokio::time::sleep(Duration::from_secs(1)).await;
    TRIES.ask().map(drop)
}

#[steadfast::retry(max_attempts = 2, base_delay = "1ms")]
#[test]
fn a_synchronous_test_below_a_stack_is_protected_by_it() -> Result<(), Failure> {
    static TRIES: Tries = Tries::good_at(2);
    TRIES.ask().map(drop)
}

#[steadfast::retry(max_attempts = 2, base_delay = "1ms")]
#[tokio::main(flavor = "current_thread")]
async fn main_function(tries: Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[tokio::test(start_paused = true)]
async fn qualified_attributes_belong_to_the_stack() {
    let tries = Tries::never_good();
    assert_eq!(qualified(&tries).await, Ok(9));
    assert_eq!(mixed::call(&tries).await, Ok(9));
    assert_eq!(tries.made(), 4);
}

#[tokio::test(start_paused = true)]
async fn renamed_attributes_make_a_stack_of_their_own() {
    let tries = Tries::never_good();
    assert_eq!(renamed(&tries).await, Ok(9));
    assert_eq!(tries.made(), 2);
    assert_eq!(renamed_above(&Tries::good_at(2)).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn the_crate_may_be_named() {
    assert_eq!(with_a_path(&Tries::good_at(3)).await, Ok(3));
}

#[test]
fn a_runtime_may_stand_below() {
    assert_eq!(main_function(Tries::good_at(2)), Ok(2));
}
