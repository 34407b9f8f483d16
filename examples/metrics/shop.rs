//! The shop: functions under every kind of policy, and customers who call them.

use std::future::Future;
use std::time::{Duration, Instant};
use steadfast::{
    MemoryStore, Rejection, bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout,
};
use tokio::time::{interval, sleep};

#[derive(Debug, thiserror::Error)]
pub(crate) enum ShopError {
    #[error("the supplier does not answer")]
    Away,
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

type Answer = Result<u32, ShopError>;

/// How the supplier is, from moment to moment: good, then slow, then away, and again.
#[derive(Clone, Copy)]
struct Supplier {
    opened: Instant,
}

impl Supplier {
    async fn ask(self) -> Answer {
        let (time, fails) = match self.opened.elapsed().as_secs() % 12 {
            0..5 => (5..30, 0.03),
            5..7 => (200..600, 0.1),
            _ => (1..5, 0.98),
        };
        sleep(Duration::from_millis(fastrand::u64(time))).await;
        match fastrand::f64() < fails {
            true => Err(ShopError::Away),
            false => Ok(42),
        }
    }
}

/// All six. When the supplier is away: an earlier price, else the list price.
#[fallback(cache(key = item, fresh = "1s", stale = "2s"), value = 50)]
#[retry("price", max_attempts = 3, base_delay = "20ms")]
#[circuit_breaker(
    "supplier",
    failure_threshold = 5,
    recovery_timeout = "1s",
    success_threshold = 2
)]
#[rate_limited("supplier", rate = "60/s", burst = 10, max_wait = "200ms")]
#[bulkhead("supplier", max_concurrent = 8, max_wait = "100ms")]
#[timeout("supplier", "300ms")]
async fn price(supplier: Supplier, item: u32) -> Answer {
    supplier.ask().await
}

/// Each customer may order so often; the shop's own orders go past that.
#[rate_limited("orders", rate = "2/s", key = customer, bypass = customer == "own")]
async fn order(customer: &str) -> Answer {
    sleep(Duration::from_millis(fastrand::u64(1..10))).await;
    Ok(1)
}

/// One circuit for each warehouse, of which one is always away.
#[circuit_breaker("warehouses", failure_threshold = 3, recovery_timeout = "2s", key = warehouse)]
async fn in_stock(warehouse: &str) -> Answer {
    sleep(Duration::from_millis(fastrand::u64(1..10))).await;
    match warehouse {
        "north" => Err(ShopError::Away),
        _ => Ok(7),
    }
}

/// Two at a time.
#[bulkhead("invoices", max_concurrent = 2)]
async fn invoice() -> Answer {
    sleep(Duration::from_millis(fastrand::u64(20..200))).await;
    Ok(1)
}

/// All instances of the shop together may send so many letters.
#[rate_limited("letters", rate = "5/s", shared)]
async fn letter() -> Answer {
    Ok(1)
}

/// A synchronous one.
#[retry("till", max_attempts = 4, base_delay = "1ms")]
fn print_receipt() -> Answer {
    match fastrand::f64() < 0.2 {
        true => Err(ShopError::Away),
        false => Ok(1),
    }
}

/// Customers come, for ever.
pub(crate) async fn open() {
    let supplier = Supplier {
        opened: Instant::now(),
    };
    if let Err(error) = steadfast::registry().set_store(MemoryStore::new()) {
        eprintln!("letters go out uncounted: {error}");
    }
    let customers = ["alice@example.org", "bob@example.org", "own"];
    tokio::join!(
        every(Duration::from_millis(12), || price(
            supplier,
            fastrand::u32(..20)
        )),
        every(Duration::from_millis(80), || order(
            customers[fastrand::usize(..3)]
        )),
        every(Duration::from_millis(50), || in_stock(
            ["north", "south", "west"][fastrand::usize(..3)]
        )),
        every(Duration::from_millis(40), invoice),
        every(Duration::from_millis(100), letter),
        every(Duration::from_millis(30), async || print_receipt()),
    );
}

/// Makes such a call again and again, whether the ones before have ended or not.
async fn every<F: Future<Output = Answer> + Send + 'static>(time: Duration, call: impl Fn() -> F) {
    let mut ticks = interval(time);
    loop {
        ticks.tick().await;
        let call = call();
        // What it came to, the figures tell.
        tokio::spawn(async move { drop(call.await) });
    }
}
