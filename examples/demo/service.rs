//! A real HTTP service that has a bad day: `GET /quotes/{symbol}` on a free loopback port.

use crate::day::{self, Weather};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// What the service answers with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Quote {
    pub(crate) symbol: String,
    pub(crate) cents: u32,
}

/// The service, alive on a thread of its own until it is stopped.
pub(crate) struct Service {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<io::Result<()>>,
}

/// What the handlers share.
struct Ledger {
    morning: Instant,
    /// One for each weather, so that a request more or less in one phase does not change the next.
    dice: Mutex<[fastrand::Rng; 4]>,
    requests: AtomicU32,
}

impl Service {
    /// Opens a free port at once; the day begins at `morning`.
    pub(crate) fn start(morning: Instant, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let ledger = Arc::new(Ledger {
            morning,
            dice: Mutex::new([1, 2, 3, 4].map(|n| fastrand::Rng::with_seed(seed.wrapping_add(n)))),
            requests: AtomicU32::new(0),
        });
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("service".into()).spawn({
            let ledger = Arc::clone(&ledger);
            move || live(&ledger, listener, stopped)
        })?;
        Ok(Self {
            address,
            ledger,
            stop,
            thread,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests that have reached a handler.
    pub(crate) fn requests(&self) -> u32 {
        self.ledger.requests.load(Ordering::Relaxed)
    }

    /// Closes the port and waits until the service is gone.
    pub(crate) fn stop(self) -> io::Result<()> {
        // An error means that the thread has ended before, and `join` tells why.
        let _ = self.stop.send(());
        self.thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the service panicked")))
    }
}

/// From the morning to the outage, and from the end of the outage; until stopped.
fn live(
    ledger: &Arc<Ledger>,
    listener: TcpListener,
    mut stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let (down, back) = day::outage();
    let mut is_stopped = false;
    serve(ledger, listener, async {
        tokio::select! {
            () = tokio::time::sleep_until((ledger.morning + down).into()) => {}
            _ = &mut stopped => is_stopped = true,
        }
    })?;
    if is_stopped {
        return Ok(());
    }
    thread::sleep((ledger.morning + back).saturating_duration_since(Instant::now()));
    serve(ledger, TcpListener::bind(address)?, async {
        // A dropped sender stops the service as well.
        let _ = stopped.await;
    })
}

/// Serves until `end`. Each life has its own runtime: when that is dropped, the port and every
/// connection close on the spot, as when a process dies.
fn serve(
    ledger: &Arc<Ledger>,
    listener: TcpListener,
    end: impl Future<Output = ()>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let app = Router::new()
            .route("/quotes/{symbol}", get(quote))
            .with_state(Arc::clone(ledger));
        tokio::select! {
            served = async { axum::serve(listener, app).await } => served,
            () = end => Ok(()),
        }
    })
}

async fn quote(
    State(ledger): State<Arc<Ledger>>,
    Path(symbol): Path<String>,
) -> Result<Json<Quote>, (StatusCode, &'static str)> {
    ledger.requests.fetch_add(1, Ordering::Relaxed);
    let weather = day::phase_at(ledger.morning.elapsed()).weather;
    let (work, fails) = ledger.roll(weather);
    tokio::time::sleep(work).await;
    if fails {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "try again later"));
    }
    let cents = symbol.bytes().map(u32::from).sum::<u32>() * 37;
    Ok(Json(Quote { symbol, cents }))
}

impl Ledger {
    /// How long a request takes in this weather, and whether it fails.
    fn roll(&self, weather: Weather) -> (Duration, bool) {
        let mut all = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        let dice = &mut all[weather as usize];
        let millis = match weather {
            Weather::Slow => dice.u64(800..1_600),
            _ => dice.u64(6..12),
        };
        (
            Duration::from_millis(millis),
            weather == Weather::Failing && dice.bool(),
        )
    }
}
