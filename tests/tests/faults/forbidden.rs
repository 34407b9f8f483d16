//! What a server does not let us do, and keys that hold something else.

use std::{
    thread,
    time::{Duration, Instant},
};

use steadfast::{
    Bulkhead, OnStoreError, RedisStore, RedisStoreBuilder, Rejection, StoreError, StoreStatus,
};
use steadfast_servers::{FaultProxy, RedisServer, wait_until};

use crate::{
    ENDS, SOON,
    instance::{Instance, limiter, patient},
    load::in_turn,
};

const SECRET: &str = "hunter2-s3cret";

fn bulkhead(name: &'static str, on_store_error: OnStoreError) -> Bulkhead {
    Bulkhead::builder(name)
        .max_concurrent(8)
        .shared(true)
        .instances(4)
        .on_store_error(on_store_error)
        .build()
        .expect("good settings")
}

/// The error in all the words it has.
fn words(error: &StoreError) -> String {
    format!("{error} {error:?}")
}

fn assert_no_secret(text: &str) {
    assert!(!text.contains(SECRET), "{text}");
    assert!(!text.contains("limited-user"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_the_wrong_type() {
    let redis = RedisServer::start();
    let store = patient(&redis.url()).await;
    let (instance, (deny, local, well, places, kept)) = Instance::with(store, || {
        (
            limiter("deny", OnStoreError::Deny),
            limiter("local", OnStoreError::Local),
            limiter("well", OnStoreError::Deny),
            bulkhead("places", OnStoreError::Deny),
            bulkhead("kept", OnStoreError::Local),
        )
    });
    for limiter in [&deny, &local] {
        limiter.acquire(1).await.expect("a permit");
    }
    drop(places.acquire().await.expect("a place"));
    let keys = redis.command(&["KEYS", "*"]);
    let keys: Vec<_> = keys.items().iter().map(|key| key.text()).collect();
    // And those of bulkheads that nobody holds a place of.
    let holders = ["places", "kept"].map(|name| format!("steadfast:bulkhead:{{{name}}}:holders"));
    let spoilt: Vec<_> = keys
        .iter()
        .chain(&holders)
        .filter(|key| !key.contains("instances"))
        .collect();
    for key in &spoilt {
        redis.command(&["DEL", key]);
        redis.command(&["SADD", key, "ours"]).expect_ok("SADD");
    }

    let tally = in_turn(20, || deny.acquire(1)).await;
    assert_eq!(
        (tally.away, &tally.causes[..]),
        (20, &[StoreError::WrongType][..])
    );
    let tally = in_turn(20, || local.acquire(1)).await;
    assert_eq!(tally.granted, 2, "its share: {tally:?}");
    match places.acquire().await {
        Err(Rejection::StoreUnavailable(away)) => assert_eq!(*away.cause, StoreError::WrongType),
        other => panic!("{other:?}"),
    }
    let mut held = Vec::new();
    while let Ok(permit) = kept.acquire().await {
        held.push(permit);
        assert!(held.len() <= 2, "more than its share");
    }
    assert_eq!(held.len(), 2, "its share");
    assert_eq!(in_turn(10, || well.acquire(1)).await.granted, 8);

    // Nothing was charged, and nobody else's key was touched.
    for key in &spoilt {
        assert_eq!(redis.command(&["SMEMBERS", key]).items().len(), 1, "{key}");
    }
    assert!(instance.is_up());
    assert_eq!(instance.health().connections, 1);
    assert_eq!(instance.outages(), (0, 0));
    drop(held);

    for key in &spoilt {
        redis.command(&["DEL", key]);
    }
    assert_eq!(in_turn(10, || deny.acquire(1)).await.granted, 8);
}

/// The rules of a user, and what the error must say.
const LACKING: [(&str, &str); 4] = [
    ("~other:* +@all", "prefix"),
    ("~steadfast:* +@all -evalsha -eval", "eval"),
    ("~steadfast:* +@all -@write", "command"),
    ("~steadfast:* +@all -time", "command"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permission_that_is_missing() {
    // Side by side: each takes its time.
    for case in LACKING.map(|(rules, told)| tokio::spawn(lacks(rules, told))) {
        case.await.expect("no panic");
    }
}

async fn lacks(rules: &str, told: &str) {
    let redis = RedisServer::builder()
        .user("limited-user", SECRET, rules)
        .start();
    let proxy = FaultProxy::to(redis.port());
    let url = format!("redis://limited-user:{SECRET}@127.0.0.1:{}/", proxy.port());
    let store = RedisStore::builder(&url).deadline(Duration::from_secs(2));
    let store = store.lazy().expect("a good url");
    let (instance, (deny, places)) = Instance::with(store, || {
        (
            limiter("deny", OnStoreError::Deny),
            bulkhead("places", OnStoreError::Deny),
        )
    });
    wait_until("it has been tried", SOON, || {
        instance.health().status != StoreStatus::Connecting
    });
    let begun = Instant::now();
    let mut calls = 0;
    // A storm would take a moment to gather.
    while begun.elapsed() < Duration::from_millis(1_500) {
        let tally = in_turn(1, || deny.acquire(1)).await;
        assert_eq!(tally.away, 1, "{rules}: {tally:?}");
        assert!(tally.longest < ENDS, "{tally:?}");
        let last = tally.causes.last().expect("a cause");
        let Err(Rejection::StoreUnavailable(away)) = places.acquire().await else {
            panic!("{rules}");
        };
        for cause in [last, &*away.cause] {
            assert_no_secret(&words(cause));
            assert!(
                matches!(cause, StoreError::Forbidden { .. }),
                "{rules}: {cause:?}"
            );
            assert!(words(cause).contains(told), "{rules}: {cause:?}");
        }
        calls += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(calls > 20, "{calls}");
    assert_eq!(redis.command(&["DBSIZE"]).integer(), 0, "{rules}");
    assert_no_secret(&instance.all_told());
    let tried = proxy.connections();
    assert!(tried <= 4, "{rules}: {tried} connections");
    eprintln!(
        "forbidden, {rules}: {calls} calls, {tried} connections, {:?}",
        instance.health().status
    );
}

/// Over some seconds, lazily: what it says, how often it tries.
async fn stays_away(store: RedisStoreBuilder, proxy: &FaultProxy, is: fn(&StoreError) -> bool) {
    let (instance, deny) = Instance::with(store.lazy().expect("a good url"), || {
        limiter("deny", OnStoreError::Deny)
    });
    instance.wait_until_down();
    let before = proxy.connections();
    let begun = Instant::now();
    // A storm would take a moment to gather.
    while begun.elapsed() < Duration::from_secs(2) {
        let tally = in_turn(5, || deny.acquire(1)).await;
        assert_eq!(tally.away, 5, "{tally:?}");
        assert!(tally.causes.iter().all(is), "{tally:?}");
        tally
            .causes
            .iter()
            .for_each(|cause| assert_no_secret(&words(cause)));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let tried = proxy.connections() - before;
    assert!(tried <= 4, "{tried} connections in 2 s");
    assert_eq!(instance.outages(), (1, 0), "{}", instance.all_told());
    assert!(instance.causes().iter().all(is), "{:?}", instance.causes());
    assert_no_secret(&instance.all_told());
    assert_no_secret(&format!("{:?}", instance.health()));
    eprintln!(
        "refused: {:?}, {tried} connections in 2 s",
        instance.causes()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password() {
    let redis = RedisServer::builder().password("another").start();
    let proxy = FaultProxy::to(redis.port());
    let url = format!("redis://limited-user:{SECRET}@127.0.0.1:{}/", proxy.port());
    let is_login = |error: &StoreError| matches!(error, StoreError::Login { .. });

    let error = RedisStore::connect(&url)
        .await
        .expect_err("a wrong password");
    assert!(is_login(&error), "{error:?}");
    assert_no_secret(&words(&error));
    let none = RedisStore::connect(&proxy.url())
        .await
        .expect_err("no password");
    assert!(is_login(&none), "{none:?}");
    assert_no_secret(&format!("{:?}", RedisStore::builder(&url)));
    // One each: nobody tries a wrong password again by himself.
    assert_eq!(proxy.connections(), 2);

    stays_away(RedisStore::builder(&url), &proxy, is_login).await;
    assert_eq!(redis.command(&["DBSIZE"]).integer(), 0);
}

/// The right password, once somebody has set it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_is_changed_on_the_way() {
    let redis = RedisServer::builder()
        .user("limited-user", SECRET, "~* +@all")
        .start();
    let url = redis.url_as("limited-user", SECRET);
    let store = patient(&url).await;
    let (instance, deny) = Instance::with(store, || limiter("deny", OnStoreError::Deny));
    deny.acquire(1).await.expect("a permit");
    redis.command(&["ACL", "SETUSER", "limited-user", "resetpass", ">new"]);
    redis.command(&["CLIENT", "KILL", "USER", "limited-user"]);
    instance.wait_until_down();
    let is_login = |error: &StoreError| matches!(error, StoreError::Login { .. });
    let start = Instant::now();
    while !instance.cause().as_ref().is_some_and(is_login) {
        let tally = in_turn(1, || deny.acquire(1)).await;
        assert_eq!(tally.away, 1, "{tally:?}");
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{:?}",
            instance.cause()
        );
        thread::sleep(Duration::from_millis(2));
    }
    let set = format!(">{SECRET}");
    redis.command(&["ACL", "SETUSER", "limited-user", "resetpass", &set]);
    instance.wait_until_up();
    deny.acquire(1).await.expect("a permit");
    assert_eq!(instance.outages(), (1, 1));
    assert_no_secret(&instance.all_told());
}

/// To this port, over TLS.
fn encrypted(port: u16) -> RedisStoreBuilder {
    RedisStore::builder(&format!("rediss://limited-user:{SECRET}@127.0.0.1:{port}/"))
}

fn is_tls(error: &StoreError) -> bool {
    matches!(error, StoreError::Tls { .. })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_an_unknown_authority() {
    let redis = RedisServer::builder()
        .tls()
        .user("limited-user", SECRET, "~* +@all")
        .start();
    let proxy = FaultProxy::to(redis.port());
    let [right, wrong] = [redis.certificates().ca(), redis.certificates().wrong_ca()];

    let store = encrypted(proxy.port()).ca_certificate(right);
    let store = store.deadline(Duration::from_secs(2)).connect().await;
    let (_, deny) = Instance::with(store.expect("a store"), || {
        limiter("deny", OnStoreError::Deny)
    });
    assert_eq!(in_turn(9, || deny.acquire(1)).await.granted, 8);

    let strange = encrypted(proxy.port())
        .ca_certificate(wrong)
        .connect()
        .await;
    let error = strange.expect_err("a stranger");
    assert!(
        is_tls(&error) && words(&error).contains("authority"),
        "{error:?}"
    );
    assert_no_secret(&words(&error));
    // Those of the system do not vouch for it either.
    let error = encrypted(proxy.port())
        .connect()
        .await
        .expect_err("a stranger");
    assert!(is_tls(&error), "{error:?}");
    stays_away(
        encrypted(proxy.port()).ca_certificate(wrong),
        &proxy,
        is_tls,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_name() {
    let redis = RedisServer::builder()
        .tls_for(&["elsewhere.example"])
        .user("limited-user", SECRET, "~* +@all")
        .start();
    let proxy = FaultProxy::to(redis.port());
    let store = || encrypted(proxy.port()).ca_certificate(redis.certificates().ca());
    let error = store().connect().await.expect_err("another name");
    assert!(
        is_tls(&error) && words(&error).contains("name"),
        "{error:?}"
    );
    assert_no_secret(&words(&error));
    stays_away(store(), &proxy, is_tls).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_side_that_speaks_tls() {
    let plain = RedisServer::start();
    let error = encrypted(plain.port())
        .connect()
        .await
        .expect_err("no TLS there");
    // The server waits for more, and might do so since it is slow.
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    assert!(words(&error).contains("TLS"), "{error:?}");
    assert_no_secret(&words(&error));

    let secure = RedisServer::builder().tls().start();
    let url = format!("redis://limited-user:{SECRET}@127.0.0.1:{}/", secure.port());
    let error = RedisStore::connect(&url).await.expect_err("TLS there");
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    assert_no_secret(&words(&error));
}
