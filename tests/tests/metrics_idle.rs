//! A recorder for the whole program that forgets what nothing happens to.
#![allow(missing_docs)]

use std::{thread, time::Duration};

use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_util::MetricKindMask;
use steadfast::{Rate, RateLimiter, metrics::publish, retry};

#[retry("idle", max_attempts = 20, backoff = fixed, base_delay = "1ms", jitter = none)]
async fn quiet() -> Result<u32, &'static str> {
    Err("down")
}

#[tokio::test(start_paused = true)]
async fn a_histogram_that_was_idle_for_long_comes_back_with_the_next_call() {
    let exporter = PrometheusBuilder::new()
        .idle_timeout(MetricKindMask::HISTOGRAM, Some(Duration::from_millis(1)))
        .set_buckets(&[1.0])
        .unwrap()
        .install_recorder()
        .unwrap();
    let limiter = RateLimiter::builder("idle")
        .rate(Rate::per_second(1))
        .burst(1)
        .max_wait(Duration::from_secs(9))
        .build()
        .unwrap();
    let counts = [
        "call_duration_seconds_count{code_function_name=\"metrics_idle::quiet\",error_type=\"error\"} ",
        "rate_limit_wait_seconds_count{policy=\"idle\"} ",
        "retry_attempts_count{policy=\"idle\"} ",
    ];
    limiter.acquire(1).await.unwrap();
    for _ in 0..3 {
        limiter.acquire(1).await.unwrap();
        quiet().await.unwrap_err();
        publish();
        let text = exporter.render();
        for name in counts {
            assert!(text.contains(&format!("{name}1\n")), "{name}: {text}");
        }
        // The exporter goes by real time, and forgets when it renders.
        thread::sleep(Duration::from_millis(20));
        let text = exporter.render();
        assert!(!counts.iter().any(|name| text.contains(name)), "{text}");
    }
}
