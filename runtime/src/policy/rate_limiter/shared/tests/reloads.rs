//! Shared limits whose settings are replaced.

use std::time::Duration;

use tokio::{
    task::{JoinHandle, yield_now},
    time::{Instant, sleep},
};

use super::store::SlowStore;
use crate::{
    policy::{
        Policy, Switch,
        rate_limiter::{Algorithm, RateLimiter, RateLimiterSettings},
        shared::{Mode, OnStoreError},
    },
    rate::Rate,
    store::StoreError,
};

const LONG: Duration = Duration::from_secs(3_600_000);

fn of(count: u32, per: Duration) -> RateLimiterSettings {
    RateLimiterSettings::new()
        .rate(Rate::new(count, per))
        .shared(true)
        .on_store_error(OnStoreError::Deny)
}

fn patient(count: u32, secs: u64) -> RateLimiterSettings {
    of(count, Duration::from_secs(1))
        .burst(1)
        .max_wait(Duration::from_secs(secs))
}

fn put(limiter: &RateLimiter, settings: RateLimiterSettings) {
    assert!(settings.problem().is_none(), "{:?}", settings.problem());
    limiter.reconfigure(&settings, Switch::On);
}

async fn line(limiter: &RateLimiter, callers: u32) -> Vec<JoinHandle<(bool, u64)>> {
    let mut line = Vec::new();
    for _ in 0..callers {
        let (limiter, start) = (limiter.clone(), Instant::now());
        line.push(tokio::spawn(async move {
            let is_in = limiter.acquire(1).await.is_ok();
            // To the tick of the timer.
            (is_in, (start.elapsed().as_millis() as u64 + 5) / 10 * 10)
        }));
        yield_now().await;
    }
    line
}

async fn ends(line: Vec<JoinHandle<(bool, u64)>>) -> Vec<(bool, u64)> {
    let mut ends = Vec::new();
    for caller in line {
        ends.push(caller.await.expect("no panic"));
    }
    ends
}

