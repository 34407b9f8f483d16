//! A fleet's circuit breaker: what it makes of each fault.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use steadfast::{
    CircuitBreaker, CircuitState, OnStoreError, Permit, RedisStore, Rejection, StoreError,
};
use steadfast_servers::{FaultProxy, RedisServer, wait_until};

use crate::{ENDS, SOON, instance::Instance};

const RECOVERY: Duration = Duration::from_secs(2);

struct Node {
    instance: Instance,
    breaker: CircuitBreaker,
}

impl Node {
    fn at(url: &str, on_store_error: OnStoreError) -> Self {
        Self::named("quotes", url, on_store_error, RECOVERY)
    }

    fn named(name: &'static str, url: &str, choice: OnStoreError, recovery: Duration) -> Self {
        let store = RedisStore::lazy(url).expect("a good url");
        let (instance, breaker) = Instance::with(store, || {
            CircuitBreaker::builder(name)
                .failure_threshold(3)
                .recovery_timeout(recovery)
                .success_threshold(2)
                .shared(true)
                .on_store_error(choice)
                .build()
                .expect("good settings")
        });
        instance.wait_until_up();
        Self { instance, breaker }
    }

    /// A call that goes well, if it is let through.
    fn good(&self) {
        drop(self.breaker.try_acquire().map(Permit::success));
    }

    /// As many failures as it takes.
    fn fail(&self) {
        for _ in 0..3 {
            drop(self.breaker.try_acquire().map(Permit::failure));
        }
    }

    async fn call(&self) -> Result<(), Rejection> {
        self.breaker.call(async { Ok(()) }).await
    }

    fn is(&self, state: CircuitState) -> bool {
        self.breaker.state() == state
    }
}

/// Until what one sees, the other does: both act by the fleet's state. They end closed.
fn wait_until_one(one: &Node, other: &Node) {
    // Others hear of a change while they call.
    let all_closed = || {
        one.breaker.reset();
        other.breaker.reset();
        // A report that was on its way may still open it.
        call_for(&[one, other], Duration::from_millis(200));
        [one, other]
            .iter()
            .all(|node| node.is(CircuitState::Closed))
    };
    wait_until("both act as one", SOON, || {
        all_closed() && {
            one.fail();
            let told = || other.is(CircuitState::Open);
            call_until(&[other], Duration::from_millis(700), told)
        }
    });
    wait_until("both are closed", SOON, all_closed);
}

fn call_for(nodes: &[&Node], time: Duration) {
    call_until(nodes, time, || false);
}

/// Calls until it is so, or the time is over; whether it is so.
fn call_until(nodes: &[&Node], at_most: Duration, is_so: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < at_most {
        nodes.iter().for_each(|node| node.good());
        if is_so() {
            return true;
        }
        thread::sleep(Duration::from_millis(2));
    }
    false
}

/// A caller until this is dropped; and the longest that it was kept.
struct Caller {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(u64, Duration)>,
}

impl Caller {
    fn of(breaker: &CircuitBreaker) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (breaker, stopped) = (breaker.clone(), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let (mut calls, mut longest) = (0, Duration::ZERO);
            while !stopped.load(Relaxed) {
                let start = Instant::now();
                drop(breaker.try_acquire().map(Permit::success));
                longest = longest.max(start.elapsed());
                calls += 1;
                thread::sleep(Duration::from_millis(1));
            }
            (calls, longest)
        });
        Self { stop, thread }
    }

    fn end(self) -> (u64, Duration) {
        self.stop.store(true, Relaxed);
        self.thread.join().expect("no panic")
    }
}

