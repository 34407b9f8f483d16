//! Tests of your own code in virtual time: half a minute of outage takes no time at all.
//!
//! cargo test --example virtual_time
//!
//! Needs Steadfast's feature `test-util`, best enabled in your dev-dependencies.

use std::io::{Error, ErrorKind};
use steadfast::{circuit_breaker, fallback};

#[fallback(value = 0)]
#[circuit_breaker(
    "stock",
    failure_threshold = 2,
    recovery_timeout = "30s",
    success_threshold = 1
)]
async fn in_stock(server_is_up: bool) -> Result<u32, Error> {
    if server_is_up {
        Ok(7)
    } else {
        Err(ErrorKind::ConnectionRefused.into())
    }
}

#[tokio::main]
async fn main() {
    println!(
        "{:?} in stock. This example is about its tests:",
        in_stock(true).await
    );
    println!("  cargo test --example virtual_time");
}

#[cfg(test)]
mod tests {
    use super::in_stock;
    use std::time::Duration;
    use steadfast::CircuitState;

    fn state() -> Option<CircuitState> {
        steadfast::registry()
            .circuit_breaker("stock")
            .map(|breaker| breaker.state())
    }

    #[tokio::test(start_paused = true)]
    async fn shows_zero_while_the_server_is_down_and_recovers_after_30_seconds() {
        // A registry and policies of this test's own: tests run side by side.
        let _isolated = steadfast::test::isolated();
        for _ in 0..2 {
            assert_eq!(in_stock(false).await.ok(), Some(0));
        }
        assert_eq!(state(), Some(CircuitState::Open));

        tokio::time::advance(Duration::from_secs(29)).await;
        assert_eq!(
            in_stock(true).await.ok(),
            Some(0),
            "not asked before the 30 s are over"
        );

        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(in_stock(true).await.ok(), Some(7));
        assert_eq!(state(), Some(CircuitState::Closed));
    }
}
