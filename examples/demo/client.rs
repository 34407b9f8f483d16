//! The client: one request to the service, unprotected and protected.

use crate::service::Quote;
use reqwest::StatusCode;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use steadfast::{
    Classify, Rejection, Served, bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout,
};

pub(crate) struct Quotes {
    http: reqwest::Client,
    service: SocketAddr,
    morning: Instant,
    /// When each request was sent, to an open port or a closed one.
    sent: Mutex<Vec<Duration>>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum QuoteError {
    #[error("no answer from the quote service")]
    Http(#[from] reqwest::Error),
    #[error("the quote service answered {0}")]
    Status(StatusCode),
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

/// Every attribute asks this: worth another attempt, and a failure in the breaker's eyes?
impl Classify for QuoteError {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Http(_) => true,
            Self::Status(status) => status.is_server_error(),
            Self::Rejected(_) => false,
        }
    }
}

impl Quotes {
    pub(crate) fn new(service: SocketAddr, morning: Instant) -> Self {
        Self {
            http: reqwest::Client::new(),
            service,
            morning,
            sent: Mutex::default(),
        }
    }

    /// The call as it is.
    pub(crate) async fn unprotected(&self, symbol: &str) -> Result<Quote, QuoteError> {
        self.fetch(symbol).await
    }

    /// The same call, protected. From the bottom up: no request takes longer than 200 ms; no more
    /// than 32 are under way; bursts are evened out; a service that keeps failing, or is slow, is
    /// left alone; a failed request gets a second and a third chance (a slow one does not: asking
    /// a slow service again makes it slower); and who still has no answer gets the last known one.
    #[fallback(cache(key = symbol, fresh = "1s", stale = "1m"), |_error| yesterdays_close(symbol))]
    #[retry(max_attempts = 3, base_delay = "20ms", jitter = equal, timeouts = false)]
    #[circuit_breaker(
        "quotes",
        failure_rate = 0.8,
        slow_call = "100ms",
        window = 30,
        recovery_timeout = "250ms",
        success_threshold = 1
    )]
    #[rate_limited("quotes", rate = "300/s", burst = 60, max_wait = "50ms")]
    #[bulkhead("quotes", max_concurrent = 32)]
    #[timeout("200ms")]
    pub(crate) async fn protected(&self, symbol: &str) -> Result<Served<Quote>, QuoteError> {
        Ok(self.fetch(symbol).await?.into())
    }

    /// Protected in the same ways, for as many calls as a healthy service can answer.
    #[fallback(cache(key = symbol, fresh = "1s", stale = "1m"), |_error| yesterdays_close(symbol))]
    #[retry(max_attempts = 3, base_delay = "20ms", jitter = equal, timeouts = false)]
    #[circuit_breaker("rush", failure_rate = 0.8, slow_call = "1s", window = 30)]
    #[rate_limited("rush", rate = "1000000/s", max_wait = "50ms")]
    #[bulkhead("rush", max_concurrent = 100)]
    #[timeout("2s")]
    pub(crate) async fn rushed(&self, symbol: &str) -> Result<Served<Quote>, QuoteError> {
        Ok(self.fetch(symbol).await?.into())
    }

    async fn fetch(&self, symbol: &str) -> Result<Quote, QuoteError> {
        self.sent().push(self.morning.elapsed());
        let url = format!("http://{}/quotes/{symbol}", self.service);
        let response = self.http.get(url).send().await?;
        if response.status() != StatusCode::OK {
            return Err(QuoteError::Status(response.status()));
        }
        Ok(response.json().await?)
    }

    /// The times of the day at which requests were sent.
    pub(crate) fn requests_sent(&self) -> Vec<Duration> {
        self.sent().clone()
    }

    fn sent(&self) -> MutexGuard<'_, Vec<Duration>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Better than nothing, and needs no service.
fn yesterdays_close(symbol: &str) -> Result<Served<Quote>, QuoteError> {
    Ok(Quote {
        symbol: symbol.to_owned(),
        cents: 10_000,
    }
    .into())
}
