//! `#[timeout]` ends a call at its deadline: per attempt, over all of them, or both.
//!
//! cargo run --example timeout

use std::io::Error;
use std::time::{Duration, Instant};
use steadfast::{retry, timeout};

/// Below `#[retry]` it cuts each attempt, so that a hanging one leaves time for the next; above,
/// it bounds the whole, delays included.
#[timeout("500ms")]
#[retry(max_attempts = 10, base_delay = "50ms", backoff = fixed, jitter = none, attempt = n)]
#[timeout("100ms")]
async fn ask(question: &str, answers_from: u32) -> Result<u32, Error> {
    println!("  attempt {n}: {question}");
    if n < answers_from {
        std::future::pending::<()>().await;
    }
    Ok(n)
}

/// How long is an expression as well: it sees the parameters.
#[timeout(patience)]
async fn ask_once(patience: Duration) -> Result<&'static str, Error> {
    tokio::time::sleep(Duration::from_millis(200)).await;
    Ok("in time")
}

#[tokio::main]
async fn main() {
    for hanging in [1, 8] {
        println!("{hanging} hanging, each is given 100 ms, all together 500 ms:");
        let start = Instant::now();
        match ask("What is the time?", hanging + 1).await {
            Ok(attempt) => println!("  attempt {attempt} answered after {:?}", start.elapsed()),
            Err(error) => println!("  {error} after {:?}", start.elapsed()),
        }
    }

    println!("A call that takes 200 ms:");
    for millis in [300, 100] {
        let answer = ask_once(Duration::from_millis(millis)).await;
        println!("  given {millis} ms: {answer:?}");
    }
}
