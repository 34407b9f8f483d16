//! What a protected call costs while all is well, beside the same made of other crates, in one run:
//! `cargo bench -p steadfast --bench happy_path`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    fs,
    future::Future,
    hint::black_box,
    io,
    num::NonZeroU32,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use backon::{ExponentialBuilder, Retryable};
use criterion::{BenchmarkId, Criterion, Throughput};
use governor::{DefaultDirectRateLimiter, Quota};
use recloser::{AsyncRecloser, Recloser};
use steadfast::{bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout};
use tokio::{runtime::Runtime, sync::Semaphore};

type Answer = io::Result<u32>;

/// An error as users write it: `io::Error` would have to allocate for a refusal.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("down")]
    Down,
    #[error(transparent)]
    Rejected(#[from] steadfast::Rejection),
}

/// Calls in one `block_on`.
const CALLS: u32 = 10_000;

#[inline(never)]
async fn bare(x: u32) -> Answer {
    Ok(black_box(x))
}

#[retry]
async fn retried(x: u32) -> Answer {
    Ok(black_box(x))
}

#[circuit_breaker(failure_rate = 0.5)]
async fn broken(x: u32) -> Answer {
    Ok(black_box(x))
}

#[circuit_breaker(failure_rate = 0.5, slow_call = "1s")]
async fn broken_if_slow(x: u32) -> Answer {
    Ok(black_box(x))
}

#[rate_limited(rate = "1000000000/s", max_wait = "1s")]
async fn limited(x: u32) -> Answer {
    Ok(black_box(x))
}

#[bulkhead(max_wait = "1s")]
async fn bulkheaded(x: u32) -> Answer {
    Ok(black_box(x))
}

#[timeout("1s")]
async fn timed(x: u32) -> Answer {
    Ok(black_box(x))
}

#[fallback(value = 7)]
#[retry]
#[circuit_breaker(failure_rate = 0.5, slow_call = "1s")]
#[rate_limited(rate = "1000000000/s", max_wait = "1s")]
#[bulkhead(max_wait = "1s")]
#[timeout("1s")]
async fn six(x: u32) -> Answer {
    Ok(black_box(x))
}

#[circuit_breaker("open", failure_threshold = 1, recovery_timeout = "1h")]
async fn refused(x: u32) -> Result<u32, Failure> {
    match x {
        u32::MAX => Err(Failure::Down),
        x => Ok(black_box(x)),
    }
}

/// The peers, as one would put them together by hand.
struct Peers {
    breaker: AsyncRecloser,
    open: AsyncRecloser,
    limiter: DefaultDirectRateLimiter,
    bulkhead: Semaphore,
}

impl Peers {
    fn new() -> Self {
        let breaker = || Recloser::custom().error_rate(0.5).closed_len(100).build();
        let rate = NonZeroU32::new(1_000_000_000).unwrap();
        Self {
            breaker: AsyncRecloser::from(breaker()),
            open: AsyncRecloser::from(
                Recloser::custom()
                    .error_rate(0.01)
                    .closed_len(1)
                    .open_wait(Duration::from_secs(3_600))
                    .build(),
            ),
            limiter: DefaultDirectRateLimiter::direct(Quota::per_second(rate)),
            bulkhead: Semaphore::new(10),
        }
    }

    async fn retried(&self, x: u32) -> Answer {
        (|| bare(x)).retry(ExponentialBuilder::default()).await
    }

    async fn broken(&self, x: u32) -> Answer {
        let answer = self.breaker.call(bare(x)).await;
        answer.map_err(plain)
    }

    async fn refused(&self, x: u32) -> bool {
        let failing = async { Err::<u32, _>(io::Error::from(io::ErrorKind::TimedOut)) };
        let _ = x;
        self.open.call(failing).await.is_err()
    }

    async fn limited(&self, x: u32) -> Answer {
        self.limiter.until_ready().await;
        bare(x).await
    }

    async fn bulkheaded(&self, x: u32) -> Answer {
        let _permit = self.bulkhead.acquire().await.map_err(io::Error::other)?;
        bare(x).await
    }

    async fn timed(&self, x: u32) -> Answer {
        tokio::time::timeout(Duration::from_secs(1), bare(x)).await?
    }

