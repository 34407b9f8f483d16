//! `#[retry]` makes a failed call again, after a delay, as long as that can help.
//!
//! cargo run --example retry

use std::io::{Error, ErrorKind};
use steadfast::{RetryEvent, retry};

fn tell(event: &RetryEvent) {
    println!(
        "  attempt {} failed; the next begins in {:?}",
        event.attempt, event.delay
    );
}

/// The body is run again as it stands here; `attempt = n` tells it how often it has been.
#[retry(
    max_attempts = 4,
    base_delay = "100ms",
    when = |error| error.kind() != ErrorKind::NotFound,
    attempt = n,
    on_retry = tell
)]
async fn download(path: &str) -> Result<String, Error> {
    println!("  GET {path}");
    match path {
        "/moved" => Err(ErrorKind::NotFound.into()),
        _ if n < 3 => Err(ErrorKind::ConnectionReset.into()),
        _ => Ok(format!("the contents of {path}")),
    }
}

#[tokio::main]
async fn main() {
    println!("A connection that breaks twice is worth another attempt:");
    println!("  {:?}", download("/report").await);

    println!("A page that is not there is not; the caller gets the error unchanged:");
    println!("  {:?}", download("/moved").await);
}
