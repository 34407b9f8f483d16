//! What a decision costs that a whole fleet shares, beside what the client and the server cost anyway, in
//! one run on a server of its own: `cargo bench -p steadfast-benches --bench shared_state`.
//!
//! A table of ratios is the last that it prints. After `--`: `--markdown FILE` writes the table there,
//! `--rounds N` measures so often.
#![allow(missing_docs, unreachable_pub)]

#[path = "../options.rs"]
mod options;
mod raw;
#[path = "../rounds.rs"]
#[allow(dead_code)]
mod rounds;
mod subjects;
#[path = "../table.rs"]
#[allow(dead_code)]
mod table;

use std::{
    fs,
    future::Future,
    hint::black_box,
    time::{Duration, Instant},
};

use steadfast::RedisStore;
use steadfast_servers::RedisServer;
use tokio::runtime::{self, Runtime};

use options::Options;
use raw::Raw;
use rounds::{Id, Times, median};
use table::{
    Table,
    Target::{AtLeast, AtMost, None as Shown},
};

const PING: Id = ("sequential", "PING, same connection");
const RAW_PING: Id = ("sequential", "PING of redis-rs");
const DECISION: Id = ("sequential", "a decision");
const ONE_KEY: Id = ("64 callers, one key", "steadfast");
const ONE_KEY_RAW: Id = ("64 callers, one key", "an EVALSHA a call");
const MANY_ONE_KEY: Id = ("512 callers, one key", "steadfast");
const MANY_ONE_KEY_RAW: Id = ("512 callers, one key", "an EVALSHA a call");
const KEYS: Id = ("64 callers, 10 000 keys", "steadfast");
const KEYS_RAW: Id = ("64 callers, 10 000 keys", "EVALSHA of redis-rs");
const LEASED: Id = ("64 callers, leases", "steadfast");
const CLOSED: Id = ("closed breaker", "shared");
const CLOSED_LOCAL: Id = ("closed breaker", "local");
const REFUSED: Id = ("refusal", "shared");
const REFUSED_LOCAL: Id = ("refusal", "local");

/// Decisions one after the other in a round.
const SEQUENTIAL: usize = 1_500;
/// Decisions of all callers in a round.
const CONCURRENT: usize = 16_000;
/// Calls without the network in a round.
const LOCAL: usize = 200_000;

fn main() {
    let options = Options::parse();
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = RedisServer::start();
    let (store, raw) = runtime.block_on(async {
        let store = RedisStore::builder(&server.url())
            // A machine that does other things as well must not end a round.
            .deadline(Duration::from_secs(5))
            .connect()
            .await
            .unwrap();
        (store, Raw::connect(&server.url()).await)
    });
    steadfast::registry().set_store(store.clone()).unwrap();
    let bench = Bench {
        runtime,
        store,
        raw,
    };
    bench.runtime.block_on(subjects::prepare());

    let mut times = Times::default();
    for round in 0..options.rounds {
        bench.sequential(&mut times);
        // Nobody always comes first.
        for turn in 0..2 {
            if (round + turn) % 2 == 0 {
                bench.ours(&mut times);
            } else {
                bench.theirs(&mut times);
            }
        }
        bench.local(&mut times);
        eprintln!("round {} of {}", round + 1, options.rounds);
    }
    let commands = bench.commands_of_a_closed_breaker();

    let table = table(&times);
    println!("\n{table}");
    println!(
        "commands a second of a closed shared breaker under load: {commands:.1} (target: under 20)"
    );
    if let Some(file) = options.markdown {
        let closing = format!(
            "\nA closed shared breaker under load sent {commands:.1} commands a second (target: under 20).\n"
        );
        fs::write(file, table.markdown() + &closing).unwrap();
    }
}

struct Bench {
    runtime: Runtime,
    store: RedisStore,
    raw: Raw,
}

impl Bench {
    /// In turns, so that what disturbs one disturbs all.
    fn sequential(&self, times: &mut Times) {
        let limiter = subjects::plenty("sequential");
        let (mut pings, mut raws, mut decisions) = (Vec::new(), Vec::new(), Vec::new());
        self.runtime.block_on(async {
            for _ in 0..SEQUENTIAL {
                pings.push(timed(async { self.store.ping().await.unwrap() }).await);
                decisions.push(timed(async { limiter.acquire(1).await.unwrap() }).await);
                raws.push(timed(self.raw.ping()).await);
            }
        });
        times.add(PING, median(&pings));
        times.add(RAW_PING, median(&raws));
        times.add(DECISION, median(&decisions));
    }