    /// Retry around breaker around limiter around bulkhead around timeout.
    async fn stack(&self, x: u32) -> Answer {
        let guarded = || async {
            self.limiter.until_ready().await;
            let _permit = self.bulkhead.acquire().await.map_err(io::Error::other)?;
            tokio::time::timeout(Duration::from_secs(1), bare(x)).await?
        };
        let attempt = || async {
            let answer = self.breaker.call(guarded()).await;
            answer.map_err(plain)
        };
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

/// What the stack cannot do without: three uncontended atomics and two readings of a cheap clock.
async fn floor(clock: &quanta::Clock, cells: &[AtomicU64; 3], x: u32) -> Answer {
    let start = clock.raw();
    for cell in cells {
        cell.fetch_add(1, Relaxed);
    }
    let answer = bare(x).await;
    black_box(clock.raw().wrapping_sub(start));
    answer
}

struct Bench {
    criterion: Criterion,
    runtime: Runtime,
    results: PathBuf,
    ratios: Vec<(String, String, String)>,
}

impl Bench {
    fn new() -> Self {
        // target/release/deps/happy_path-0123
        let target = std::env::current_exe().unwrap();
        let results = target.ancestors().nth(3).unwrap().join("criterion");
        Self {
            criterion: Criterion::default()
                .output_directory(&results)
                .configure_from_args(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap(),
            results,
            ratios: Vec::new(),
        }
    }

    fn run<T, F: Future<Output = T>>(&mut self, group: &str, name: &str, call: impl Fn(u32) -> F) {
        let mut group = self.criterion.benchmark_group(group);
        group.throughput(Throughput::Elements(CALLS.into()));
        group.sample_size(30);
        group.measurement_time(Duration::from_secs(2));
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| {
                self.runtime.block_on(async {
                    for x in 0..CALLS {
                        black_box(call(x).await);
                    }
                });
            });
        });
        group.finish();
    }

    /// Both in one group, and their ratio in the table at the end.
    fn compare<T, F: Future<Output = T>, U, P: Future<Output = U>>(
        &mut self,
        group: &str,
        ours: impl Fn(u32) -> F,
        (name, peer): (&str, impl Fn(u32) -> P),
    ) {
        self.run(group, "steadfast", ours);
        self.run(group, name, peer);
        self.ratios
            .push((group.into(), "steadfast".into(), name.into()));
    }

    /// The median, in nanoseconds for a call.
    fn median(&self, group: &str, name: &str) -> Option<f64> {
        let file = self
            .results
            .join(group)
            .join(name)
            .join("new/estimates.json");
        let estimates: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
        Some(estimates["median"]["point_estimate"].as_f64()? / f64::from(CALLS))
    }

    fn print_ratios(&self) {
        println!(
            "\n{:<24}{:>10}  {:<28}{:>10}{:>8}",
            "", "ns", "beside", "ns", "ratio"
        );
        for (group, ours, peer) in &self.ratios {
            if let (Some(own), Some(other)) = (self.median(group, ours), self.median(group, peer)) {
                let ratio = own / other;
                println!("{group:<24}{own:>10.1}  {peer:<28}{other:>10.1}{ratio:>8.2}");
            }
        }
    }
}

fn main() {
    let mut bench = Bench::new();
    let peers = Peers::new();
    let (clock, cells) = (quanta::Clock::new(), [const { AtomicU64::new(0) }; 3]);
    bench.runtime.block_on(async {
        // The clock is measured in the background, and the circuit has to open.
        broken_if_slow(1).await.unwrap();
        for _ in 0..10 {
            let _ = refused(u32::MAX).await;
            let _ = peers.refused(1).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    });

    bench.run("bare", "bare", bare);
    bench.compare("stack", six, ("by hand", |x| peers.stack(x)));
    bench.run("stack", "floor", |x| floor(&clock, &cells, x));
    bench
        .ratios
        .push(("stack".into(), "steadfast".into(), "floor".into()));
    bench.compare("retry", retried, ("backon", |x| peers.retried(x)));
    bench.compare("breaker", broken, ("recloser", |x| peers.broken(x)));
    bench.compare(
        "breaker with slow calls",
        broken_if_slow,
        ("recloser", |x| peers.broken(x)),
    );
    bench.compare("refusal", refused, ("recloser", |x| peers.refused(x)));
    bench.compare("limiter", limited, ("governor", |x| peers.limited(x)));
    bench.compare(
        "bulkhead",
        bulkheaded,
        ("tokio semaphore", |x| peers.bulkheaded(x)),
    );
    bench.compare("timeout", timed, ("tokio", |x| peers.timed(x)));
    bench.criterion.final_summary();
    bench.print_ratios();
}
