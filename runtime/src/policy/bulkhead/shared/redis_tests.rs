//! On a real server: several processes, which are this test program once more, and what is done to them.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use steadfast_servers::{Client, RedisServer, wait_until};

use crate::{
    Bulkhead, BulkheadPermit, Event, OnStoreError, RedisStore, Rejection, StoreError,
    test::isolated,
};

const SECOND: Duration = Duration::from_secs(1);
/// A server on a busy machine may take long for everything. No fault takes as long.
const LONG: Duration = Duration::from_secs(60);

/// The whole of a worker's orders: `url port limit seconds`.
const ORDERS: &str = "STEADFAST_TEST_WORKER";

const ENTER: &str = "
local n = redis.call('INCR', 'inside')
if n > tonumber(redis.call('GET', 'most') or '0') then redis.call('SET', 'most', n) end
if tonumber(ARGV[1]) <= tonumber(redis.call('GET', 'fence') or '0') then redis.call('INCR', 'stale') end
redis.call('SET', 'fence', ARGV[1])
redis.call('INCR', 'entries')
return n";

fn worker(orders: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "policy::bulkhead::shared::redis_tests::the_work_of_one_process",
        ])
        .env(ORDERS, orders)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn url(server: &RedisServer) -> String {
    server.url()
}

async fn connect(url: &str) -> RedisStore {
    // No answer is late for a busy machine's sake.
    RedisStore::builder(url)
        .deadline(5 * SECOND)
        .connect()
        .await
        .unwrap()
}

fn bulkhead(limit: u32, lease: Duration) -> Bulkhead {
    let builder = Bulkhead::builder("fleet")
        .shared(true)
        .max_concurrent(limit)
        .lease(lease);
    let builder = builder.on_store_error(OnStoreError::Deny).max_wait(LONG);
    builder.build().unwrap()
}

/// Not a test by itself, but what the processes of the others do.
#[test]
fn the_work_of_one_process() {
    let Ok(orders) = std::env::var(ORDERS) else {
        return;
    };
    let words: Vec<_> = orders.split(' ').collect();
    let [url, port, limit, seconds] = words[..] else {
        panic!("{orders}")
    };
    let (limit, end) = (
        limit.parse().unwrap(),
        Instant::now() + SECOND * seconds.parse().unwrap(),
    );
    let isolated = isolated();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let store = runtime.block_on(connect(url));
    isolated.registry().set_store(store).unwrap();
    let bulkhead = bulkhead(limit, 2 * SECOND);
    let port: u16 = port.parse().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let bulkhead = &bulkhead;
            scope.spawn(move || {
                let mut client = Client::connect(port).unwrap();
                let mut random = fastrand::Rng::with_seed(thread);
                while Instant::now() < end {
                    let Ok(permit) = bulkhead.acquire_blocking() else {
                        continue;
                    };
                    let fence = permit.fence().unwrap().to_string();
                    client
                        .command(&["EVAL", ENTER, "0", &fence])
                        .unwrap()
                        .expect_ok("enter");
                    // The work: what it takes is not what is tested.
                    std::thread::sleep(Duration::from_millis(random.u64(0..4)));
                    client.command(&["DECR", "inside"]).unwrap();
                    drop(permit);
                }
            });
        }
    });
}

fn run_fleet(limit: u32) -> (i64, i64, i64) {
    let server = RedisServer::start();
    let orders = format!("{} {} {limit} 3", url(&server), server.port());
    let workers: Vec<_> = (0..3).map(|_| worker(&orders)).collect();
    for mut worker in workers {
        assert!(worker.wait().unwrap().success());
    }
    let number = |key: &str| match server.command(&["GET", key]) {
        steadfast_servers::Reply::Nil => 0,
        number => number.integer(),
    };
    assert_eq!(number("inside"), 0);
    wait_until("every place is given back", LONG, || {
        server
            .command(&["ZCARD", "steadfast:bulkhead:{fleet}:holders"])
            .integer()
            == 0
    });
    (number("most"), number("entries"), number("stale"))
}

#[test]
fn several_processes_never_exceed_the_limit() {
    let (most, entries, _) = run_fleet(4);
    assert_eq!(most, 4);
    assert!(entries > 20, "{entries}");
}

