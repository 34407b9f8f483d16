//! One run: a new service, a day of calls, a line on the screen every half second.

use crate::client::Quotes;
use crate::day;
use crate::load::{self, Arrival};
use crate::log::{Log, Totals};
use crate::report::{Answer, Call, Report};
use crate::screen::{Line, Mark, Screen};
use crate::service::Service;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use steadfast::Source;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

const LINE_EVERY: Duration = Duration::from_millis(500);

/// Which of the client's two functions is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protection {
    None,
    Full,
}

/// A day that is being lived through.
#[derive(Clone)]
struct Run {
    protection: Protection,
    morning: Instant,
    quotes: Arc<Quotes>,
    log: Arc<Log>,
}

/// Lives through the day, shows it, and reports.
pub(crate) async fn run(
    protection: Protection,
    seed: u64,
    screen: &mut Screen,
) -> io::Result<Report> {
    let morning = Instant::now() + Duration::from_millis(50);
    let service = Service::start(morning, seed)?;
    let quotes = Arc::new(Quotes::new(service.address(), morning));
    let run = Run {
        protection,
        morning,
        quotes,
        log: Arc::default(),
    };
    let listening = run.log.listen();

    let load = tokio::spawn(run.clone().call_all(load::arrivals(seed, day::length())));
    run.show(screen).await?;
    load.await.map_err(io::Error::other)?;

    drop(listening);
    let received = service.requests();
    service.stop()?;
    Ok(run.report(received))
}

impl Run {
    /// Calls whenever it is time to, whatever became of the calls before; ends when all have ended.
    async fn call_all(self, arrivals: Vec<Arrival>) {
        let mut callers = JoinSet::new();
        for Arrival { at, symbol } in arrivals {
            sleep_until((self.morning + at).into()).await;
            self.log.call_started();
            let run = self.clone();
            callers.spawn(async move {
                let answer = run.call(&symbol).await;
                let latency = run.morning.elapsed().saturating_sub(at);
                run.log.call_finished(Call {
                    at,
                    latency,
                    answer,
                });
            });
        }
        callers.join_all().await;
    }

    async fn call(&self, symbol: &str) -> Answer {
        if self.protection == Protection::None {
            let quote = self.quotes.unprotected(symbol).await;
            return quote.map_or(Answer::Failed, |_| Answer::Service);
        }
        match self
            .quotes
            .protected(symbol)
            .await
            .map(|quote| quote.source)
        {
            Ok(Source::Primary) => Answer::Service,
            Ok(Source::Cache) => Answer::Cache,
            Ok(Source::StaleCache) => Answer::Stale,
            Ok(_) => Answer::Fallback,
            Err(_) => Answer::Failed,
        }
    }

    /// One line every half second, until the day is over and every call has ended.
    async fn show(&self, screen: &mut Screen) -> io::Result<()> {
        screen.timeline_header()?;
        let mut before = Totals::default();
        let mut time = Duration::ZERO;
        while time < day::length() || before.waiting() > 0 {
            time += LINE_EVERY;
            sleep_until((self.morning + time).into()).await;
            let now = self.log.totals(&self.quotes);
            screen.timeline(&self.line(time, before, now))?;
            before = now;
        }
        Ok(())
    }

    fn line(&self, time: Duration, before: Totals, now: Totals) -> Line {
        let breaker = match self.protection {
            Protection::None => Vec::new(),
            Protection::Full => self.log.breaker_states(),
        };
        Line {
            time,
            breaker,
            calls: now.started - before.started,
            sent: now.sent - before.sent,
            retries: now.retries - before.retries,
            refused: now.refused - before.refused,
            waiting: now.waiting(),
            finished: self.log.finished_since(before.finished, Mark::of),
        }
    }

    fn report(&self, received: u32) -> Report {
        let totals = self.log.totals(&self.quotes);
        Report {
            calls: self.log.take_calls(),
            sent: self.quotes.requests_sent(),
            received,
            retries: totals.retries,
            refused: totals.refused,
        }
    }
}
