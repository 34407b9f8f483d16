//! What it costs to wait: callers in the line of a limiter and of a bulkhead, each let in in turn.

use std::{
    future::{Future, poll_fn},
    task::Poll,
    time::{Duration, Instant},
};

use futures_util::stream::{FuturesUnordered, Stream, StreamExt};
use steadfast::{Bulkhead, Rate, RateLimiter};
use tokio::runtime::Runtime;

use crate::rounds::{Id, Times};

pub(crate) const SIZES: [usize; 3] = [100, 1_000, 10_000];
pub(crate) const AT_LIMITER: [Id; 3] = ids("waiting at a limiter");
pub(crate) const AT_BULKHEAD: [Id; 3] = ids("waiting at a bulkhead");

const HOUR: Duration = Duration::from_secs(3_600);

const fn ids(group: &'static str) -> [Id; 3] {
    [
        (group, "each of 100"),
        (group, "each of 1 000"),
        (group, "each of 10 000"),
    ]
}

/// What each of so many waiters costs, once for each round.
pub(crate) fn measure(runtime: &Runtime, rounds: usize, times: &mut Times) {
    for _ in 0..rounds {
        for (index, size) in SIZES.into_iter().enumerate() {
            // The least disturbed.
            let (mut limiter, mut bulkhead) = (Duration::MAX, Duration::MAX);
            for _ in 0..(2_000 / size).max(5) {
                limiter = limiter.min(runtime.block_on(line_of_limiter(size)));
                bulkhead = bulkhead.min(runtime.block_on(line_of_bulkhead(size)));
            }
            let each = |all: Duration| all.as_nanos() as f64 / size as f64;
            times.add(AT_LIMITER[index], each(limiter));
            times.add(AT_BULKHEAD[index], each(bulkhead));
        }
    }
}

/// Whoever is let in leaves at once, and so lets in the next.
async fn line_of_bulkhead(size: usize) -> Duration {
    let bulkhead = Bulkhead::builder("line")
        .max_concurrent(1)
        .max_wait(HOUR)
        .max_queue(u32::MAX)
        .build()
        .unwrap();
    let held = bulkhead.try_acquire().unwrap();
    let callers = (0..size).map(|place| {
        let bulkhead = &bulkhead;
        async move {
            drop(bulkhead.acquire().await.unwrap());
            place
        }
    });
    let mut line = callers.collect();
    let joining = join(&mut line).await;
    drop(held);
    joining + drain(line, 0).await
}

/// The first waits for so many permits that all others have come before it is let in; theirs are there
/// as soon as it has gone.
async fn line_of_limiter(size: usize) -> Duration {
    const RATE: u32 = 1_000_000_000;
    let limiter = RateLimiter::builder("line")
        .rate(Rate::per_second(RATE))
        .max_wait(HOUR)
        .build()
        .unwrap();
    limiter.try_acquire(RATE).unwrap();
    let first = 1_000_000 + 4_000 * u32::try_from(size).unwrap();
    let callers = (0..=size).map(|place| {
        let limiter = &limiter;
        let cost = if place == 0 { first } else { 1 };
        async move {
            limiter.acquire(cost).await.unwrap();
            place
        }
    });
    let mut line: FuturesUnordered<_> = callers.collect();
    let joining = join(&mut line).await;
    assert_eq!(line.next().await, Some(0));
    joining + drain(line, 1).await
}

/// Polls each once.
async fn join<F: Future>(line: &mut FuturesUnordered<F>) -> Duration {
    let start = Instant::now();
    poll_fn(|context| {
        assert!(
            std::pin::Pin::new(&mut *line)
                .poll_next(context)
                .is_pending()
        );
        Poll::Ready(())
    })
    .await;
    start.elapsed()
}

/// Lets all in, from place `first` on, and in that order.
async fn drain(mut line: FuturesUnordered<impl Future<Output = usize>>, first: usize) -> Duration {
    let start = Instant::now();
    let mut next = first;
    while let Some(place) = line.next().await {
        assert_eq!(place, next, "out of turn");
        next += 1;
    }
    start.elapsed()
}
