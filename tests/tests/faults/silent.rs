//! Servers and connections that say nothing any more.

use std::{
    thread,
    time::{Duration, Instant},
};

use steadfast::{OnStoreError, RateLimiter, RedisStore};
use steadfast_servers::{FaultProxy, RedisServer, wait_until};

use crate::{
    ENDS, SOON,
    instance::{Instance, patient},
    killed::{ample, used},
    load::{Load, in_turn},
};

/// How long the silence lasts.
const SILENCE: Duration = Duration::from_secs(3);

struct Scene {
    redis: RedisServer,
    proxy: FaultProxy,
    instance: Instance,
    limiter: RateLimiter,
}

impl Scene {
    async fn new() -> Self {
        let redis = RedisServer::start();
        let proxy = FaultProxy::to(redis.port());
        let store = RedisStore::connect(&proxy.url()).await.expect("a store");
        let (instance, limiter) = Instance::with(store, || ample("calls", OnStoreError::Deny));
        Self {
            redis,
            proxy,
            instance,
            limiter,
        }
    }

    /// Under load: silence, and its end. So many connections may be open at a time.
    async fn survives(&self, begin: impl FnOnce(&Self), end: impl FnOnce(&Self), at_a_time: usize) {
        let limiter = self.limiter.clone();
        let load = Load::begin(8, move || {
            let limiter = limiter.clone();
            async move { limiter.acquire(1).await }
        });
        load.wait_for_granted(200);

        let began = Instant::now();
        begin(self);
        self.instance.wait_until_down();
        let noticed = began.elapsed();
        // By now nobody waits: if each of these did, it would take 10 s.
        let start = Instant::now();
        let tally = in_turn(200, || self.limiter.acquire(1)).await;
        assert_eq!(tally.away, 200, "{tally:?}");
        let at_once = start.elapsed();
        assert!(at_once < SILENCE - ENDS, "{at_once:?}");
        let mut most = 0;
        while began.elapsed() < SILENCE {
            most = most.max(self.proxy.open_connections());
            // Between looks at what others do; nothing is waited for but the end of the silence.
            thread::sleep(Duration::from_millis(1));
        }
        assert!(most <= at_a_time, "{most} connections at a time");
        // Each is given half a second, and a pause comes after it.
        let tried = self.proxy.connections();
        assert!(tried <= 10, "{tried} connections");
        assert!(self.instance.cause().is_some());

        end(self);
        let ended = Instant::now();
        self.instance.wait_until_up();
        let back = ended.elapsed();
        load.wait_for_granted(200);
        let tally = load.end().await;
        assert!(tally.longest < ENDS, "{tally:?}");
        assert_eq!(tally.refused, 0, "{tally:?}");
        // A fresh connection, and only one.
        let health = self.instance.health();
        assert_eq!(health.connections, 2, "{health:?}");
        assert_eq!(self.instance.outages(), (1, 1));
        // What timed out may have been done, and was never sent again.
        let used = used(&self.limiter).await;
        assert!(
            (tally.granted..=tally.calls()).contains(&used),
            "{used} used: {tally:?}"
        );
        // An attempt that began in the silence has half a second, and a pause of 0.4 s may come after it.
        assert!(back < Duration::from_secs(2), "{back:?}");
        eprintln!(
            "silent: noticed after {noticed:?}, 200 refusals in {at_once:?}, back after {back:?}, longest call {:?}, {} granted, {used} used, {} timeouts",
            tally.longest, tally.granted, health.timeouts
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still() {
    let begin = |scene: &Scene| scene.redis.stop_process();
    let end = |scene: &Scene| scene.redis.continue_process();
    // The proxy cannot tell who has gone: the server does not read its ends. There are as many as were
    // tried.
    Scene::new().await.survives(begin, end, usize::MAX).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_in_a_black_hole() {
    let begin = |scene: &Scene| scene.proxy.black_hole();
    let end = |scene: &Scene| scene.proxy.pass();
    // One reconnect at a time: the one that failed may not be gone yet when the next begins.
    Scene::new().await.survives(begin, end, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_done_and_never_answered() {
    let begin = |scene: &Scene| scene.proxy.lose_replies();
    let end = |scene: &Scene| scene.proxy.pass();
    // One reconnect at a time: the one that failed may not be gone yet when the next begins.
    Scene::new().await.survives(begin, end, 2).await;
}

/// What was done and not answered is not done again, also where there is all the time for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_reset_with_their_answers() {
    const CUTS: usize = 10;
    let redis = RedisServer::start();
    let proxy = FaultProxy::to(redis.port());
    let (instance, limiter) = Instance::with(patient(&proxy.url()).await, || {
        ample("calls", OnStoreError::Deny)
    });
    let calls = limiter.clone();
    let load = Load::begin(8, move || {
        let limiter = calls.clone();
        async move { limiter.acquire(1).await }
    });
    for _ in 0..CUTS {
        load.wait_for_granted(20);
        let before = proxy.bytes_to_server();
        proxy.lose_replies();
        let since = Instant::now();
        // Or all wait already for the answer to one that came before.
        wait_until("a question arrives", SOON, || {
            proxy.bytes_to_server() > before || since.elapsed() > Duration::from_millis(20)
        });
        // What is there stays silent.
        proxy.pass();
        proxy.cut();
        instance.wait_until_up();
    }
    load.wait_for_granted(20);
    let tally = load.end().await;
    let used = used(&limiter).await;
    assert!(tally.longest < ENDS, "{tally:?}");
    assert!(tally.away >= CUTS as u64, "{tally:?}");
    assert!(
        (tally.granted + 1..=tally.calls()).contains(&used),
        "{used} used: {tally:?}"
    );
    eprintln!(
        "reset: {} granted, {used} used, {} calls, longest {:?}",
        tally.granted,
        tally.calls(),
        tally.longest
    );
}

/// A server that is only slow is not away, and gets no new connections for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_connection_is_kept() {
    let redis = RedisServer::start();
    let proxy = FaultProxy::to(redis.port());
    let store = RedisStore::builder(&proxy.url())
        .deadline(Duration::from_millis(20))
        .connect()
        .await
        .expect("a store");
    let (instance, limiter) = Instance::with(store, || ample("calls", OnStoreError::Deny));
    proxy.delay(Duration::from_millis(30));
    let tally = in_turn(40, || limiter.acquire(1)).await;
    assert_eq!(tally.granted, 0, "{tally:?}");
    assert_eq!(instance.health().connections, 1);
    assert_eq!(instance.outages(), (0, 0), "{}", instance.all_told());
    proxy.pass();
    let used = used(&limiter).await;
    assert!(used <= tally.calls() + 20, "{used}");
}
