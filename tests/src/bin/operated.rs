//! A program as its operator meets it: nothing but its attributes is known of it.

use std::{env, process::ExitCode, time::Duration};

use steadfast::{
    CircuitBreaker, ConfigError, Rate, RateLimiter, Rejection, bulkhead, circuit_breaker, fallback,
    rate_limited, retry, timeout,
};

#[retry("quotes", max_attempts = 4, base_delay = "100ms", max_delay = "2s")]
#[circuit_breaker("quotes", failure_threshold = 5)]
#[rate_limited("quotes", rate = "200/s", burst = 50)]
#[bulkhead("quotes", max_concurrent = 16, max_wait = "1s")]
#[timeout("2s")]
async fn quote() -> Result<u32, Rejection> {
    Ok(1)
}

#[fallback(cache(key = id, fresh = "1m"), value = 0)]
#[retry(preset = critical)]
#[circuit_breaker("a-b", shared)]
#[circuit_breaker("a.b")]
#[rate_limited("tenants", rate = rate, key = id)]
#[timeout(after = time)]
async fn order(id: u32, rate: Rate, time: Duration) -> Result<u32, Rejection> {
    Ok(id)
}

mod copies {
    use super::{Rejection, retry};

    #[retry("quotes")]
    pub(super) async fn quote() -> Result<u32, Rejection> {
        super::quote().await
    }
}

fn install() -> Result<(), ConfigError> {
    RateLimiter::builder("by hand")
        .rate(Rate::per_second(5))
        .install()?;
    CircuitBreaker::builder("by hand").window(50).install()?;
    Ok(())
}

fn main() -> ExitCode {
    // They are there to be listed.
    drop((
        order(1, Rate::per_second(1), Duration::ZERO),
        copies::quote(),
    ));
    if let Err(error) = install() {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    steadfast::cli::run(env::args_os().skip(1))
}
