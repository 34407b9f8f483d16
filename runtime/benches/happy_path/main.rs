//! What a protected call costs while all is well, beside the same made of other crates, in one run:
//! `cargo bench -p steadfast-benches --bench happy_path`.
//!
//! A table of ratios is the last that it prints. After `--`: `--markdown FILE` writes the table there,
//! `--rounds N` measures so often.
#![allow(missing_docs, unreachable_pub)]

mod by_hand;
mod floor;
#[path = "../options.rs"]
mod options;
#[path = "../rounds.rs"]
mod rounds;
#[path = "../subjects.rs"]
#[allow(dead_code)]
mod subjects;
#[path = "../table.rs"]
mod table;
mod threads;
mod tower;
mod waiting;

use std::{fs, time::Duration};

use tokio::runtime::{self, Runtime};

use by_hand::ByHand;
use floor::Floor;
use options::Options;
use rounds::{CALLS, Cases, Id, Times};
use table::{
    Table,
    Target::{AtLeast, AtMost, None as Shown},
};
use threads::{Threads, calls, two_tasks};

const BARE: Id = ("stack", "bare");
const SIX: Id = ("stack", "steadfast");
const SIX_BY_HAND: Id = ("stack", "by hand");
const SIX_TOWER: Id = ("stack", "tower-resilience");
const SIX_FLOOR: Id = ("stack", "floor");
const ONE_THREAD: Id = ("threads", "itself on one thread");
const TWO_THREADS: Id = ("threads", "steadfast");
const TWO_BY_HAND: Id = ("threads", "by hand");
const TWO_TOWER: Id = ("threads", "tower-resilience");
const TASKS: Id = ("tasks", "steadfast");
const TASKS_BY_HAND: Id = ("tasks", "by hand");
const BREAKER: Id = ("breaker", "steadfast");
const SLOW_BREAKER: Id = ("breaker", "steadfast with slow calls");
const RECLOSER: Id = ("breaker", "recloser");
const REFUSAL: Id = ("refusal", "steadfast");
const RECLOSER_REFUSAL: Id = ("refusal", "recloser");
const LIMITER: Id = ("limiter", "steadfast");
const GOVERNOR: Id = ("limiter", "governor");
const KEYED: Id = ("keyed limiter", "steadfast");
const GOVERNOR_KEYED: Id = ("keyed limiter", "governor");
const BULKHEAD: Id = ("bulkhead", "steadfast");
const SEMAPHORE: Id = ("bulkhead", "tokio acquire().await");
const RETRY: Id = ("retry", "steadfast");
const BACKON: Id = ("retry", "backon");
const TIMEOUT: Id = ("timeout", "steadfast");
const READING: Id = ("timeout", "reading of a cheap clock");
const TOKIO_TIMEOUT: Id = ("timeout", "tokio");

fn main() {
    let options = Options::parse();
    let alone = runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let workers = runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let (peers, floor): (&'static ByHand, _) = (Box::leak(Box::new(ByHand::new())), Floor::new());
    alone.block_on(prepare(peers));

    let threads = Threads::new(2);
    let mut cases = Cases::default();
    one_thread(&mut cases, &alone, peers, &floor);
    two_threads(&mut cases, &threads, &workers, peers);
    let mut times = cases.run(options.rounds);
    waiting::measure(&alone, options.rounds, &mut times);

    let table = table(&times);
    println!("\n{table}");
    if let Some(file) = options.markdown {
        fs::write(file, table.markdown()).unwrap();
    }
}

/// Opens the circuits that refuse, and waits until the clock has been measured, which takes a thread of
/// its own a moment.
async fn prepare(peers: &ByHand) {
    subjects::six(1).await.unwrap();
    let _ = subjects::refused(u32::MAX).await;
    assert!(subjects::refused(1).await.is_err());
    peers.open().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
}

fn one_thread<'c>(
    cases: &mut Cases<'c>,
    runtime: &'c Runtime,
    peers: &'c ByHand,
    floor: &'c Floor,
) {
    cases.add(BARE, runtime, subjects::bare);
    cases.add(SIX, runtime, subjects::six);
    cases.add(SIX_BY_HAND, runtime, |x| peers.stack(x));
    cases.add(SIX_FLOOR, runtime, |x| floor.stack(x));
    let mut service = tower::stack();
    cases.add_measure(SIX_TOWER, CALLS.into(), move |times| {
        rounds::time(runtime, times, async || tower::calls(&mut service).await)
    });
    cases.add(BREAKER, runtime, subjects::broken);
    cases.add(SLOW_BREAKER, runtime, subjects::broken_if_slow);
    cases.add(RECLOSER, runtime, |x| peers.broken(x));
    cases.add(REFUSAL, runtime, subjects::refused);
    cases.add(RECLOSER_REFUSAL, runtime, |x| peers.refused(x));
    cases.add(LIMITER, runtime, subjects::limited);
    cases.add(GOVERNOR, runtime, |x| peers.limited(x));
    let keys: &[String] = subjects::keys().leak();
    let key = move |x: u32| keys[x as usize % keys.len()].as_str();
    cases.add(KEYED, runtime, move |x| subjects::limited_by_key(key(x), x));
    cases.add(GOVERNOR_KEYED, runtime, move |x| {
        peers.limited_by_key(key(x), x)
    });
    cases.add(BULKHEAD, runtime, subjects::bulkheaded);
    cases.add(SEMAPHORE, runtime, |x| peers.bulkheaded(x));
    cases.add(RETRY, runtime, subjects::retried);
    cases.add(BACKON, runtime, |x| peers.retried(x));
    cases.add(TIMEOUT, runtime, subjects::timed);
    cases.add(READING, runtime, |x| floor.reading(x));
    cases.add(TOKIO_TIMEOUT, runtime, |x| peers.timed(x));
}

