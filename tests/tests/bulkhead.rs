//! `Bulkhead` as a value, in virtual time.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use steadfast::{
    Bulkhead, BulkheadBuilder, BulkheadFull, BulkheadPermit, ConfigError, Event, Rejection, Timeout,
};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

type Answer = Result<u32, Rejection>;

fn narrow(name: &str) -> BulkheadBuilder {
    Bulkhead::builder(name).max_concurrent(1)
}

fn full(rejection: Rejection) -> BulkheadFull {
    match rejection {
        Rejection::BulkheadFull(full) => full,
        other => panic!("{other}"),
    }
}

fn work(bulkhead: &Bulkhead, time: Duration, answer: u32) -> impl Future<Output = Answer> + use<> {
    let bulkhead = bulkhead.clone();
    async move {
        bulkhead
            .call(async {
                sleep(time).await;
                Ok(answer)
            })
            .await
    }
}

#[tokio::test(start_paused = true)]
async fn as_many_as_allowed_run_at_once_and_the_rest_is_refused_at_once() {
    let bulkhead = Bulkhead::builder("two").max_concurrent(2).build().unwrap();
    let running = [
        tokio::spawn(work(&bulkhead, SECOND, 1)),
        tokio::spawn(work(&bulkhead, SECOND, 2)),
    ];
    tokio::task::yield_now().await;
    let start = Instant::now();
    let refused = full(work(&bulkhead, SECOND, 3).await.unwrap_err());
    assert_eq!(
        (&*refused.policy, refused.max_concurrent, refused.waiting),
        ("two", 2, 0)
    );
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(
        (bulkhead.metrics().in_flight, bulkhead.metrics().refused),
        (2, 1)
    );
    for (answer, task) in (1..).zip(running) {
        assert_eq!(task.await.unwrap(), Ok(answer));
    }
    assert_eq!(bulkhead.metrics().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_served_in_order_of_arrival() {
    let bulkhead = narrow("line").max_wait(60 * SECOND).build().unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let (order, work) = (Arc::clone(&order), work(&bulkhead, SECOND, n));
            tokio::spawn(async move {
                let answer = work.await;
                order.lock().unwrap().push(n);
                answer
            })
        })
        .collect();
    let start = Instant::now();
    for (n, task) in (0..).zip(tasks) {
        assert_eq!(task.await.unwrap(), Ok(n));
    }
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
    assert_eq!(start.elapsed(), 20 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_does_not_overtake_one_who_waits() {
    let bulkhead = narrow("queue").max_wait(60 * SECOND).build().unwrap();
    let permit = bulkhead.try_acquire().unwrap();
    let waits = tokio::spawn(work(&bulkhead, SECOND, 1));
    tokio::task::yield_now().await;
    drop(permit);
    // The permit is the waiter's, although it has not run since.
    assert!(bulkhead.try_acquire().is_err());
    assert_eq!(waits.await.unwrap(), Ok(1));
    assert!(bulkhead.try_acquire().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_after_max_wait() {
    let bulkhead = narrow("short").max_wait(3 * SECOND).build().unwrap();
    let _permit = bulkhead.try_acquire().unwrap();
    let start = Instant::now();
    let refused = full(bulkhead.acquire().await.unwrap_err());
    assert_eq!(start.elapsed(), 3 * SECOND);
    assert_eq!((refused.max_concurrent, refused.waiting), (1, 0));
    assert_eq!(bulkhead.metrics().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_comes_free_in_time_is_had_at_once() {
    let bulkhead = narrow("just").max_wait(3 * SECOND).build().unwrap();
    let permit = bulkhead.try_acquire().unwrap();
    tokio::spawn(async move {
        sleep(2 * SECOND).await;
        drop(permit);
    });
    let start = Instant::now();
    assert!(bulkhead.acquire().await.is_ok());
    assert_eq!(start.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_line_is_bounded() {
    let bulkhead = narrow("bounded")
        .max_wait(SECOND)
        .max_queue(2)
        .build()
        .unwrap();
    let _permit = bulkhead.try_acquire().unwrap();
    let waiting = [
        tokio::spawn(work(&bulkhead, SECOND, 1)),
        tokio::spawn(work(&bulkhead, SECOND, 2)),
    ];
    tokio::task::yield_now().await;
    assert_eq!(bulkhead.metrics().waiting, 2);
    let start = Instant::now();
    assert_eq!(full(bulkhead.acquire().await.unwrap_err()).waiting, 2);
    assert_eq!(start.elapsed(), Duration::ZERO);
    for task in waiting {
        assert!(task.await.unwrap().is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_gives_its_place_to_the_next() {
    let bulkhead = narrow("dropped").max_wait(60 * SECOND).build().unwrap();
    let permit = bulkhead.try_acquire().unwrap();
    let first = tokio::spawn(work(&bulkhead, SECOND, 1));
    tokio::task::yield_now().await;
    let second = tokio::spawn(work(&bulkhead, SECOND, 2));
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(bulkhead.metrics().waiting, 1);
    drop(permit);
    assert_eq!(second.await.unwrap(), Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_place_handed_to_one_who_is_dropped_goes_to_the_next() {
    let bulkhead = narrow("handed").max_wait(60 * SECOND).build().unwrap();
    let permit = bulkhead.try_acquire().unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut first = Box::pin(bulkhead.acquire());
    assert!(first.as_mut().poll(&mut context).is_pending());
    let second = tokio::spawn(work(&bulkhead, SECOND, 2));
    tokio::task::yield_now().await;
    drop(permit);
    drop(first);
    assert_eq!(second.await.unwrap(), Ok(2));
    assert_eq!(bulkhead.metrics().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn it_can_be_dropped_at_every_await() {
    let bulkhead = narrow("cancel").max_wait(60 * SECOND).build().unwrap();
    let mut ended = false;
    for polls in 0.. {
        let permit = bulkhead.try_acquire().unwrap();
        let release = tokio::spawn(async move {
            sleep(SECOND).await;
            drop(permit);
        });
        {
            let mut call = pin!(work(&bulkhead, SECOND, 1));
            let mut polled = 0;
            std::future::poll_fn(|context| {
                if polled == polls {
                    return Poll::Ready(());
                }
                polled += 1;
                call.as_mut().poll(context).map(|answer| {
                    assert_eq!(answer, Ok(1));
                    ended = true;
                })
            })
            .await;
        }
        release.await.unwrap();
        let metrics = bulkhead.metrics();
        assert_eq!(
            (metrics.in_flight, metrics.waiting),
            (0, 0),
            "after {polls} polls"
        );
        if ended {
            assert!(polls >= 3);
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_gives_the_place_back() {
    let bulkhead = narrow("panics").build().unwrap();
    let task = tokio::spawn({
        let bulkhead = bulkhead.clone();
        async move {
            let call = async { panic!("boom") };
            bulkhead.call::<_>(async { call.await as Answer }).await
        }
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(bulkhead.metrics().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_around_it_ends_the_wait() {
    let bulkhead = narrow("outer").max_wait(60 * SECOND).build().unwrap();
    let timeout = Timeout::builder("outer").after(2 * SECOND).build().unwrap();
    let _permit = bulkhead.try_acquire().unwrap();
    let start = Instant::now();
    let answer: Answer = timeout.call(work(&bulkhead, SECOND, 1)).await;
    assert!(matches!(answer, Err(Rejection::TimedOut(_))));
    assert_eq!(start.elapsed(), 2 * SECOND);
    assert_eq!(bulkhead.metrics().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn each_key_has_places_of_its_own() {
    let bulkhead = narrow("tenants").build().unwrap();
    let one = bulkhead.try_acquire_for("one").unwrap();
    let _two = bulkhead.acquire_for(&2).await.unwrap();
    assert!(bulkhead.try_acquire_for("one").is_err());
    assert!(
        bulkhead.try_acquire_for("2").is_err(),
        "keys are what they display as"
    );
    let metrics = bulkhead.metrics();
    assert_eq!((metrics.in_flight, metrics.max_concurrent), (2, 1));
    drop(one);
    assert!(bulkhead.try_acquire_for("one").is_ok());
}

#[tokio::test(start_paused = true)]
async fn each_key_has_a_line_of_its_own() {
    let bulkhead = narrow("lines").max_wait(60 * SECOND).build().unwrap();
    let slow = bulkhead.try_acquire_for("slow").unwrap();
    let behind = tokio::spawn({
        let acquire = bulkhead.clone();
        async move { acquire.acquire_for("slow").await.map(drop) }
    });
    tokio::task::yield_now().await;
    assert_eq!(bulkhead.metrics().waiting, 1);
    assert!(bulkhead.acquire_for("fast").await.is_ok());
    drop(slow);
    assert!(behind.await.unwrap().is_ok());
    assert_eq!(bulkhead.metrics().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_keys_leaves_those_in_use_alone_and_shares_what_is_left() {
    let bulkhead = Bulkhead::builder("flood")
        .max_concurrent(3)
        .max_keys(100)
        .build()
        .unwrap();
    let held: Vec<_> = (0..100)
        .map(|n| bulkhead.try_acquire_for(&n).unwrap())
        .collect();
    let flood: Vec<_> = (100..10_000)
        .filter_map(|n| bulkhead.try_acquire_for(&n).ok())
        .collect();
    assert!(flood.len() <= 4 * 3, "{} got in", flood.len());
    // The others still have what is theirs.
    let second: Vec<_> = (0..100)
        .map(|n| bulkhead.try_acquire_for(&n).unwrap())
        .collect();
    drop((held, second, flood));
    assert_eq!(bulkhead.metrics().in_flight, 0);
    assert!((10_000..20_000).all(|n| bulkhead.try_acquire_for(&n).is_ok()));
}

#[tokio::test(start_paused = true)]
async fn one_that_only_watches_lets_everything_through_and_tells() {
    let test = steadfast::test::isolated();
    let refused = Arc::new(AtomicU32::new(0));
    let heard = Arc::clone(&refused);
    let _subscription = test.registry().subscribe(move |event| {
        if let Event::Refused(event) = event {
            assert!(!event.enforced && event.policy == "watching");
            heard.fetch_add(1, Ordering::Relaxed);
        }
    });
    let bulkhead = narrow("watching")
        .max_wait(SECOND)
        .enforce(false)
        .build()
        .unwrap();
    let permits: Vec<_> = (0..5).map(|_| bulkhead.try_acquire().unwrap()).collect();
    let start = Instant::now();
    assert_eq!(work(&bulkhead, Duration::ZERO, 1).await, Ok(1));
    assert!(start.elapsed() < SECOND);
    assert_eq!(bulkhead.metrics().in_flight, 5);
    assert_eq!(
        (refused.load(Ordering::Relaxed), bulkhead.metrics().refused),
        (5, 5)
    );
    drop(permits);
    assert_eq!(bulkhead.metrics().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told() {
    let test = steadfast::test::isolated();
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let _subscription = test.registry().subscribe(move |event| {
        heard.lock().unwrap().push(event.clone());
    });
    let bulkhead = narrow("told").build().unwrap();
    let _permit = bulkhead.try_acquire().unwrap();
    assert!(bulkhead.try_acquire().is_err());
    match &events.lock().unwrap()[..] {
        [Event::Refused(event)] => {
            assert!(event.enforced);
            assert!(matches!(event.rejection, Rejection::BulkheadFull(_)));
        }
        other => panic!("{other:?}"),
    }
}

/// Real time: a blocking caller's wait is real. A few milliseconds.
#[test]
fn blocking_and_async_callers_stand_in_one_line() {
    let bulkhead = narrow("mixed").max_wait(60 * SECOND).build().unwrap();
    let permit = bulkhead.acquire_blocking().unwrap();
    let order = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let waits_for = |waiting| {
            while bulkhead.metrics().waiting < waiting {
                std::thread::yield_now();
            }
        };
        scope.spawn(|| {
            let _permit = bulkhead.acquire_blocking().unwrap();
            order.lock().unwrap().push("blocking");
        });
        waits_for(1);
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build();
            runtime.unwrap().block_on(async {
                let _permit = bulkhead.acquire().await.unwrap();
                order.lock().unwrap().push("async");
            });
        });
        waits_for(2);
        scope.spawn(|| {
            let _permit = bulkhead.acquire_blocking().unwrap();
            order.lock().unwrap().push("blocking");
        });
        waits_for(3);
        drop(permit);
    });
    assert_eq!(*order.lock().unwrap(), ["blocking", "async", "blocking"]);
    assert_eq!(bulkhead.metrics().in_flight, 0);
}

/// Real time: see above.
#[test]
fn a_blocking_wait_ends_after_max_wait() {
    let bulkhead = narrow("late")
        .max_wait(Duration::from_millis(5))
        .build()
        .unwrap();
    let _permit = bulkhead.try_acquire_for("key").unwrap();
    let start = std::time::Instant::now();
    assert!(bulkhead.acquire_blocking_for("key").is_err());
    assert!(start.elapsed() >= Duration::from_millis(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crowd_never_exceeds_the_limit_and_everybody_is_served() {
    const LIMIT: u32 = 3;
    let bulkhead = Bulkhead::builder("crowd")
        .max_concurrent(LIMIT)
        .max_wait(600 * SECOND)
        .max_queue(10_000)
        .build()
        .unwrap();
    let (inside, served) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let (bulkhead, inside, served) = (bulkhead.clone(), inside.clone(), served.clone());
            tokio::spawn(async move {
                for round in 0..50 {
                    if (n + round) % 7 == 0 {
                        // Some lose patience, wherever they stand.
                        let give_up = Duration::from_micros(u64::from((n * round) % 90u32));
                        let _ = tokio::time::timeout(give_up, bulkhead.acquire()).await;
                        continue;
                    }
                    let answer: Answer = bulkhead
                        .call(async {
                            assert!(inside.fetch_add(1, Ordering::SeqCst) < LIMIT);
                            tokio::task::yield_now().await;
                            inside.fetch_sub(1, Ordering::SeqCst);
                            Ok(1)
                        })
                        .await;
                    assert_eq!(answer, Ok(1));
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let expected = (0..200u32)
        .flat_map(|n| (0..50).map(move |round| (n + round) % 7))
        .filter(|rest| *rest != 0)
        .count() as u64;
    assert_eq!(served.load(Ordering::Relaxed), expected);
    let metrics = bulkhead.metrics();
    assert_eq!(
        (metrics.in_flight, metrics.waiting, metrics.refused),
        (0, 0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_may_wait() {
    let bulkhead = narrow("many")
        .max_wait(100_000 * SECOND)
        .max_queue(10_000)
        .build()
        .unwrap();
    let permit = bulkhead.try_acquire().unwrap();
    let tasks: Vec<_> = (0..10_000)
        .map(|n| tokio::spawn(work(&bulkhead, Duration::from_millis(1), n)))
        .collect();
    tokio::task::yield_now().await;
    sleep(SECOND).await;
    assert_eq!(bulkhead.metrics().waiting, 10_000);
    drop(permit);
    for (n, task) in (0..).zip(tasks) {
        assert_eq!(task.await.unwrap(), Ok(n));
    }
}

#[test]
fn a_mistake_in_the_settings_is_refused_by_its_name() {
    let cases: [(BulkheadBuilder, &str); 3] = [
        (narrow("b").max_concurrent(0), "max_concurrent"),
        (narrow("b").max_wait(Duration::ZERO), "max_wait"),
        (narrow("b").max_queue(5), "max_queue"),
    ];
    for (builder, expected) in cases {
        match builder.build().unwrap_err() {
            ConfigError::BadSetting { setting, .. } => assert_eq!(setting, expected),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn the_value_its_permits_and_futures_go_between_threads() {
    fn send<T: Send>(value: T) -> T {
        value
    }
    fn shared<T: Clone + Send + Sync + std::fmt::Debug>(_: &T) {}
    let bulkhead = Bulkhead::builder("sent").build().unwrap();
    shared(&bulkhead);
    let permit: BulkheadPermit = send(bulkhead.try_acquire().unwrap());
    std::thread::spawn(move || drop(permit)).join().unwrap();
    assert_eq!(bulkhead.metrics().in_flight, 0);
    // A key that must stay on its thread does not bind the future.
    let key = std::rc::Rc::new(7);
    drop(send(bulkhead.acquire_for(&key)));
    drop(send(bulkhead.acquire()));
    drop(send(bulkhead.call(async { Ok::<_, Rejection>(1) })));
}

/// Without a runtime a free place can still be had: that needs no timer.
#[test]
fn a_free_place_needs_no_runtime() {
    let bulkhead = narrow("bare").max_wait(SECOND).build().unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let permit = match pin!(bulkhead.acquire()).poll(&mut context) {
        Poll::Ready(Ok(permit)) => permit,
        _ => panic!("not at once"),
    };
    let mut waits = Box::pin(bulkhead.acquire());
    let polled = std::panic::catch_unwind(AssertUnwindSafe(|| {
        waits.as_mut().poll(&mut context).is_ready()
    }));
    assert!(polled.is_err(), "a wait needs tokio's timer, and says so");
    drop((waits, permit));
    assert_eq!(
        (bulkhead.metrics().in_flight, bulkhead.metrics().waiting),
        (0, 0)
    );
}
