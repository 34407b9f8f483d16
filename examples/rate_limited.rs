//! `#[rate_limited]` keeps calls under a rate: the surplus is refused at once, or waits its turn.
//!
//! cargo run --example rate_limited

use std::time::Instant;
use steadfast::{Rejection, rate_limited};

/// Five calls a second, three of them at once. The fourth is refused, and told when to come back.
#[rate_limited(rate = "5/s", burst = 3)]
async fn search(_words: &str) -> Result<&'static str, Rejection> {
    Ok("found")
}

/// The same rate, but a call waits up to a second for its turn: first come, first served.
#[rate_limited(rate = "5/s", burst = 3, max_wait = "1s")]
async fn patient_search(_words: &str) -> Result<&'static str, Rejection> {
    Ok("found")
}

#[tokio::main]
async fn main() {
    println!("Refused at once:");
    for call in 1..=5 {
        match search("steadfast").await {
            Ok(answer) => println!("  call {call}: {answer}"),
            Err(refused) => println!(
                "  call {call}: {refused}, try again in {:?}",
                refused.retry_after()
            ),
        }
    }

    println!("Waiting for their turn:");
    let start = Instant::now();
    for call in 1..=6 {
        let answer = patient_search("steadfast").await;
        println!("  call {call}: {answer:?} after {:?}", start.elapsed());
    }
}
