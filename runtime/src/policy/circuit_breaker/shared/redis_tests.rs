//! Fleets on a real server, in real time. Bounds of time are such that only a fault exceeds them: the
//! machine may have much else to do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use steadfast_servers::{FaultProxy, RedisServer, wait_until};

use crate::{
    CircuitBreaker, CircuitBreakerBuilder, CircuitState, MemoryStore, Permit, RedisStore,
    Store as _, test::isolated,
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_secs(20);

struct Node {
    breaker: CircuitBreaker,
    store: RedisStore,
}

/// An instance with a store of its own, as a process has.
fn node(url: &str, settings: impl Fn(CircuitBreakerBuilder) -> CircuitBreakerBuilder) -> Node {
    let store = RedisStore::builder(url).lazy().unwrap();
    wait_until("connected", SOON, || store.is_up());
    let test = isolated();
    test.registry().set_store(store.clone()).unwrap();
    let builder = settings(CircuitBreaker::builder("quotes").shared(true));
    let node = Node {
        breaker: builder.build().unwrap(),
        store,
    };
    good(&node.breaker);
    node
}

fn fleet(
    url: &str,
    nodes: usize,
    settings: impl Fn(CircuitBreakerBuilder) -> CircuitBreakerBuilder,
) -> Vec<Node> {
    (0..nodes).map(|_| node(url, &settings)).collect()
}

fn good(breaker: &CircuitBreaker) {
    drop(breaker.try_acquire().map(Permit::success));
}

fn bad(breaker: &CircuitBreaker) {
    drop(breaker.try_acquire().map(Permit::failure));
}

fn plain(builder: CircuitBreakerBuilder) -> CircuitBreakerBuilder {
    builder
        .failure_threshold(3)
        .recovery_timeout(SECOND)
        .success_threshold(2)
        .half_open_timeout(10 * SECOND)
}

/// Callers of a breaker, until this is dropped.
struct Callers {
    stop: Arc<AtomicBool>,
    /// The longest that an admission took, in microseconds.
    longest: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Callers {
    fn of(breaker: &CircuitBreaker) -> Self {
        let (stop, longest) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let thread = std::thread::spawn({
            let (breaker, stop, longest) = (breaker.clone(), stop.clone(), longest.clone());
            move || {
                while !stop.load(Relaxed) {
                    let start = Instant::now();
                    good(&breaker);
                    longest.fetch_max(start.elapsed().as_micros() as u64, Relaxed);
                    std::thread::sleep(MS);
                }
            }
        });
        Self {
            stop,
            longest,
            thread: Some(thread),
        }
    }
}

impl Drop for Callers {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn until_all(nodes: &[Node], state: CircuitState) -> Duration {
    let start = Instant::now();
    wait_until(state.as_str(), SOON, || {
        nodes.iter().all(|node| node.breaker.state() == state)
    });
    start.elapsed()
}

/// Waits until all act by the fleet's state.
fn until_joined(nodes: &[Node]) {
    wait_until("joined", SOON, || {
        nodes.iter().all(|node| {
            good(&node.breaker);
            node.breaker.0.is_led()
        })
    });
}

#[test]
fn an_opening_and_a_closing_reach_all_who_call() {
    let server = RedisServer::start();
    let nodes = fleet(&server.url(), 3, plain);
    until_joined(&nodes);
    let callers: Vec<_> = nodes[1..].iter().map(|n| Callers::of(&n.breaker)).collect();
    for _ in 0..5 {
        // The first fails while its callers succeed elsewhere.
        (0..3).for_each(|_| bad(&nodes[0].breaker));
        assert_eq!(nodes[0].breaker.state(), CircuitState::Open);
        let opened = until_all(&nodes[1..], CircuitState::Open);
        let closed = until_all(&nodes[1..], CircuitState::Closed);
        println!("open everywhere after {opened:?}, closed after {closed:?}");
        until_joined(&nodes);
        wait_until("closed", SOON, || {
            good(&nodes[0].breaker);
            nodes[0].breaker.state() == CircuitState::Closed
        });
    }
    drop(callers);
}

#[test]
fn fifty_instances_get_exactly_the_probes() {
    let server = RedisServer::start();
    let nodes = fleet(&server.url(), 50, |b| {
        plain(b).half_open_requests(5).success_threshold(5)
    });
    until_joined(&nodes);
    (0..3).for_each(|_| bad(&nodes[0].breaker));
    let callers: Vec<_> = nodes.iter().map(|n| Callers::of(&n.breaker)).collect();
    until_all(&nodes, CircuitState::Open);
    drop(callers);
    std::thread::sleep(SECOND); // the open time, which is the server's
    let mut probes = Vec::new();
    let start = Instant::now();
    while start.elapsed() < 3 * SECOND {
        for node in &nodes {
            probes.extend(node.breaker.try_acquire().ok());
        }
        std::thread::sleep(5 * MS);
    }
    assert_eq!(probes.len(), 5);
    probes.into_iter().for_each(Permit::success);
    wait_until("closed", SOON, || {
        nodes.iter().for_each(|node| good(&node.breaker));
        nodes
            .iter()
            .all(|node| node.breaker.state() == CircuitState::Closed)
    });
}

#[test]
fn a_killed_server_leaves_each_to_itself_until_it_is_back() {
    let server = RedisServer::start();
    let nodes = fleet(&server.url(), 2, plain);
    until_joined(&nodes);
    server.kill();
    wait_until("alone", SOON, || {
        nodes.iter().for_each(|node| good(&node.breaker));
        nodes.iter().all(|node| !node.breaker.0.is_led())
    });
    (0..3).for_each(|_| bad(&nodes[0].breaker));
    good(&nodes[1].breaker);
    assert_eq!(nodes[0].breaker.state(), CircuitState::Open);
    assert_eq!(nodes[1].breaker.state(), CircuitState::Closed);
    server.restart();
    until_joined(&nodes);
    (0..3).for_each(|_| bad(&nodes[1].breaker));
    let _callers = Callers::of(&nodes[0].breaker);
    until_all(&nodes, CircuitState::Open);
}

#[test]
fn a_flushed_server_closes_the_circuit_for_all() {
    let server = RedisServer::start();
    let nodes = fleet(&server.url(), 2, |b| {
        plain(b).recovery_timeout(3_600 * SECOND)
    });
    until_joined(&nodes);
    (0..3).for_each(|_| bad(&nodes[0].breaker));
    let _callers: Vec<_> = nodes.iter().map(|n| Callers::of(&n.breaker)).collect();
    until_all(&nodes, CircuitState::Open);
    server.command(&["FLUSHALL"]).expect_ok("flushed");
    until_all(&nodes, CircuitState::Closed);
    nodes[1].breaker.force_open();
    until_all(&nodes, CircuitState::ForcedOpen);
}

#[test]
fn a_server_that_hangs_delays_nobody() {
    let server = RedisServer::start();
    let proxy = FaultProxy::to(server.port());
    let nodes = fleet(&proxy.url(), 2, plain);
    until_joined(&nodes);
    let callers: Vec<_> = nodes.iter().map(|n| Callers::of(&n.breaker)).collect();
    proxy.black_hole();
    wait_until("alone", SOON, || {
        nodes.iter().all(|node| !node.breaker.0.is_led())
    });
    proxy.pass();
    wait_until("joined", SOON, || {
        nodes.iter().all(|node| node.breaker.0.is_led())
    });
    for caller in callers {
        // Nobody waits for the store: even a deadline of it (50 ms) is far from this, and this is far from
        // what a hanging server would have cost.
        let longest = Duration::from_micros(caller.longest.load(Relaxed));
        assert!(longest < 2 * SECOND, "{longest:?}");
        println!("longest admission {longest:?}");
    }
}

#[test]
fn lost_answers_do_not_open_or_close_anything() {
    let server = RedisServer::start();
    let proxy = FaultProxy::to(server.port());
    let nodes = fleet(&proxy.url(), 2, plain);
    until_joined(&nodes);
    proxy.lose_replies();
    (0..3).for_each(|_| bad(&nodes[0].breaker));
    assert_eq!(nodes[0].breaker.state(), CircuitState::Open);
    let _callers: Vec<_> = nodes.iter().map(|n| Callers::of(&n.breaker)).collect();
    wait_until("alone", SOON, || {
        nodes.iter().all(|node| !node.breaker.0.is_led())
    });
    proxy.pass();
    wait_until("joined", SOON, || {
        nodes.iter().all(|node| node.breaker.0.is_led())
    });
    // The opening arrived although its answer did not, or it was told again, or it was over: all agree.
    wait_until("agreed", SOON, || {
        nodes[0].breaker.state() == nodes[1].breaker.state()
    });
    until_all(&nodes, CircuitState::Closed);
}

#[test]
fn a_closed_breaker_needs_few_commands() {
    let server = RedisServer::start();
    let nodes = fleet(&server.url(), 1, plain);
    until_joined(&nodes);
    let _callers = Callers::of(&nodes[0].breaker);
    let (before, start) = (nodes[0].store.health().commands, Instant::now());
    std::thread::sleep(3 * SECOND); // what is measured is a rate
    let commands = nodes[0].store.health().commands - before;
    let rate = commands as f64 / start.elapsed().as_secs_f64();
    println!("{rate:.1} commands a second");
    assert!(rate < 20.0, "{rate}");
}

#[test]
fn a_record_of_another_kind_leaves_the_instance_to_itself() {
    let server = RedisServer::start();
    server
        .command(&["SET", "steadfast:circuit_breaker:{quotes}:circuit", "mine"])
        .expect_ok("set");
    let node = node(&server.url(), plain);
    let _callers = Callers::of(&node.breaker);
    std::thread::sleep(500 * MS); // some ticks
    assert!(!node.breaker.0.is_led());
    (0..3).for_each(|_| bad(&node.breaker));
    wait_until("open", SOON, || {
        bad(&node.breaker);
        node.breaker.state() == CircuitState::Open
    });
}

/// Calls of many threads beside a thread of the store that answers, ticks and is away now and then.
#[test]
fn threads_that_call_while_the_store_comes_and_goes_meet_no_deadlock_and_lose_no_count() {
    let store = MemoryStore::new();
    let test = isolated();
    test.registry().set_store(store.clone()).unwrap();
    let breaker = plain(CircuitBreaker::builder("busy").shared(true))
        .recovery_timeout(5 * MS)
        .failure_rate(0.5)
        .build()
        .unwrap();
    drop(test);
    let start = Instant::now();
    let made: u64 = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|seed| {
                let breaker = breaker.clone();
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed);
                    let mut made = 0;
                    while start.elapsed() < SECOND {
                        let permit = match random.u8(..3) {
                            0 => breaker.try_acquire_for(&random.u8(..4)),
                            _ => breaker.try_acquire(),
                        };
                        if let Ok(permit) = permit {
                            made += 1;
                            match random.u8(..20) {
                                0..3 => permit.failure(),
                                3 => drop(permit),
                                _ => permit.success(),
                            }
                        }
                        if random.u32(..20_000) == 0 {
                            match random.u8(..4) {
                                0 => breaker.force_open(),
                                1 => breaker.disable(),
                                _ => breaker.reset(),
                            }
                        }
                    }
                    made
                })
            })
            .collect();
        for _ in 0..20 {
            std::thread::sleep(20 * MS);
            store.disconnect();
            std::thread::sleep(20 * MS);
            store.restore();
            store.tick();
        }
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .sum()
    });
    let metrics = breaker.metrics();
    let counted = metrics.total_successes + metrics.total_failures + metrics.total_ignored;
    assert_eq!(counted, made);
    breaker.reset();
    wait_until("closed", SOON, || {
        store.tick();
        good(&breaker);
        breaker.state() == CircuitState::Closed
    });
}
