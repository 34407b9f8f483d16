//! A moment at full speed while the service is healthy: what protection costs in throughput.

use crate::client::{QuoteError, Quotes};
use crate::service::Service;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use steadfast::Source;
use tokio::task::JoinSet;

/// Each calls again as soon as it has its answer.
const CALLERS: u32 = 32;
const TURN: Duration = Duration::from_millis(150);
/// Of each kind, in alternation: what disturbs the machine disturbs both.
const TURNS: u32 = 4;

/// The service's answers, and the time they took.
#[derive(Default)]
pub(crate) struct Speed {
    answers: u32,
    time: Duration,
}

/// The same callers, without protection and with it.
#[derive(Default)]
pub(crate) struct Rush {
    pub(crate) unprotected: Speed,
    pub(crate) protected: Speed,
}

impl Speed {
    pub(crate) fn per_second(&self) -> f64 {
        f64::from(self.answers) / self.time.as_secs_f64()
    }

    fn add(&mut self, turn: Self) {
        self.answers += turn.answers;
        self.time += turn.time;
    }
}

impl Rush {
    pub(crate) fn ratio(&self) -> f64 {
        self.protected.per_second() / self.unprotected.per_second()
    }
}

pub(crate) async fn rush(seed: u64) -> io::Result<Rush> {
    // Its day does not begin meanwhile: it stays healthy.
    let morning = Instant::now() + Duration::from_secs(3_600);
    let service = Service::start(morning, seed)?;
    let quotes = Arc::new(Quotes::new(service.address(), morning));
    // Opens the connections.
    turn(&quotes, unprotected).await?;
    let mut rush = Rush::default();
    for _ in 0..TURNS {
        rush.unprotected.add(turn(&quotes, unprotected).await?);
        rush.protected.add(turn(&quotes, protected).await?);
    }
    service.stop()?;
    Ok(rush)
}

/// Whether the service answered.
async fn unprotected(quotes: Arc<Quotes>) -> Result<bool, QuoteError> {
    quotes.unprotected("AAA").await.map(|_| true)
}

async fn protected(quotes: Arc<Quotes>) -> Result<bool, QuoteError> {
    let quote = quotes.rushed("AAA").await?;
    Ok(quote.source == Source::Primary)
}

async fn turn<F>(quotes: &Arc<Quotes>, call: fn(Arc<Quotes>) -> F) -> io::Result<Speed>
where
    F: Future<Output = Result<bool, QuoteError>> + Send + 'static,
{
    let start = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let quotes = Arc::clone(quotes);
        callers.spawn(async move {
            let mut answers = 0;
            while start.elapsed() < TURN {
                let answered = call(Arc::clone(&quotes)).await;
                answers += u32::from(answered.map_err(io::Error::other)?);
            }
            Ok::<u32, io::Error>(answers)
        });
    }
    let answers = callers.join_all().await.into_iter().sum::<Result<_, _>>()?;
    let time = start.elapsed();
    Ok(Speed { answers, time })
}
