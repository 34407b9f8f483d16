//! The same stack of `tower-resilience`, as its guide composes it.

use std::{hint::black_box, time::Duration};

use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_resilience::{
    bulkhead::BulkheadLayer, circuitbreaker::CircuitBreakerLayer, fallback::FallbackLayer,
    ratelimiter::RateLimiterLayer, retry::RetryLayer, timelimiter::TimeLimiterLayer,
};

use crate::{rounds::CALLS, subjects::bare};

/// Fallback around retry around breaker around limiter around bulkhead around timeout.
pub(crate) fn stack() -> impl Service<u32, Response = u32> + Clone + Send + 'static {
    ServiceBuilder::new()
        .layer(FallbackLayer::<u32, u32, _>::value(7))
        .layer(
            RetryLayer::<u32, u32, _>::builder()
                .max_attempts(3)
                .exponential_backoff(Duration::from_millis(100))
                .build(),
        )
        .layer(
            CircuitBreakerLayer::builder()
                .failure_rate_threshold(0.5)
                .sliding_window_size(100)
                .slow_call_duration_threshold(Duration::from_secs(1))
                .build()
                .unwrap(),
        )
        .layer(
            RateLimiterLayer::builder()
                .limit_for_period(1_000_000_000)
                .timeout_duration(Duration::from_secs(1))
                .build()
                .unwrap(),
        )
        .layer(
            BulkheadLayer::builder()
                .max_concurrent_calls(10)
                .max_wait_duration(Duration::from_secs(1))
                .build()
                .unwrap(),
        )
        .layer(
            TimeLimiterLayer::builder()
                .timeout_duration(Duration::from_secs(1))
                .build(),
        )
        .service(service_fn(bare))
}

/// [`CALLS`], each as a holder of a service makes it.
pub(crate) async fn calls<S: Service<u32, Response = u32>>(service: &mut S) {
    for x in 0..CALLS {
        let Ok(ready) = service.ready().await else {
            panic!("never ready")
        };
        black_box(ready.call(x).await.is_ok());
    }
}
