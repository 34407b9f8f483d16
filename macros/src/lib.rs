//! The attribute macros of Steadfast. Depend on `steadfast`, which re-exports and documents them.

mod attribute;
mod errors;
mod expand;
mod function;
mod kind;
mod mention;
mod model;
mod parse;
mod resolve;
#[cfg(test)]
mod tests;
mod validate;

use kind::Kind;
use proc_macro::TokenStream;

/// Runs the call again after a failure.
#[proc_macro_attribute]
pub fn retry(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute::attribute(Kind::Retry, arguments.into(), item.into()).into()
}

/// Stops calling what keeps failing.
#[proc_macro_attribute]
pub fn circuit_breaker(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute::attribute(Kind::CircuitBreaker, arguments.into(), item.into()).into()
}

/// Keeps calls under a rate.
#[proc_macro_attribute]
pub fn rate_limited(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute::attribute(Kind::RateLimited, arguments.into(), item.into()).into()
}

/// Bounds how many calls run at once.
#[proc_macro_attribute]
pub fn bulkhead(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute::attribute(Kind::Bulkhead, arguments.into(), item.into()).into()
}

/// Drops the call at its deadline.
#[proc_macro_attribute]
pub fn timeout(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute::attribute(Kind::Timeout, arguments.into(), item.into()).into()
}

/// Answers when the call fails.
#[proc_macro_attribute]
pub fn fallback(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute::attribute(Kind::Fallback, arguments.into(), item.into()).into()
}
