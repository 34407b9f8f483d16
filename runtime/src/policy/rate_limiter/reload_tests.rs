//! Settings that are replaced while calls run and wait.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use tokio::{
    task::{JoinHandle, yield_now},
    time::{Instant, advance, sleep},
};

use super::{Algorithm, Allowance, RateLimiter, RateLimiterSettings, Request};
use crate::{
    admission::{Admits, Permit},
    call::Call,
    policy::{Policy, Switch},
    rate::Rate,
    rejection::Rejection,
};

const LONG: Duration = Duration::from_secs(1_000_000);

fn settings(count: u32, per: Duration) -> RateLimiterSettings {
    RateLimiterSettings::new().rate(Rate::new(count, per))
}

fn limiter(settings: RateLimiterSettings) -> RateLimiter {
    crate::policy::build("reloaded".into(), &settings).expect("settings")
}

fn put(limiter: &RateLimiter, settings: RateLimiterSettings) {
    assert!(settings.problem().is_none(), "{:?}", settings.problem());
    limiter.reconfigure(&settings, Switch::On);
}

type Waits = JoinHandle<(Result<Allowance, Rejection>, Duration)>;

/// One who waits, and how long it did.
fn waits(limiter: &RateLimiter, key: Option<u32>, cost: u32) -> Waits {
    let (limiter, start) = (limiter.clone(), Instant::now());
    tokio::spawn(async move {
        let outcome = match key {
            None => limiter.acquire(cost).await,
            Some(key) => limiter.acquire_for(&key, cost).await,
        };
        (outcome, start.elapsed())
    })
}

/// So many who wait, in their order.
async fn line(limiter: &RateLimiter, key: Option<u32>, callers: u32) -> Vec<Waits> {
    let mut line = Vec::new();
    for _ in 0..callers {
        line.push(waits(limiter, key, 1));
        yield_now().await;
    }
    line
}

async fn ends(line: Vec<Waits>) -> Vec<(bool, u64)> {
    let mut ends = Vec::new();
    for caller in line {
        let (outcome, waited) = caller.await.expect("no panic");
        // To the tick of the timer.
        ends.push((outcome.is_ok(), (waited.as_millis() as u64 + 5) / 10 * 10));
    }
    ends
}

fn spend(limiter: &RateLimiter, key: Option<u32>, permits: u32) {
    let spent = match key {
        None => limiter.try_acquire(permits),
        Some(key) => limiter.try_acquire_for(&key, permits),
    };
    spent.expect("they are there");
}

fn free(limiter: &RateLimiter) -> u32 {
    limiter.try_acquire(0).expect("it costs nothing").remaining
}

