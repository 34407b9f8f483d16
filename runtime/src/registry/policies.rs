//! The one list of all kinds of policy: a new kind is one more line here.

/// Hands the list to a macro: handle, policy, settings, builder.
macro_rules! policies {
    ($consumer:ident) => {
        $consumer! {
            circuit_breaker: CircuitBreaker, CircuitBreakerSettings, CircuitBreakerBuilder;
            fallback: Fallback, FallbackSettings, FallbackBuilder;
            retry: Retry, RetrySettings, RetryBuilder;
            bulkhead: Bulkhead, BulkheadSettings, BulkheadBuilder;
            rate_limiter: RateLimiter, RateLimiterSettings, RateLimiterBuilder;
            timeout: Timeout, TimeoutSettings, TimeoutBuilder;
        }
    };
}
pub(super) use policies;

pub(super) use crate::policy::{
    bulkhead::{Bulkhead, BulkheadBuilder, BulkheadSettings},
    circuit_breaker::{CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerSettings},
    fallback::{Fallback, FallbackBuilder, FallbackSettings},
    rate_limiter::{RateLimiter, RateLimiterBuilder, RateLimiterSettings},
    retry::{Retry, RetryBuilder, RetrySettings},
    timeout::{Timeout, TimeoutBuilder, TimeoutSettings},
};
