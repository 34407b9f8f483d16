//! What a fleet lets through, in any store.

use std::time::Duration;

use tokio::time::advance;

use super::store::{SlowStore, limiter};
use crate::{
    admission::{Admits, Permit, Waits},
    call::Call,
    policy::{
        rate_limiter::{Algorithm, RateLimiter, RateLimiterSettings, Request},
        shared::{Mode, OnStoreError},
    },
    rate::Rate,
    store::Store,
    stores::MemoryStore,
};

const LONG: Duration = Duration::from_secs(3_600_000);

fn shared(rate: Rate) -> RateLimiterSettings {
    RateLimiterSettings::new().rate(rate).shared(true)
}

/// Three instances.
fn fleet(store: &(impl Store + Clone), settings: RateLimiterSettings) -> Vec<RateLimiter> {
    (0..3).map(|_| limiter(store.clone(), settings)).collect()
}

/// What every store has to do: all instances together never let more through than there is, and as much.
pub(super) async fn holds_for_the_fleet(store: impl Store + Clone) {
    for algorithm in Algorithm::ALL {
        let fleet = fleet(&store, shared(Rate::new(30, LONG)).algorithm(algorithm));
        let (mut plain, mut keyed) = (0, 0);
        for round in 0..20 {
            let instance = &fleet[round % 3];
            for cost in [1, 2] {
                plain += instance.acquire(cost).await.map_or(0, |_| cost);
                keyed += instance
                    .acquire_for("key {}/%", cost)
                    .await
                    .map_or(0, |_| cost);
            }
        }
        assert_eq!((plain, keyed), (30, 30), "{algorithm}");
        let refused = fleet[0].acquire(1).await.expect_err("used up");
        let retry = refused.retry_after().expect("it comes back");
        assert!(
            retry > Duration::ZERO && retry <= LONG,
            "{algorithm}: {retry:?}"
        );
        fleet[1].reset();
        assert_eq!(
            fleet[1].acquire(1).await.expect("as if unused").remaining,
            29,
            "{algorithm}"
        );
        fleet[1].reset();
    }
}

#[tokio::test(start_paused = true)]
async fn a_fleet_shares_every_limit() {
    holds_for_the_fleet(MemoryStore::at_rest()).await;
    holds_for_the_fleet(SlowStore::prompt()).await;
}