/// Shared policies. Two threads make twice the calls, so a call's time is half of what it takes each.
fn two_threads<'c>(
    cases: &mut Cases<'c>,
    threads: &'c Threads,
    workers: &'c Runtime,
    peers: &'static ByHand,
) {
    let calls_of = |number: usize| number as u64 * u64::from(CALLS);
    let mut add = |id: Id, number: usize, work: threads::Work| {
        cases.add_measure(id, calls_of(number), move |times| {
            threads.run(number, &work, times)
        });
    };
    add(ONE_THREAD, 1, calls(subjects::six));
    add(TWO_THREADS, 2, calls(subjects::six));
    add(TWO_BY_HAND, 2, calls(|x| peers.stack(x)));
    let service = tower::stack();
    add(
        TWO_TOWER,
        2,
        std::sync::Arc::new(move |runtime, times| {
            let mut service = service.clone();
            rounds::time(runtime, times, async || tower::calls(&mut service).await);
        }),
    );
    cases.add_measure(TASKS, calls_of(2), |times| {
        two_tasks(workers, times, subjects::six)
    });
    cases.add_measure(TASKS_BY_HAND, calls_of(2), |times| {
        two_tasks(workers, times, |x| peers.stack(x))
    });
}

fn table(times: &Times) -> Table {
    let mut table = Table::default();
    let mut ratio = |what, ours, theirs, target| table.ratio(times, what, ours, theirs, target);
    ratio("six attributes", SIX, SIX_BY_HAND, AtMost(0.4));
    ratio("six attributes", SIX, SIX_TOWER, AtMost(0.04));
    ratio("six attributes", SIX, SIX_FLOOR, AtMost(1.6));
    ratio("breaker", BREAKER, RECLOSER, AtMost(0.5));
    ratio(
        "breaker with slow calls",
        SLOW_BREAKER,
        RECLOSER,
        AtMost(0.8),
    );
    ratio(
        "open breaker's refusal",
        REFUSAL,
        RECLOSER_REFUSAL,
        AtMost(0.5),
    );
    ratio("limiter", LIMITER, GOVERNOR, AtMost(1.1));
    ratio(
        "limiter, 10 000 keys, from &str",
        KEYED,
        GOVERNOR_KEYED,
        AtMost(0.6),
    );
    ratio("bulkhead", BULKHEAD, SEMAPHORE, AtMost(0.35));
    ratio("retry", RETRY, BACKON, AtMost(0.7));
    ratio("timeout", TIMEOUT, TOKIO_TIMEOUT, Shown);
    table.added(
        times,
        "timeout, added to bare",
        BARE,
        TIMEOUT,
        READING,
        AtMost(1.0),
    );
    table.throughput(
        times,
        "two threads, throughput",
        TWO_THREADS,
        TWO_BY_HAND,
        AtLeast(8.0),
    );
    table.throughput(
        times,
        "two threads, throughput",
        TWO_THREADS,
        TWO_TOWER,
        Shown,
    );
    table.throughput(
        times,
        "two threads, throughput",
        TWO_THREADS,
        ONE_THREAD,
        AtLeast(1.6),
    );
    table.throughput(
        times,
        "two tasks of one runtime, throughput",
        TASKS,
        TASKS_BY_HAND,
        Shown,
    );
    // Ten times as many, a logarithm of them: one and a half; a hundred times: two.
    let [few, more, most] = waiting::AT_LIMITER;
    let mut ratio = |what, ours, theirs, target| table.ratio(times, what, ours, theirs, target);
    ratio("limiter, each of 1 000 waiting", more, few, AtMost(1.5));
    ratio("limiter, each of 10 000 waiting", most, few, AtMost(2.0));
    let [few, more, most] = waiting::AT_BULKHEAD;
    ratio("bulkhead, each of 1 000 waiting", more, few, AtMost(1.5));
    ratio("bulkhead, each of 10 000 waiting", most, few, AtMost(2.0));
    table
}
