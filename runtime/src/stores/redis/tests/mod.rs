//! Against real servers, which the tests start themselves.
#![allow(clippy::unwrap_used)] // clippy knows tests by `cfg(test)` alone

mod faults;
mod lives;
mod refusals;
mod topologies;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::store::{
    Answer, Arg, Job, Member, Reply, Script, Store, StoreError, StoreStatus, Value, ask,
};

use steadfast_servers::{Cluster, FaultProxy, RedisServer, Reply as Said, Sentinels};

use super::RedisStore;

/// Adds to a number, and says what it is then.
static ADD: Script = Script {
    name: "add",
    lua: "return {redis.call('INCRBY', KEYS[1], int(1))}",
    twin: |_, _| Ok(Vec::new()),
};

/// Gives back what it was given.
static ECHO: Script = Script {
    name: "echo",
    lua: "return {int(1), arg(2), arg(3) or false, now}",
    twin: |_, _| Ok(Vec::new()),
};

fn add(store: &RedisStore, key: &str, number: i64) -> Answer {
    let (keys, args) = (vec![key.as_bytes().to_vec()], vec![number.into()]);
    ask(store, |done| Job::new(&ADD, keys, args, done))
}

fn sum(reply: Result<Reply, StoreError>) -> i64 {
    reply.unwrap().int(0).unwrap()
}

/// A number in a key, 0 where there is none.
fn number(server: &RedisServer, key: &str) -> i64 {
    match server.command(&["GET", key]) {
        Said::Nil => 0,
        number => number.integer(),
    }
}

/// Holds that something becomes true soon: how soon depends on what else the machine does.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "not within 10 s: {what}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Counts what it is told.
#[derive(Default)]
struct Witness {
    ticks: AtomicU32,
    told: Mutex<Vec<String>>,
}

impl Witness {
    fn of(store: &RedisStore) -> Arc<Self> {
        let witness = Arc::new(Self::default());
        let member: Arc<dyn Member> = witness.clone();
        store.attach(Arc::downgrade(&member));
        // It is there once it was called.
        eventually("a tick", || witness.ticks.load(Relaxed) > 0);
        witness
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

impl Member for Witness {
    fn tick(self: Arc<Self>) {
        self.ticks.fetch_add(1, Relaxed);
    }

    fn down(self: Arc<Self>, cause: &StoreError) {
        self.told.lock().unwrap().push(format!("down: {cause}"));
    }

    fn up(self: Arc<Self>, _: Duration) {
        self.told.lock().unwrap().push("up".to_owned());
    }
}

#[tokio::test]
async fn scripts_run_with_their_keys_and_arguments() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    assert!(store.is_up());
    for expected in [5, 10, 15] {
        assert_eq!(sum(add(&store, "{k}", 5).await), expected);
    }
    let keys = || vec![b"{k}".to_vec()];
    let args = || vec![Arg::Int(-7), Arg::Bytes(b"\r\n\0\xff".to_vec())];
    let echo = ask(&store, |done| {
        Job::new(&ECHO, keys(), args(), done).at(Some(42))
    });
    let values = vec![
        Value::Int(-7),
        Value::Bytes(b"\r\n\0\xff".to_vec()),
        Value::Nil,
        Value::Int(42),
    ];
    assert_eq!(echo.await, Ok(Reply(values)));
    store.ping().await.unwrap();

    // Keys have the prefix, and the server's time is that of the day.
    assert_eq!(server.command(&["EXISTS", "steadfast:{k}"]).integer(), 1);
    let echo = ask(&store, |done| Job::new(&ECHO, keys(), args(), done));
    let now = echo.await.unwrap().int(3).unwrap();
    assert!(now > 1_700_000_000_000_000, "{now}");

    let health = store.health();
    assert_eq!(health.status, StoreStatus::Up);
    assert_eq!(
        (health.commands, health.connections, health.in_flight),
        (6, 1, 0)
    );
    assert_eq!(
        (
            health.errors,
            health.timeouts,
            health.refused,
            health.outages
        ),
        (0, 0, 0, 0)
    );
}

#[tokio::test]
async fn large_values_go_both_ways() {
    let server = RedisServer::start();
    let store = RedisStore::builder(&server.url())
        .deadline(Duration::from_secs(20))
        .connect()
        .await
        .unwrap();
    for len in [0, 1, 16_383, 16_384, 300_000, 5_000_000, 3] {
        let bytes: Vec<u8> = (0..len).map(|place| (place % 251) as u8).collect();
        let args = vec![Arg::Int(1), Arg::Bytes(bytes.clone())];
        let echo = ask(&store, |done| Job::new(&ECHO, Vec::new(), args, done));
        assert_eq!(echo.await.unwrap().0[1], Value::Bytes(bytes));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_get_each_its_own_answer() {
    let server = RedisServer::start();
    let store = RedisStore::builder(&server.url())
        .deadline(Duration::from_secs(20))
        .connections(3)
        .connect()
        .await
        .unwrap();
    let callers = (0..64).map(|caller| {
        let store = store.clone();
        tokio::spawn(async move {
            for nth in 1..=200 {
                assert_eq!(sum(add(&store, &format!("{{{caller}}}"), 1).await), nth);
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let health = store.health();
    assert_eq!(
        (health.commands, health.errors, health.in_flight),
        (64 * 200, 0, 0)
    );
}

#[tokio::test]
async fn what_is_asked_in_order_is_done_in_order() {
    let server = RedisServer::start();
    let store = RedisStore::builder(&server.url())
        .deadline(Duration::from_secs(20))
        .connections(4)
        .connect()
        .await
        .unwrap();
    eventually("four connections", || store.health().connections == 4);
    let answers: Vec<Answer> = (0..2_000).map(|_| add(&store, "{k}", 1)).collect();
    for (nth, answer) in (1..).zip(answers) {
        assert_eq!(sum(answer.await), nth);
    }
}

#[tokio::test]
async fn databases_and_prefixes_keep_keys_apart() {
    let server = RedisServer::start();
    let url = format!("{}3", server.url());
    let store = RedisStore::builder(&url)
        .key_prefix("shop:")
        .connect()
        .await
        .unwrap();
    assert_eq!(sum(add(&store, "{k}", 1).await), 1);
    assert_eq!(server.command(&["EXISTS", "shop:{k}"]).integer(), 0);
    let mut client = server.client().unwrap();
    client.command(&["SELECT", "3"]).unwrap();
    let exists = client.command(&["EXISTS", "shop:{k}"]).unwrap();
    assert_eq!(exists.integer(), 1);
}

#[test]
fn a_store_shows_no_secret() {
    let url = "redis://alice:hunter2@127.0.0.1:1/";
    let builder = RedisStore::builder(url);
    let shown = format!("{builder:?} {:?}", builder.clone().lazy().unwrap());
    assert!(shown.contains("steadfast:"), "{shown}");
    for secret in ["alice", "hunter2"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
