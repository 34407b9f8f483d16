//! Settings from constants and constant expressions.

use std::time::Duration;

use steadfast::{Rate, bulkhead, circuit_breaker, rate_limited, retry, timeout};

use crate::support::{Failure, Tries};

const ATTEMPTS: u32 = 4;
const DELAY: Duration = Duration::from_millis(10);
const RATE: Rate = Rate::new(1000, Duration::from_secs(1));

struct Limits;

impl Limits {
    const WINDOW: u32 = 50;
    const SHARE: f64 = 0.9;

    const fn doubled(n: u32) -> u32 {
        n * 2
    }
}

mod settings {
    pub(super) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);
}

#[retry(max_attempts = ATTEMPTS, base_delay = DELAY, max_delay = Duration::from_millis(5 * 4), multiplier = 1.0 + 0.5)]
async fn named(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[retry(max_attempts = Limits::doubled(ATTEMPTS / 2), base_delay = Duration::from_millis(5 + 5))]
#[circuit_breaker(
    failure_rate = Limits::SHARE,
    window = Limits::WINDOW,
    minimum_calls = { Limits::WINDOW / 2 },
    recovery_timeout = settings::PATIENCE,
)]
#[rate_limited(rate = RATE, burst = Limits::doubled(10))]
#[bulkhead(max_concurrent = if cfg!(test) { 5 } else { 6 })]
#[timeout(settings::PATIENCE)]
async fn computed(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[circuit_breaker(failure_rate = 0.5, window = settings::PATIENCE)]
#[timeout(after = Duration::from_secs(1))]
async fn durations(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[retry(
    max_attempts = 4_u32,
    base_delay = "0.01s",
    jitter = 0.5,
    max_elapsed = "1h"
)]
async fn literals(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[retry(
    max_attempts = {
        const LOCAL: u32 = 4;
        LOCAL
    },
    base_delay = DELAY,
)]
async fn block(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

struct Generic<T>(T);

impl<T: Sync> Generic<T> {
    #[retry(max_attempts = ATTEMPTS, base_delay = DELAY)]
    async fn method<const N: usize>(&self, tries: &Tries) -> Result<u32, Failure> {
        let _ = (&self.0, N);
        tries.ask()
    }
}

#[tokio::test(start_paused = true)]
async fn constants_are_settings() {
    assert_eq!(named(&Tries::good_at(4)).await, Ok(4));
    assert!(named(&Tries::good_at(5)).await.is_err());
    assert_eq!(computed(&Tries::good_at(4)).await, Ok(4));
    assert_eq!(durations(&Tries::good_at(1)).await, Ok(1));
    assert_eq!(literals(&Tries::good_at(4)).await, Ok(4));
    assert_eq!(block(&Tries::good_at(4)).await, Ok(4));
    assert_eq!(Generic(()).method::<3>(&Tries::good_at(4)).await, Ok(4));
}
