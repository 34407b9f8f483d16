//! Sentinel, Cluster, TLS.

use super::*;

/// The store's deadline, where a test means no call to miss it on a busy machine.
const PATIENT: Duration = Duration::from_secs(20);

async fn patient(url: &str) -> RedisStore {
    let builder = RedisStore::builder(url).deadline(PATIENT);
    builder.connect().await.unwrap()
}

async fn until_added(store: &RedisStore, key: &str) -> i64 {
    let start = Instant::now();
    loop {
        if let Ok(reply) = add(store, key, 1).await {
            return reply.int(0).unwrap();
        }
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{:?}",
            store.health()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_master_is_found_by_its_sentinels_also_after_a_failover() {
    let sentinels = Sentinels::start();
    let store = patient(&sentinels.url()).await;
    assert_eq!(sum(add(&store, "{k}", 1).await), 1);
    let old = sentinels.kill_master();
    let new = sentinels.wait_for_failover_from(old);
    let last = until_added(&store, "{k}").await;
    assert_eq!(number(new, "steadfast:{k}"), last);
    assert_eq!(store.health().outages, 1);
}

#[tokio::test]
async fn a_master_that_lives_on_as_replica_is_left() {
    let sentinels = Sentinels::start();
    let store = patient(&sentinels.url()).await;
    assert_eq!(sum(add(&store, "{k}", 1).await), 1);
    let new = sentinels.fail_over();
    // Until its sentinels have told it, the old one takes writes.
    loop {
        let last = until_added(&store, "{k}").await;
        if number(new, "steadfast:{k}") == last {
            break;
        }
    }
    assert_eq!((store.health().outages, store.health().connections), (1, 2));
}

#[tokio::test]
async fn sentinels_that_know_no_such_master() {
    let sentinels = Sentinels::start();
    let url = sentinels.url().replace("/main", "/tenant");
    let error = RedisStore::connect(&url).await.unwrap_err();
    assert!(
        error.to_string().contains("no master of that name"),
        "{error}"
    );
}

#[tokio::test]
async fn every_key_of_a_cluster_goes_to_its_server() {
    let cluster = Cluster::builder().without_replicas().start();
    let store = patient(&cluster.url()).await;
    for _ in 0..2 {
        let answers: Vec<_> = (0..300)
            .map(|key| add(&store, &format!("{{{key}}}"), 1))
            .collect();
        for answer in answers {
            answer.await.unwrap();
        }
    }
    store.ping().await.unwrap();
    let keys: i64 = cluster
        .nodes()
        .map(|node| node.command(&["DBSIZE"]).integer())
        .sum();
    assert_eq!(keys, 300);
    assert_eq!((store.health().errors, store.health().outages), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resharding_goes_unnoticed() {
    let cluster = Cluster::builder().without_replicas().start();
    let store = patient(&cluster.url()).await;
    let slot = cluster.slot_of("steadfast:{k}");
    let (from, stop) = (
        cluster.master_of("steadfast:{k}"),
        Arc::new(AtomicU32::new(0)),
    );
    let to = (from + 1) % 3;
    let callers = (0..4).map(|_| {
        let (store, stop) = (store.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut added = 0;
            while stop.load(Relaxed) == 0 {
                add(&store, "{k}", 1).await.unwrap();
                added += 1;
            }
            added
        })
    });
    let callers: Vec<_> = callers.collect();
    for (from, to) in [(from, to), (to, from), (from, to)] {
        let commands = store.health().commands;
        let migration = cluster.migrate(slot, from, to);
        eventually("calls while it begins", || {
            store.health().commands > commands + 50
        });
        migration.move_keys();
        eventually("calls half-way", || {
            store.health().commands > commands + 100
        });
        migration.finish();
        eventually("calls after it", || {
            store.health().commands > commands + 150
        });
    }
    stop.store(1, Relaxed);
    let mut total = 0;
    for caller in callers {
        total += caller.await.unwrap();
    }
    assert_eq!(number(cluster.node(to), "steadfast:{k}"), total);
    let health = store.health();
    assert_eq!((health.errors, health.timeouts, health.outages), (0, 0, 0));
    assert_eq!(health.commands, total as u64);
}

#[tokio::test]
async fn keys_that_move_one_after_the_other_are_waited_for() {
    static BOTH: Script = Script {
        name: "both",
        lua: "return {redis.call('INCR', KEYS[1]), redis.call('INCR', KEYS[2])}",
        twin: |_, _| Ok(Vec::new()),
    };
    let cluster = Cluster::builder().without_replicas().start();
    let store = patient(&cluster.url()).await;
    let both = || {
        let keys = vec![b"{k}1".to_vec(), b"{k}2".to_vec()];
        ask(&store, |done| Job::new(&BOTH, keys, Vec::new(), done))
    };
    assert_eq!(sum(both().await), 1);
    let (slot, from) = (cluster.slot_of("{k}"), cluster.master_of("{k}"));
    let to = (from + 1) % 3;
    let migration = cluster.migrate(slot, from, to);
    let port = cluster.node(to).port().to_string();
    let one = ["MIGRATE", "127.0.0.1", &port, "steadfast:{k}1", "0", "5000"];
    cluster.node(from).command(&one).expect_ok("MIGRATE");
    let waits = both();
    // One of the keys is here and one there: nobody can run it now.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(store.health().in_flight, 1);
    migration.finish();
    assert_eq!(sum(waits.await), 2);
    assert_eq!((store.health().commands, store.health().errors), (2, 0));
}

#[tokio::test]
async fn a_dead_shard_is_refused_at_once_and_alone() {
    let cluster = Cluster::builder().without_replicas().start();
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    let keys: Vec<String> = (0..60).map(|key| format!("{{{key}}}")).collect();
    let dead = cluster.kill_master_of("steadfast:{0}");
    let is_dead = |key: &str| cluster.owner_of_slot(cluster.slot_of(key)) != Some(dead);
    assert!(is_dead("steadfast:{0}"));
    eventually("the loss is known", || {
        let outcome = crate::waiter::wait_blocking(ask(&store, |done| {
            Job::new(&ADD, vec![b"{0}".to_vec()], vec![1_i64.into()], done)
        }));
        matches!(outcome, Err(StoreError::Unreachable { .. }))
    });
    assert!(store.is_up());
    let (mut lost, start) = (0, Instant::now());
    for _ in 0..20 {
        for key in &keys {
            lost += u32::from(add(&store, key, 1).await.is_err());
        }
    }
    // About a third of the keys; had each lost call taken its deadline, it were 20 s.
    assert!((20 * 5..20 * 40).contains(&lost), "{lost}");
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(store.health().outages, 0);
    cluster.node(dead).restart();
}

#[tokio::test]
async fn a_failover_in_a_cluster_concerns_its_shard() {
    let cluster = Cluster::start();
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    assert_eq!(sum(add(&store, "{k}", 1).await), 1);
    let old = cluster.kill_master_of("steadfast:{k}");
    cluster.wait_for_failover_from(old, "steadfast:{k}");
    until_added(&store, "{k}").await;
    assert_eq!(store.health().outages, 0);
}

#[tokio::test]
async fn a_failover_by_hand_in_a_cluster() {
    let cluster = Cluster::start();
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    assert_eq!(sum(add(&store, "{k}", 1).await), 1);
    let new = cluster.fail_over("steadfast:{k}");
    let mut last = 0;
    for _ in 0..20 {
        last = until_added(&store, "{k}").await;
    }
    assert_eq!(number(cluster.node(new), "steadfast:{k}"), last);
    assert_eq!(store.health().outages, 0);
}

#[tokio::test]
async fn a_cluster_that_is_wholly_away_and_comes_back() {
    let cluster = Cluster::builder().without_replicas().start();
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    add(&store, "{k}", 1).await.unwrap();
    for node in cluster.nodes() {
        node.kill();
    }
    eventually("down", || !store.is_up());
    assert!(add(&store, "{k}", 1).await.is_err());
    for node in cluster.nodes() {
        node.restart();
    }
    until_added(&store, "{k}").await;
    assert_eq!(store.health().outages, 1);
}

#[tokio::test]
async fn a_url_of_the_wrong_kind_says_which_is_right() {
    let (single, cluster) = (
        RedisServer::start(),
        Cluster::builder().without_replicas().start(),
    );
    let url = single.url().replace("redis://", "redis+cluster://");
    let error = RedisStore::connect(&url).await.unwrap_err();
    assert!(error.to_string().contains("`redis://`"), "{error}");
    // The keys of the probe are one server's; at the others it is known at once, at that one later.
    for node in cluster.nodes() {
        let store = RedisStore::connect(&node.url()).await;
        let error = match store {
            Err(error) => error,
            Ok(store) => {
                let mut errors = Vec::new();
                for key in 0..20 {
                    errors.extend(add(&store, &format!("{{{key}}}"), 1).await.err());
                }
                errors.pop().unwrap()
            }
        };
        assert!(error.to_string().contains("`redis+cluster://`"), "{error}");
    }
}

#[cfg(feature = "redis-tls")]
mod tls {
    use super::*;

    async fn refused(builder: crate::RedisStoreBuilder) -> String {
        let error = builder.connect().await.unwrap_err();
        assert!(matches!(error, StoreError::Tls { .. }), "{error}");
        error.to_string()
    }

    #[tokio::test]
    async fn an_encrypted_connection() {
        let server = RedisServer::builder().tls().start();
        let ca = server.certificates().ca();
        let store = RedisStore::builder(&server.url())
            .deadline(PATIENT)
            .ca_certificate(ca)
            .connect()
            .await
            .unwrap();
        for nth in 1..=200 {
            assert_eq!(sum(add(&store, "{k}", 1).await), nth);
        }
        let bytes = vec![7; 3_000_000];
        let args = vec![Arg::Int(1), Arg::Bytes(bytes.clone())];
        let echo = ask(&store, |done| Job::new(&ECHO, Vec::new(), args, done));
        assert_eq!(echo.await.unwrap().0[1], Value::Bytes(bytes));
    }

    #[tokio::test]
    async fn servers_that_are_not_trusted() {
        let server = RedisServer::builder().tls().start();
        let stranger = server.certificates().wrong_ca();
        let url = server.url();
        let told = refused(RedisStore::builder(&url).ca_certificate(stranger)).await;
        assert!(told.contains("unknown authority"), "{told}");
        // The system's authorities know nothing of a test's.
        let told = refused(RedisStore::builder(&url)).await;
        assert!(told.contains("unknown authority"), "{told}");

        let other = RedisServer::builder().tls_for(&["other.example"]).start();
        let ca = other.certificates().ca();
        let told = refused(RedisStore::builder(&other.url()).ca_certificate(ca)).await;
        assert!(told.contains("another name"), "{told}");
    }

    #[tokio::test]
    async fn plain_and_encrypted_do_not_mix() {
        let plain = RedisServer::start();
        let url = plain.url().replace("redis://", "rediss://");
        let error = RedisStore::connect(&url).await.unwrap_err();
        assert!(error.to_string().contains("`redis://`"), "{error}");

        let secure = RedisServer::builder().tls().start();
        let url = secure.url().replace("rediss://", "redis://");
        let error = RedisStore::connect(&url).await.unwrap_err();
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    }

    #[tokio::test]
    async fn certificates_of_clients() {
        let server = RedisServer::builder()
            .tls()
            .config("tls-auth-clients yes")
            .start();
        let (url, certificates) = (server.url(), server.certificates());
        let told = refused(RedisStore::builder(&url).ca_certificate(certificates.ca())).await;
        assert!(told.contains("`client_certificate`"), "{told}");
    }

    #[test]
    fn texts_that_are_no_certificates() {
        let secure = || RedisStore::builder("rediss://127.0.0.1:1/");
        let plain = RedisStore::builder("redis://127.0.0.1:1/");
        for builder in [
            secure().ca_certificate(""),
            secure().ca_certificate("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"),
            secure().client_certificate("x", "y"),
            plain.ca_certificate("x"),
        ] {
            let error = builder.lazy().unwrap_err();
            assert!(matches!(error, StoreError::BadSetting { .. }), "{error}");
        }
    }
}
