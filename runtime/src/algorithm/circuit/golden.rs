//! Traces of another library's state machine, replayed against ours.

use std::{num::NonZeroU32, time::Duration};

use serde_json::Value;

use super::*;

const TRACES: &str = include_str!("../../../../tests/vectors/circuit-breaker.resilience4j.jsonl");

fn number(trace: &Value, key: &str) -> u32 {
    u32::try_from(trace[key].as_u64().unwrap()).unwrap()
}

fn count(trace: &Value, key: &str) -> NonZeroU32 {
    NonZeroU32::new(number(trace, key)).unwrap()
}

fn millis(value: &Value) -> Duration {
    Duration::from_millis(value.as_u64().unwrap())
}

fn window(value: &Value) -> Span {
    match value.as_str() {
        Some(text) => Span::Time(Duration::from_secs(
            text.strip_suffix('s').unwrap().parse().unwrap(),
        )),
        None => Span::Count(NonZeroU32::new(value.as_u64().unwrap() as u32).unwrap()),
    }
}

fn config(trace: &Value) -> CircuitConfig {
    CircuitConfig {
        failure_threshold: None,
        failure_rate: trace["failure_rate"].as_f64(),
        slow_rate: trace["slow_call_rate"].as_f64(),
        window: window(&trace["window"]),
        minimum_calls: count(trace, "minimum_calls"),
        recovery: Recovery {
            timeout: millis(&trace["recovery_timeout_ms"]),
            longest: None,
            jitter: 0.0,
        },
        half_open_requests: count(trace, "half_open_requests"),
        success_threshold: count(trace, "success_threshold"),
        half_open_timeout: Duration::MAX,
    }
}

fn phase(name: &str) -> Phase {
    match name {
        "CLOSED" => Phase::Closed,
        "OPEN" => Phase::Open,
        "HALF_OPEN" => Phase::HalfOpen,
        other => panic!("unknown state {other}"),
    }
}

/// One call of the trace: admitted, then ended after its time.
fn call(circuit: &mut Circuit, now: &mut Nanos, slow: Duration, step: &Value) {
    let (admitted, _) = circuit.try_acquire(*now);
    let verdict = match step["call"].as_str().unwrap() {
        "rejected" => return assert!(admitted.is_err()),
        "ok" => Verdict::Success,
        _ => Verdict::Failure,
    };
    let took = millis(&step["takes_ms"]);
    *now = now.after(took);
    let outcome = Outcome {
        verdict,
        slow: took > slow,
    };
    circuit.record(*now, admitted.unwrap(), outcome, || 0.0);
}

fn replay(trace: &Value) -> usize {
    // Off the whole second on purpose: no answer may depend on where the clock started.
    let mut now = Nanos((1 << 60) + 123_456_789);
    let mut circuit = Circuit::new(config(trace));
    let slow = millis(&trace["slow_call_ms"]);
    let steps = trace["steps"].as_array().unwrap();
    for (at, step) in steps.iter().enumerate() {
        if let Some(seconds) = step["advance_s"].as_u64() {
            now = now.after(Duration::from_secs(seconds));
            continue;
        }
        call(&mut circuit, &mut now, slow, step);
        let expected = phase(step["state"].as_str().unwrap());
        assert_eq!(circuit.phase(), expected, "{} step {at}", trace["id"]);
    }
    steps.len()
}

#[test]
fn every_step_of_every_trace_agrees() {
    let mut steps = 0;
    for line in TRACES.lines() {
        steps += replay(&serde_json::from_str(line).unwrap());
    }
    assert_eq!(TRACES.lines().count(), 40);
    assert!(steps > 5_000, "{steps} steps");
}
