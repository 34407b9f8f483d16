//! Small functions that emitted code calls, so that it stays short.

use std::convert::Infallible;

use crate::outcome::Outcome;

/// Never called: says what the block around `return hint::<R>()` returns, before anything in it asks.
#[must_use]
pub fn hint<R>() -> R {
    unreachable!("emitted code calls it under `if false`")
}

/// Drops it here. `mem::drop` would have clippy ask whether there is anything to drop.
#[inline(never)]
pub fn let_go<T>(_: T) {}

/// The error for a rejection that there cannot be. One function, where a closure would be one a site.
pub fn never<E>(never: Infallible) -> E {
    match never {}
}

/// `value = ..` and `default`: the function's return value for a good answer.
pub fn succeeded<R: Outcome>(value: R::Value) -> R {
    R::from_result(Ok(value))
}

/// The fallback's answer in a function that is not async.
pub fn answer<E, R>(error: E, answer: impl FnOnce(E) -> R) -> R {
    answer(error)
}

/// Calls `on_retry` where it does not await.
pub fn on_retry<E, T>(event: &E, call: impl FnOnce(&E) -> T) -> T {
    call(event)
}
