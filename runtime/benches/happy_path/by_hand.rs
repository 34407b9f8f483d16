//! The peers, as one would put them together by hand.

use std::{hint::black_box, io, num::NonZeroU32, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota};
use recloser::{AsyncRecloser, Recloser};
use tokio::sync::Semaphore;

use crate::subjects::{Answer, Failure, bare};

pub(crate) struct ByHand {
    breaker: AsyncRecloser,
    open: AsyncRecloser,
    limiter: DefaultDirectRateLimiter,
    by_key: DefaultKeyedRateLimiter<String>,
    bulkhead: Semaphore,
}

impl ByHand {
    pub(crate) fn new() -> Self {
        let breaker = Recloser::custom().error_rate(0.5).closed_len(100).build();
        let open = Recloser::custom()
            .error_rate(0.01)
            .closed_len(1)
            .open_wait(Duration::from_secs(3_600))
            .build();
        let quota = |rate| Quota::per_second(NonZeroU32::new(rate).unwrap());
        Self {
            breaker: AsyncRecloser::from(breaker),
            open: AsyncRecloser::from(open),
            limiter: DefaultDirectRateLimiter::direct(quota(1_000_000_000)),
            by_key: DefaultKeyedRateLimiter::keyed(quota(1_000_000)),
            bulkhead: Semaphore::new(10),
        }
    }

    /// Opens what [`refused`](Self::refused) calls.
    pub(crate) async fn open(&self) {
        for _ in 0..10 {
            let failing = async { Err::<u32, _>(Failure::Down) };
            let _ = self.open.call(failing).await;
        }
        assert!(self.refused(1).await.is_err());
    }

    pub(crate) async fn retried(&self, x: u32) -> Answer {
        (|| bare(x)).retry(ExponentialBuilder::default()).await
    }

    pub(crate) async fn broken(&self, x: u32) -> Answer {
        self.breaker.call(bare(x)).await.map_err(plain)
    }

    pub(crate) async fn refused(&self, x: u32) -> Result<u32, recloser::Error<Failure>> {
        self.open.call(async { Ok(black_box(x)) }).await
    }

    pub(crate) async fn limited(&self, x: u32) -> Answer {
        self.limiter.until_ready().await;
        bare(x).await
    }

    /// Its keys are owned, so a `&str` is copied to ask.
    pub(crate) async fn limited_by_key(&self, key: &str, x: u32) -> Answer {
        match self.by_key.check_key(&key.to_owned()) {
            Ok(()) => bare(x).await,
            Err(_) => Err(io::ErrorKind::ResourceBusy.into()),
        }
    }

    pub(crate) async fn bulkheaded(&self, x: u32) -> Answer {
        let _permit = self.bulkhead.acquire().await.map_err(io::Error::other)?;
        bare(x).await
    }

    pub(crate) async fn timed(&self, x: u32) -> Answer {
        tokio::time::timeout(Duration::from_secs(1), bare(x)).await?
    }

    /// Retry around breaker around limiter around bulkhead around timeout.
    pub(crate) async fn stack(&self, x: u32) -> Answer {
        let guarded = || async {
            self.limiter.until_ready().await;
            let _permit = self.bulkhead.acquire().await.map_err(io::Error::other)?;
            tokio::time::timeout(Duration::from_secs(1), bare(x)).await?
        };
        let attempt = || async { self.breaker.call(guarded()).await.map_err(plain) };
        let answer = attempt.retry(ExponentialBuilder::default()).await;
        Ok(answer.unwrap_or(7))
    }
}

fn plain(error: recloser::Error<io::Error>) -> io::Error {
    match error {
        recloser::Error::Inner(error) => error,
        recloser::Error::Rejected => io::ErrorKind::ResourceBusy.into(),
    }
}
