//! Makes calls for callgrind to count: `instructions CASE CALLS`; without arguments, the names of the
//! cases. `instructions.sh` runs it.
#![allow(missing_docs, unreachable_pub)]

#[path = "../subjects.rs"]
#[allow(dead_code)]
mod subjects;

use std::{env, future::Future, hint::black_box, time::Duration};

use tokio::runtime::Runtime;

use subjects::{
    answered, bare, broken, broken_for_all, broken_if_slow, broken_of_late, bulkheaded, limited,
    limited_by_key, refused, retried, six, timed,
};

const CASES: [&str; 13] = [
    "bare",
    "retry",
    "circuit_breaker",
    "circuit_breaker_slow_call",
    "circuit_breaker_time_window",
    "circuit_breaker_open",
    "circuit_breaker_shared",
    "rate_limited",
    "rate_limited_key",
    "bulkhead",
    "timeout",
    "fallback",
    "six",
];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.as_slice() {
        [case, calls] => run(case, calls.parse().unwrap()),
        // `--bench` comes from cargo.
        _ => {
            assert_size();
            CASES.iter().for_each(|case| println!("{case}"));
        }
    }
}

/// What six attributes add to a future, with the default features alone: tests have all of them.
fn assert_size() {
    let added = size_of_val(&six(1)) - size_of_val(&bare(1));
    // As before there was that feature, which adds nothing where it is off.
    assert!(added <= 160, "six attributes add {added} bytes");
}

fn run(case: &str, calls: u32) {
    let keys = subjects::keys();
    let key = |x: u32| keys[x as usize % keys.len()].as_str();
    match case {
        "bare" => make(calls, bare),
        "retry" => make(calls, retried),
        "circuit_breaker" => make(calls, broken),
        "circuit_breaker_slow_call" => make(calls, broken_if_slow),
        "circuit_breaker_time_window" => make(calls, broken_of_late),
        "circuit_breaker_open" => make(calls, refused),
        "circuit_breaker_shared" => {
            steadfast::registry()
                .set_store(steadfast::MemoryStore::new())
                .unwrap();
            make(calls, broken_for_all);
        }
        "rate_limited" => make(calls, limited),
        "rate_limited_key" => make(calls, |x| limited_by_key(key(x), x)),
        "bulkhead" => make(calls, bulkheaded),
        "timeout" => make(calls, timed),
        "fallback" => make(calls, answered),
        "six" => make(calls, six),
        other => panic!("no case {other}"),
    }
}

fn make<T, F: Future<Output = T>>(calls: u32, call: impl Fn(u32) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let repeat = async |calls| {
        for x in 0..calls {
            black_box(call(x).await);
        }
    };
    runtime.block_on(async {
        // A circuit opens, and the clock is measured on a thread of its own.
        let _ = refused(u32::MAX).await;
        black_box(six(1).await.unwrap());
        tokio::time::sleep(Duration::from_millis(500)).await;
        // Every policy and key is there, and every window is full.
        repeat(10_000).await;
    });
    counted(&runtime, repeat(calls));
}

/// Counting is on in here alone.
#[inline(never)]
fn counted(runtime: &Runtime, calls: impl Future<Output = ()>) {
    runtime.block_on(calls);
}
