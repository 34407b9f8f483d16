//! `#[fallback]` has an answer when the call has none, and says where it came from.
//!
//! cargo run --example fallback

use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use steadfast::{Served, fallback};

static WEATHER_STATION_IS_UP: AtomicBool = AtomicBool::new(true);

/// Tried in this order: the call itself; the last good answer for this city, not older than
/// 300 ms, then, marked as stale, not older than an hour; the answer behind the arrow.
#[fallback(
    cache(key = city, fresh = "300ms", stale = "1h"),
    |error| usual_weather(city, error)
)]
async fn weather(city: &str) -> Result<Served<String>, Error> {
    if WEATHER_STATION_IS_UP.load(Ordering::Relaxed) {
        Ok(format!("sunny in {city}").into())
    } else {
        Err(ErrorKind::ConnectionRefused.into())
    }
}

fn usual_weather(city: &str, error: Error) -> Result<Served<String>, Error> {
    Ok(format!("usually rain in {city} ({error})").into())
}

async fn show(city: &str) -> Result<(), Error> {
    let answer = weather(city).await?;
    let age = answer.age.map(|age| format!(", {age:.0?} old"));
    println!(
        "  {}{}: {}",
        answer.source,
        age.unwrap_or_default(),
        answer.value
    );
    if answer.degraded() {
        println!("    {:?}", answer.warnings);
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    println!("The station answers:");
    show("Lisbon").await?;

    println!("The station is gone:");
    WEATHER_STATION_IS_UP.store(false, Ordering::Relaxed);
    show("Lisbon").await?;
    tokio::time::sleep(Duration::from_millis(400)).await;
    show("Lisbon").await?;
    show("Bergen").await
}
