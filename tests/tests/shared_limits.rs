//! Limits that several instances of a service share, through the attribute.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use steadfast::{
    ConfigError, Event, MemoryStore, Rate, Registry, Rejection, StoreError, rate_limited,
    test::{Isolated, isolated},
};
use tokio::time::advance;

#[rate_limited("partner", rate = "10/h", shared)]
async fn plain() -> Result<(), Rejection> {
    Ok(())
}

#[rate_limited("partner", rate = "10/h", shared)]
fn blocking() -> Result<(), Rejection> {
    Ok(())
}

#[rate_limited("partner", rate = "10/h", key = tenant, cost = cost, bypass = urgent, shared)]
async fn of_tenant(tenant: &str, cost: u32, urgent: bool) -> Result<(), Rejection> {
    Ok(())
}

#[rate_limited("plans", rate = Rate::per_hour(plan), key = tenant, shared)]
async fn by_plan(tenant: &str, plan: u32) -> Result<(), Rejection> {
    Ok(())
}

#[rate_limited("line", rate = "10/s", burst = 1, max_wait = "450ms", shared)]
async fn in_line() -> Result<(), Rejection> {
    Ok(())
}

#[rate_limited("learning", rate = "100/s", algorithm = adaptive, interval = "1s", shared)]
async fn learning(fails: bool) -> Result<(), Box<dyn Error + Send + Sync>> {
    match fails {
        true => Err("broken".into()),
        false => Ok(()),
    }
}

fn instance(store: &MemoryStore) -> (Isolated, Registry) {
    let isolated = isolated();
    let registry = isolated.registry();
    registry.set_store(store.clone()).unwrap();
    (isolated, registry)
}

#[tokio::test(start_paused = true)]
async fn two_instances_have_one_limit() {
    let store = MemoryStore::at_rest();
    let mut let_in = 0;
    for _ in 0..2 {
        let (_isolated, registry) = instance(&store);
        for _ in 0..4 {
            let_in += u32::from(plain().await.is_ok());
            let_in += u32::from(blocking().is_ok());
        }
        assert!(registry.validate().is_ok());
    }
    assert_eq!(let_in, 10);
}

#[tokio::test(start_paused = true)]
async fn each_key_has_a_limit_of_the_fleet() {
    let store = MemoryStore::at_rest();
    for (cost, fits) in [(7, true), (3, true), (1, false)] {
        let (_isolated, registry) = instance(&store);
        assert_eq!(of_tenant("a", cost, false).await.is_ok(), fits);
        assert!(of_tenant("a", 99, true).await.is_ok(), "past the limit");
        let metrics = registry.rate_limiter("partner").unwrap().metrics();
        assert_eq!((metrics.bypassed, metrics.rejected), (1, u64::from(!fits)));
    }
    let (_isolated, _) = instance(&store);
    assert!(of_tenant("b", 10, false).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn each_call_may_bring_its_rate() {
    let store = MemoryStore::at_rest();
    let (_isolated, _) = instance(&store);
    let mut let_in = [0, 0];
    for _ in 0..8 {
        let_in[0] += u32::from(by_plan("small", 2).await.is_ok());
        let_in[1] += u32::from(by_plan("large", 5).await.is_ok());
    }
    assert_eq!(let_in, [2, 5]);
    assert!(by_plan("nothing", 0).await.is_err());
    assert!(
        by_plan("small", 6).await.is_ok(),
        "a larger plan holds more"
    );
}

#[tokio::test(start_paused = true)]
async fn callers_wait_in_line() {
    let store = MemoryStore::at_rest();
    let (isolated, _) = instance(&store);
    let start = tokio::time::Instant::now();
    let calls: Vec<_> = (0..6)
        .map(|_| tokio::spawn(isolated.scope(in_line())))
        .collect();
    let mut let_in = 0;
    for call in calls {
        let_in += u32::from(call.await.unwrap().is_ok());
    }
    assert_eq!(
        let_in, 5,
        "the sixth would have had to wait for half a second"
    );
    let waited = start.elapsed();
    assert!((400..420).contains(&waited.as_millis()), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_limit_follows_the_calls_of_the_fleet() {
    let store = MemoryStore::at_rest();
    {
        let (_isolated, _) = instance(&store);
        for _ in 0..20 {
            drop(learning(true).await);
        }
        store.tick();
    }
    advance(Duration::from_secs(1)).await;
    let (_isolated, registry) = instance(&store);
    learning(false).await.unwrap();
    let metrics = registry.rate_limiter("learning").unwrap().metrics();
    assert_eq!((metrics.limit, metrics.success_rate), (70, Some(0.0)));
}

#[tokio::test(start_paused = true)]
async fn without_a_store_every_call_is_refused_and_validation_says_why() {
    let isolated = isolated();
    let registry = isolated.registry();
    let told = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&told);
    let _subscription = registry.subscribe(move |event| {
        if let Event::Misconfigured(event) = event
            && matches!(event.error, ConfigError::NoStore { .. })
        {
            count.fetch_add(1, Relaxed);
        }
    });
    for _ in 0..3 {
        let Err(Rejection::StoreUnavailable(error)) = plain().await else {
            panic!("there is no store");
        };
        assert_eq!(*error.cause, StoreError::NotSet);
    }
    assert_eq!(told.load(Relaxed), 1);
    assert!(registry.validate().is_err());
}
