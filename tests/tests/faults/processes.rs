//! Several processes with several threads each, on one key.

use std::{
    env,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use steadfast::{
    Algorithm, Bulkhead, Mode, OnStoreError, Rate, RateLimiter, RedisStore, Rejection,
};
use steadfast_servers::{RedisServer, wait_until};

use crate::{ENDS, SOON, instance::Instance};

const PROCESSES: usize = 3;
const THREADS: usize = 3;

/// What a process is told to do.
const JOB: &str = "STEADFAST_FAULTS_JOB";

/// Runs this very test as a process of its own, for a job.
pub(crate) fn spawn(test: &str, job: &str) -> Child {
    Command::new(env::current_exe().expect("a path"))
        .args([test, "--exact", "--ignored", "--nocapture", "--quiet"])
        .env(JOB, job)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process")
}

/// The words of the job; none when somebody runs all ignored tests.
pub(crate) fn job() -> Option<Vec<String>> {
    let job = env::var(JOB).ok()?;
    Some(job.split(' ').map(str::to_owned).collect())
}

/// The numbers that a process has printed.
pub(crate) fn numbers(child: Child) -> Vec<u128> {
    let output = child.wait_with_output().expect("its output");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines()
        .filter_map(|line| line.strip_prefix("number "))
        .map(|number| number.parse().expect("a number"))
        .collect()
}

fn micros_now() -> u128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after the epoch").as_micros()
}

fn limiter(algorithm: &str, count: u32, per: Duration) -> RateLimiter {
    let builder = RateLimiter::builder("calls")
        .rate(Rate::new(count, per))
        .shared(true)
        .on_store_error(OnStoreError::Deny);
    let builder = match algorithm {
        "lease" => builder.mode(Mode::Lease),
        "log" => builder.algorithm(Algorithm::SlidingWindow),
        "window" => builder.algorithm(Algorithm::FixedWindow),
        "counter" => builder.algorithm(Algorithm::SlidingWindowCounter),
        _ => builder,
    };
    builder.build().expect("good settings")
}

/// A process that calls as fast as it can, for a time, and prints when each call that was let through
/// began and ended.
#[test]
#[ignore = "a process that the other tests of this module start"]
fn a_caller() {
    let Some(job) = job() else { return };
    let [url, algorithm, count, per, time] = &job[..] else {
        panic!("{job:?}");
    };
    let millis = |text: &str| Duration::from_millis(text.parse().expect("a number"));
    let store = RedisStore::builder(url)
        .deadline(SOON)
        .lazy()
        .expect("a good url");
    let (instance, limiter) = Instance::with(store, || {
        limiter(algorithm, count.parse().expect("a number"), millis(per))
    });
    instance.wait_until_up();
    // The word to begin.
    let mut word = String::new();
    std::io::stdin().read_line(&mut word).expect("a word");
    let end = Instant::now() + millis(time);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let limiter = limiter.clone();
            scope.spawn(move || {
                let mut granted = Vec::new();
                while Instant::now() < end {
                    let begun = micros_now();
                    match limiter.acquire_blocking(1) {
                        Ok(_) => granted.push((begun, micros_now())),
                        Err(Rejection::RateLimited(_)) => thread::sleep(Duration::from_micros(500)),
                        Err(other) => panic!("{other}"),
                    }
                }
                let text: String = granted
                    .iter()
                    .map(|(begun, ended)| format!("number {begun}\nnumber {ended}\n"))
                    .collect();
                print!("{text}");
            });
        }
    });
}

/// When the calls that were let through began and ended, of all processes, in microseconds.
fn fleet(algorithm: &str, count: u32, per: Duration, time: Duration) -> Vec<(u128, u128)> {
    let redis = RedisServer::start();
    let (per, time) = (per.as_millis(), time.as_millis());
    let job = format!("{} {algorithm} {count} {per} {time}", redis.url());
    let mut children: Vec<_> = (0..PROCESSES)
        .map(|_| spawn("processes::a_caller", &job))
        .collect();
    wait_until("all are there", SOON, || {
        // Each has a connection, besides the one that asks.
        redis.info("clients", "connected_clients").parse() == Ok(PROCESSES + 1)
    });
    for child in &mut children {
        use std::io::Write;
        let stdin = child.stdin.as_mut().expect("a pipe");
        stdin.write_all(b"go\n").expect("a word");
    }
    let mut granted = Vec::new();
    let mut each = Vec::new();
    for child in children {
        let numbers = numbers(child);
        each.push(numbers.len() / 2);
        granted.extend(numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])));
    }
    assert!(
        each.iter().all(|&calls| calls > 0),
        "somebody got nothing: {each:?}"
    );
    eprintln!("processes, {algorithm}: {each:?} granted of {count} in {per} ms");
    granted.sort_unstable();
    granted
}