#[tokio::test(start_paused = true)]
async fn what_is_in_force_is_shown() {
    let limiter = limiter(settings(10, Duration::from_secs(1)));
    put(&limiter, settings(30, Duration::from_secs(1)).burst(4));
    assert_eq!(limiter.metrics().limit, 4);
    assert_eq!(free(&limiter), 4);
    let shown = limiter.settings();
    let shown: Vec<_> = shown
        .iter()
        .filter(|setting| ["rate", "burst"].contains(&setting.name))
        .map(|setting| format!("{:?}", setting.value))
        .collect();
    assert!(
        shown[0].contains("30/s") && shown[1].contains('4'),
        "{shown:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_stays_taken() {
    for algorithm in Algorithm::ALL {
        let of = |count| settings(count, LONG).algorithm(algorithm);
        let limiter = limiter(of(10));
        spend(&limiter, None, 6);
        spend(&limiter, Some(1), 6);
        put(&limiter, of(20));
        assert_eq!(free(&limiter), 14, "{algorithm}");
        let of_key = limiter.try_acquire_for(&1, 0).expect("nothing").remaining;
        assert_eq!(of_key, 14, "{algorithm}");
        put(&limiter, of(5));
        assert_eq!(free(&limiter), 0, "{algorithm}");
        assert!(limiter.try_acquire_for(&1, 1).is_err(), "{algorithm}");
        assert!(limiter.try_acquire_for(&2, 5).is_ok(), "{algorithm}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_algorithm_starts_empty_and_gives_back_nothing_of_the_former() {
    for (from, to) in Algorithm::ALL
        .into_iter()
        .flat_map(|from| Algorithm::ALL.map(|to| (from, to)))
    {
        let is_bucket =
            |algorithm| matches!(algorithm, Algorithm::TokenBucket | Algorithm::LeakyBucket);
        if from == to || (is_bucket(from) && is_bucket(to)) {
            continue;
        }
        let of = |algorithm| settings(4, LONG).algorithm(algorithm);
        let limiter = limiter(of(from));
        let (call, of_key) = (Call::new(), Call::new());
        let held: Vec<_> = (0..4)
            .filter_map(|_| limiter.admit_blocking(&call).ok())
            .collect();
        let key = Request::new().key(&7u64).cost(4);
        let held_of_key = limiter.enter_blocking(&of_key, key).expect("four");
        put(&limiter, of(to));
        spend(&limiter, None, 4);
        limiter.try_acquire_for(&7u64, 4).expect("it is new");
        drop((held, held_of_key));
        assert!(limiter.try_acquire(1).is_err(), "{from} to {to}");
        assert!(limiter.try_acquire_for(&7u64, 1).is_err(), "{from} to {to}");
        // There and back again.
        put(&limiter, of(from));
        put(&limiter, of(to));
        assert_eq!(free(&limiter), 4, "{from} to {to}");
    }
}

#[tokio::test(start_paused = true)]
async fn at_a_higher_rate_those_who_wait_leave_earlier() {
    for key in [None, Some(5)] {
        let of = |count| {
            settings(count, Duration::from_secs(1))
                .burst(1)
                .max_wait(Duration::from_secs(60))
        };
        let limiter = limiter(of(1));
        spend(&limiter, key, 1);
        let line = line(&limiter, key, 4).await;
        sleep(Duration::from_millis(500)).await;
        put(&limiter, of(10));
        // Half a permit was missing.
        let expected = [550, 650, 750, 850].map(|wait| (true, wait));
        assert_eq!(ends(line).await, expected, "{key:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn at_a_lower_rate_those_who_wait_leave_later() {
    for key in [None, Some(5)] {
        let of = |count| {
            settings(count, Duration::from_secs(1))
                .burst(1)
                .max_wait(Duration::from_secs(60))
        };
        let limiter = limiter(of(10));
        spend(&limiter, key, 1);
        let line = line(&limiter, key, 2).await;
        sleep(Duration::from_millis(50)).await;
        put(&limiter, of(1));
        assert_eq!(ends(line).await, [(true, 550), (true, 1550)], "{key:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_can_no_longer_be_served_in_time_is_refused_at_once() {
    for key in [None, Some(5)] {
        let of = |count, secs| {
            settings(count, Duration::from_secs(1))
                .burst(1)
                .max_wait(Duration::from_secs(secs))
        };
        let limiter = limiter(of(10, 60));
        spend(&limiter, key, 1);
        let line = line(&limiter, key, 5).await;
        sleep(Duration::from_millis(50)).await;
        // One a second from now on, and three seconds since they came.
        put(&limiter, of(1, 3));
        let expected = [
            (true, 550),
            (true, 1550),
            (true, 2550),
            (false, 50),
            (false, 50),
        ];
        assert_eq!(ends(line).await, expected, "{key:?}");
        assert_eq!(limiter.metrics().waiting, 0);
        assert_eq!(limiter.metrics().rejected, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_longer_wait_keeps_those_who_would_have_given_up() {
    let of = |wait| {
        settings(1, Duration::from_secs(1))
            .burst(1)
            .max_wait(Duration::from_millis(wait))
    };
    let limiter = limiter(of(1_100));
    spend(&limiter, None, 1);
    let first = waits(&limiter, None, 1);
    yield_now().await;
    put(&limiter, of(5_000));
    let second = waits(&limiter, None, 1);
    yield_now().await;
    // The second would have been too late for the former wait.
    put(
        &limiter,
        settings(1, Duration::from_secs(2))
            .burst(1)
            .max_wait(Duration::from_secs(5)),
    );
    assert_eq!(
        ends(vec![first, second]).await,
        [(true, 2_000), (true, 4_000)]
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_wait_and_without_enforcement_nobody_goes_on_waiting() {
    let of = || settings(1, Duration::from_secs(1)).burst(1);
    let limiter = limiter(of().max_wait(Duration::from_secs(60)));
    spend(&limiter, None, 1);
    let refused = line(&limiter, None, 2).await;
    put(&limiter, of());
    assert_eq!(ends(refused).await, [(false, 0), (false, 0)]);

    put(&limiter, of().max_wait(Duration::from_secs(60)));
    let let_through = line(&limiter, None, 2).await;
    put(
        &limiter,
        of().max_wait(Duration::from_secs(60)).enforce(false),
    );
    assert_eq!(ends(let_through).await, [(true, 0), (true, 0)]);
    assert_eq!(limiter.metrics().rejected, 4);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_at_any_algorithm_go_on_at_one_that_starts_empty() {
    for (from, to) in Algorithm::ALL
        .into_iter()
        .flat_map(|from| Algorithm::ALL.map(|to| (from, to)))
    {
        let of = |algorithm| {
            settings(2, Duration::from_secs(10))
                .algorithm(algorithm)
                .max_wait(Duration::from_secs(100))
        };
        let limiter = limiter(of(from));
        spend(&limiter, None, 2);
        let line = line(&limiter, None, 2).await;
        put(&limiter, of(to));
        let buckets = [Algorithm::TokenBucket, Algorithm::LeakyBucket];
        let at_once = from != to && !(buckets.contains(&from) && buckets.contains(&to));
        for (served, waited) in ends(line).await {
            assert!(
                served && (waited == 0) == at_once,
                "{from} to {to}: {waited}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn off_it_is_not_there_and_on_again_it_goes_on() {
    for algorithm in Algorithm::ALL {
        for key in [None, Some(3)] {
            let of = settings(4, Duration::from_secs(4))
                .algorithm(algorithm)
                .max_wait(Duration::from_secs(100));
            let limiter = limiter(of);
            // To the begin of a window.
            let wall = crate::clock::since_epoch(crate::clock::now()) % 4_000_000_000;
            advance(Duration::from_nanos(4_000_000_000 - wall as u64)).await;
            spend(&limiter, key, 4);
            let line = line(&limiter, key, 3).await;
            limiter.reconfigure(&of, Switch::Off);
            assert_eq!(ends(line).await, [(true, 0); 3], "{algorithm}");
            for _ in 0..10 {
                spend(&limiter, key, 4);
                let call = Call::new();
                limiter
                    .admit_blocking(&call)
                    .expect("it is not there")
                    .succeed();
            }
            let metrics = limiter.metrics();
            let counts = (metrics.allowed, metrics.rejected, metrics.waiting);
            assert_eq!(counts, (1, 0, 0), "{algorithm}");
            put(&limiter, of);
            let spent = match key {
                None => limiter.try_acquire(1).is_err(),
                Some(key) => limiter.try_acquire_for(&key, 1).is_err(),
            };
            assert!(spent, "{algorithm}: what was taken before is");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn permits_that_were_taken_before_it_was_off_come_back() {
    let of = settings(2, LONG);
    let limiter = limiter(of);
    let call = Call::new();
    let held = limiter.admit_blocking(&call).expect("there are two");
    limiter.reconfigure(&of, Switch::Off);
    let passed = limiter.admit_blocking(&call).expect("it is not there");
    drop(held);
    put(&limiter, of);
    drop(passed);
    assert_eq!(free(&limiter), 2);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_after_it_was_judged_takes_nothing_along() {
    let of = |count| {
        settings(count, Duration::from_secs(1))
            .burst(2)
            .max_wait(Duration::from_secs(5))
    };
    let limiter = limiter(of(1));
    spend(&limiter, None, 2);
    let line = line(&limiter, None, 4).await;
    // Not polled between this and their end: what was decided for them is dropped with them.
    limiter.reconfigure(&of(1), Switch::Off);
    line.iter().for_each(JoinHandle::abort);
    yield_now().await;
    put(&limiter, of(1));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(free(&limiter), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_brings_its_rate_keeps_it() {
    let of = |burst| {
        RateLimiterSettings::new()
            .rate(Rate::OF_THE_CALL)
            .burst(burst)
    };
    let limiter = limiter(of(4));
    let enter = |cost| {
        let call = Call::new();
        let rate = Rate::new(1, Duration::from_secs(10));
        let request = Request::new().key("tenant").rate(rate).cost(cost);
        limiter
            .enter_blocking(&call, request)
            .map(std::mem::forget)
            .is_ok()
    };
    assert!(enter(4) && !enter(1));
    put(&limiter, of(6));
    assert!(enter(2) && !enter(1), "four are out");
    sleep(Duration::from_secs(10)).await;
    assert!(enter(1) && !enter(1), "it comes back at the call's rate");
    put(&limiter, of(1));
    sleep(Duration::from_secs(19)).await;
    assert!(!enter(1), "twice what it holds is owed");
    sleep(Duration::from_secs(1)).await;
    assert!(enter(1));
}

#[test]
fn blocking_callers_are_judged_again_too() {
    let of = |per| {
        settings(1, per)
            .burst(1)
            .max_wait(Duration::from_secs(7_200))
    };
    let limiter = limiter(of(Duration::from_secs(3_600)));
    spend(&limiter, None, 1);
    spend(&limiter, Some(2), 1);
    thread::scope(|scope| {
        let alone = scope.spawn(|| limiter.acquire_blocking(1).is_ok());
        let keyed = scope.spawn(|| limiter.acquire_blocking_for(&2, 1).is_ok());
        let refused = scope.spawn(|| limiter.acquire_blocking(1).is_ok());
        while limiter.metrics().waiting < 3 {
            thread::yield_now();
        }
        // Only the first in each line.
        let mut wait = of(Duration::from_secs(3_600));
        wait = wait.max_wait(Duration::from_secs(3_601));
        put(&limiter, wait);
        while limiter.metrics().waiting > 2 {
            thread::yield_now();
        }
        put(&limiter, of(Duration::from_nanos(1)));
        assert!(keyed.join().expect("no panic"));
        let both = [alone, refused].map(|caller| caller.join().expect("no panic"));
        assert_eq!(both.iter().filter(|served| **served).count(), 1);
    });
}

#[tokio::test(start_paused = true)]
async fn fewer_keys_are_reached_as_they_leave() {
    let of = |keys| settings(1, Duration::from_secs(1)).max_keys(keys);
    let limiter = limiter(of(100));
    for key in 0..100 {
        spend(&limiter, Some(key), 1);
    }
    put(&limiter, of(10));
    sleep(Duration::from_secs(2)).await;
    for key in 200..400 {
        let _ = limiter.try_acquire_for(&key, 1);
    }
    assert_eq!(limiter.0.keys.get().map(|keys| keys.len()), Some(10));
}

/// Threads take while the rules change to and fro: each permit is given out once, those that are leased
/// or at keys included.
#[test]
fn every_permit_is_given_out_once_while_the_rules_change() {
    const PERMITS: u32 = 20_000;
    const KEYS: u64 = 4;
    let of = |count, wait| {
        settings(count, LONG * 1_000)
            .burst(PERMITS)
            .max_wait(Duration::from_nanos(wait))
    };
    // Units of other sizes, the same with another wait, and one that is not there.
    let other = [of(1, 1), of(7, 1), of(1_000, 1), of(1, 2)];
    let limiter = limiter(of(1, 1));
    let (start, done) = (Barrier::new(4), AtomicBool::new(false));
    let kept = AtomicU32::new(0);
    let mut of_keys = [0; KEYS as usize];
    thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|thread| {
                let (limiter, start, kept) = (&limiter, &start, &kept);
                scope.spawn(move || {
                    let mut got = [0; KEYS as usize];
                    start.wait();
                    let mut refused = 0;
                    for n in 0u64.. {
                        let call = Call::new();
                        let key = (n + thread) % (2 * KEYS);
                        if key < KEYS {
                            if let Some(permit) = limiter.try_enter_key(&call, &key) {
                                std::mem::forget(permit);
                                got[key as usize] += 1;
                            } else if limiter.try_acquire_for(&key, 1).is_ok() {
                                got[key as usize] += 1;
                            }
                            continue;
                        }
                        let permit = limiter.try_admit(&call);
                        let is_in = match permit {
                            Some(permit) => {
                                std::mem::forget(permit);
                                true
                            }
                            None => limiter.try_acquire(1).is_ok(),
                        };
                        if is_in {
                            kept.fetch_add(1, Relaxed);
                            refused = 0;
                        } else {
                            refused += 1;
                        }
                        if refused > 3 * PERMITS {
                            return got;
                        }
                    }
                    unreachable!("it runs dry")
                })
            })
            .collect();
        let changes = scope.spawn(|| {
            start.wait();
            let mut changes = 0;
            while !done.load(Relaxed) {
                put(&limiter, other[changes % 4]);
                changes += 1;
                thread::yield_now();
            }
            changes
        });
        for thread in threads {
            let got = thread.join().expect("no panic");
            for (all, got) in of_keys.iter_mut().zip(got) {
                *all += got;
            }
        }
        done.store(true, Relaxed);
        assert!(changes.join().expect("no panic") > 10);
    });
    assert_eq!(kept.load(Relaxed), PERMITS);
    assert_eq!(of_keys, [PERMITS; KEYS as usize]);
    let allowed = u64::from(PERMITS) * (KEYS + 1);
    assert_eq!(limiter.metrics().allowed, allowed);
}

/// The same where it is switched off and on, which nobody counts who passes meanwhile.
#[test]
fn every_permit_is_counted_once_while_it_is_switched() {
    const PERMITS: u32 = 5_000;
    let of = settings(1, LONG * 1_000).burst(PERMITS);
    let limiter = limiter(of);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let limiter = &limiter;
                scope.spawn(move || {
                    let mut refused = 0;
                    while refused < 10_000 {
                        let call = Call::new();
                        match limiter.admit_blocking(&call) {
                            Ok(permit) => permit.succeed(),
                            Err(_) => refused += 1,
                        }
                        let _ = limiter.try_acquire_for(&1, 1);
                    }
                })
            })
            .collect();
        let switches = scope.spawn(|| {
            while !done.load(Relaxed) {
                limiter.reconfigure(&of, Switch::Off);
                put(&limiter, of);
                thread::yield_now();
            }
        });
        for thread in threads {
            thread.join().expect("no panic");
        }
        done.store(true, Relaxed);
        switches.join().expect("no panic");
    });
    assert_eq!(limiter.metrics().allowed, 2 * u64::from(PERMITS));
}

/// Nobody who waits is lost, whatever changes meanwhile.
#[tokio::test(start_paused = true)]
async fn all_who_wait_come_to_an_end() {
    let mut random = fastrand::Rng::with_seed(11);
    let limiter = limiter(settings(5, Duration::from_secs(1)).max_wait(Duration::from_secs(9)));
    let mut callers = Vec::new();
    for _ in 0..400 {
        let key = Some(random.u32(0..3)).filter(|key| *key > 0);
        callers.push(waits(&limiter, key, random.u32(1..3)));
        if random.u32(0..9) == 0 {
            callers.swap_remove(random.usize(0..callers.len())).abort();
        }
        if random.u32(0..4) == 0 {
            let mut of = settings(
                random.u32(2..30),
                Duration::from_millis(random.u64(100..3_000)),
            )
            .algorithm(Algorithm::ALL[random.usize(0..6)]);
            if random.u32(0..4) > 0 {
                of = of.max_wait(Duration::from_millis(random.u64(1..9_000)));
            }
            let switch = if random.u32(0..8) == 0 {
                Switch::Off
            } else {
                Switch::On
            };
            limiter.reconfigure(&of, switch);
        }
        sleep(Duration::from_millis(random.u64(0..150))).await;
    }
    limiter.reconfigure(
        &settings(50, Duration::from_secs(1)).max_wait(Duration::from_secs(9)),
        Switch::On,
    );
    let start = Instant::now();
    for caller in callers {
        let (_, waited) = caller.await.expect("no panic");
        assert!(waited <= Duration::from_secs(10), "{waited:?}");
    }
    assert!(start.elapsed() <= Duration::from_secs(10));
    assert_eq!(limiter.metrics().waiting, 0);
}

/// A limit that goes to and fro gives out no more than the larger one does.
#[tokio::test(start_paused = true)]
async fn to_and_fro_gives_out_no_more_than_the_larger_limit() {
    for algorithm in Algorithm::ALL {
        let of = |count| settings(count, LONG).algorithm(algorithm);
        let limiter = limiter(of(60));
        let (mut alone, mut of_key) = (0, 0);
        for turn in 0..50 {
            put(&limiter, of(if turn % 2 == 0 { 60 } else { 40 }));
            while limiter.try_acquire(1).is_ok() {
                alone += 1;
            }
            while limiter.try_acquire_for(&1, 1).is_ok() {
                of_key += 1;
            }
        }
        assert_eq!((alone, of_key), (60, 60), "{algorithm}");
    }
}

/// The same where the calls bring the rate.
#[tokio::test(start_paused = true)]
async fn rates_of_calls_that_go_to_and_fro_give_out_no_more_than_the_larger() {
    for algorithm in Algorithm::ALL {
        let settings = RateLimiterSettings::new().rate(Rate::OF_THE_CALL);
        let limiter = limiter(settings.algorithm(algorithm));
        let mut given = 0;
        for turn in 0..50 {
            let rate = Rate::new(if turn % 2 == 0 { 60 } else { 40 }, LONG);
            let request = || Request::new().key("tenant").rate(rate).cost(1);
            while let Ok(admission) = limiter.enter_blocking(&Call::new(), request()) {
                std::mem::forget(admission);
                given += 1;
            }
        }
        assert_eq!(given, 60, "{algorithm}");
    }
}