    fn ours(&self, times: &mut Times) {
        for (id, callers) in [(ONE_KEY, 64), (MANY_ONE_KEY, 512)] {
            let limiter = subjects::plenty("one key");
            let call = |_| async {
                let _ = limiter.acquire(1).await.unwrap();
            };
            times.add(id, self.concurrently(callers, call));
        }
        let limiter = subjects::plenty("keys");
        let call = |n| {
            let limiter = &limiter;
            async move {
                let _ = limiter.acquire_for(&key(n), 1).await.unwrap();
            }
        };
        times.add(KEYS, self.concurrently(64, call));
        let limiter = subjects::leased();
        let call = |_| async {
            let _ = limiter.acquire(1).await.unwrap();
        };
        times.add(LEASED, self.concurrently(64, call));
    }

    fn theirs(&self, times: &mut Times) {
        for (id, callers) in [(ONE_KEY_RAW, 64), (MANY_ONE_KEY_RAW, 512)] {
            let call = |_| async { self.raw.decide("one key").await };
            times.add(id, self.concurrently(callers, call));
        }
        let call = |n| async move { self.raw.decide(&key(n)).await };
        times.add(KEYS_RAW, self.concurrently(64, call));
    }

    /// Nanoseconds of wall time a call, with so many callers at once.
    fn concurrently<F: Future<Output = ()>>(
        &self,
        callers: usize,
        call: impl Fn(usize) -> F,
    ) -> f64 {
        let each = CONCURRENT / callers;
        let call = &call;
        let caller = |caller: usize| async move {
            for nth in 0..each {
                call(caller * each + nth).await;
            }
        };
        let start = Instant::now();
        self.runtime
            .block_on(futures_util::future::join_all((0..callers).map(caller)));
        start.elapsed().as_nanos() as f64 / (each * callers) as f64
    }

    /// What needs no network, in turns.
    fn local(&self, times: &mut Times) {
        let mut samples: [Vec<f64>; 4] = Default::default();
        for _ in 0..20 {
            samples[0].push(self.again_and_again(subjects::closed_shared));
            samples[1].push(self.again_and_again(subjects::closed_local));
            samples[2].push(self.again_and_again(subjects::refused_shared));
            samples[3].push(self.again_and_again(subjects::refused_local));
        }
        let ids = [CLOSED, CLOSED_LOCAL, REFUSED, REFUSED_LOCAL];
        for (id, samples) in ids.into_iter().zip(&mut samples) {
            samples.sort_by(f64::total_cmp);
            times.add(id, samples[samples.len() / 4]);
        }
    }

    fn again_and_again<T, F: Future<Output = T>>(&self, call: impl Fn(u32) -> F) -> f64 {
        let calls = LOCAL / 20;
        let start = Instant::now();
        self.runtime.block_on(async {
            for x in 0..calls {
                black_box(call(x as u32).await);
            }
        });
        start.elapsed().as_nanos() as f64 / calls as f64
    }

    fn commands_of_a_closed_breaker(&self) -> f64 {
        const SPAN: Duration = Duration::from_secs(3);
        let before = self.runtime.block_on(self.raw.commands());
        let start = Instant::now();
        while start.elapsed() < SPAN {
            self.again_and_again(subjects::closed_shared);
        }
        let commands = self.runtime.block_on(self.raw.commands()) - before;
        commands as f64 / start.elapsed().as_secs_f64()
    }
}

async fn timed<T>(call: impl Future<Output = T>) -> f64 {
    let start = Instant::now();
    black_box(call.await);
    start.elapsed().as_nanos() as f64
}

fn key(n: usize) -> String {
    format!("user-{}", (n * 7_919) % 10_000)
}

fn table(times: &Times) -> Table {
    let mut table = Table::default();
    let mut at_most = |what, ours, theirs, target| table.ratio(times, what, ours, theirs, target);
    at_most("one decision, p50", DECISION, PING, AtMost(1.15));
    at_most("one decision, p50", DECISION, RAW_PING, Shown);
    at_most("closed shared breaker", CLOSED, CLOSED_LOCAL, AtMost(1.5));
    at_most(
        "refusal from the denial cache",
        REFUSED,
        REFUSED_LOCAL,
        AtMost(2.0),
    );
    let mut at_least =
        |what, ours, theirs, target| table.throughput(times, what, ours, theirs, target);
    at_least("64 callers, one key", ONE_KEY, ONE_KEY_RAW, AtLeast(5.0));
    at_least(
        "512 callers, one key",
        MANY_ONE_KEY,
        MANY_ONE_KEY_RAW,
        Shown,
    );
    at_least("64 callers, 10 000 keys", KEYS, KEYS_RAW, AtLeast(0.9));
    at_least("64 callers, leases", LEASED, ONE_KEY_RAW, Shown);
    table
}
