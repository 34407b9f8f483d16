//! `#[circuit_breaker]` stops calling what keeps failing, and finds out by itself when it is back.
//!
//! cargo run --example circuit_breaker

use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use steadfast::circuit_breaker;

static SERVER_IS_UP: AtomicBool = AtomicBool::new(false);

#[circuit_breaker(
    "inventory",
    failure_threshold = 3,
    recovery_timeout = "500ms",
    success_threshold = 2
)]
async fn in_stock(item: &str) -> Result<u32, Error> {
    println!("    the server is asked for {item}");
    if SERVER_IS_UP.load(Ordering::Relaxed) {
        Ok(7)
    } else {
        Err(ErrorKind::ConnectionRefused.into())
    }
}

async fn ask_and_tell() {
    let answer = in_stock("umbrellas").await;
    if let Some(breaker) = steadfast::registry().circuit_breaker("inventory") {
        print!("  {}: ", breaker.state());
    }
    match answer {
        Ok(count) => println!("{count} in stock"),
        Err(error) => println!("{error}"),
    }
}

#[tokio::main]
async fn main() {
    println!("Three failures in a row open the circuit; then nobody is asked any more:");
    for _ in 0..5 {
        ask_and_tell().await;
    }
    println!("The server comes back. After 500 ms two probes find out, and the circuit closes:");
    SERVER_IS_UP.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(550)).await;
    for _ in 0..3 {
        ask_and_tell().await;
    }
}
