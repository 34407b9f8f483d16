//! Small functions that emitted code calls, so that it stays short.

/// Never called: says what the block around `return hint::<R>()` returns, before anything in it asks.
#[must_use]
pub fn hint<R>() -> R {
    unreachable!("emitted code calls it under `if false`")
}

/// The fallback's answer in a function that is not async.
pub fn answer<E, R>(error: E, answer: impl FnOnce(E) -> R) -> R {
    answer(error)
}

/// Calls `on_retry` where it does not await.
pub fn on_retry<E, T>(event: &E, call: impl FnOnce(&E) -> T) -> T {
    call(event)
}
