//! What a store survives.

use super::*;

/// How long a call may take, whatever happens: its deadline of 50 ms, and much for a machine that runs
/// other tests meanwhile. A call that waited for a reconnect would take longer.
const ENDS: Duration = Duration::from_millis(1_500);

/// Calls one after the other, from several tasks, until told to stop; says how each ended.
struct Load {
    stop: Arc<std::sync::atomic::AtomicBool>,
    callers: Vec<tokio::task::JoinHandle<(i64, Duration)>>,
}

impl Load {
    fn begin(store: &RedisStore, callers: usize) -> Self {
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let callers = (0..callers).map(|_| {
            let (store, stop) = (store.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let (mut added, mut longest) = (0, Duration::ZERO);
                while !stop.load(Relaxed) {
                    let start = Instant::now();
                    let outcome = add(&store, "{load}", 1).await;
                    longest = longest.max(start.elapsed());
                    if outcome.is_ok() {
                        added += 1;
                    } else {
                        // A caller that is refused at once does not ask again at once.
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
                (added, longest)
            })
        });
        let callers = callers.collect();
        Self { stop, callers }
    }

    /// How many were added, and how long the longest call took.
    async fn end(self) -> (i64, Duration) {
        self.stop.store(true, Relaxed);
        let (mut added, mut longest) = (0, Duration::ZERO);
        for caller in self.callers {
            let (a, l) = caller.await.unwrap();
            (added, longest) = (added + a, longest.max(l));
        }
        (added, longest)
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "not within 10 s: {what}"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_are_flushed_all_the_time() {
    let server = RedisServer::start();
    let store = RedisStore::builder(&server.url())
        .deadline(Duration::from_secs(20))
        .connect()
        .await
        .unwrap();
    let callers = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..500 {
                sum(add(&store, "{k}", 1).await);
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    let (mut flushes, mut client) = (0, server.client().unwrap());
    while callers.iter().any(|caller| !caller.is_finished()) {
        client.command(&["SCRIPT", "FLUSH"]).unwrap();
        flushes += 1;
        tokio::task::yield_now().await;
    }
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(flushes > 20, "{flushes}");
    assert_eq!(number(&server, "steadfast:{k}"), 8 * 500);
    assert_eq!(
        (store.health().commands, store.health().errors),
        (8 * 500, 0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_comes_back() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let witness = Witness::of(&store);
    let load = Load::begin(&store, 16);
    until("some calls", || store.health().commands > 500).await;
    server.kill();
    until("down", || !store.is_up()).await;
    // Refused at once, again and again.
    let refused = store.health().refused;
    until("many refusals", || store.health().refused > refused + 100).await;
    assert_eq!(store.health().connections, 1);

    server.restart();
    let port_is_open = Instant::now();
    until("up", || store.is_up()).await;
    let away = port_is_open.elapsed();
    assert!(away < Duration::from_secs(1), "{away:?}");
    let commands = store.health().commands;
    until("calls again", || store.health().commands > commands + 100).await;
    let (_, longest) = load.end().await;
    assert!(longest < ENDS, "{longest:?}");

    let health = store.health();
    assert_eq!(
        (health.connections, health.outages, health.in_flight),
        (2, 1, 0)
    );
    let told = witness.told();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("down: "), "{told:?}");
    assert_eq!(told[1], "up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_freezes_for_three_seconds() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let load = Load::begin(&store, 16);
    until("some calls", || store.health().commands > 500).await;
    server.stop_process();
    let frozen = Instant::now();
    until("down", || !store.is_up()).await;
    let health = store.health();
    assert!(health.timeouts >= 3, "{health:?}");
    assert!(matches!(
        health.status,
        StoreStatus::Down {
            cause: StoreError::TimedOut { .. },
            ..
        }
    ));
    // From now on nobody waits.
    let commands = health.commands;
    let before = Instant::now();
    for _ in 0..1_000 {
        add(&store, "{load}", 1).await.unwrap_err();
    }
    // A thousand deadlines would be 50 s.
    assert!(
        before.elapsed() < Duration::from_secs(2),
        "{:?}",
        before.elapsed()
    );
    tokio::time::sleep(Duration::from_secs(3).saturating_sub(frozen.elapsed())).await;
    // What was sent, was sent before it was known.
    assert_eq!(store.health().commands, commands);
    server.continue_process();
    let thawed = Instant::now();
    until("up", || store.is_up()).await;
    assert!(
        thawed.elapsed() < Duration::from_secs(1),
        "{:?}",
        thawed.elapsed()
    );
    until("calls again", || store.health().commands > commands + 100).await;
    let (added, longest) = load.end().await;
    assert!(longest < ENDS, "{longest:?}");
    assert_eq!((store.health().outages, store.health().in_flight), (1, 0));
    // Whoever timed out may have been counted, and nobody twice.
    let (sent, stored) = (
        store.health().commands as i64,
        number(&server, "steadfast:{load}"),
    );
    assert!(
        (added..=sent).contains(&stored),
        "{added} <= {stored} <= {sent}"
    );
}

#[tokio::test]
async fn a_frozen_server_that_nobody_calls() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    server.stop_process();
    until("down", || !store.is_up()).await;
    assert_eq!(store.health().commands, 0);
    server.continue_process();
    until("up", || store.is_up()).await;
    assert_eq!(sum(add(&store, "{k}", 1).await), 1);
}

#[tokio::test]
async fn a_distant_server_is_late_and_not_dead() {
    let server = RedisServer::start();
    let way = FaultProxy::to(server.port());
    way.delay(Duration::from_millis(40));
    let store = RedisStore::builder(&way.url())
        .deadline(Duration::from_millis(20))
        .connect()
        .await
        .unwrap();
    let load: Vec<_> = (0..20).map(|_| add(&store, "{k}", 1)).collect();
    for answer in load {
        assert!(matches!(answer.await, Err(StoreError::TimedOut { .. })));
    }
    for _ in 0..20 {
        assert!(matches!(
            add(&store, "{k}", 1).await,
            Err(StoreError::TimedOut { .. })
        ));
    }
    until("all done", || number(&server, "steadfast:{k}") == 40).await;
    let health = store.health();
    assert_eq!((health.connections, health.outages), (1, 0));
    assert_eq!(
        (health.commands, health.timeouts, health.errors),
        (40, 40, 0)
    );
}

#[tokio::test]
async fn a_caller_with_less_time_waits_less() {
    let server = RedisServer::start();
    let store = RedisStore::builder(&server.url())
        .deadline(Duration::from_secs(20))
        .connect()
        .await
        .unwrap();
    server.stop_process();
    let soon = Duration::from_millis(30);
    let patient = add(&store, "{k}", 1);
    let answer = ask(&store, |done| {
        Job::new(&ADD, vec![b"{k}".to_vec()], vec![1_i64.into()], done).within(soon)
    });
    let start = Instant::now();
    assert_eq!(answer.await, Err(StoreError::TimedOut { deadline: soon }));
    assert!(start.elapsed() < ENDS);
    server.continue_process();
    assert!(patient.await.is_ok());
}

#[tokio::test]
async fn too_many_calls_are_refused() {
    let server = RedisServer::start();
    let store = RedisStore::builder(&server.url())
        .deadline(Duration::from_secs(20))
        .connect()
        .await
        .unwrap();
    server.stop_process();
    let most = super::super::desk::MOST_IN_FLIGHT;
    let answers: Vec<_> = (0..most).map(|_| add(&store, "{k}", 1)).collect();
    let refused = add(&store, "{k}", 1).await;
    assert_eq!(refused, Err(StoreError::Overloaded { in_flight: most }));
    assert_eq!(store.health().in_flight, most as u64);
    server.continue_process();
    for answer in answers {
        answer.await.unwrap();
    }
    assert_eq!(store.health().in_flight, 0);
}

#[tokio::test]
async fn a_master_that_becomes_a_replica() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let witness = Witness::of(&store);
    assert_eq!(sum(add(&store, "{k}", 1).await), 1);
    server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let error = add(&store, "{k}", 1).await.unwrap_err();
    assert!(matches!(error, StoreError::NotReady { .. }), "{error}");
    assert!(!store.is_up());
    // Looked at again and again, and not taken for a master.
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(!store.is_up());
    assert_eq!((store.health().connections, store.health().outages), (1, 1));
    server.command(&["REPLICAOF", "NO", "ONE"]);
    until("up", || store.is_up()).await;
    assert_eq!(sum(add(&store, "{k}", 1).await), 2);
    assert_eq!(witness.told().len(), 2);
}

#[tokio::test]
async fn one_of_several_connections_that_breaks() {
    let server = RedisServer::start();
    let store = RedisStore::builder(&server.url())
        .connections(3)
        .connect()
        .await
        .unwrap();
    let witness = Witness::of(&store);
    until("three connections", || store.health().connections == 3).await;
    let list = server.command(&["CLIENT", "LIST"]).text();
    let first = list
        .lines()
        .find(|line| !line.contains("cmd=client"))
        .unwrap();
    let id = first.split(['=', ' ']).nth(1).unwrap();
    server.command(&["CLIENT", "KILL", "ID", id]);
    until("a fourth", || store.health().connections == 4).await;
    assert!(store.is_up());
    assert_eq!(store.health().outages, 0);
    assert_eq!(witness.told(), [""; 0]);
    for caller in 0..50 {
        assert_eq!(sum(add(&store, &format!("{{{caller}}}"), 1).await), 1);
    }
}

#[tokio::test]
async fn a_store_that_begins_before_its_server() {
    let server = RedisServer::start();
    server.kill();
    let store = RedisStore::lazy(&server.url()).unwrap();
    assert!(!store.is_up());
    until("down", || {
        matches!(store.health().status, StoreStatus::Down { .. })
    })
    .await;
    // Whoever comes later is told as well.
    let witness = Witness::of(&store);
    let error = add(&store, "{k}", 1).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    assert_eq!(witness.told().len(), 1);
    server.restart();
    let port_is_open = Instant::now();
    until("up", || store.is_up()).await;
    assert!(port_is_open.elapsed() < Duration::from_secs(1));
    assert_eq!(sum(add(&store, "{k}", 1).await), 1);
    assert_eq!(witness.told().len(), 2);
    let health = store.health();
    assert_eq!(
        (health.outages, health.connections, health.refused),
        (1, 1, 1)
    );
}

#[tokio::test]
async fn the_first_calls_of_a_lazy_store_wait_for_its_connection() {
    let server = RedisServer::start();
    let store = RedisStore::builder(&server.url())
        .deadline(Duration::from_secs(20))
        .lazy()
        .unwrap();
    assert_eq!(sum(add(&store, "{k}", 1).await), 1);
    assert_eq!((store.health().outages, store.health().refused), (0, 0));
}

#[tokio::test]
async fn scripts_are_there_after_a_restart() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    assert_eq!(sum(add(&store, "{k}", 1).await), 1);
    server.kill();
    server.restart();
    until("up", || store.health().connections == 2 && store.is_up()).await;
    let info = server.command(&["INFO", "memory"]).text();
    assert!(info.contains("number_of_cached_scripts:1"), "{info}");
    assert_eq!(sum(add(&store, "{k}", 1).await), 1);
}

#[tokio::test]
async fn a_refused_taker_may_ask_again() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    server.kill();
    until("down", || !store.is_up()).await;
    let (sender, mut receiver) = tokio::sync::oneshot::channel();
    let again = store.clone();
    let keys = || vec![b"{k}".to_vec()];
    store.run(Job::new(&ADD, keys(), vec![1_i64.into()], move |first| {
        let job = Job::new(&ADD, keys(), vec![1_i64.into()], move |second| {
            drop(sender.send((first, second)));
        });
        again.run(job);
    }));
    // Nobody had to be asked: it was known before `run` returned.
    let (first, second) = receiver.try_recv().unwrap();
    assert!(first.is_err() && second.is_err());
    assert_eq!(store.health().refused, 2);
}

#[tokio::test]
async fn what_comes_too_late_is_not_sent() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let answer = ask(&store, |done| {
        Job::new(&ADD, vec![b"{k}".to_vec()], vec![1_i64.into()], done).within(Duration::ZERO)
    });
    assert!(matches!(answer.await, Err(StoreError::TimedOut { .. })));
    assert_eq!(sum(add(&store, "{k}", 1).await), 1);
    assert_eq!((store.health().commands, store.health().timeouts), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_swallows_everything() {
    let server = RedisServer::start();
    let way = FaultProxy::to(server.port());
    let store = RedisStore::connect(&way.url()).await.unwrap();
    let load = Load::begin(&store, 8);
    until("some calls", || store.health().commands > 200).await;
    way.black_hole();
    until("down", || !store.is_up()).await;
    // Long enough for an attempt to be in the middle of it.
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    way.pass();
    let start = Instant::now();
    until("up", || store.is_up()).await;
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    let (_, longest) = load.end().await;
    assert!(longest < ENDS, "{longest:?}");
    assert_eq!((store.health().outages, store.health().connections), (1, 2));
}

#[tokio::test]
async fn a_master_without_the_replicas_that_it_needs() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let error = add(&store, "{k}", 1).await.unwrap_err();
    assert!(matches!(error, StoreError::NotReady { .. }), "{error}");
    assert!(!store.is_up());
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    until("up", || store.is_up()).await;
    assert_eq!(sum(add(&store, "{k}", 1).await), 1);
}

#[tokio::test]
async fn what_may_have_been_done_is_not_done_again() {
    let server = RedisServer::start();
    let way = FaultProxy::to(server.port());
    let store = RedisStore::builder(&way.url())
        .deadline(Duration::from_secs(20))
        .connect()
        .await
        .unwrap();
    assert_eq!(sum(add(&store, "{k}", 1).await), 1);
    way.lose_replies();
    let answers: Vec<_> = (0..20).map(|_| add(&store, "{k}", 1)).collect();
    until("all done", || number(&server, "steadfast:{k}") == 21).await;
    way.pass();
    way.cut();
    for answer in answers {
        let error = answer.await.unwrap_err();
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    }
    until("up", || store.health().connections == 2).await;
    assert_eq!(sum(add(&store, "{k}", 1).await), 22);
    assert_eq!((store.health().commands, store.health().errors), (22, 20));
}

#[tokio::test]
async fn a_call_that_waits_for_the_first_connection_waits_no_longer_than_others() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let store = RedisStore::lazy(&format!("redis://{}/", silent.local_addr().unwrap())).unwrap();
    // The attempt itself may take ten times as long.
    let error = add(&store, "{k}", 1).await.unwrap_err();
    assert!(matches!(error, StoreError::TimedOut { .. }), "{error}");
    let health = store.health();
    assert_eq!(
        (health.commands, health.timeouts, health.in_flight),
        (0, 1, 0)
    );
}
