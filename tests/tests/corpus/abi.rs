//! Other calling conventions. `unsafe fn` is in `fixtures/edition_2021`, for this crate forbids it.
#![allow(improper_ctypes_definitions)]

use steadfast::{circuit_breaker, fallback, retry};

use crate::support::{Failure, Tries};

#[retry(base_delay = "1ms")]
extern "C" fn with_c(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[fallback(|error| Err(error))]
#[retry(base_delay = "1ms")]
#[circuit_breaker(failure_threshold = 100)]
pub(crate) extern "Rust" fn with_rust(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

struct Client;

impl Client {
    #[retry(base_delay = "1ms")]
    extern "C" fn method(&self, tries: &Tries) -> Result<u32, Failure> {
        tries.ask()
    }
}

/// Annotated functions are values of the function's own type.
fn pointers() -> [fn(&Tries) -> Result<u32, Failure>; 2] {
    [plain, also_plain]
}

#[retry(base_delay = "1ms")]
fn plain(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[circuit_breaker(failure_threshold = 100)]
fn also_plain(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[test]
fn foreign_conventions_are_kept() {
    let pointer: extern "C" fn(&Tries) -> Result<u32, Failure> = with_c;
    assert_eq!(pointer(&Tries::good_at(3)), Ok(3));
    assert_eq!(with_rust(&Tries::good_at(3)), Ok(3));
    assert_eq!(Client.method(&Tries::good_at(3)), Ok(3));
}

#[test]
fn functions_are_values() {
    let [first, second] = pointers();
    assert_eq!(first(&Tries::good_at(3)), Ok(3));
    assert_eq!(second(&Tries::good_at(1)), Ok(1));
}
