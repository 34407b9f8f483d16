//! `Fallback` as a value, in virtual time.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use steadfast::{Event, Fallback, Source};
use tokio::time::advance;

const MINUTE: Duration = Duration::from_secs(60);

fn caching() -> Fallback {
    let builder = Fallback::builder("f").fresh(5 * MINUTE).stale(60 * MINUTE);
    builder.build().unwrap()
}

async fn good(value: u32) -> Result<u32, &'static str> {
    Ok(value)
}

async fn bad() -> Result<u32, &'static str> {
    Err("down")
}

#[tokio::test]
async fn an_error_is_answered_by_what_the_closure_makes_of_it() {
    let fallback = Fallback::builder("f").build().unwrap();
    let answering =
        || fallback.or_else(|error: &'static str| async move { Ok(error.len() as u32) });
    assert_eq!(answering().call(good(1)).await, Ok(1));
    assert_eq!(answering().call(bad()).await, Ok(4));
    assert_eq!(fallback.metrics().answered, 1);
}

#[tokio::test]
async fn an_error_passes_where_there_is_no_answer() {
    let fallback = Fallback::builder("f").build().unwrap();
    assert_eq!(fallback.call(bad()).await, Err("down"));
    assert_eq!(fallback.metrics().passed, 1);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_answer_is_served_until_it_is_too_old() {
    let fallback = caching();
    assert_eq!(fallback.cached("a").call(good(1)).await, Ok(1));
    advance(5 * MINUTE).await;
    assert_eq!(fallback.cached("a").call(bad()).await, Ok(1));
    assert_eq!(
        (fallback.metrics().cached, fallback.metrics().stale),
        (1, 0)
    );
    advance(55 * MINUTE).await;
    assert_eq!(fallback.cached("a").call(bad()).await, Ok(1));
    assert_eq!(
        (fallback.metrics().cached, fallback.metrics().stale),
        (1, 1)
    );
    advance(Duration::from_millis(1)).await;
    assert_eq!(fallback.cached("a").call(bad()).await, Err("down"));
}

#[tokio::test(start_paused = true)]
async fn the_call_is_always_tried_first() {
    let fallback = caching();
    assert_eq!(fallback.cached("a").call(good(1)).await, Ok(1));
    assert_eq!(fallback.cached("a").call(good(2)).await, Ok(2));
    assert_eq!(fallback.cached("a").call(bad()).await, Ok(2));
    assert_eq!(fallback.cached("b").call(bad()).await, Err("down"));
}

#[tokio::test(start_paused = true)]
async fn values_of_different_types_never_mix() {
    let fallback = caching();
    assert_eq!(fallback.cached("a").call(good(1)).await, Ok(1));
    let text: Result<String, &str> = fallback.cached("a").call(async { Err("down") }).await;
    assert_eq!(text, Err("down"));
}

#[tokio::test(start_paused = true)]
async fn the_number_of_remembered_answers_is_bounded() {
    let fallback = Fallback::builder("f")
        .fresh(MINUTE)
        .max_entries(100)
        .build()
        .unwrap();
    for key in 0..10_000 {
        fallback.cached(&key).call(good(key)).await.unwrap();
    }
    let entries = fallback.metrics().entries;
    assert!((50..=128).contains(&entries), "{entries} entries");
}

#[tokio::test(start_paused = true)]
async fn an_outage_warns_first_and_then_once_a_minute() {
    let test = steadfast::test::isolated();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&seen);
    let _subscription = test.registry().subscribe(move |event| {
        if let Event::FellBack(event) = event
            && event.notable
        {
            writer.lock().unwrap().push((event.count, event.source));
        }
    });
    let fallback = Fallback::builder("f").build().unwrap();
    for _ in 0..121 {
        fallback.or_else(|_| good(0)).call(bad()).await.unwrap();
        advance(Duration::from_secs(1)).await;
    }
    let source = Source::Fallback;
    assert_eq!(
        *seen.lock().unwrap(),
        [(1, source), (60, source), (60, source)]
    );
}

#[test]
fn a_stale_age_below_the_fresh_one_is_refused() {
    let builder = Fallback::builder("f")
        .fresh(MINUTE)
        .stale(Duration::from_secs(1));
    let error = builder.build().unwrap_err().to_string();
    assert!(
        error.contains("`stale` must not be shorter than `fresh`"),
        "{error}"
    );
}
