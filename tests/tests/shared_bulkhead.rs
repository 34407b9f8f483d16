//! `#[bulkhead(.., shared)]` as its users write it.

use std::{future::Future, time::Duration};

use steadfast::{MemoryStore, Rejection, bulkhead, test::isolated};
use tokio::time::sleep;

#[bulkhead("numbered", max_concurrent = 1, max_wait = "60s", shared, fence = n)]
async fn numbered() -> Result<u64, Rejection> {
    sleep(Duration::from_secs(1)).await;
    Ok(n)
}

#[bulkhead("numbered", key = key, fence = n)]
async fn numbered_by_key(key: &str) -> Result<u64, Rejection> {
    Ok(n)
}

#[bulkhead("numbered", fence = n)]
fn numbered_blocking() -> Result<u64, Rejection> {
    Ok(n)
}

#[bulkhead("local", fence = n)]
async fn local() -> Result<u64, Rejection> {
    Ok(n)
}

async fn all<F: Future<Output = Result<u64, Rejection>> + Send + 'static>(
    calls: Vec<F>,
) -> Vec<u64> {
    // On this thread, whose registry is the test's own.
    let tasks: Vec<_> = calls.into_iter().map(tokio::spawn).collect();
    let mut numbers = Vec::new();
    for task in tasks {
        numbers.push(task.await.unwrap().unwrap());
    }
    numbers
}

#[tokio::test(start_paused = true)]
async fn each_call_has_a_higher_number_though_they_wait_for_each_other() {
    let test = isolated();
    test.registry().set_store(MemoryStore::at_rest()).unwrap();
    let numbers = all((0..6).map(|_| numbered()).collect()).await;
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let last = numbered_blocking().unwrap();
    assert!(last > *numbers.last().unwrap());
    assert!(numbered_by_key("a").await.unwrap() > 0);
    assert_eq!(local().await.unwrap(), 0, "it has none");
}

#[tokio::test(start_paused = true)]
async fn without_the_store_there_is_no_number() {
    let test = isolated();
    let store = MemoryStore::at_rest();
    test.registry().set_store(store.clone()).unwrap();
    store.disconnect();
    assert_eq!(numbered().await.unwrap(), 0);
    store.restore();
    assert!(numbered().await.unwrap() > 0);
}