#[test]
fn of_several_processes_one_at_a_time_has_the_highest_number() {
    let (most, entries, stale) = run_fleet(1);
    assert_eq!((most, stale), (1, 0));
    assert!(entries > 20, "{entries}");
}

#[tokio::test]
async fn a_killed_process_gives_its_places_back_after_the_lease() {
    let server = RedisServer::start();
    let isolated = isolated();
    isolated
        .registry()
        .set_store(connect(&url(&server)).await)
        .unwrap();
    let mut other = worker(&format!("{} {} 6 3600", url(&server), server.port()));
    wait_until("the worker holds places", LONG, || {
        server
            .command(&["ZCARD", "steadfast:bulkhead:{fleet}:holders"])
            .integer()
            > 0
    });
    other.kill().unwrap();
    other.wait().unwrap();
    let bulkhead = bulkhead(6, 2 * SECOND);
    let start = Instant::now();
    let mut all: Vec<BulkheadPermit> = Vec::new();
    for _ in 0..6 {
        all.push(bulkhead.acquire().await.unwrap());
    }
    // A lease, and how long it may take to be noticed.
    assert!(start.elapsed() < 2 * SECOND + 10 * SECOND);
}

#[tokio::test]
async fn a_flushed_server_tells_of_the_lost_and_goes_on_with_higher_numbers() {
    let server = RedisServer::start();
    let isolated = isolated();
    isolated
        .registry()
        .set_store(connect(&url(&server)).await)
        .unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let _subscription = isolated.registry().subscribe(move |event| {
        if let Event::LeaseLost(lost) = event {
            let _ = tell.send(lost.fence);
        }
    });
    let bulkhead = bulkhead(1, SECOND);
    let held = bulkhead.acquire().await.unwrap();
    server.command(&["FLUSHALL"]);
    assert_eq!(told.recv_timeout(LONG).ok(), held.fence());
    let next = bulkhead.acquire().await.unwrap();
    assert!(next.fence() > held.fence());
    drop(held);
    drop(next);
    drop(bulkhead.acquire().await.unwrap());
    assert!(told.try_recv().is_err(), "once");
}

#[tokio::test]
async fn a_server_that_dies_and_comes_back() {
    let server = RedisServer::start();
    let isolated = isolated();
    isolated
        .registry()
        .set_store(connect(&url(&server)).await)
        .unwrap();
    let builder = Bulkhead::builder("fleet")
        .shared(true)
        .max_concurrent(4)
        .instances(2);
    let bulkhead = builder.build().unwrap();
    let shared = bulkhead.acquire().await.unwrap();
    server.kill();
    // The first call may have to find out.
    let alone = bulkhead.acquire().await.unwrap();
    assert_eq!((shared.fence().is_some(), alone.fence()), (true, None));
    assert!(matches!(
        bulkhead.acquire().await,
        Err(Rejection::BulkheadFull(_))
    ));
    server.restart();
    wait_until("the store is back", LONG, || {
        isolated
            .registry()
            .store_health()
            .is_some_and(|health| health.status == crate::StoreStatus::Up)
    });
    let back = bulkhead.acquire().await.unwrap();
    assert!(back.fence().is_some());
}

#[tokio::test]
async fn a_full_server_takes_places_back() {
    let server = RedisServer::start();
    let isolated = isolated();
    isolated
        .registry()
        .set_store(connect(&url(&server)).await)
        .unwrap();
    let builder = Bulkhead::builder("fleet").shared(true).max_concurrent(4);
    let bulkhead = builder.on_store_error(OnStoreError::Deny).build().unwrap();
    let held = bulkhead.acquire().await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    match bulkhead.acquire().await {
        Err(Rejection::StoreUnavailable(unavailable)) => {
            assert_eq!(*unavailable.cause, StoreError::Full)
        }
        other => panic!("{other:?}"),
    }
    drop(held);
    wait_until("the place is given back", LONG, || {
        server
            .command(&["ZCARD", "steadfast:bulkhead:{fleet}:holders"])
            .integer()
            == 0
    });
}
