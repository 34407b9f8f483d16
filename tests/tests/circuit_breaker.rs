//! What a circuit breaker does, in virtual time.
#![allow(clippy::unwrap_used)] // helpers of tests, not only the tests themselves

use std::{
    future::{Future, pending},
    io,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::Duration,
};

use steadfast::{
    __private::{Admits, Body, Call, Judge, Outermost, Permit as _, Probe, Step, reject},
    Cancelled, CircuitBreaker, CircuitBreakerBuilder, CircuitState, Event, Rejection, Timeout,
    Window,
};
use tokio::time::{advance, sleep};

type Answer = Result<u32, Failed>;

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("down")]
    Down,
    #[error("no such thing")]
    Missing,
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn breaker(set: impl FnOnce(CircuitBreakerBuilder) -> CircuitBreakerBuilder) -> CircuitBreaker {
    set(CircuitBreaker::builder("test")).build().unwrap()
}

async fn succeed(breaker: &CircuitBreaker) -> Answer {
    breaker.call(async { Ok(1) }).await
}

async fn fail(breaker: &CircuitBreaker) -> Answer {
    breaker.call(async { Err(Failed::Down) }).await
}

async fn fail_times(breaker: &CircuitBreaker, times: u32) {
    for _ in 0..times {
        assert!(matches!(fail(breaker).await, Err(Failed::Down)));
    }
}

async fn succeed_times(breaker: &CircuitBreaker, times: u32) {
    for _ in 0..times {
        succeed(breaker).await.unwrap();
    }
}

/// A call that takes its time.
async fn take(breaker: &CircuitBreaker, time: Duration, answer: Answer) -> Answer {
    breaker
        .call(async {
            advance(time).await;
            answer
        })
        .await
}

async fn is_refused(breaker: &CircuitBreaker) -> bool {
    matches!(
        succeed(breaker).await,
        Err(Failed::Rejected(Rejection::CircuitOpen(_)))
    )
}

/// Opened by one failure, and half-open for the next caller.
async fn due(set: impl FnOnce(CircuitBreakerBuilder) -> CircuitBreakerBuilder) -> CircuitBreaker {
    let breaker = breaker(|b| set(b.failure_threshold(1)));
    fail_times(&breaker, 1).await;
    advance(seconds(60)).await;
    breaker
}

// Opening.

