//! `#[bulkhead]` keeps one slow dependency from taking every task and connection you have.
//!
//! cargo run --example bulkhead

use std::io::Error;
use std::time::{Duration, Instant};
use steadfast::bulkhead;
use tokio::task::JoinSet;

/// Two at a time; up to two more wait, each for at most 300 ms; everybody else is refused at once.
#[bulkhead("reports", max_concurrent = 2, max_queue = 2, max_wait = "300ms")]
async fn render(report: u32) -> Result<u32, Error> {
    tokio::time::sleep(Duration::from_millis(200)).await;
    Ok(report)
}

#[tokio::main]
async fn main() {
    println!("Six reports are asked for at once:");
    let start = Instant::now();
    let mut renderings = JoinSet::new();
    for report in 1..=6 {
        renderings.spawn(async move {
            let rendered = render(report).await;
            let time = start.elapsed().as_millis();
            match rendered {
                Ok(_) => println!("  report {report}: rendered after {time} ms"),
                Err(error) => println!("  report {report}: {error} (after {time} ms)"),
            }
        });
        tokio::task::yield_now().await;
    }
    renderings.join_all().await;

    let reports = steadfast::registry().bulkhead("reports");
    println!("{:?}", reports.map(|bulkhead| bulkhead.metrics()));
}
