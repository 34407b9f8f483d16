//! One process of the service.

use crate::story::WISHES;
use std::{
    env,
    fmt::Write as _,
    io::{self, Write as _},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use steadfast::{Event, RedisStore, Rejection, bulkhead, circuit_breaker, rate_limited, timeout};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::{MissedTickBehavior, interval},
};

#[derive(Debug, thiserror::Error)]
enum ChargeError {
    #[error("the partner said no")]
    Refused,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

/// The one function of this service: all that makes the fleet one are the words `shared`.
#[circuit_breaker(
    "partner",
    failure_rate = 0.5,
    window = 100,
    minimum_calls = 20,
    recovery_timeout = "1500ms",
    shared
)]
#[rate_limited("partner", rate = "100/s", burst = 20, shared, instances = 4)]
#[bulkhead("partner", max_concurrent = 16)]
#[timeout("partner", "500ms")]
async fn charge(partner: &Partner) -> Result<(), ChargeError> {
    let mut connection = partner.connection().await?;
    connection.get_mut().write_all(b"charge\n").await?;
    let mut answer = String::new();
    connection.read_line(&mut answer).await?;
    let accepted = answer == "ok\n";
    partner.idle.lock().await.push(connection);
    if accepted {
        Ok(())
    } else {
        Err(ChargeError::Refused)
    }
}

/// Connections to the partner, used again.
struct Partner {
    address: SocketAddr,
    idle: tokio::sync::Mutex<Vec<BufReader<TcpStream>>>,
}

impl Partner {
    async fn connection(&self) -> io::Result<BufReader<TcpStream>> {
        if let Some(connection) = self.idle.lock().await.pop() {
            return Ok(connection);
        }
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(BufReader::new(stream))
    }
}

/// What the parent tells a worker.
pub(crate) struct Assignment {
    pub(crate) partner: SocketAddr,
    pub(crate) redis: String,
}

const PARTNER: &str = "FLEET_PARTNER";
const REDIS: &str = "FLEET_REDIS";

impl Assignment {
    /// What this process is to do, if it is a worker.
    pub(crate) fn from_env() -> Option<Self> {
        Some(Self {
            partner: env::var(PARTNER).ok()?.parse().ok()?,
            redis: env::var(REDIS).ok()?,
        })
    }

    /// For the environment of a worker.
    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        [
            (PARTNER, self.partner.to_string()),
            (REDIS, self.redis.clone()),
        ]
    }
}

/// What became of the calls since the last line.
#[derive(Default)]
struct Tally {
    good: AtomicU32,
    failed: AtomicU32,
    limited: AtomicU32,
    open: AtomicU32,
}

impl Tally {
    fn count(&self, result: &Result<(), ChargeError>) {
        let counter = match result {
            Ok(()) => &self.good,
            Err(ChargeError::Rejected(Rejection::RateLimited(_))) => &self.limited,
            Err(ChargeError::Rejected(Rejection::CircuitOpen(_))) => &self.open,
            Err(_) => &self.failed,
        };
        counter.fetch_add(1, Relaxed);
    }

    fn take(&self) -> String {
        let mut line = String::from("calls");
        for counter in [&self.good, &self.failed, &self.limited, &self.open] {
            // Writing to a string cannot fail.
            let _ = write!(line, " {}", counter.swap(0, Relaxed));
        }
        line
    }
}

/// Calls the partner until the parent hangs up, and writes what it sees to the standard output.
#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
pub(crate) async fn work(assignment: &Assignment) -> io::Result<()> {
    let store = RedisStore::connect(&assignment.redis)
        .await
        .map_err(io::Error::other)?;
    let registry = steadfast::registry();
    registry.set_store(store).map_err(io::Error::other)?;
    let _subscription = registry.subscribe(tell);

    let partner = Arc::new(Partner {
        address: assignment.partner,
        idle: tokio::sync::Mutex::default(),
    });
    let tally = Arc::new(Tally::default());
    let mut next_call = interval(Duration::from_secs(1) / WISHES);
    next_call.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next_line = interval(Duration::from_millis(500));
    loop {
        tokio::select! {
            _ = next_call.tick() => {
                let (partner, tally) = (Arc::clone(&partner), Arc::clone(&tally));
                tokio::spawn(async move { tally.count(&charge(&partner).await) });
            }
            // The parent that is gone reads no more: that ends this process, too.
            _ = next_line.tick() => say(&tally.take())?,
        }
    }
}

fn tell(event: &Event) {
    let what = match event {
        Event::StateChanged(change) => change.to.as_str(),
        Event::StoreDown(_) => "store_down",
        Event::StoreUp(_) => "store_up",
        _ => return,
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    drop(say(&format!("event {} {what}", now.as_micros())));
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