#[tokio::test(start_paused = true)]
async fn opens_at_five_consecutive_failures_by_default() {
    let breaker = breaker(|b| b);
    fail_times(&breaker, 4).await;
    succeed(&breaker).await.unwrap();
    fail_times(&breaker, 4).await;
    assert_eq!(breaker.state(), CircuitState::Closed);
    fail_times(&breaker, 1).await;
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_rate_turns_the_default_threshold_off_but_not_a_written_one() {
    let rate_only = breaker(|b| b.failure_rate(1.0).minimum_calls(50));
    fail_times(&rate_only, 49).await;
    assert_eq!(rate_only.state(), CircuitState::Closed);
    let both = breaker(|b| b.failure_rate(1.0).minimum_calls(50).failure_threshold(3));
    fail_times(&both, 3).await;
    assert_eq!(both.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn the_count_window_slides() {
    let breaker = breaker(|b| b.failure_rate(0.5).window(100));
    succeed_times(&breaker, 10_000).await;
    fail_times(&breaker, 49).await;
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert_eq!(breaker.metrics().failure_rate, Some(0.49));
    fail_times(&breaker, 1).await;
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn the_time_window_slides() {
    let breaker = breaker(|b| b.failure_rate(0.5).window(seconds(10)).minimum_calls(4));
    fail_times(&breaker, 3).await;
    advance(seconds(10)).await;
    assert_eq!(breaker.metrics().calls, 0);
    fail_times(&breaker, 3).await;
    assert_eq!(breaker.state(), CircuitState::Closed);
    advance(seconds(9)).await;
    fail_times(&breaker, 1).await;
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn rates_are_evaluated_after_successes_too() {
    let breaker = breaker(|b| b.failure_rate(0.5).minimum_calls(4));
    fail_times(&breaker, 3).await;
    assert_eq!(breaker.state(), CircuitState::Closed);
    succeed(&breaker).await.unwrap();
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_window_smaller_than_minimum_calls_is_enough_when_full() {
    let breaker = breaker(|b| b.failure_rate(1.0).window(4));
    fail_times(&breaker, 3).await;
    assert_eq!(breaker.state(), CircuitState::Closed);
    fail_times(&breaker, 1).await;
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn slow_calls_open_it_though_they_succeed() {
    let breaker = breaker(|b| b.slow_call(seconds(2)).minimum_calls(4));
    for took in [2, 2, 3] {
        take(&breaker, seconds(took), Ok(1)).await.unwrap();
    }
    assert_eq!(
        breaker.metrics().slow_calls,
        1,
        "2 s is not longer than 2 s"
    );
    take(&breaker, seconds(3), Ok(1)).await.unwrap();
    assert_eq!(breaker.state(), CircuitState::Open);
    assert_eq!(breaker.metrics().slow_call_rate, Some(0.5));
}

#[tokio::test(start_paused = true)]
async fn a_slow_failure_counts_as_both() {
    let breaker = breaker(|b| b.slow_call(seconds(1)));
    take(&breaker, seconds(2), Err(Failed::Down))
        .await
        .unwrap_err();
    let metrics = breaker.metrics();
    assert_eq!(
        (metrics.calls, metrics.failures, metrics.slow_calls),
        (1, 1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn the_predicate_says_what_fails() {
    let breaker = breaker(|b| b.failure_threshold(1));
    let down = |error: &Failed| matches!(error, Failed::Down);
    let missing = breaker
        .when(down)
        .call(async { Answer::Err(Failed::Missing) });
    missing.await.unwrap_err();
    assert_eq!(breaker.metrics().failures, 0);
    let failed = breaker.when(down).call(async { Answer::Err(Failed::Down) });
    failed.await.unwrap_err();
    assert_eq!(breaker.state(), CircuitState::Open);
}

// Recovering.

#[tokio::test(start_paused = true)]
async fn open_refuses_until_the_recovery_timeout_and_says_when() {
    let breaker = breaker(|b| b.failure_threshold(1).recovery_timeout(seconds(30)));
    fail_times(&breaker, 1).await;
    advance(seconds(10)).await;
    let polled = Mutex::new(false);
    let refused: Answer = breaker
        .call(async {
            *polled.lock().unwrap() = true;
            Ok(1)
        })
        .await;
    let Err(Failed::Rejected(Rejection::CircuitOpen(open))) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(open.policy, "test");
    assert_eq!(open.retry_after, Some(seconds(20)));
    assert!(!*polled.lock().unwrap(), "a refused call is not made");
    advance(seconds(20)).await;
    succeed(&breaker).await.unwrap();
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn three_successful_probes_close_it_with_an_empty_window() {
    let breaker = due(|b| b).await;
    succeed_times(&breaker, 2).await;
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    succeed_times(&breaker, 1).await;
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert_eq!(breaker.metrics().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn one_failed_probe_reopens_it() {
    let breaker = due(|b| b).await;
    succeed_times(&breaker, 2).await;
    fail_times(&breaker, 1).await;
    assert_eq!(breaker.state(), CircuitState::Open);
    assert!(is_refused(&breaker).await);
}

#[tokio::test(start_paused = true)]
async fn one_slow_probe_reopens_it_where_slow_calls_count() {
    let counting = due(|b| b.slow_call(seconds(1))).await;
    take(&counting, seconds(2), Ok(1)).await.unwrap();
    assert_eq!(counting.state(), CircuitState::Open);
    let not_counting = due(|b| b).await;
    take(&not_counting, seconds(2), Ok(1)).await.unwrap();
    assert_eq!(not_counting.state(), CircuitState::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn half_open_admits_three_probes() {
    let breaker = due(|b| b).await;
    let probes: Vec<_> = (0..3).map(|_| breaker.try_acquire().unwrap()).collect();
    let refused = breaker.try_acquire().unwrap_err();
    assert_eq!(refused.retry_after, None);
    for probe in probes {
        probe.success();
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn fewer_places_than_successes_are_used_in_turn() {
    let breaker = due(|b| b.half_open_requests(1)).await;
    for _ in 0..3 {
        let probe = breaker.try_acquire().unwrap();
        breaker.try_acquire().unwrap_err();
        probe.success();
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_lost_probe_gives_its_place_up_and_counts_no_more() {
    let breaker = due(|b| b.half_open_requests(1).half_open_timeout(seconds(5))).await;
    let lost = breaker.try_acquire().unwrap();
    advance(seconds(5)).await;
    breaker.try_acquire().unwrap_err();
    advance(Duration::from_millis(1)).await;
    let probe = breaker.try_acquire().unwrap();
    lost.failure();
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    probe.success();
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn results_of_calls_from_before_the_opening_change_nothing() {
    let breaker = breaker(|b| b.failure_threshold(1));
    let old: Vec<_> = (0..6).map(|_| breaker.try_acquire().unwrap()).collect();
    fail_times(&breaker, 1).await;
    advance(seconds(60)).await;
    let probe = breaker.try_acquire().unwrap();
    for (n, permit) in old.into_iter().enumerate() {
        if n % 2 == 0 {
            permit.success()
        } else {
            permit.failure()
        }
    }
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    probe.success();
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_probe_gives_its_place_back() {
    let breaker = due(|b| b.half_open_requests(1)).await;
    for _ in 0..100 {
        let waiting = breaker.call(pending::<Answer>());
        assert!(tokio::time::timeout(seconds(1), waiting).await.is_err());
        assert_eq!(breaker.state(), CircuitState::HalfOpen);
    }
    succeed_times(&breaker, 3).await;
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert_eq!(breaker.metrics().total_ignored, 100);
}

#[tokio::test(start_paused = true)]
async fn each_failed_recovery_doubles_the_open_time_up_to_the_longest() {
    let breaker = breaker(|b| {
        b.failure_threshold(1)
            .recovery_timeout(seconds(10))
            .max_recovery_timeout(seconds(35))
            .success_threshold(1)
    });
    fail_times(&breaker, 1).await;
    for open in [10, 20, 35, 35] {
        assert_eq!(
            breaker.try_acquire().unwrap_err().retry_after,
            Some(seconds(open))
        );
        advance(seconds(open)).await;
        fail_times(&breaker, 1).await;
    }
    advance(seconds(35)).await;
    succeed_times(&breaker, 1).await;
    fail_times(&breaker, 1).await;
    let begun_anew = breaker.try_acquire().unwrap_err();
    assert_eq!(begun_anew.retry_after, Some(seconds(10)));
}

#[tokio::test(start_paused = true)]
async fn jitter_lengthens_the_open_time_by_up_to_its_fraction() {
    let mut times = Vec::new();
    for _ in 0..200 {
        let breaker = breaker(|b| {
            b.failure_threshold(1)
                .recovery_timeout(seconds(100))
                .recovery_jitter(0.5)
        });
        fail_times(&breaker, 1).await;
        times.push(breaker.try_acquire().unwrap_err().retry_after.unwrap());
    }
    times.sort();
    assert!(times[0] >= seconds(100) && times[199] <= seconds(150));
    assert!(
        times[0] < seconds(110) && times[199] > seconds(140),
        "spread out"
    );
}

// How calls end.

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_counts_as_it_is_told() {
    for (cancelled, failures) in [(Cancelled::Ignore, 0), (Cancelled::Failure, 1)] {
        let breaker = breaker(|b| b.cancelled(cancelled));
        let waiting = breaker.call(pending::<Answer>());
        assert!(tokio::time::timeout(seconds(1), waiting).await.is_err());
        assert_eq!(breaker.metrics().failures, failures);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_after_slow_call_has_passed_counts_as_slow() {
    let breaker = breaker(|b| b.slow_call(seconds(2)));
    for (patience, slow) in [(1, 0), (3, 1)] {
        let waiting = breaker.call(pending::<Answer>());
        assert!(
            tokio::time::timeout(seconds(patience), waiting)
                .await
                .is_err()
        );
        let metrics = breaker.metrics();
        assert_eq!((metrics.slow_calls, metrics.failures), (slow, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_never_polled_is_not_counted() {
    let breaker = breaker(|b| b.cancelled(Cancelled::Failure));
    drop(breaker.call(pending::<Answer>()));
    assert_eq!(breaker.metrics().total_failures, 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_call_is_a_failure() {
    let breaker = breaker(|b| b.failure_threshold(1));
    let other = breaker.clone();
    let task = tokio::spawn(async move { other.call(async { Answer::Ok(explode()) }).await });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(breaker.state(), CircuitState::Open);
}

fn explode() -> u32 {
    panic!("on purpose")
}

#[tokio::test(start_paused = true)]
async fn being_dropped_while_something_else_unwinds_is_a_cancellation() {
    let breaker = breaker(|b| b.failure_threshold(1));
    let unwound = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let mut call = Box::pin(breaker.call(pending::<Answer>()));
        poll_once(call.as_mut());
        explode()
    }));
    assert!(unwound.is_err());
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert_eq!(breaker.metrics().total_ignored, 1);
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) {
    let waker = std::task::Waker::noop();
    assert!(
        future
            .poll(&mut std::task::Context::from_waker(waker))
            .is_pending()
    );
}

/// As an attribute would write it: a timeout around a breaker around a wait and the body.
async fn stacked(timeout: &Timeout, breaker: &CircuitBreaker, wait: Duration) -> Answer {
    let call = Call::new();
    let ran = timeout
        .run::<Outermost, _>(&call, async {
            let permit = match breaker.admit_blocking(&call) {
                Ok(permit) => permit,
                Err(rejection) => return Step::Rejected(rejection),
            };
            sleep(wait).await;
            let step = Step::Done(Body::new(&call, pending::<Answer>()).await);
            permit.settle(Judge::new(&step, Probe::of(&step).__traits()));
            step
        })
        .await;
    let step = ran.unwrap_or_else(|elapsed| Step::Rejected(timeout.elapsed(&call, elapsed)));
    step.finish(reject)
}

#[tokio::test(start_paused = true)]
async fn a_timeout_that_cuts_a_begun_body_is_a_failure_to_the_breaker_below() {
    let timeout = Timeout::builder("test").after(seconds(5)).build().unwrap();
    let breaker = breaker(|b| b);
    for (wait, failures) in [(9, 0), (1, 1)] {
        let cut = stacked(&timeout, &breaker, seconds(wait)).await;
        assert!(matches!(cut, Err(Failed::Rejected(Rejection::TimedOut(_)))));
        assert_eq!(breaker.metrics().failures, failures);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_further_in_is_no_outcome_and_gives_the_probe_back() {
    let inner = breaker(|b| b);
    inner.force_open();
    let outer = due(|b| b.half_open_requests(1)).await;
    for _ in 0..10 {
        let call = Call::new();
        let permit = outer.admit_blocking(&call).unwrap();
        let step = match inner.admit_blocking(&call) {
            Ok(_) => Step::Done(Answer::Ok(1)),
            Err(rejection) => Step::Rejected(rejection),
        };
        permit.settle(Judge::new(&step, Probe::of(&step).__traits()));
    }
    assert_eq!(outer.state(), CircuitState::HalfOpen);
    let metrics = outer.metrics();
    assert_eq!((metrics.total_failures, metrics.total_ignored), (1, 0));
}

// By hand.

#[tokio::test(start_paused = true)]
async fn a_breaker_that_does_not_enforce_decides_but_lets_everything_through() {
    let breaker = breaker(|b| b.failure_threshold(2).enforce(false));
    fail_times(&breaker, 2).await;
    assert_eq!(breaker.state(), CircuitState::Open);
    fail_times(&breaker, 5).await;
    assert_eq!(breaker.metrics().total_refused, 5);
    assert_eq!(
        breaker.metrics().calls,
        2,
        "what it would have refused decides nothing"
    );
    advance(seconds(60)).await;
    succeed_times(&breaker, 3).await;
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn forced_open_and_disabled_last_until_reset() {
    let breaker = breaker(|b| b.failure_threshold(1));
    breaker.force_open();
    advance(seconds(100_000)).await;
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after, None);
    breaker.disable();
    fail_times(&breaker, 100).await;
    assert_eq!(breaker.state(), CircuitState::Disabled);
    let late = breaker.try_acquire().unwrap();
    breaker.reset();
    assert_eq!(breaker.state(), CircuitState::Closed);
    late.failure();
    assert_eq!(breaker.state(), CircuitState::Closed);
    fail_times(&breaker, 1).await;
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn ready_comes_back_when_it_would_admit() {
    let breaker = breaker(|b| b.failure_threshold(1).half_open_requests(1));
    breaker.ready().await;
    fail_times(&breaker, 1).await;
    let start = tokio::time::Instant::now();
    breaker.ready().await;
    assert_eq!(start.elapsed(), seconds(60));
    let probe = breaker.try_acquire().unwrap();
    let (waiting, ()) = tokio::join!(tokio::time::timeout(seconds(5), breaker.ready()), async {
        sleep(seconds(3)).await;
        drop(probe);
    });
    assert!(waiting.is_ok(), "the place that came back was told");
    assert_eq!(start.elapsed(), seconds(63));
}

#[tokio::test(start_paused = true)]
async fn ready_notices_a_lost_probe_and_a_reset() {
    let breaker = due(|b| b.half_open_requests(1).half_open_timeout(seconds(7))).await;
    let _lost = breaker.try_acquire().unwrap();
    let start = tokio::time::Instant::now();
    breaker.ready().await;
    assert!(start.elapsed() >= seconds(7) && start.elapsed() < seconds(8));
    breaker.force_open();
    let (_, ()) = tokio::join!(breaker.ready(), async {
        sleep(seconds(1)).await;
        breaker.reset();
    });
    assert_eq!(breaker.state(), CircuitState::Closed);
}

// Keys.

#[tokio::test(start_paused = true)]
async fn each_key_has_a_circuit_of_its_own() {
    let breaker = breaker(|b| b.failure_threshold(1));
    breaker.try_acquire_for("a").unwrap().failure();
    assert!(breaker.try_acquire_for("a").is_err());
    breaker.try_acquire_for("b").unwrap().success();
    assert_eq!(breaker.metrics().calls, 2);
    breaker.force_open();
    assert!(breaker.try_acquire_for("b").is_err());
    breaker.reset();
    breaker.try_acquire_for("a").unwrap().success();
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_keys_neither_grows_nor_closes_a_circuit() {
    let breaker = breaker(|b| b.failure_threshold(1).max_keys(100));
    breaker.try_acquire_for("down").unwrap().failure();
    for n in 0..10_000 {
        breaker.try_acquire_for(&n).unwrap().success();
    }
    assert!(breaker.try_acquire_for("down").is_err());
}

#[tokio::test(start_paused = true)]
async fn circuits_of_keys_that_are_gone_make_room() {
    let breaker = breaker(|b| b.failure_threshold(1).max_keys(4));
    for round in 0..10 {
        for n in 0..4 {
            let pod = format!("pod {round}.{n}");
            breaker.try_acquire_for(&pod).unwrap().failure();
            assert!(breaker.try_acquire_for(&pod).is_err());
        }
        advance(seconds(121)).await;
    }
}

// What is told.

#[tokio::test(start_paused = true)]
async fn changes_are_told_with_their_generation_and_may_call_back_in() {
    let test = steadfast::test::isolated();
    let breaker = breaker(|b| b.failure_threshold(1).success_threshold(1));
    let told = Arc::new(Mutex::new(Vec::new()));
    let _subscription = test.registry().subscribe({
        let (told, breaker) = (Arc::clone(&told), breaker.clone());
        move |event| {
            if let Event::StateChanged(change) = event {
                assert_eq!(breaker.state(), change.to);
                let _ = breaker.try_acquire().map(drop);
                told.lock()
                    .unwrap()
                    .push((change.from, change.to, change.generation));
            }
        }
    });
    fail_times(&breaker, 1).await;
    advance(seconds(60)).await;
    succeed_times(&breaker, 1).await;
    use CircuitState::{Closed, HalfOpen, Open};
    assert_eq!(
        *told.lock().unwrap(),
        [
            (Closed, Open, 1),
            (Open, HalfOpen, 2),
            (HalfOpen, Closed, 3)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn refusals_are_told_and_say_whether_they_were_enforced() {
    for enforce in [true, false] {
        let test = steadfast::test::isolated();
        let breaker = breaker(|b| b.enforce(enforce));
        let told = Arc::new(Mutex::new(Vec::new()));
        let _subscription = test.registry().subscribe({
            let told = Arc::clone(&told);
            move |event| {
                if let Event::Refused(refused) = event {
                    told.lock().unwrap().push(refused.enforced);
                }
            }
        });
        breaker.force_open();
        assert_eq!(is_refused(&breaker).await, enforce);
        assert_eq!(*told.lock().unwrap(), [enforce]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_installed_breaker_is_found_shown_and_reset() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let breaker = CircuitBreaker::builder("quotes")
        .failure_threshold(1)
        .install()
        .unwrap();
    fail_times(&breaker, 1).await;
    let handle = registry.circuit_breaker("quotes").unwrap();
    assert_eq!(handle.state(), CircuitState::Open);
    let snapshot = serde_json::to_value(registry.snapshot()).unwrap();
    assert_eq!(snapshot["policies"][0]["state"]["state"], "open");
    assert_eq!(
        snapshot["policies"][0]["settings"]["failure_threshold"],
        "1"
    );
    registry.reset();
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert_eq!(breaker.metrics().total_failures, 0);
}

// Settings.

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let wrong: Vec<(&str, CircuitBreakerBuilder)> = {
        let b = || CircuitBreaker::builder("test");
        vec![
            ("failure_threshold", b().failure_threshold(0)),
            ("failure_rate", b().failure_rate(0.0)),
            ("failure_rate", b().failure_rate(1.1)),
            ("failure_rate", b().failure_rate(f64::NAN)),
            ("window", b().window(0)),
            ("window", b().window(Duration::ZERO)),
            ("minimum_calls", b().minimum_calls(0)),
            ("minimum_calls", b().minimum_calls(10)),
            ("minimum_calls", b().failure_rate(0.5).minimum_calls(101)),
            (
                "minimum_calls",
                b().failure_rate(0.5).window(20).minimum_calls(21),
            ),
            ("slow_call", b().slow_call(Duration::ZERO)),
            ("slow_call_rate", b().slow_call_rate(0.5)),
            (
                "slow_call_rate",
                b().slow_call(seconds(1)).slow_call_rate(2.0),
            ),
            ("recovery_timeout", b().recovery_timeout(Duration::ZERO)),
            ("recovery_jitter", b().recovery_jitter(-0.1)),
            (
                "max_recovery_timeout",
                b().max_recovery_timeout(seconds(59)),
            ),
            ("half_open_requests", b().half_open_requests(0)),
            ("success_threshold", b().success_threshold(0)),
            ("half_open_timeout", b().half_open_timeout(Duration::ZERO)),
            ("max_keys", b().max_keys(0)),
        ]
    };
    for (setting, builder) in wrong {
        let error = builder.build().unwrap_err().to_string();
        assert!(
            error.contains(&format!("`{setting}`")),
            "{setting}: {error}"
        );
    }
}

#[test]
fn the_largest_settings_work() {
    let breaker = breaker(|b| {
        b.failure_threshold(u32::MAX)
            .failure_rate(1.0)
            .window(Window::Time(Duration::MAX))
            .minimum_calls(u32::MAX)
            .slow_call(Duration::MAX)
            .recovery_timeout(Duration::MAX)
            .max_recovery_timeout(Duration::MAX)
            .recovery_jitter(1.0)
            .half_open_requests(u32::MAX)
            .success_threshold(u32::MAX)
            .half_open_timeout(Duration::MAX)
            .max_keys(u32::MAX)
    });
    breaker.try_acquire().unwrap().failure();
    breaker.try_acquire_for("key").unwrap().failure();
    assert_eq!(breaker.metrics().failures, 2);
    let counted = breaker_of_count_max();
    counted.try_acquire().unwrap().failure();
    assert_eq!(counted.state(), CircuitState::Open);
}

fn breaker_of_count_max() -> CircuitBreaker {
    breaker(|b| {
        b.window(u32::MAX)
            .failure_threshold(1)
            .recovery_timeout(Duration::MAX)
    })
}

#[tokio::test]
async fn futures_of_a_breaker_can_be_spawned_and_need_not_be_static() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let breaker = breaker(|b| b);
    let borrowed = String::from("x");
    let answer: io::Result<usize> = is_send(breaker.call(async { Ok(borrowed.len()) })).await;
    assert_eq!(answer.unwrap(), 1);
    is_send(breaker.ready()).await;
}