#[test]
fn instances_decide_by_themselves_and_are_one_again() {
    let redis = RedisServer::start();
    let nodes = [(); 2].map(|()| Node::at(&redis.url(), OnStoreError::Local));
    let [one, other] = &nodes;
    wait_until_one(one, other);

    redis.kill();
    nodes
        .iter()
        .for_each(|node| node.instance.wait_until_down());
    wait_until("it opens for its own failures", SOON, || {
        one.fail();
        one.is(CircuitState::Open)
    });
    call_for(&[other], Duration::from_millis(700));
    assert!(other.is(CircuitState::Closed));
    // By itself, it recovers by itself.
    wait_until("it is closed again", SOON, || {
        one.good();
        one.is(CircuitState::Closed)
    });

    redis.restart();
    let port_is_open = Instant::now();
    nodes.iter().for_each(|node| node.instance.wait_until_up());
    let back = port_is_open.elapsed();
    assert!(back < Duration::from_secs(1), "{back:?}");
    wait_until_one(one, other);
    for node in &nodes {
        assert_eq!(node.instance.outages(), (1, 1));
    }
    eprintln!("circuit: up {back:?} after the port");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_does_what_it_was_told_to() {
    let redis = RedisServer::start();
    let node = |name, choice| Node::named(name, &redis.url(), choice, RECOVERY);
    let (allow, deny) = (
        node("allow", OnStoreError::Allow),
        node("deny", OnStoreError::Deny),
    );
    for node in [&allow, &deny] {
        assert_eq!(node.call().await, Ok(()));
    }
    redis.kill();
    for node in [&allow, &deny] {
        node.instance.wait_until_down();
    }
    for _ in 0..10 {
        allow.fail();
        assert_eq!(allow.call().await, Ok(()));
    }
    match deny.call().await {
        Err(Rejection::StoreUnavailable(away)) => {
            assert!(
                matches!(*away.cause, StoreError::Unreachable { .. }),
                "{away:?}"
            );
        }
        other => panic!("{other:?}"),
    }
    redis.restart();
    deny.instance.wait_until_up();
    let start = Instant::now();
    while deny.call().await.is_err() {
        assert!(start.elapsed() < SOON, "{:?}", deny.call().await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(start.elapsed() < ENDS, "{:?}", start.elapsed());
}

/// Nobody waits for the store, whatever happens to it.
#[test]
fn no_call_waits_for_a_silent_server() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::to(redis.port());
    let nodes = [redis.url(), proxy.url()].map(|url| Node::at(&url, OnStoreError::Local));
    let callers = nodes.each_ref().map(|node| Caller::of(&node.breaker));
    proxy.black_hole();
    redis.stop_process();
    nodes
        .iter()
        .for_each(|node| node.instance.wait_until_down());
    // Much longer than a call may take.
    thread::sleep(ENDS * 3 / 2);
    proxy.pass();
    redis.continue_process();
    nodes.iter().for_each(|node| node.instance.wait_until_up());
    for caller in callers {
        let (calls, longest) = caller.end();
        assert!(calls > 100, "{calls}");
        // Not even for the deadline: there is no network on a call's path.
        assert!(longest < ENDS / 2, "{longest:?}");
        eprintln!("circuit, silent server: {calls} calls, the longest kept for {longest:?}");
    }
    wait_until_one(&nodes[0], &nodes[1]);
}

#[test]
fn scripts_and_keys_that_are_flushed() {
    let redis = RedisServer::start();
    let hour = Duration::from_secs(3_600);
    let nodes = [(); 2].map(|()| Node::named("quotes", &redis.url(), OnStoreError::Local, hour));
    let [one, other] = &nodes;
    let begun = Instant::now();
    let mut flushes = 0;
    while begun.elapsed() < Duration::from_secs(1) {
        redis.command(&["SCRIPT", "FLUSH"]);
        flushes += 1;
        nodes
            .iter()
            .for_each(|node| assert_eq!(node.breaker.try_acquire().map(Permit::success), Ok(())));
    }
    assert!(flushes > 50, "{flushes}");
    wait_until_one(one, other);
    one.fail();
    wait_until("open", SOON, || {
        nodes.iter().for_each(|node| node.good());
        nodes.iter().all(|node| node.is(CircuitState::Open))
    });
    // The fleet knows nothing any more: it is closed for all.
    redis.command(&["FLUSHALL"]);
    wait_until("closed", SOON, || {
        nodes.iter().for_each(|node| node.good());
        nodes.iter().all(|node| node.is(CircuitState::Closed))
    });
    for node in &nodes {
        assert_eq!(
            node.instance.health().errors,
            0,
            "{:?}",
            node.instance.health()
        );
        assert_eq!(node.instance.outages(), (0, 0));
    }
}

/// An open circuit is not open for an hour, and a closed one does not open.
#[test]
fn a_clock_that_is_set_locks_nobody_out() {
    for offset in [3_601, -3_601] {
        let redis = RedisServer::builder().clock_offset(0).start();
        let nodes = [(); 2].map(|()| Node::at(&redis.url(), OnStoreError::Local));
        let [one, other] = &nodes;
        wait_until_one(one, other);
        one.fail();
        wait_until("open", SOON, || {
            other.good();
            other.is(CircuitState::Open)
        });
        redis.set_clock_offset(offset);
        let step = Instant::now();
        wait_until("closed again", SOON, || {
            nodes.iter().for_each(|node| node.good());
            nodes.iter().all(|node| node.is(CircuitState::Closed))
        });
        let closed = step.elapsed();
        // The open time once, another that began anew at the step, and the probes.
        assert!(closed < RECOVERY * 2 + ENDS, "{offset}: {closed:?}");
        wait_until_one(one, other);
        eprintln!("circuit, clock {offset:+} s: closed {closed:?} after the step");
    }
}

/// A key that holds something else, and a server that has no memory left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_cannot_be_kept() {
    let redis = RedisServer::builder().maxmemory("100mb").start();
    let local = Node::named("local", &redis.url(), OnStoreError::Local, RECOVERY);
    let deny = Node::named("deny", &redis.url(), OnStoreError::Deny, RECOVERY);
    let nodes = [&local, &deny];
    call_for(&nodes, Duration::from_millis(300));
    let keys = redis.command(&["KEYS", "*circuit_breaker*"]);
    let keys: Vec<_> = keys.items().iter().map(|key| key.text()).collect();
    assert!(!keys.is_empty());
    for key in &keys {
        redis.command(&["DEL", key]);
        redis.command(&["SADD", key, "ours"]).expect_ok("SADD");
    }
    told(&local, &deny, &StoreError::WrongType).await;
    for key in &keys {
        assert_eq!(redis.command(&["SMEMBERS", key]).items().len(), 1, "{key}");
    }

    redis.command(&["FLUSHALL"]);
    well_again(&nodes).await;
    redis.command(&["SET", "filler", &"x".repeat(1 << 20)]);
    redis.command(&["CONFIG", "SET", "maxmemory", "512kb"]);
    told(&local, &deny, &StoreError::Full).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "100mb"]);
    well_again(&nodes).await;
    for node in nodes {
        assert_eq!(node.instance.outages(), (0, 0), "the store itself is well");
        assert_eq!(node.instance.health().connections, 1);
    }
}

/// One goes on by itself, the other refuses, and says why.
async fn told(local: &Node, deny: &Node, cause: &StoreError) {
    let begun = Instant::now();
    loop {
        match deny.call().await {
            Err(Rejection::StoreUnavailable(away)) => {
                assert_eq!(*away.cause, *cause);
                break;
            }
            outcome => assert!(begun.elapsed() < SOON, "{outcome:?}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let noticed = begun.elapsed();
    wait_until("it opens for its own failures", SOON, || {
        local.fail();
        local.is(CircuitState::Open)
    });
    eprintln!("circuit, {cause}: refused after {noticed:?}");
}

async fn well_again(nodes: &[&Node]) {
    for node in nodes {
        let begun = Instant::now();
        while node.call().await.is_err() {
            assert!(begun.elapsed() < SOON, "{:?}", node.call().await);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}
