//! What happens without the store.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::advance;

use super::store::{SlowStore, assemble, limiter};
use crate::{
    error::ConfigError,
    event::{Event, Sink},
    lock::lock,
    policy::{
        rate_limiter::{RateLimiter, RateLimiterSettings, Request},
        shared::OnStoreError,
    },
    rate::Rate,
    rejection::Rejection,
    store::StoreError,
    stores::MemoryStore,
};

fn shared(rate: Rate) -> RateLimiterSettings {
    RateLimiterSettings::new().rate(rate).shared(true)
}

fn tried(limiter: &RateLimiter, calls: u32) -> u32 {
    (0..calls)
        .map(|_| u32::from(limiter.acquire_blocking(1).is_ok()))
        .sum()
}

#[test]
fn without_a_store_nothing_is_let_through_and_it_is_said_once() {
    for choice in [OnStoreError::Local, OnStoreError::Allow, OnStoreError::Deny] {
        let sink = Sink::new();
        let told = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&told);
        let _subscription = sink.subscribe(move |event| lock(&list).push(event.clone()));
        let limiter = assemble(shared(Rate::per_second(5)).on_store_error(choice), sink);
        for _ in 0..3 {
            let Err(Rejection::StoreUnavailable(error)) = limiter.acquire_blocking(1) else {
                panic!("there is no store");
            };
            assert_eq!(
                (&*error.cause, error.retry_after),
                (&StoreError::NotSet, None)
            );
        }
        let refused = limiter.try_acquire(1).expect_err("there is no store");
        assert_eq!((refused.limit, refused.retry_after), (0, None));
        let told = lock(&told);
        let misconfigured = told.iter().filter(|event| {
            matches!(event, Event::Misconfigured(m) if matches!(m.error, ConfigError::NoStore { .. }))
        });
        assert_eq!(misconfigured.count(), 1);
        assert_eq!(limiter.metrics().rejected, 4);
    }
}

#[tokio::test(start_paused = true)]
async fn each_instance_has_its_share_while_the_store_is_away() {
    let store = MemoryStore::at_rest();
    let settings = shared(Rate::per_hour(12)).instances(3);
    let limiter = limiter(store.clone(), settings);
    assert_eq!(tried(&limiter, 6), 6);
    store.disconnect();
    assert_eq!(tried(&limiter, 20), 4, "a third of twelve");
    let Err(Rejection::RateLimited(refused)) = limiter.acquire(1).await else {
        panic!("its share is used up");
    };
    assert_eq!(refused.limit, 4);
    store.restore();
    assert_eq!(tried(&limiter, 20), 6, "the rest of the fleet's");
    let metrics = limiter.metrics();
    assert_eq!((metrics.allowed, metrics.limit), (16, 12));
}

#[tokio::test(start_paused = true)]
async fn a_share_is_one_permit_at_least_for_each_key_and_rate() {
    let store = MemoryStore::at_rest();
    store.disconnect();
    let limiter = limiter(store, shared(Rate::per_hour(3)).instances(10));
    for key in ["a", "b"] {
        assert!(limiter.acquire_for(key, 1).await.is_ok());
        assert!(limiter.acquire_for(key, 1).await.is_err());
        assert!(limiter.try_acquire_for(key, 1).is_err());
    }
    let call = crate::call::Call::new();
    let mut let_in = 0;
    for _ in 0..9 {
        let request = Request::new().key("c").rate(Rate::per_hour(40));
        let entered = limiter.enter(&call, request).await;
        let_in += u32::from(entered.is_ok());
        // It was made.
        call.begin_body();
    }
    assert_eq!(let_in, 4, "a tenth of forty");
}