#[tokio::test(start_paused = true)]
async fn the_next_decision_is_by_the_new_settings() {
    for algorithm in [
        Algorithm::TokenBucket,
        Algorithm::FixedWindow,
        Algorithm::SlidingWindow,
        Algorithm::SlidingWindowCounter,
        Algorithm::Adaptive,
    ] {
        let store = SlowStore::prompt();
        let limiter = store.limiter(of(10, LONG).algorithm(algorithm));
        limiter.acquire(4).await.expect("there are ten");
        limiter.acquire_for("key", 4).await.expect("there are ten");
        put(&limiter, of(20, LONG).algorithm(algorithm));
        assert_eq!(limiter.metrics().limit, 20);
        for left in [
            limiter.acquire(1).await,
            limiter.acquire_for("key", 1).await,
        ] {
            assert_eq!(left.expect("there are").remaining, 15, "{algorithm}");
        }
        put(&limiter, of(3, LONG).algorithm(algorithm));
        assert!(limiter.acquire(1).await.is_err(), "{algorithm}");
        assert!(limiter.acquire_for("key", 1).await.is_err(), "{algorithm}");
        assert!(limiter.acquire_for("other", 3).await.is_ok(), "{algorithm}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_algorithm_starts_empty_in_a_record_of_its_own() {
    let all = [
        Algorithm::TokenBucket,
        Algorithm::FixedWindow,
        Algorithm::SlidingWindow,
        Algorithm::SlidingWindowCounter,
        Algorithm::Adaptive,
    ];
    let store = SlowStore::prompt();
    let limiter = store.limiter(of(2, LONG));
    for algorithm in all {
        put(&limiter, of(2, LONG).algorithm(algorithm));
        limiter.acquire(2).await.expect("it is empty");
        limiter.acquire_for("key", 2).await.expect("it is empty");
        assert!(limiter.acquire(1).await.is_err());
    }
    // What the store remembers of the former ones is still there.
    put(&limiter, of(2, LONG));
    assert!(limiter.acquire(1).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_smaller_bucket_says_when_what_is_out_has_flowed_back() {
    let store = SlowStore::prompt();
    let limiter = store.limiter(of(10, Duration::from_secs(10)).burst(8));
    limiter.acquire(8).await.expect("there are eight");
    put(&limiter, of(10, Duration::from_secs(10)).burst(2));
    let refused = limiter.acquire(1).await.expect_err("eight are out");
    let retry = refused.retry_after().expect("it comes back");
    assert_eq!(retry, Duration::from_secs(7));
    sleep(retry + Duration::from_millis(1)).await;
    limiter.acquire(1).await.expect("as it was told");
    limiter.acquire(1).await.expect_err("two are out");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_remembered_over_a_change() {
    let store = SlowStore::prompt();
    let limiter = store.limiter(of(2, LONG));
    limiter.acquire(2).await.expect("there are two");
    limiter.acquire(1).await.expect_err("used up");
    let asked = store.asked();
    limiter.acquire(1).await.expect_err("known");
    assert_eq!(store.asked(), asked);
    put(&limiter, of(3, LONG));
    limiter.acquire(1).await.expect("there is one more");
}

#[tokio::test(start_paused = true)]
async fn what_is_held_ahead_goes_back() {
    let store = SlowStore::prompt();
    let limiter = store.limiter(of(100, LONG).mode(Mode::Lease));
    limiter.acquire(1).await.expect("there are a hundred");
    let other = store.limiter(of(100, LONG));
    let left = other.acquire(1).await.expect("there are").remaining;
    assert!(left < 98, "{left}: some are held");
    put(&limiter, of(100, LONG).burst(50));
    let left = limiter.acquire(1).await.expect("there are").remaining;
    assert_eq!(left, 47, "three are used");
}

#[tokio::test(start_paused = true)]
async fn at_a_higher_rate_those_who_wait_leave_earlier() {
    let store = SlowStore::prompt();
    let limiter = store.limiter(patient(1, 60));
    limiter.acquire(1).await.expect("there is one");
    let line = line(&limiter, 3).await;
    sleep(Duration::from_millis(500)).await;
    put(&limiter, patient(10, 60));
    assert_eq!(ends(line).await, [(true, 550), (true, 650), (true, 750)]);
}

#[tokio::test(start_paused = true)]
async fn at_a_lower_rate_those_who_wait_leave_later() {
    let store = SlowStore::prompt();
    let limiter = store.limiter(patient(10, 60));
    limiter.acquire(1).await.expect("there is one");
    let line = line(&limiter, 2).await;
    sleep(Duration::from_millis(50)).await;
    put(&limiter, patient(1, 60));
    assert_eq!(ends(line).await, [(true, 550), (true, 1550)]);
}

#[tokio::test(start_paused = true)]
async fn who_can_no_longer_wait_is_told_what_the_store_says_now() {
    let store = SlowStore::prompt();
    let limiter = store.limiter(patient(1, 60));
    limiter.acquire(1).await.expect("there is one");
    let refused = line(&limiter, 2).await;
    sleep(Duration::from_millis(100)).await;
    put(&limiter, of(1, Duration::from_secs(1)).burst(1));
    assert_eq!(ends(refused).await, [(false, 100), (false, 100)]);

    put(&limiter, patient(1, 60));
    let let_in = line(&limiter, 2).await;
    put(&limiter, of(5, Duration::from_secs(1)));
    assert_eq!(ends(let_in).await, [(true, 0), (true, 0)]);
}

#[tokio::test(start_paused = true)]
async fn off_all_go_on_whatever_the_store_says() {
    let store = SlowStore::default();
    let limiter = store.limiter(patient(1, 60));
    let line = line(&limiter, 3).await;
    assert_eq!(store.waiting(), 1, "one question is under way");
    limiter.reconfigure(&patient(1, 60), Switch::Off);
    assert_eq!(ends(line).await, [(true, 0); 3]);
    limiter.acquire(5).await.expect("it is not there");
    limiter
        .acquire_for("key", 5)
        .await
        .expect("it is not there");
    limiter.try_acquire(5).expect("it is not there");
    let metrics = limiter.metrics();
    assert_eq!(
        (metrics.allowed, metrics.rejected, metrics.waiting),
        (0, 0, 0)
    );
    store.answer_all();
    assert_eq!(limiter.metrics().waiting, 0);
    // What the question has taken was for one who has gone on.
    sleep(Duration::from_secs(1)).await;
    put(&limiter, of(1, LONG));
    let late = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire(1).await.is_ok() }
    });
    yield_now().await;
    store.answer_all();
    assert!(late.await.expect("no panic"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_by_former_settings_is_no_last_word_for_those_who_may_wait() {
    let store = SlowStore::default();
    let limiter = store.limiter(patient(1, 60));
    let first = line(&limiter, 1).await;
    store.answer_all();
    assert_eq!(ends(first).await, [(true, 0)]);
    let waits = line(&limiter, 2).await;
    assert_eq!(store.waiting(), 1);
    put(
        &limiter,
        of(9, Duration::from_secs(1)).max_wait(Duration::from_secs(60)),
    );
    // The former bucket holds one, which is out.
    store.answer();
    yield_now().await;
    store.answer_all();
    assert_eq!(ends(waits).await, [(true, 0), (true, 0)]);
}

#[tokio::test(start_paused = true)]
async fn permits_that_come_by_former_settings_go_back() {
    let store = SlowStore::default();
    let limiter = store.limiter(of(100, LONG));
    limiter.try_acquire(7).expect_err("they are being fetched");
    put(&limiter, of(100, LONG).burst(50));
    store.answer_all();
    let allowance = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire(1).await }
    });
    yield_now().await;
    store.answer_all();
    let allowance = allowance.await.expect("no panic").expect("there are");
    assert_eq!(allowance.remaining, 49);
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_away_its_own_limit_follows() {
    let store = SlowStore::default();
    let local = |count| of(count, LONG).on_store_error(OnStoreError::Local);
    let limiter = store.limiter(local(4));
    let ask = || {
        let limiter = limiter.clone();
        let asked = tokio::spawn(async move { limiter.acquire(1).await });
        async {
            yield_now().await;
            store.fail(StoreError::Closed);
            asked.await.expect("no panic")
        }
    };
    assert_eq!(ask().await.expect("its own").remaining, 3);
    put(&limiter, local(10));
    assert_eq!(ask().await.expect("its own").remaining, 8);
    put(&limiter, local(1));
    ask().await.expect_err("two are out");
    limiter.reconfigure(&local(1), Switch::Off);
    limiter.acquire(1).await.expect("it is not there");
    put(&limiter, of(9, LONG));
    assert!(ask().await.is_err(), "it is denied now");
}
