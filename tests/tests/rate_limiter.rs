//! What a rate limiter does, in virtual time.

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use steadfast::{
    __private::{Call, Judge, Outermost, Permit as _, Probe, Request, Step},
    Algorithm, Event, Rate, RateLimited, RateLimiter, RateLimiterBuilder, Rejection, Timeout,
};
use tokio::time::{Instant, advance};

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn builder() -> RateLimiterBuilder {
    RateLimiter::builder("test")
}

fn build(builder: RateLimiterBuilder) -> RateLimiter {
    builder.build().unwrap()
}

/// Ten a second, two at once.
fn ten_a_second() -> RateLimiterBuilder {
    builder().rate(Rate::per_second(10)).burst(2)
}

fn limited(rejection: Rejection) -> RateLimited {
    match rejection {
        Rejection::RateLimited(limited) => limited,
        other => panic!("{other:?}"),
    }
}

/// Lets everything that is woken run, without moving the clock.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

mod taking {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_then_calls_keep_to_the_rate() {
        let limiter = build(ten_a_second());
        let first = limiter.try_acquire(1).unwrap();
        assert_eq!(
            (first.limit, first.remaining, first.reset_after),
            (2, 1, millis(100))
        );
        limiter.try_acquire(1).unwrap();
        let refused = limiter.try_acquire(1).unwrap_err();
        assert_eq!(refused.policy, "test");
        assert_eq!((refused.limit, refused.remaining), (2, 0));
        assert_eq!(refused.retry_after, Some(millis(100)));
        assert_eq!(refused.reset_after, millis(200));
        advance(millis(99)).await;
        assert!(limiter.try_acquire(1).is_err());
        advance(millis(1)).await;
        assert!(limiter.try_acquire(1).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_burst_is_the_rates_count_unless_it_is_set() {
        let limiter = build(builder().rate("5/m".parse().unwrap()));
        assert_eq!(limiter.try_acquire(5).unwrap().remaining, 0);
        assert_eq!(limiter.metrics().limit, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cost_above_the_limit_is_refused_for_good() {
        for algorithm in ALL {
            let limiter = build(
                builder()
                    .rate(Rate::per_second(3))
                    .algorithm(algorithm)
                    .max_wait(millis(60_000)),
            );
            assert_eq!(
                limiter.try_acquire(4).unwrap_err().retry_after,
                None,
                "{algorithm}"
            );
            assert_eq!(
                limited(limiter.acquire(4).await.unwrap_err()).retry_after,
                None,
                "{algorithm}"
            );
            assert_eq!(limiter.try_acquire(3).unwrap().remaining, 0, "{algorithm}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_call_costs_nothing() {
        for algorithm in ALL {
            let limiter = build(builder().rate(Rate::per_second(10)).algorithm(algorithm));
            limiter.try_acquire(8).unwrap();
            for _ in 0..1000 {
                assert!(limiter.try_acquire(3).is_err(), "{algorithm}");
            }
            assert_eq!(limiter.try_acquire(2).unwrap().remaining, 0, "{algorithm}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_back_when_told_gets_through() {
        for algorithm in ALL {
            let limiter = build(builder().rate(Rate::per_second(7)).algorithm(algorithm));
            let start = Instant::now();
            for _ in 0..50 {
                if let Err(refused) = limiter.try_acquire(2) {
                    advance(refused.retry_after.unwrap()).await;
                    limiter.try_acquire(2).unwrap();
                }
            }
            assert!(
                start.elapsed() <= Duration::from_secs(17),
                "{algorithm} took {:?}",
                start.elapsed()
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn fixed_windows_begin_with_the_unix_epochs() {
        let limiter = build(
            builder()
                .rate(Rate::per_second(2))
                .algorithm(Algorithm::FixedWindow),
        );
        let into = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .subsec_nanos();
        let left = limiter.try_acquire(1).unwrap().reset_after;
        // The wall clock goes on meanwhile, and virtual time does not: they agree to some milliseconds.
        let apart = (left + Duration::from_nanos(into.into())).as_millis() % 1000;
        assert!(apart <= 50 || apart >= 950, "{apart} ms");
        advance(left).await;
        assert_eq!(
            limiter.try_acquire(1).unwrap().reset_after,
            Duration::from_secs(1)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_the_stated_worst_case_in_any_window() {
        for (algorithm, worst) in [
            (Algorithm::TokenBucket, 39),
            (Algorithm::LeakyBucket, 39),
            (Algorithm::FixedWindow, 40),
            (Algorithm::SlidingWindow, 20),
            (Algorithm::SlidingWindowCounter, 40),
            (Algorithm::Adaptive, 39),
        ] {
            let limiter = build(builder().rate(Rate::per_second(20)).algorithm(algorithm));
            let (mut taken, mut random) = (Vec::new(), 1u64);
            for tick in 0..20_000u64 {
                advance(millis(1)).await;
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                // Quiet times and storms.
                if tick % 4000 > 900 || random >> 60 == 0 {
                    while limiter.try_acquire(1).is_ok() {
                        taken.push(tick);
                    }
                }
            }
            let within = |from: &u64| {
                taken
                    .iter()
                    .filter(|&at| at >= from && *at < from + 1000)
                    .count()
            };
            let most = taken.iter().map(within).max().unwrap();
            assert!(most <= worst, "{algorithm}: {most}");
            assert!(most >= 20, "{algorithm}: {most}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_used_in_a_later_clock_locks_nobody_out() {
        for algorithm in ALL {
            let limiter = build(builder().rate(Rate::per_second(2)).algorithm(algorithm));
            let other = limiter.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .start_paused(true)
                    .build();
                runtime.unwrap().block_on(async {
                    advance(Duration::from_secs(3600)).await;
                    other.try_acquire(2).unwrap();
                });
            })
            .join()
            .unwrap();
            assert!(limiter.try_acquire(2).is_ok(), "{algorithm}");
            assert!(limiter.try_acquire(1).is_err(), "{algorithm}");
            advance(millis(2000)).await;
            assert!(limiter.try_acquire(1).is_ok(), "{algorithm}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_costs_nothing() {
        let limiter = build(ten_a_second());
        limiter.try_acquire(2).unwrap();
        assert!(limiter.try_acquire(0).is_ok());
    }

    const ALL: [Algorithm; 6] = [
        Algorithm::TokenBucket,
        Algorithm::LeakyBucket,
        Algorithm::FixedWindow,
        Algorithm::SlidingWindow,
        Algorithm::SlidingWindowCounter,
        Algorithm::Adaptive,
    ];
}

mod waiting {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn leaves_evenly_spaced_in_the_order_of_arrival() {
        for algorithm in [Algorithm::LeakyBucket, Algorithm::TokenBucket] {
            let limiter = build(
                ten_a_second()
                    .algorithm(algorithm)
                    .max_wait(Duration::from_secs(10)),
            );
            let (start, left) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
            let callers: Vec<_> = (0..12)
                .map(|n| {
                    let (limiter, left) = (limiter.clone(), Arc::clone(&left));
                    tokio::spawn(async move {
                        limiter.acquire(1).await.unwrap();
                        left.lock()
                            .unwrap()
                            .push((n, start.elapsed().as_millis() as u64));
                    })
                })
                .collect();
            settle().await;
            assert_eq!(limiter.metrics().waiting, 10);
            for caller in callers {
                caller.await.unwrap();
            }
            let expected: Vec<_> = (0..12)
                .map(|n: u64| (n, n.saturating_sub(1) * 100))
                .collect();
            assert_eq!(*left.lock().unwrap(), expected);
            assert_eq!(
                (limiter.metrics().waiting, limiter.metrics().allowed),
                (0, 12)
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_coarse_timer_does_not_slow_the_line_down() {
        let limiter = build(
            builder()
                .rate(Rate::per_second(300))
                .burst(1)
                .max_wait(Duration::from_secs(60)),
        );
        let start = Instant::now();
        for _ in 0..301 {
            limiter.acquire(1).await.unwrap();
        }
        let elapsed = start.elapsed();
        assert!(
            elapsed >= millis(1000) && elapsed <= millis(1002),
            "{elapsed:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_cannot_succeed_is_refused_at_once() {
        let limiter = build(ten_a_second().max_wait(millis(250)));
        limiter.try_acquire(2).unwrap();
        let start = Instant::now();
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let limiter = limiter.clone();
                tokio::spawn(async move { limiter.acquire(1).await })
            })
            .collect();
        settle().await;
        // 100 and 200 ms are taken by those ahead.
        let refused = limited(limiter.acquire(1).await.unwrap_err());
        assert_eq!(refused.retry_after, Some(millis(300)));
        assert_eq!(start.elapsed(), Duration::ZERO);
        for caller in waiting {
            caller.await.unwrap().unwrap();
        }
        assert_eq!(start.elapsed(), millis(200));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_wait_gives_its_place_back_and_the_next_moves_up() {
        let limiter = build(ten_a_second().max_wait(Duration::from_secs(10)));
        limiter.try_acquire(2).unwrap();
        let start = Instant::now();
        let spawn = |cost| {
            let limiter = limiter.clone();
            tokio::spawn(async move { limiter.acquire(cost).await.map(|_| start.elapsed()) })
        };
        let (first, second, third) = (spawn(2), spawn(2), spawn(1));
        settle().await;
        first.abort();
        advance(millis(50)).await;
        settle().await;
        assert_eq!(second.await.unwrap().unwrap(), millis(200));
        assert_eq!(third.await.unwrap().unwrap(), millis(300));
    }

    #[tokio::test(start_paused = true)]
    async fn the_middle_of_the_line_can_leave_too() {
        let limiter = build(ten_a_second().max_wait(Duration::from_secs(10)));
        limiter.try_acquire(2).unwrap();
        let start = Instant::now();
        let spawn = |cost| {
            let limiter = limiter.clone();
            tokio::spawn(async move { limiter.acquire(cost).await.map(|_| start.elapsed()) })
        };
        let (first, second, third) = (spawn(1), spawn(2), spawn(1));
        settle().await;
        second.abort();
        assert_eq!(first.await.unwrap().unwrap(), millis(100));
        assert_eq!(third.await.unwrap().unwrap(), millis(200));
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_never_overtakes() {
        let limiter = build(ten_a_second().max_wait(Duration::from_secs(10)));
        limiter.try_acquire(2).unwrap();
        let waits = {
            let limiter = limiter.clone();
            tokio::spawn(async move { limiter.acquire(2).await.unwrap() })
        };
        settle().await;
        advance(millis(150)).await;
        // One permit is there, but it belongs to the caller who waits for two.
        let refused = limiter.try_acquire(1).unwrap_err();
        assert_eq!(
            (refused.remaining, refused.retry_after),
            (0, Some(millis(150)))
        );
        waits.await.unwrap();
        assert_eq!(
            limiter.try_acquire(1).unwrap_err().retry_after,
            Some(millis(100))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn every_algorithm_serves_its_line() {
        for algorithm in [
            Algorithm::TokenBucket,
            Algorithm::FixedWindow,
            Algorithm::SlidingWindow,
            Algorithm::SlidingWindowCounter,
            Algorithm::Adaptive,
        ] {
            let limiter = build(
                builder()
                    .rate(Rate::per_second(4))
                    .algorithm(algorithm)
                    .max_wait(Duration::from_secs(30)),
            );
            let order = Arc::new(Mutex::new(Vec::new()));
            let start = Instant::now();
            let callers: Vec<_> = (0..20)
                .map(|n| {
                    let (limiter, order) = (limiter.clone(), Arc::clone(&order));
                    tokio::spawn(async move {
                        limiter.acquire(1).await.unwrap();
                        order.lock().unwrap().push(n);
                    })
                })
                .collect();
            for caller in callers {
                caller.await.unwrap();
            }
            assert_eq!(
                *order.lock().unwrap(),
                (0..20).collect::<Vec<_>>(),
                "{algorithm}"
            );
            let seconds = start.elapsed().as_secs_f64();
            assert!((3.0..=7.0).contains(&seconds), "{algorithm}: {seconds} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_waiters_leave_in_order() {
        const WAITERS: usize = 10_000;
        let limiter = build(
            builder()
                .rate(Rate::per_second(10_000))
                .burst(1)
                .max_wait(Duration::from_secs(2)),
        );
        limiter.try_acquire(1).unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let start = Instant::now();
        let callers: Vec<_> = (0..WAITERS)
            .map(|n| {
                let (limiter, order) = (limiter.clone(), Arc::clone(&order));
                tokio::spawn(async move {
                    limiter.acquire(1).await.unwrap();
                    order.lock().unwrap().push(n);
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
        assert!(order.lock().unwrap().iter().copied().eq(0..WAITERS));
        let elapsed = start.elapsed();
        assert!(
            elapsed >= millis(1000) && elapsed <= millis(1005),
            "{elapsed:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_is_not_polled_does_not_cost_the_others_their_turns() {
        let limiter = build(ten_a_second().max_wait(millis(1000)));
        limiter.try_acquire(2).unwrap();
        let mut sleeper = Box::pin(limiter.acquire(1));
        assert!(
            std::future::poll_fn(|cx| std::task::Poll::Ready(sleeper.as_mut().poll(cx)))
                .await
                .is_pending()
        );
        // The sleeper's turn comes after 100 ms, but nobody polls it any more.
        assert!(limiter.acquire(1).await.is_ok());
        assert!(sleeper.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn no_wait_passes_the_deadline_of_a_timeout_further_out() {
        let limiter = build(ten_a_second().max_wait(Duration::from_secs(10)));
        limiter.try_acquire(2).unwrap();
        let timeout = Timeout::builder("outer").after(millis(50)).build().unwrap();
        let (start, call) = (Instant::now(), Call::new());
        let step = timeout
            .run::<Outermost, _>(&call, async {
                match limiter.enter(&call, Request::new()).await {
                    Ok(_) => Step::Done(()),
                    Err(rejection) => Step::Rejected(rejection),
                }
            })
            .await;
        assert!(
            matches!(step, Ok(Step::Rejected(Rejection::RateLimited(_)))),
            "{step:?}"
        );
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn without_max_wait_nobody_waits() {
        let limiter = build(ten_a_second());
        limiter.try_acquire(2).unwrap();
        assert!(limiter.acquire(1).await.is_err());
        assert!(limiter.acquire_blocking(1).is_err());
    }

    // Blocking waits are in real time by contract.
    #[test]
    fn blocking_callers_wait_in_real_time_in_one_line() {
        let limiter = build(
            builder()
                .rate(Rate::per_second(100))
                .burst(1)
                .max_wait(Duration::from_secs(5)),
        );
        let start = std::time::Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..3 {
                        limiter.acquire_blocking(1).unwrap();
                    }
                });
            }
        });
        let elapsed = start.elapsed();
        assert!(
            elapsed >= millis(110) && elapsed < millis(1000),
            "{elapsed:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_blocking_caller_gets_through_under_a_paused_clock() {
        let limiter = build(
            builder()
                .rate(Rate::per_second(100))
                .burst(1)
                .max_wait(Duration::from_secs(5)),
        );
        for _ in 0..3 {
            limiter.acquire_blocking(1).unwrap();
        }
    }
}

mod keys {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_key_has_a_limit_of_its_own() {
        let limiter = build(ten_a_second());
        limiter.try_acquire_for("a", 2).unwrap();
        assert!(limiter.try_acquire_for("a", 1).is_err());
        limiter.try_acquire_for(&7, 2).unwrap();
        limiter.try_acquire_for("7", 1).unwrap_err();
        limiter.try_acquire(2).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn each_key_has_a_line_of_its_own() {
        let limiter = build(ten_a_second().max_wait(Duration::from_secs(1)));
        for key in ["a", "b"] {
            limiter.try_acquire_for(key, 2).unwrap();
        }
        let start = Instant::now();
        let (a, b, again) = tokio::join!(
            limiter.acquire_for("a", 1),
            limiter.acquire_for("b", 1),
            limiter.acquire_for("a", 1)
        );
        a.and(b).and(again).unwrap();
        assert_eq!(start.elapsed(), millis(200));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_never_polled_gives_back_what_it_took() {
        let limiter = build(ten_a_second().max_wait(Duration::from_secs(1)));
        for _ in 0..10 {
            drop(limiter.acquire_for("a", 2));
        }
        assert_eq!(limiter.try_acquire_for("a", 2).unwrap().remaining, 0);
        drop(limiter.acquire_for("a", 1));
        assert_eq!(limiter.metrics().waiting, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_site_gives_each_key_its_rate() {
        let limiter = build(builder().rate(Rate::OF_THE_CALL));
        let call = Call::new();
        let enter = |key: &'static str, rate| {
            let admission = limiter.enter_blocking(&call, Request::new().key(key).rate(rate));
            admission.map(|admission| {
                call.body(|| ());
                drop(admission);
            })
        };
        let count = |key, rate| (0..100).filter(|_| enter(key, rate).is_ok()).count();
        assert_eq!(count("small", Rate::per_second(3)), 3);
        assert_eq!(count("big", Rate::per_second(30)), 30);
        assert_eq!(count("none", Rate::per_second(0)), 0);
        // A better plan holds from the next call on: three of thirty are spent.
        assert_eq!(count("small", Rate::per_second(30)), 27);
        assert_eq!(count("small", Rate::per_second(3)), 0);
        assert_eq!(
            limited(enter("none", Rate::per_second(0)).unwrap_err()).retry_after,
            None
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_keys_gains_nothing_and_takes_nothing_from_others() {
        const FLOOD: u64 = 1_000_000;
        let limiter = build(ten_a_second().max_keys(1_000));
        for n in 0..500 {
            limiter
                .try_acquire_for(&format_args!("legit {n}"), 1)
                .unwrap();
        }
        limiter.try_acquire_for("hot", 1).unwrap();
        let mut through = 0u64;
        for n in 0..FLOOD {
            through += u64::from(
                limiter
                    .try_acquire_for(&format_args!("flood {n}"), 2)
                    .is_ok(),
            );
            if n % 100_000 == 0 {
                assert_eq!(limiter.try_acquire_for("hot", 2).unwrap_err().remaining, 1);
            }
        }
        // The free places, and the few that are shared.
        assert!(through < 1_000, "{through}");
        assert_eq!(limiter.try_acquire_for("hot", 1).unwrap().remaining, 0);
        for n in 0..500 {
            assert_eq!(
                limiter
                    .try_acquire_for(&format_args!("legit {n}"), 1)
                    .unwrap()
                    .remaining,
                0
            );
        }
        // Once the limits are as if unused, keys are forgotten and new ones have their own.
        advance(millis(300)).await;
        for n in 0..2_000 {
            // How long a newcomer looks for one to be forgotten is bounded: of the last few places,
            // some may not be found.
            assert!(limiter.try_acquire_for(&format_args!("new {n}"), 1).is_ok() || n >= 900);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn keys_with_waiters_stay() {
        let limiter = build(ten_a_second().max_keys(1).max_wait(Duration::from_secs(5)));
        limiter.try_acquire_for("waits", 2).unwrap();
        let waiter = {
            let limiter = limiter.clone();
            tokio::spawn(async move { limiter.acquire_for("waits", 1).await })
        };
        settle().await;
        for n in 0..100 {
            let _ = limiter.try_acquire_for(&n, 1);
        }
        waiter.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn key_values_are_never_told() {
        let test = steadfast::test::isolated();
        let told = Arc::new(Mutex::new(String::new()));
        let log = Arc::clone(&told);
        let _subscription = test
            .registry()
            .subscribe(move |event| log.lock().unwrap().push_str(&format!("{event:?}")));
        let limiter = ten_a_second().install().unwrap();
        limiter.try_acquire_for("s3cret", 2).unwrap();
        let refused = limiter.try_acquire_for("s3cret", 1).unwrap_err();
        let snapshot = format!("{:?}", test.registry().snapshot());
        let told = told.lock().unwrap();
        assert!(told.contains("Refused") && snapshot.contains("rejected"));
        for text in [
            &*told,
            &snapshot,
            &format!("{refused:?} {refused}"),
            &format!("{limiter:?}"),
        ] {
            assert!(!text.contains("s3cret"), "{text}");
        }
    }
}

mod calls {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_refused_call_is_not_made() {
        let limiter = build(ten_a_second());
        let mut made = 0;
        for _ in 0..5 {
            let outcome: Result<(), Rejection> = limiter
                .call(async {
                    made += 1;
                    Ok(())
                })
                .await;
            assert_eq!(outcome.is_ok(), made <= 2 && outcome.is_ok());
        }
        assert_eq!(made, 2);
        let metrics = limiter.metrics();
        assert_eq!((metrics.allowed, metrics.rejected), (2, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_comes_back_when_an_inner_policy_refuses() {
        let limiter = build(ten_a_second());
        let inner = limited(Rejection::RateLimited(
            build(ten_a_second()).try_acquire(3).unwrap_err(),
        ));
        for _ in 0..10 {
            let call = Call::new();
            let admission = limiter.enter(&call, Request::new().cost(2)).await.unwrap();
            let step: Step<Result<(), Rejection>> = Step::Rejected(inner.clone().into());
            admission.settle(Judge::new(&step, Probe::of(&step).__traits()));
        }
        assert_eq!(limiter.try_acquire(2).unwrap().remaining, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_comes_back_when_the_call_is_dropped_before_its_body() {
        let limiter = build(ten_a_second());
        let call = Call::new();
        drop(limiter.enter(&call, Request::new().cost(2)).await.unwrap());
        let admission = limiter.enter(&call, Request::new().cost(2)).await.unwrap();
        call.body(|| ());
        drop(admission);
        assert!(limiter.try_acquire(1).is_err(), "its body had begun");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refund_lets_the_next_in_line_through() {
        let limiter = build(ten_a_second().max_wait(Duration::from_secs(5)));
        let call = Call::new();
        let admission = limiter.enter(&call, Request::new().cost(2)).await.unwrap();
        let (start, other) = (Instant::now(), limiter.clone());
        let waiter = tokio::spawn(async move { other.acquire(1).await.map(|_| start.elapsed()) });
        settle().await;
        drop(admission);
        assert_eq!(waiter.await.unwrap().unwrap(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bypass_takes_nothing_and_is_counted_and_told() {
        let test = steadfast::test::isolated();
        let told = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&told);
        let _subscription = test.registry().subscribe(move |event| {
            count.fetch_add(u64::from(matches!(event, Event::Bypassed(_))), Relaxed);
        });
        let limiter = ten_a_second().install().unwrap();
        let call = Call::new();
        for _ in 0..5 {
            drop(
                limiter
                    .enter(&call, Request::new().bypass(true))
                    .await
                    .unwrap(),
            );
        }
        assert_eq!(limiter.try_acquire(2).unwrap().remaining, 0);
        drop(
            limiter
                .enter_blocking(&call, Request::new().bypass(true))
                .unwrap(),
        );
        let metrics = limiter.metrics();
        assert_eq!(
            (metrics.bypassed, metrics.allowed, metrics.rejected),
            (6, 1, 0)
        );
        assert_eq!(told.load(Relaxed), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn without_enforcement_everything_passes_and_is_told() {
        let test = steadfast::test::isolated();
        let told = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&told);
        let _subscription = test.registry().subscribe(move |event| {
            if let Event::Refused(refused) = event {
                assert!(!refused.enforced);
                count.fetch_add(1, Relaxed);
            }
        });
        let limiter = ten_a_second()
            .enforce(false)
            .max_wait(millis(500))
            .install()
            .unwrap();
        for _ in 0..10 {
            let outcome: Result<(), Rejection> = limiter.call(async { Ok(()) }).await;
            outcome.unwrap();
        }
        assert_eq!(
            (limiter.metrics().allowed, limiter.metrics().rejected),
            (2, 8)
        );
        assert_eq!(told.load(Relaxed), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn events_may_call_back_in() {
        let test = steadfast::test::isolated();
        let limiter = ten_a_second().max_wait(millis(10)).install().unwrap();
        let again = limiter.clone();
        let _subscription = test.registry().subscribe(move |event| {
            if let Event::Refused(_) = event {
                assert_eq!(again.metrics().waiting, 0);
                again.reset();
            }
        });
        limiter.try_acquire_for("key", 2).unwrap();
        assert!(limiter.try_acquire_for("key", 1).is_err());
        assert!(limiter.try_acquire_for("key", 2).is_ok(), "it was reset");
    }
}

mod adaptive {
    use super::*;

    async fn call(limiter: &RateLimiter, ok: bool) -> bool {
        let outcome: Result<(), Error> = limiter
            .call(async { if ok { Ok(()) } else { Err(Error::Failed) } })
            .await;
        !matches!(outcome, Err(Error::Rejected(_)))
    }

    #[derive(Debug, thiserror::Error)]
    enum Error {
        #[error("failed")]
        Failed,
        #[error(transparent)]
        Rejected(#[from] Rejection),
    }

    #[tokio::test(start_paused = true)]
    async fn follows_the_success_of_its_calls() {
        let limiter = build(
            builder()
                .rate(Rate::per_second(100))
                .algorithm(Algorithm::Adaptive),
        );
        assert_eq!(
            (limiter.metrics().limit, limiter.metrics().success_rate),
            (100, None)
        );
        let mut limits = Vec::new();
        for second in 0..16 {
            for n in 0..5 {
                assert!(call(&limiter, second >= 7 || n == 0).await);
            }
            advance(Duration::from_secs(1)).await;
            limits.push(limiter.metrics().limit);
        }
        assert_eq!(limits[..7], [70, 49, 34, 24, 17, 12, 10]);
        assert!(
            limits[7..].is_sorted() && limits[15] > 40 && limits[15] <= 100,
            "{limits:?}"
        );
        assert_eq!(limiter.metrics().success_rate, Some(1.0));
        limiter.reset();
        assert_eq!(
            (limiter.metrics().limit, limiter.metrics().success_rate),
            (100, None)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_within_its_ends() {
        let limiter = build(
            builder()
                .rate(Rate::per_second(50))
                .min_rate(Rate::per_minute(600))
                .algorithm(Algorithm::Adaptive)
                .interval(millis(100))
                .backoff_factor(0.1)
                .recovery_factor(10.0),
        );
        call(&limiter, false).await;
        advance(millis(100)).await;
        assert_eq!(limiter.metrics().limit, 10);
        call(&limiter, true).await;
        advance(millis(100)).await;
        assert_eq!(limiter.metrics().limit, 50);
    }

    #[tokio::test(start_paused = true)]
    async fn lets_fewer_through_after_backing_off() {
        let limiter = build(
            builder()
                .rate(Rate::per_second(100))
                .algorithm(Algorithm::Adaptive),
        );
        for _ in 0..8 {
            call(&limiter, false).await;
            advance(Duration::from_secs(1)).await;
        }
        let mut through = 0;
        for _ in 0..100 {
            through += u32::from(limiter.try_acquire(1).is_ok());
            advance(millis(10)).await;
        }
        assert!(
            (19..=20).contains(&through),
            "ten in the bucket, ten in the second: {through}"
        );
    }
}

mod policy {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reset_makes_every_limit_unused_and_lets_waiters_through() {
        let limiter = build(ten_a_second().max_wait(Duration::from_secs(5)));
        limiter.try_acquire(2).unwrap();
        limiter.try_acquire_for("key", 2).unwrap();
        let (start, other) = (Instant::now(), limiter.clone());
        let waiters = tokio::spawn(async move {
            let (a, b) = tokio::join!(other.acquire(1), other.acquire_for("key", 1));
            a.and(b).unwrap();
            start.elapsed()
        });
        settle().await;
        limiter.reset();
        assert_eq!(waiters.await.unwrap(), Duration::ZERO);
        assert_eq!(limiter.try_acquire(1).unwrap().remaining, 0);
        assert_eq!(limiter.try_acquire_for("key", 1).unwrap().remaining, 0);
        assert_eq!(limiter.metrics().allowed, 4);
    }

    #[test]
    fn bad_settings_are_refused_with_what_to_write() {
        let per_second = Rate::per_second(10);
        let with_rate = || builder().rate(per_second);
        let adaptive = || with_rate().algorithm(Algorithm::Adaptive);
        for (builder, words) in [
            (builder(), "`rate` is required"),
            (builder().rate(Rate::per_second(0)), "at least 1"),
            (
                builder().rate(Rate::new(1, Duration::ZERO)),
                "longer than zero",
            ),
            (
                builder().rate(Rate::new(u32::MAX, Duration::from_nanos(1))),
                "lower rate",
            ),
            (builder().rate(Rate::new(1, Duration::MAX)), "shorter"),
            (with_rate().burst(0), "`burst` must be at least 1"),
            (
                with_rate().burst(5).algorithm(Algorithm::FixedWindow),
                "leave `burst` out",
            ),
            (with_rate().max_keys(0), "`max_keys` must be at least 1"),
            (with_rate().max_wait(Duration::ZERO), "leave it out"),
            (with_rate().min_rate(per_second), "algorithm = adaptive"),
            (with_rate().backoff_factor(0.5), "algorithm = adaptive"),
            (adaptive().min_rate(Rate::per_second(11)), "at most `rate`"),
            (adaptive().min_rate(Rate::per_second(0)), "at least 1"),
            (adaptive().interval(Duration::ZERO), "write \"1s\""),
            (adaptive().adaptive_threshold(0.0), "at most 1"),
            (adaptive().adaptive_threshold(f64::NAN), "at most 1"),
            (adaptive().backoff_factor(1.0), "below 1"),
            (adaptive().recovery_factor(1.0), "above 1"),
            (adaptive().recovery_factor(f64::INFINITY), "above 1"),
        ] {
            let error = builder.build().unwrap_err().to_string();
            assert!(error.contains(words), "{words}: {error}");
        }
    }

    #[test]
    fn settings_are_shown_as_they_are_written() {
        let test = steadfast::test::isolated();
        ten_a_second().install().unwrap();
        builder_named("adaptive")
            .rate(Rate::per_second(5))
            .algorithm(Algorithm::Adaptive)
            .install()
            .unwrap();
        let snapshot = test.registry().snapshot();
        let shown = |name, setting| {
            let policy = snapshot
                .policy(steadfast::PolicyKind::RateLimiter, name)
                .unwrap();
            policy.settings[setting].clone()
        };
        assert_eq!(shown("test", "rate"), "10/s");
        assert_eq!(shown("test", "burst"), "2");
        assert_eq!(shown("test", "algorithm"), "token_bucket");
        assert_eq!(shown("test", "min_rate"), "none");
        assert_eq!(shown("adaptive", "min_rate"), "5/10s");
        assert_eq!(shown("adaptive", "adaptive_threshold"), "0.8");
    }

    fn builder_named(name: &str) -> RateLimiterBuilder {
        RateLimiter::builder(name)
    }

    #[test]
    fn what_is_made_of_it_can_be_sent() {
        fn sent<T: Send + Sync>(_: &T) {}
        fn moved<T: Send>(_: &T) {}
        let limiter = build(ten_a_second());
        sent(&limiter);
        moved(&limiter.acquire(1));
        moved(&limiter.acquire_for("key", 1));
        let call = Call::new();
        moved(&limiter.enter(&call, Request::new().key(&std::cell::Cell::new(1).get())));
    }
}

mod sites {
    use super::*;
    use steadfast::rate_limited;

    #[rate_limited("plans", rate = plan, key = tenant, burst = 1, max_wait = "10s")]
    async fn planned(tenant: &str, plan: Rate) -> Result<Instant, Rejection> {
        Ok(Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_of_the_call_goes_with_the_other_settings() {
        let test = steadfast::test::isolated();
        let start = Instant::now();
        let mut at = Vec::new();
        for _ in 0..3 {
            at.push(planned("slow", Rate::per_second(2)).await.unwrap() - start);
        }
        assert_eq!(at, [millis(0), millis(500), millis(1000)]);
        let fast = planned("fast", Rate::per_second(1000)).await.unwrap();
        assert_eq!(fast - start, millis(1000));
        assert!(planned("none", Rate::per_second(0)).await.is_err());
        // Faster from the next call on; half of the last permit is still to be refilled.
        advance(millis(250)).await;
        assert_eq!(
            planned("slow", Rate::per_second(10)).await.unwrap() - start,
            millis(1300)
        );
        let limiter = test.registry().rate_limiter("plans").unwrap();
        assert_eq!(
            (limiter.metrics().allowed, limiter.metrics().rejected),
            (5, 1)
        );
    }

    /// Whose key is looked up under a lock, and how often that was done.
    #[derive(Default)]
    struct Lookup {
        name: Mutex<String>,
        asked: AtomicU64,
    }

    impl Lookup {
        fn name(&self) -> std::sync::MutexGuard<'_, String> {
            self.asked.fetch_add(1, Relaxed);
            self.name.lock().unwrap()
        }
    }

    #[rate_limited(rate = "10/s", burst = 1, max_wait = "1s", key = lookup.name().as_str())]
    async fn looked_up(lookup: &Lookup) -> Result<(), Rejection> {
        assert!(lookup.name.try_lock().is_ok());
        Ok(())
    }

    #[rate_limited(rate = "10/m", burst = 1, key = lookup.name().as_str())]
    fn looked_up_blocking(lookup: &Lookup) -> Result<(), Rejection> {
        assert!(lookup.name.try_lock().is_ok());
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_asked_for_once_a_call_and_what_it_borrows_is_let_go() {
        let _test = steadfast::test::isolated();
        let lookup = Lookup::default();
        // The key is new, then known with a permit, then known without one.
        looked_up(&lookup).await.unwrap();
        advance(millis(100)).await;
        looked_up(&lookup).await.unwrap();
        let start = Instant::now();
        let (waits, looks) =
            tokio::join!(looked_up(&lookup), async { lookup.name.try_lock().is_ok() });
        waits.unwrap();
        assert!(looks, "nobody holds it in the wait");
        assert_eq!(start.elapsed(), millis(100));
        assert_eq!(lookup.asked.load(Relaxed), 3);
        let lookup = Lookup::default();
        looked_up_blocking(&lookup).unwrap();
        assert!(looked_up_blocking(&lookup).is_err());
        assert_eq!(lookup.asked.load(Relaxed), 2);
    }

    #[rate_limited("per key", rate = "5/m", key = key)]
    async fn outer_of_key(key: &str) -> Result<(), Rejection> {
        inner().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_further_in_gives_a_keys_permit_back() {
        let test = steadfast::test::isolated();
        outer_of_key("a").await.unwrap();
        for n in 0..20 {
            let key = if n % 2 == 0 { "a" } else { "b" };
            assert_eq!(outer_of_key(key).await.unwrap_err().policy(), "inner");
        }
        let outer = test.registry().rate_limiter("per key").unwrap();
        assert_eq!(outer.try_acquire_for("a", 4).unwrap().remaining, 0);
        assert_eq!(outer.try_acquire_for("b", 5).unwrap().remaining, 0);
        assert_eq!(outer_of_key("b").await.unwrap_err().policy(), "per key");
        assert_eq!(outer.metrics().allowed, 23);
    }

    #[rate_limited("watched", rate = "1/m", enforce = false, key = key)]
    async fn watched(key: u32) -> Result<(), Rejection> {
        inner().await
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_only_watched_gives_no_permit_back() {
        let test = steadfast::test::isolated();
        watched(1).await.unwrap();
        for _ in 0..3 {
            assert_eq!(watched(1).await.unwrap_err().policy(), "inner");
        }
        let watched = test.registry().rate_limiter("watched").unwrap();
        assert_eq!(
            (watched.metrics().allowed, watched.metrics().rejected),
            (1, 3)
        );
    }

    #[rate_limited("inner", rate = "1/m")]
    async fn inner() -> Result<(), Rejection> {
        Ok(())
    }

    #[rate_limited("outer", rate = "5/m")]
    async fn outer() -> Result<(), Rejection> {
        inner().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_further_in_gives_the_permit_back_across_functions() {
        let test = steadfast::test::isolated();
        outer().await.unwrap();
        for _ in 0..20 {
            assert_eq!(outer().await.unwrap_err().policy(), "inner");
        }
        let outer = test.registry().rate_limiter("outer").unwrap();
        assert_eq!(outer.try_acquire(4).unwrap().remaining, 0);
    }

    #[rate_limited("spaced", rate = "10/s", burst = 1, algorithm = leaky_bucket, max_wait = "1s")]
    async fn spaced() -> Result<(), Rejection> {
        Ok(())
    }

    #[steadfast::timeout("250ms")]
    #[rate_limited("spaced")]
    async fn hurried() -> Result<(), Rejection> {
        spaced_body().await
    }

    async fn spaced_body() -> Result<(), Rejection> {
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn sites_of_one_name_stand_in_one_line_and_keep_their_deadlines() {
        let _test = steadfast::test::isolated();
        let start = Instant::now();
        let calls: Vec<_> = (0..4)
            .map(|_| async {
                spaced().await.unwrap();
                start.elapsed()
            })
            .collect();
        let [a, b, c, d] = <[_; 4]>::try_from(calls).ok().unwrap();
        let (a, b, c, d, hurried) =
            tokio::join!(a, b, c, d, async { (hurried().await, start.elapsed()) });
        assert_eq!([a, b, c, d], [0, 100, 200, 300].map(millis));
        assert!(
            matches!(hurried, (Err(Rejection::RateLimited(_)), Duration::ZERO)),
            "{hurried:?}"
        );
    }
}

mod threads {
    use super::*;

    /// Counts exactly what passes, and when: no window of real time may hold more than it may.
    fn storm(limiter: &RateLimiter, key: Option<&str>, burst: u64, nanos_per_permit: u64) {
        let passed = AtomicU64::new(0);
        // A machine that stood still for longer than the bucket takes to fill loses what overflowed: the
        // pauses between two tries of any threads are added up.
        let (last, still) = (AtomicU64::new(0), AtomicU64::new(0));
        let start = std::time::Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..4u32 {
                let (passed, last, still) = (&passed, &last, &still);
                scope.spawn(move || {
                    while start.elapsed() < millis(200) {
                        let now = start.elapsed().as_nanos() as u64;
                        let pause = now.saturating_sub(last.swap(now, Relaxed));
                        if pause > burst * nanos_per_permit / 2 {
                            still.fetch_add(pause, Relaxed);
                        }
                        let cost = 1 + thread % 2;
                        let taken = match key {
                            None => limiter.try_acquire(cost),
                            Some(key) => limiter.try_acquire_for(key, cost),
                        };
                        if taken.is_ok() {
                            passed.fetch_add(cost.into(), Relaxed);
                        }
                    }
                });
            }
        });
        let (passed, elapsed) = (passed.load(Relaxed), start.elapsed().as_nanos() as u64);
        assert!(
            passed <= burst + elapsed / nanos_per_permit,
            "{passed} in {elapsed} ns"
        );
        // What the last refill brought may be left.
        let still = still.load(Relaxed);
        let busy = 200_000_000_u64.saturating_sub(still);
        assert!(
            passed >= burst + busy / nanos_per_permit / 2,
            "{passed} in {elapsed} ns, of which the machine stood still for {still}"
        );
    }

    // Threads contend in real time only.
    #[test]
    fn never_more_than_the_burst_and_what_the_time_brings() {
        let limiter = build(builder().rate(Rate::per_second(100_000)).burst(2_000));
        storm(&limiter, None, 2_000, 10_000);
        storm(&limiter, Some("key"), 2_000, 10_000);
    }

    #[test]
    fn windows_count_exactly_under_contention() {
        for algorithm in [
            Algorithm::FixedWindow,
            Algorithm::SlidingWindow,
            Algorithm::SlidingWindowCounter,
        ] {
            let limiter = build(builder().rate(Rate::per_hour(5_000)).algorithm(algorithm));
            let passed = AtomicU64::new(0);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for _ in 0..5_000 {
                            passed.fetch_add(limiter.try_acquire(1).is_ok().into(), Relaxed);
                        }
                    });
                }
            });
            // A window may have ended meanwhile, once in an hour.
            assert!(
                [5_000, 10_000].contains(&passed.load(Relaxed)),
                "{algorithm}"
            );
            assert_eq!(
                limiter.metrics().allowed + limiter.metrics().rejected,
                20_000
            );
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn waiters_dropped_at_random_leave_no_permit_behind() {
        let limiter = build(
            builder()
                .rate(Rate::per_second(20_000))
                .burst(10)
                .max_wait(millis(50)),
        );
        let passed = Arc::new(AtomicU64::new(0));
        let start = std::time::Instant::now();
        let callers: Vec<_> = (0..2_000u64)
            .map(|n| {
                let (limiter, passed) = (limiter.clone(), Arc::clone(&passed));
                tokio::spawn(async move {
                    let patience = Duration::from_micros(n * 7919 % 40_000);
                    let acquired = tokio::time::timeout(patience, limiter.acquire(1)).await;
                    passed.fetch_add(matches!(acquired, Ok(Ok(_))).into(), Relaxed);
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
        let elapsed = start.elapsed().as_nanos() as u64;
        // A waiter counts from its turn, up to two milliseconds before it is woken.
        assert!(passed.load(Relaxed) <= 10 + (elapsed + 2_000_000) / 50_000);
        assert_eq!(limiter.metrics().waiting, 0);
        assert!(limiter.acquire(1).await.is_ok());
    }
}