#[tokio::test(start_paused = true)]
async fn instances_that_are_seen_divide_the_limit() {
    let store = MemoryStore::at_rest();
    let fleet: Vec<_> = (0..4)
        .map(|_| limiter(store.clone(), shared(Rate::per_hour(40))))
        .collect();
    for limiter in &fleet {
        assert_eq!(tried(limiter, 1), 1);
    }
    for _ in 0..25 {
        store.tick();
    }
    store.disconnect();
    let let_in: Vec<_> = fleet.iter().map(|limiter| tried(limiter, 50)).collect();
    assert_eq!(let_in.iter().sum::<u32>(), 40, "{let_in:?}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_waits_for_its_share_as_for_the_whole() {
    let store = MemoryStore::at_rest();
    store.disconnect();
    let limiter = limiter(
        store,
        shared(Rate::per_second(4))
            .instances(2)
            .max_wait(Duration::from_secs(1)),
    );
    let start = tokio::time::Instant::now();
    for _ in 0..4 {
        limiter.acquire(1).await.expect("it may wait");
    }
    let waited = start.elapsed().as_millis();
    assert!((1_000..1_010).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn all_or_nothing_is_let_through_where_that_is_wanted() {
    let store = MemoryStore::at_rest();
    let sink = Sink::new();
    let told = Arc::new(Mutex::new(0));
    let count = Arc::clone(&told);
    let _subscription = sink.subscribe(move |event| {
        if matches!(event, Event::Refused(r) if !r.enforced && matches!(r.rejection, Rejection::StoreUnavailable(_))) {
            *lock(&count) += 1;
        }
    });
    sink.store()
        .set(Arc::new(store.clone()))
        .expect("the first");
    let allows = assemble(
        shared(Rate::per_hour(1)).on_store_error(OnStoreError::Allow),
        sink,
    );
    let denies = limiter(
        store.clone(),
        shared(Rate::per_hour(9)).on_store_error(OnStoreError::Deny),
    );
    let watches = limiter(
        store.clone(),
        shared(Rate::per_hour(9))
            .on_store_error(OnStoreError::Deny)
            .enforce(false),
    );
    store.disconnect();
    assert_eq!(tried(&allows, 10), 10);
    assert!(allows.try_acquire(1).is_ok());
    assert_eq!((*lock(&told), allows.metrics().allowed), (10, 11));
    let Err(Rejection::StoreUnavailable(error)) = denies.acquire(1).await else {
        panic!("it is away");
    };
    assert!(matches!(*error.cause, StoreError::Unreachable { .. }));
    assert_eq!(error.retry_after, Some(Duration::from_secs(1)));
    assert!(denies.try_acquire(1).is_err());
    assert_eq!(denies.metrics().rejected, 2);
    assert_eq!(tried(&watches, 3), 3);
    assert_eq!(watches.metrics().rejected, 3);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_comes_to_nothing_is_never_sent_again() {
    let store = SlowStore::default();
    let limiter = store.limiter(shared(Rate::per_hour(10)).on_store_error(OnStoreError::Deny));
    let asking = tokio::spawn(async move { limiter.acquire(1).await });
    while store.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    store.fail(StoreError::TimedOut {
        deadline: Duration::from_millis(50),
    });
    let outcome = asking.await.expect("no panic");
    assert!(
        matches!(outcome, Err(Rejection::StoreUnavailable(error)) if matches!(*error.cause, StoreError::TimedOut { .. }))
    );
    assert_eq!((store.asked(), store.waiting()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_in_line_go_on_by_themselves_when_the_store_goes() {
    let store = MemoryStore::at_rest();
    let settings = shared(Rate::per_second(2))
        .burst(2)
        .max_wait(Duration::from_secs(3));
    let limiter = limiter(store.clone(), settings);
    assert_eq!(tried(&limiter, 2), 2);
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move { limiter.acquire(1).await.is_ok() })
        })
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(limiter.metrics().waiting, 3);
    store.disconnect();
    advance(Duration::from_millis(100)).await;
    for waiting in waiting {
        assert!(waiting.await.expect("no panic"));
    }
    assert_eq!(limiter.metrics().waiting, 0);
}