/// The most calls that surely were let through within a time: that began and ended in it.
fn worst(granted: &[(u128, u128)], time: Duration) -> usize {
    let within = |from: u128| {
        let to = from + time.as_micros();
        let calls = granted
            .iter()
            .filter(|(begun, ended)| *begun >= from && *ended < to);
        calls.count()
    };
    granted
        .iter()
        .map(|(begun, _)| within(*begun))
        .max()
        .unwrap_or(0)
}

/// The time that they all took.
fn span(granted: &[(u128, u128)]) -> Duration {
    let first = granted.first().map_or(0, |(begun, _)| *begun);
    let last = granted.iter().map(|(_, ended)| *ended).max().unwrap_or(0);
    Duration::from_micros(u64::try_from(last - first).expect("seconds"))
}

const HOUR: Duration = Duration::from_secs(3_600);
const TIME: Duration = Duration::from_millis(1_200);
const WINDOW: Duration = Duration::from_millis(400);

#[test]
fn a_log_gives_exactly_its_limit() {
    assert_eq!(fleet("log", 300, HOUR, TIME).len(), 300);
}

#[test]
fn a_log_is_never_over_its_limit_in_any_window() {
    let granted = fleet("log", 60, WINDOW, TIME);
    let worst = worst(&granted, WINDOW);
    assert!(worst <= 60, "{worst}");
    assert!(granted.len() > 60, "it goes on: {}", granted.len());
}

#[test]
fn the_others_stay_within_their_bounds() {
    let granted = fleet("bucket", 60, WINDOW, TIME);
    let flow = span(&granted).as_secs_f64() / WINDOW.as_secs_f64() * 60.0;
    let most = 60 + flow.ceil() as usize;
    assert!(
        (60..=most).contains(&granted.len()),
        "{} of {most}",
        granted.len()
    );

    let granted = fleet("window", 60, WINDOW, TIME);
    let windows = span(&granted).as_micros() / WINDOW.as_micros() + 2;
    assert!(granted.len() <= 60 * windows as usize, "{}", granted.len());
    let across = worst(&granted, WINDOW);
    assert!(across <= 120, "{across} across two windows");

    let granted = fleet("counter", 60, WINDOW, TIME);
    let across = worst(&granted, WINDOW);
    assert!(across < 120, "{across} across two windows");
}

/// Permits ahead are counted as taken: in all there are no more.
#[test]
fn leased_permits_are_part_of_the_limit() {
    let granted = fleet("lease", 300, HOUR, TIME).len();
    // What comes back of an hour's limit in this time, too.
    assert!(granted <= 301, "{granted}");
    assert!(granted >= 200, "{granted}");
}

const PLACES: u32 = 4;
const LEASE: Duration = Duration::from_secs(2);

fn places() -> Bulkhead {
    Bulkhead::builder("places")
        .max_concurrent(PLACES)
        .lease(LEASE)
        .shared(true)
        .on_store_error(OnStoreError::Deny)
        .build()
        .expect("good settings")
}

/// A process that takes all places, says so, and holds them until it is killed.
#[test]
#[ignore = "a process that the other tests of this module start"]
fn a_holder() {
    let Some(job) = job() else { return };
    let store = RedisStore::lazy(&job[0]).expect("a good url");
    let (instance, bulkhead) = Instance::with(store, places);
    instance.wait_until_up();
    let held: Vec<_> = (0..PLACES)
        .map(|_| bulkhead.acquire_blocking().expect("a place"))
        .collect();
    println!("number {}", held.len());
    // Until it is killed, or whoever started it is gone.
    let mut word = String::new();
    let _ = std::io::stdin().read_line(&mut word);
}

#[test]
fn places_of_a_killed_process_come_back_after_their_lease() {
    let redis = RedisServer::start();
    let mut child = spawn("processes::a_holder", &redis.url());
    let store = RedisStore::lazy(&redis.url()).expect("a good url");
    let (instance, bulkhead) = Instance::with(store, places);
    instance.wait_until_up();
    let holders = "steadfast:bulkhead:{places}:holders";
    wait_until("all places are taken", SOON, || {
        redis.command(&["ZCARD", holders]).integer() == i64::from(PLACES)
    });
    // Longer than a lease: they are renewed, and nobody else gets one.
    let since = Instant::now();
    while since.elapsed() < LEASE * 5 / 4 {
        assert!(
            bulkhead.acquire_blocking().is_err(),
            "after {:?}",
            since.elapsed()
        );
        thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("killed");
    let killed = Instant::now();
    child.wait().expect("gone");
    let mut held = Vec::new();
    wait_until("all places are back", SOON, || {
        held.extend(bulkhead.acquire_blocking());
        held.len() == PLACES as usize
    });
    let back = killed.elapsed();
    assert!(back < LEASE + ENDS, "{back:?}");
    eprintln!(
        "processes: the places of a killed one are back after {back:?}, of a lease of {LEASE:?}"
    );
}
