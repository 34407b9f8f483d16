//! A preset stands as a word or in quotes, and leaves the rest to be written.

use steadfast::{Rejection, retry};

#[retry(preset = slow_batch)]
async fn f0() -> Result<usize, Rejection> {
    Ok(0)
}

#[retry("named", preset = "critical", max_attempts = 4, backoff = linear)]
async fn f1() -> Result<usize, Rejection> {
    Ok(0)
}

// Over what `max_delay` is without a preset, and under what it is with this one.
#[retry(preset = slow_batch, base_delay = "2m")]
async fn f2() -> Result<usize, Rejection> {
    Ok(0)
}

#[retry(preset = fast_api, backoff = |_| std::time::Duration::from_millis(5))]
async fn f3() -> Result<usize, Rejection> {
    Ok(0)
}

fn main() {}
