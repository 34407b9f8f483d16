//! Traces of another library's breaker, replayed through the public one in virtual time.
#![allow(clippy::unwrap_used)] // helpers of tests, not only the tests themselves

use std::{io, time::Duration};

use serde_json::Value;
use steadfast::{CircuitBreaker, CircuitState, Window};
use tokio::time::advance;

const TRACES: &str = include_str!("../vectors/circuit-breaker.resilience4j.jsonl");

fn millis(value: &Value) -> Duration {
    Duration::from_millis(value.as_u64().unwrap())
}

fn number(trace: &Value, key: &str) -> u32 {
    u32::try_from(trace[key].as_u64().unwrap()).unwrap()
}

fn window(value: &Value) -> Window {
    match value.as_str() {
        Some(text) => Duration::from_secs(text.strip_suffix('s').unwrap().parse().unwrap()).into(),
        None => u32::try_from(value.as_u64().unwrap()).unwrap().into(),
    }
}

fn breaker(trace: &Value) -> CircuitBreaker {
    CircuitBreaker::builder("golden")
        .failure_rate(trace["failure_rate"].as_f64().unwrap())
        .window(window(&trace["window"]))
        .minimum_calls(number(trace, "minimum_calls"))
        .slow_call(millis(&trace["slow_call_ms"]))
        .slow_call_rate(trace["slow_call_rate"].as_f64().unwrap())
        .recovery_timeout(millis(&trace["recovery_timeout_ms"]))
        .half_open_requests(number(trace, "half_open_requests"))
        .success_threshold(number(trace, "success_threshold"))
        .half_open_timeout(Duration::from_secs(1_000_000))
        .build()
        .unwrap()
}

fn state(name: &str) -> CircuitState {
    match name {
        "CLOSED" => CircuitState::Closed,
        "OPEN" => CircuitState::Open,
        "HALF_OPEN" => CircuitState::HalfOpen,
        other => panic!("unknown state {other}"),
    }
}

async fn call(breaker: &CircuitBreaker, step: &Value) -> &'static str {
    let asked = step["call"].as_str().unwrap();
    let outcome: io::Result<()> = breaker
        .call(async {
            if let Some(took) = step["takes_ms"].as_u64() {
                advance(Duration::from_millis(took)).await;
            }
            match asked {
                "ok" => Ok(()),
                _ => Err(io::ErrorKind::Other.into()),
            }
        })
        .await;
    match outcome {
        Ok(()) => "ok",
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => "rejected",
        Err(_) => "err",
    }
}

async fn replay(trace: &Value) -> usize {
    let breaker = breaker(trace);
    let steps = trace["steps"].as_array().unwrap();
    for (at, step) in steps.iter().enumerate() {
        if let Some(seconds) = step["advance_s"].as_u64() {
            advance(Duration::from_secs(seconds)).await;
            continue;
        }
        let ended = call(&breaker, step).await;
        assert_eq!(ended, step["call"], "{} step {at}", trace["id"]);
        let expected = state(step["state"].as_str().unwrap());
        assert_eq!(breaker.state(), expected, "{} step {at}", trace["id"]);
    }
    steps.len()
}

#[tokio::test(start_paused = true)]
async fn every_step_of_every_trace_agrees() {
    let mut steps = 0;
    for line in TRACES.lines() {
        steps += replay(&serde_json::from_str(line).unwrap()).await;
    }
    assert_eq!(TRACES.lines().count(), 40);
    assert!(steps > 5_000, "{steps} steps");
}
