//! Which attributes belong to the stack, and which stay on the function.

use std::time::Duration;

use crate::support::{Failure, Tries};

/// Ours under other names.
mod renamed {
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

/// The topmost attribute may have any name; those below it are recognised by theirs.
#[renamed::again(max_attempts = 2, base_delay = "10ms")]
#[steadfast::timeout("1s")]
async fn renamed_above(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[renamed::cut("1s")]
async fn renamed_alone(tries: &Tries) -> Result<u32, Failure> {
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
async fn an_attribute_may_be_renamed() {
    assert_eq!(renamed_above(&Tries::good_at(2)).await, Ok(2));
    assert_eq!(renamed_alone(&Tries::good_at(1)).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn the_crate_may_be_named() {
    assert_eq!(with_a_path(&Tries::good_at(3)).await, Ok(3));
}

#[test]
fn a_runtime_may_stand_below() {
    assert_eq!(main_function(Tries::good_at(2)), Ok(2));
}
