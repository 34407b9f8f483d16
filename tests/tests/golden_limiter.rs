//! Recorded traces of other limiters, replayed through the public API under virtual time.

use std::time::Duration;

use serde_json::Value;
use steadfast::{Algorithm, Rate, RateLimiter};

fn traces(file: &str) -> Vec<Value> {
    let path = format!("{}/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

async fn replay(limiter: &RateLimiter, trace: &Value) -> usize {
    let mut taken = 0;
    for step in trace["steps"].as_array().unwrap() {
        if let Some(millis) = step["advance_ms"].as_u64() {
            tokio::time::advance(Duration::from_millis(millis)).await;
            continue;
        }
        taken += 1;
        let outcome = limiter.try_acquire(number(&step["take"]) as u32);
        assert_eq!(
            Some(outcome.is_ok()),
            step["allowed"].as_bool(),
            "{} {step}",
            trace["id"]
        );
        if let Some(remaining) = step["remaining"].as_u64() {
            let found = outcome
                .as_ref()
                .map_or_else(|refused| refused.remaining, |allowance| allowance.remaining);
            assert_eq!(u64::from(found), remaining, "{} {step}", trace["id"]);
        }
        if let Some(millis) = step["retry_after_ms"].as_f64() {
            let wait = outcome.unwrap_err().retry_after.unwrap();
            assert_eq!(
                wait.as_micros(),
                (millis * 1000.0).round() as u128,
                "{} {step}",
                trace["id"]
            );
        }
    }
    taken
}

#[tokio::test(start_paused = true)]
async fn token_buckets_agree_to_the_microsecond() {
    let traces = traces("token-bucket.governor.jsonl");
    assert_eq!(traces.len(), 30);
    for algorithm in [Algorithm::TokenBucket, Algorithm::LeakyBucket] {
        for trace in &traces {
            let interval = Duration::from_millis(number(&trace["interval_ms"]));
            let limiter = RateLimiter::builder("recorded")
                .algorithm(algorithm)
                .rate(Rate::new(1, interval))
                .burst(number(&trace["burst"]) as u32)
                .build()
                .unwrap();
            assert!(replay(&limiter, trace).await > 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sliding_windows_agree_in_what_remains() {
    let traces = traces("sliding-window.limits.jsonl");
    assert_eq!(traces.len(), 30);
    for trace in &traces {
        let window = Duration::from_secs(number(&trace["window_s"]));
        let limiter = RateLimiter::builder("recorded")
            .algorithm(Algorithm::SlidingWindow)
            .rate(Rate::new(number(&trace["limit"]) as u32, window))
            .build()
            .unwrap();
        assert!(replay(&limiter, trace).await > 0);
    }
}