#[tokio::test(start_paused = true)]
async fn permits_come_back_when_they_are_said_to() {
    for algorithm in Algorithm::ALL {
        let store = SlowStore::prompt();
        let fleet = fleet(&store, shared(Rate::per_second(10)).algorithm(algorithm));
        for _ in 0..10 {
            fleet[0].acquire(1).await.expect("there are ten");
        }
        let refused = fleet[1].acquire(3).await.expect_err("used up");
        let retry = refused.retry_after().expect("it comes back");
        // The clock counts nanoseconds, the store microseconds.
        advance(retry + Duration::from_micros(1)).await;
        fleet[1]
            .acquire(3)
            .await
            .unwrap_or_else(|error| panic!("{algorithm}: {error:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn another_algorithm_begins_anew() {
    let store = MemoryStore::at_rest();
    for algorithm in [
        Algorithm::TokenBucket,
        Algorithm::FixedWindow,
        Algorithm::SlidingWindow,
        Algorithm::SlidingWindowCounter,
        Algorithm::Adaptive,
    ] {
        let limiter = limiter(
            store.clone(),
            shared(Rate::new(2, LONG))
                .algorithm(algorithm)
                .on_store_error(OnStoreError::Deny),
        );
        for left in [1, 0] {
            let allowance = limiter.acquire(1).await.expect("there are two");
            assert_eq!(allowance.remaining, left, "{algorithm}");
            limiter.acquire_for("key", 1).await.expect("there are two");
        }
        assert!(limiter.acquire(1).await.is_err());
    }
}

/// Every way in.
#[tokio::test(start_paused = true)]
async fn every_entrance_asks_the_store() {
    let store = SlowStore::prompt();
    let limiter = store.limiter(shared(Rate::per_hour(9)));
    let call = Call::new();
    assert!(
        limiter.try_admit(&call).is_none(),
        "nothing is given out here"
    );
    limiter.admit(&call).await.expect("1").succeed();
    limiter.admit_blocking(&call).expect("2").succeed();
    limiter
        .enter(&call, Request::new().cost(2))
        .await
        .expect("4")
        .succeed();
    limiter
        .enter_blocking(&call, Request::new())
        .expect("5")
        .succeed();
    limiter.acquire(1).await.expect("6");
    limiter.acquire_blocking(1).expect("7");
    limiter.try_acquire(1).expect("8");
    let done: Result<(), crate::Rejection> = limiter.call(async { Ok(()) }).await;
    done.expect("9");
    assert!(limiter.admit(&call).await.is_err());
    assert!(limiter.admit_blocking(&call).is_err());
    let past = limiter.enter(&call, Request::new().bypass(true)).await;
    past.expect("past the limit").succeed();
    let metrics = limiter.metrics();
    assert_eq!(
        (metrics.allowed, metrics.rejected, metrics.bypassed),
        (8, 2, 1)
    );

    for _ in 0..3 {
        assert!(limiter.try_enter_key(&call, "k").is_none());
        limiter
            .enter_key(&call, "k")
            .await
            .expect("there are nine")
            .succeed();
        limiter
            .enter_key_blocking(&call, "k")
            .expect("there are nine")
            .succeed();
        limiter
            .enter(&call, Request::new().key("k"))
            .await
            .expect("there are nine")
            .succeed();
    }
    assert!(limiter.enter_key(&call, "k").await.is_err());
    assert!(limiter.enter_key_blocking(&call, "k").is_err());
    assert!(limiter.enter(&call, Request::new().key("k")).await.is_err());
    limiter
        .enter_key(&call, "other")
        .await
        .expect("of its own")
        .succeed();
}

#[tokio::test(start_paused = true)]
async fn a_shared_permit_is_not_given_back() {
    let store = SlowStore::prompt();
    let limiter = store.limiter(shared(Rate::per_hour(2)));
    let call = Call::new();
    // Dropped before the body began, as when a policy further in refuses.
    drop(limiter.admit(&call).await.expect("1"));
    drop(limiter.enter(&call, Request::new()).await.expect("2"));
    assert!(limiter.admit(&call).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_only_watches_lets_everything_through() {
    let store = SlowStore::prompt();
    let limiter = store.limiter(
        shared(Rate::per_hour(2))
            .enforce(false)
            .max_wait(Duration::from_secs(1)),
    );
    for _ in 0..5 {
        limiter.acquire(1).await.expect("it only watches");
    }
    assert_eq!(
        (limiter.metrics().allowed, limiter.metrics().rejected),
        (2, 3)
    );
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_limit_learns_from_all_instances() {
    let store = MemoryStore::at_rest();
    let settings = shared(Rate::per_second(100)).algorithm(Algorithm::Adaptive);
    let fleet = fleet(&store, settings);
    for second in 0..4 {
        // One instance sees failures only, the others nothing.
        for _ in 0..20 {
            let call = Call::new();
            let permit = fleet[0].admit(&call).await.expect("there are some");
            call.begin_body();
            call.cut();
            drop(permit);
            let call = Call::new();
            let keyed = fleet[0]
                .enter_key(&call, "key")
                .await
                .expect("there are some");
            call.begin_body();
            call.cut();
            drop(keyed);
        }
        store.tick();
        advance(Duration::from_millis(1_000)).await;
        // They learn it with their next question.
        fleet[1].acquire(0).await.expect("nothing is asked for");
        let limit = fleet[1].metrics().limit;
        assert_eq!(limit, [70, 49, 34, 24][second], "after {second}");
        assert_eq!(fleet[1].metrics().success_rate, Some(0.0));
        let keyed = fleet[2]
            .acquire_for("key", 0)
            .await
            .expect("nothing is asked for");
        assert_eq!(keyed.limit, limit);
    }
}

/// The bounds of leases: in any time `x` a fleet uses what the limit gives in `x` and the life of a lease,
/// and no instance holds more than its part.
#[tokio::test(start_paused = true)]
async fn leases_stay_within_their_bounds() {
    let store = MemoryStore::at_rest();
    let settings = shared(Rate::per_second(300)).mode(Mode::Lease).instances(3);
    let fleet = fleet(&store, settings);
    let mut random = fastrand::Rng::with_seed(7);
    let (start, mut taken) = (tokio::time::Instant::now(), Vec::new());
    for _ in 0..20_000 {
        let instance = random.usize(..3);
        if fleet[instance].acquire(1).await.is_ok() {
            taken.push(start.elapsed());
        }
        advance(Duration::from_micros(random.u64(..2_000))).await;
        let held = fleet[instance].0.shared.as_ref().map(|shared| {
            let mut books = shared.core.alone.books();
            books.held(crate::clock::now(), None)
        });
        assert!(held <= Some(10), "a tenth of a third: {held:?}");
    }
    let (window, life) = (Duration::from_secs(2), Duration::from_secs(1));
    let most = |x: Duration| 300 + (300.0 * x.as_secs_f64()) as usize;
    for (index, from) in taken.iter().enumerate() {
        let within = taken[index..].partition_point(|at| *at <= *from + window);
        assert!(
            within <= most(window + life).min(most(window) + 30),
            "{within}"
        );
    }
    // And little is lost: the limit is used nearly whole.
    let whole = start.elapsed().as_secs_f64() * 300.0;
    assert!(
        taken.len() as f64 > 0.9 * whole,
        "{} of {whole}",
        taken.len()
    );
}

/// With a store that comes and goes: in any time no more than the limit and all shares give together, and
/// where it was away all the time, no more than the shares.
#[tokio::test(start_paused = true)]
async fn outages_add_the_shares_at_most() {
    for algorithm in Algorithm::ALL {
        let store = MemoryStore::at_rest();
        let settings = shared(Rate::per_second(30))
            .algorithm(algorithm)
            .instances(3);
        let fleet = fleet(&store, settings);
        let mut random = fastrand::Rng::with_seed(11);
        let (start, mut taken, mut is_away) = (tokio::time::Instant::now(), Vec::new(), false);
        for _ in 0..6_000 {
            if random.u32(..100) == 0 {
                is_away = !is_away;
                match is_away {
                    true => store.disconnect(),
                    false => store.restore(),
                }
            }
            if fleet[random.usize(..3)].acquire(1).await.is_ok() {
                taken.push((start.elapsed(), is_away));
            }
            advance(Duration::from_micros(random.u64(..12_000))).await;
        }
        let one = Duration::from_secs(1) - Duration::from_micros(1);
        let most = if algorithm == Algorithm::SlidingWindow {
            30
        } else {
            60
        };
        let mut worst = (0, 0);
        for (index, (from, _)) in taken.iter().enumerate() {
            let end = taken.partition_point(|(at, _)| *at <= *from + one);
            let away = taken[index..end]
                .iter()
                .filter(|(_, is_away)| *is_away)
                .count();
            worst = (worst.0.max(end - index), worst.1.max(away));
        }
        assert!(
            worst.0 <= 2 * most && worst.1 <= most,
            "{algorithm}: {worst:?}"
        );
        // It was worth the trouble: both gave out some.
        assert!(worst.0 > 30 && worst.1 >= 30, "{algorithm}: {worst:?}");
    }
}
