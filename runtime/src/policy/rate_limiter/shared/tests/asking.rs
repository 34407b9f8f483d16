//! How questions go to the store: together, in order, and none for nothing.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use proptest::prelude::*;
use tokio::time::{advance, sleep};

use super::store::SlowStore;
use crate::{
    policy::{
        rate_limiter::{Allowance, RateLimiter, RateLimiterSettings, Request},
        shared::Mode,
    },
    rate::Rate,
    rejection::Rejection,
    store::StoreError,
};

type Asked<'l> = Pin<Box<dyn Future<Output = Result<Allowance, Rejection>> + 'l>>;

fn shared(rate: Rate) -> RateLimiterSettings {
    RateLimiterSettings::new().rate(rate).shared(true)
}

fn ask(limiter: &RateLimiter, cost: u32) -> Asked<'_> {
    Box::pin(limiter.acquire(cost))
}

fn poll(asked: &mut Asked<'_>) -> Option<Result<Allowance, Rejection>> {
    let mut context = Context::from_waker(Waker::noop());
    match asked.as_mut().poll(&mut context) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}

fn retry_after(outcome: Result<Allowance, Rejection>) -> Option<Duration> {
    match outcome {
        Err(Rejection::RateLimited(error)) => error.retry_after,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn callers_of_one_key_ask_together() {
    let store = SlowStore::default();
    let limiter = store.limiter(shared(Rate::per_second(50)));
    let mut callers: Vec<_> = (0..64).map(|_| ask(&limiter, 1)).collect();
    assert!(callers.iter_mut().all(|caller| poll(caller).is_none()));
    assert_eq!(store.waiting(), 1, "one question is under way");
    store.answer();
    assert_eq!(store.waiting(), 1, "all others went together");
    store.answer();
    let outcomes: Vec<_> = callers
        .iter_mut()
        .map(|caller| poll(caller).expect("answered"))
        .collect();
    assert_eq!(store.asked(), 2);
    let let_in: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    assert!(
        let_in[..50].iter().all(|is_in| *is_in),
        "first come, first served"
    );
    assert!(!let_in[50..].iter().any(|is_in| *is_in));
}

#[tokio::test(start_paused = true)]
async fn callers_of_different_keys_do_not_wait_for_each_other() {
    let store = SlowStore::default();
    let limiter = store.limiter(shared(Rate::per_second(1)));
    let mut callers: Vec<Asked<'_>> = (0..8)
        .map(|key| Box::pin(limiter.acquire_for(&key, 1)) as Asked<'_>)
        .collect();
    assert_eq!(store.waiting(), 8);
    store.answer_all();
    assert!(
        callers
            .iter_mut()
            .all(|caller| poll(caller).expect("answered").is_ok())
    );
}

#[tokio::test(start_paused = true)]
async fn a_question_carries_so_many_calls_and_no_more() {
    let store = SlowStore::default();
    let limiter = store.limiter(shared(Rate::per_second(10_000)));
    let mut callers: Vec<_> = (0..1_200).map(|_| ask(&limiter, 1)).collect();
    callers
        .iter_mut()
        .for_each(|caller| assert!(poll(caller).is_none()));
    store.answer_all();
    // The first, 512, 512, and the rest.
    assert_eq!(store.asked(), 4);
    assert!(
        callers
            .iter_mut()
            .all(|caller| poll(caller).expect("answered").is_ok())
    );
}

#[tokio::test(start_paused = true)]
async fn calls_of_different_rates_are_decided_each_by_its_own() {
    let store = SlowStore::default();
    let limiter = store.limiter(shared(Rate::per_second(1)));
    let call = crate::call::Call::new();
    let mut entering: Vec<_> = [5u32, 5, 2, 5]
        .into_iter()
        .map(|rate| {
            let request = Request::new()
                .key("tenant")
                .rate(Rate::per_second(rate))
                .cost(2);
            Box::pin(limiter.enter(&call, request).into_future())
        })
        .collect();
    let mut context = Context::from_waker(Waker::noop());
    entering
        .iter_mut()
        .for_each(|entering| assert!(entering.as_mut().poll(&mut context).is_pending()));
    store.answer_all();
    assert_eq!(store.asked(), 4, "the first, one for each rate after it");
    let outcomes = entering
        .iter_mut()
        .map(|entering| match entering.as_mut().poll(&mut context) {
            Poll::Ready(outcome) => outcome.is_ok(),
            Poll::Pending => panic!("answered"),
        });
    // Two of five, two more; all of that counts at the lower rate, too; and some is left at the higher.
    assert_eq!(outcomes.collect::<Vec<_>>(), [true, true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_refused_calls_is_answered_here() {
    let store = SlowStore::prompt();
    let limiter = store.limiter(shared(Rate::per_second(4)));
    limiter.acquire(3).await.expect("there are four");
    assert_eq!(
        retry_after(limiter.acquire(2).await),
        Some(Duration::from_millis(250))
    );
    let asked = store.asked();
    advance(Duration::from_millis(100)).await;
    for cost in [2, 3, 4, 2] {
        assert_eq!(
            retry_after(limiter.acquire(cost).await),
            Some(Duration::from_millis(150))
        );
    }
    assert_eq!(store.asked(), asked);
    limiter.acquire(1).await.expect("less was not refused");
    assert_eq!(store.asked(), asked + 1);
    advance(Duration::from_millis(150)).await;
    assert_eq!(
        retry_after(limiter.acquire(3).await),
        Some(Duration::from_millis(500))
    );
    assert_eq!(store.asked(), asked + 2, "its time was over");
    assert_eq!(limiter.metrics().rejected, 6);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_remembered_for_longer_than_a_second() {
    let store = SlowStore::prompt();
    let (limiter, other) = {
        let settings = shared(Rate::per_hour(1));
        (store.limiter(settings), store.limiter(settings))
    };
    limiter.acquire(1).await.expect("the first");
    assert!(limiter.acquire(1).await.is_err());
    other.reset();
    advance(Duration::from_millis(999)).await;
    assert!(limiter.acquire(1).await.is_err());
    advance(Duration::from_millis(1)).await;
    limiter.acquire(1).await.expect("the other has reset it");
}

#[tokio::test(start_paused = true)]
async fn a_reset_forgets_what_was_refused_and_the_store_forgets_what_was_taken() {
    let store = SlowStore::prompt();
    let limiter = store.limiter(shared(Rate::per_hour(1)));
    for key in 0..200 {
        limiter.acquire_for(&key, 1).await.expect("the first");
        assert!(limiter.acquire_for(&key, 1).await.is_err());
    }
    limiter.acquire(1).await.expect("the first");
    limiter.reset();
    assert_eq!(store.records(), 0);
    assert_eq!(limiter.metrics().rejected, 0);
    for key in 0..200 {
        limiter.acquire_for(&key, 1).await.expect("as if unused");
    }
    limiter.acquire(1).await.expect("as if unused");
}

#[tokio::test(start_paused = true)]
async fn more_than_the_limit_ever_holds_is_refused_without_asking() {
    let store = SlowStore::default();
    let limiter = store.limiter(shared(Rate::per_second(4)));
    assert_eq!(retry_after(limiter.acquire(5).await), None);
    assert_eq!(store.asked(), 0);
    let limiter = store.limiter(shared(Rate::per_second(4)).max_wait(Duration::from_secs(9)));
    assert_eq!(retry_after(limiter.acquire(5).await), None);
}

#[tokio::test(start_paused = true)]
async fn waiting_callers_come_in_order_and_only_the_first_asks() {
    let store = SlowStore::prompt();
    let settings = shared(Rate::per_second(10))
        .burst(1)
        .max_wait(Duration::from_secs(2));
    let limiter = store.limiter(settings);
    let start = tokio::time::Instant::now();
    let asked = store.asked();
    let mut done = Vec::new();
    let waits = (0..10).map(|n| {
        let limiter = limiter.clone();
        async move {
            limiter.acquire(1).await.expect("it may wait");
            (n, start.elapsed().as_millis() / 10)
        }
    });
    let mut tasks = tokio::task::JoinSet::new();
    waits.for_each(|wait| drop(tasks.spawn_local_or(wait)));
    while let Some(outcome) = tasks.join_next().await {
        done.push(outcome.expect("no panic"));
    }
    let order: Vec<_> = done.iter().map(|(n, _)| *n).collect();
    assert_eq!(order, (0..10).collect::<Vec<_>>());
    let times: Vec<_> = done.iter().map(|(_, at)| *at).collect();
    assert!(
        times
            .iter()
            .zip(0..)
            .all(|(at, n)| (10 * n..=10 * n + 2).contains(at)),
        "{times:?}"
    );
    // The timer is up to a millisecond late, which asks for two at a time now and then.
    assert!(store.asked() - asked <= 22, "{}", store.asked() - asked);
}

trait Spawn {
    fn spawn_local_or<F>(&mut self, future: F) -> tokio::task::AbortHandle
    where
        F: Future<Output = (u32, u128)> + Send + 'static;
}

impl Spawn for tokio::task::JoinSet<(u32, u128)> {
    fn spawn_local_or<F>(&mut self, future: F) -> tokio::task::AbortHandle
    where
        F: Future<Output = (u32, u128)> + Send + 'static,
    {
        self.spawn(future)
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_cannot_succeed_is_refused_at_once() {
    let store = SlowStore::prompt();
    let settings = shared(Rate::per_second(1)).max_wait(Duration::from_millis(1_500));
    let limiter = store.limiter(settings);
    limiter.acquire(1).await.expect("the first");
    let mut second = ask(&limiter, 1);
    assert!(poll(&mut second).is_none(), "a second from now");
    let asked = store.asked();
    // Two seconds from now, behind the one who waits.
    let retry = retry_after(limiter.acquire(1).await).expect("it may come again");
    // It took a few real microseconds to ask.
    assert_eq!(retry.as_millis(), 2_000);
    assert_eq!(store.asked(), asked);
    drop(second);
    let mut third = ask(&limiter, 1);
    assert!(poll(&mut third).is_none(), "the place was given back");
    advance(Duration::from_millis(1_001)).await;
    assert!(poll(&mut third).expect("its turn").is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_timeout_further_out_bounds_the_wait() {
    let store = SlowStore::prompt();
    let limiter = store.limiter(shared(Rate::per_second(1)).max_wait(Duration::from_secs(9)));
    limiter.acquire(1).await.expect("the first");
    let call = crate::call::Call::new();
    call.set_deadline(crate::clock::now().after(Duration::from_millis(900)));
    let refused = limiter.enter(&call, Request::new()).await;
    assert!(matches!(refused, Err(Rejection::RateLimited(_))));
}

#[tokio::test(start_paused = true)]
async fn nobody_overtakes_one_who_waits_for_more() {
    let store = SlowStore::prompt();
    let limiter = store.limiter(shared(Rate::per_second(10)).max_wait(Duration::from_secs(5)));
    limiter.acquire(9).await.expect("there are ten");
    let mut large = ask(&limiter, 8);
    assert!(poll(&mut large).is_none());
    let mut small = ask(&limiter, 1);
    assert!(
        poll(&mut small).is_none(),
        "there is one, but not for those behind"
    );
    assert!(limiter.try_acquire(1).is_err());
    advance(Duration::from_millis(701)).await;
    assert!(poll(&mut small).is_none());
    assert!(poll(&mut large).expect("its turn").is_ok());
    advance(Duration::from_millis(101)).await;
    assert!(poll(&mut small).expect("its turn").is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_less_moves_up_when_the_first_goes() {
    let store = SlowStore::prompt();
    let limiter = store.limiter(shared(Rate::per_second(10)).max_wait(Duration::from_secs(5)));
    limiter.acquire(9).await.expect("there are ten");
    let mut large = ask(&limiter, 8);
    let mut small = ask(&limiter, 1);
    assert!(poll(&mut large).is_none());
    assert!(poll(&mut small).is_none());
    drop(large);
    assert!(poll(&mut small).expect("there is one").is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_grant_for_a_caller_who_has_gone_is_the_next_ones() {
    let store = SlowStore::default();
    let limiter = store.limiter(shared(Rate::per_hour(2)));
    let mut first = ask(&limiter, 1);
    let mut second = ask(&limiter, 1);
    let mut third = ask(&limiter, 1);
    for caller in [&mut first, &mut second, &mut third] {
        assert!(poll(caller).is_none());
    }
    // The first one's question is under way, and it goes.
    drop(first);
    store.answer();
    assert!(poll(&mut second).expect("it has the first one's").is_ok());
    store.answer();
    assert!(poll(&mut third).expect("there was one more").is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_is_asked_again_before_the_first_answer_could_cost_the_deadline() {
    let store = SlowStore::default();
    let limiter = store.limiter(shared(Rate::per_second(100)));
    let mut first = ask(&limiter, 1);
    assert!(poll(&mut first).is_none());
    advance(Duration::from_millis(5)).await;
    let mut second = ask(&limiter, 1);
    assert!(poll(&mut second).is_none());
    assert_eq!(store.waiting(), 1, "it may still come");
    advance(Duration::from_millis(35)).await;
    let mut third = ask(&limiter, 1);
    assert!(poll(&mut third).is_none());
    assert_eq!(store.waiting(), 2, "it hangs");
    store.fail(StoreError::TimedOut {
        deadline: Duration::from_millis(50),
    });
    // Those who have waited have no more than the rest of their time.
    assert_eq!(store.within(), Some(Duration::from_millis(15)));
    store.answer_all();
    assert!(poll(&mut second).expect("answered").is_ok());
    assert!(poll(&mut third).expect("answered").is_ok());
    assert!(
        poll(&mut first).expect("by itself").is_ok(),
        "on_store_error is local"
    );
}

#[tokio::test(start_paused = true)]
async fn who_cannot_wait_has_permits_fetched_for_the_next_time() {
    let store = SlowStore::default();
    let limiter = store.limiter(shared(Rate::per_second(5)));
    limiter.try_acquire(0).expect("nothing is wanted");
    let refused = limiter.try_acquire(2).expect_err("nothing is here");
    assert_eq!(refused.retry_after, Some(Duration::from_millis(1)));
    assert!(limiter.try_acquire(2).is_err());
    assert_eq!(store.waiting(), 1);
    store.answer();
    assert_eq!(limiter.try_acquire(2).expect("fetched").limit, 5);
    assert!(limiter.try_acquire(2).is_err());
    store.answer_all();
    // What is not used expires.
    advance(Duration::from_secs(1)).await;
    assert!(limiter.try_acquire(2).is_err());
    let prompt = SlowStore::prompt().limiter(shared(Rate::per_second(5)));
    assert_eq!(
        prompt.try_acquire(3).expect("answered at once").remaining,
        2
    );
    assert_eq!(
        prompt
            .try_acquire_for("key", 5)
            .expect("of its own")
            .remaining,
        0
    );
    assert_eq!(
        prompt.try_acquire(3).expect_err("used up").retry_after,
        Some(Duration::from_millis(200))
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_given_out_without_asking_and_refilled_before_it_runs_out() {
    let store = SlowStore::prompt();
    let settings = shared(Rate::per_second(1_000)).mode(Mode::Lease);
    let limiter = store.limiter(settings);
    for _ in 0..1_000 {
        limiter.acquire(1).await.expect("there are a thousand");
    }
    assert!(
        store.asked() < 60,
        "{} questions for a thousand calls",
        store.asked()
    );
    assert!(
        limiter.acquire(1).await.is_err(),
        "never more than there are"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_lease_is_given_back() {
    let store = SlowStore::prompt();
    let settings = shared(Rate::per_hour(1_000)).mode(Mode::Lease);
    let limiter = store.limiter(settings);
    for _ in 0..100 {
        limiter.acquire(1).await.expect("there are a thousand");
    }
    drop(limiter);
    let other = store.limiter(shared(Rate::per_hour(1_000)));
    assert_eq!(other.acquire(1).await.expect("there are").remaining, 899);
}

#[test]
fn blocking_callers_are_answered_too() {
    let store = SlowStore::prompt();
    let limiter = store.limiter(shared(Rate::per_hour(100)).max_wait(Duration::from_millis(50)));
    let let_in: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    (0..25)
                        .filter(|_| limiter.acquire_blocking(1).is_ok())
                        .count()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic") as u32)
            .sum()
    });
    assert_eq!(let_in, 100);
}

#[test]
fn a_blocking_caller_waits_for_an_answer_from_another_thread() {
    let store = SlowStore::default();
    let limiter = store.limiter(shared(Rate::per_second(100)));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| limiter.acquire_blocking_for("key", 1));
        while store.waiting() == 0 {
            std::thread::yield_now();
        }
        store.answer();
        assert!(waiting.join().expect("no panic").is_ok());
    });
}

#[tokio::test(start_paused = true)]
async fn a_million_keys_take_bounded_memory() {
    let store = SlowStore::prompt();
    let limiter = store.limiter(shared(Rate::per_hour(1)));
    // As many as a debug build gets through; the bound does not know their number.
    let keys = if cfg!(debug_assertions) {
        100_000
    } else {
        1_000_000
    };
    for key in 0..keys {
        drop(limiter.acquire_for(&key, 1).await);
    }
    let shared = limiter.0.shared.as_ref().expect("it is shared");
    assert!(
        shared.core.lanes.len() <= 10_000 + 16,
        "{}",
        shared.core.lanes.len()
    );
    assert_eq!(limiter.metrics().allowed, keys);
}

#[derive(Debug, Clone)]
enum Act {
    Come(u32),
    Poll(usize),
    Drop(usize),
    Answer,
    Fail,
    Pass(u64),
    Try(u32),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (1u32..4).prop_map(Act::Come),
        4 => (0usize..8).prop_map(Act::Poll),
        2 => (0usize..8).prop_map(Act::Drop),
        4 => Just(Act::Answer),
        1 => Just(Act::Fail),
        2 => (1u64..400).prop_map(Act::Pass),
        1 => (1u32..4).prop_map(Act::Try),
    ];
    prop::collection::vec(act, 1..60)
}

proptest! {
    /// Callers go at any of their awaits, answers come late or never: those who stay are answered, nothing
    /// is left behind, and never is more let through than the limit allows.
    #[test]
    fn callers_who_go_leave_nothing_behind(acts in acts(), waits: bool, lease: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let store = SlowStore::default();
            let mut settings = shared(Rate::per_second(10)).on_store_error(crate::policy::shared::OnStoreError::Deny);
            if waits {
                settings = settings.max_wait(Duration::from_millis(700));
            }
            if lease {
                settings = settings.mode(Mode::Lease);
            }
            let limiter = store.limiter(settings);
            let mut callers: Vec<(Asked<'_>, u32)> = Vec::new();
            let (start, mut taken) = (tokio::time::Instant::now(), 0);
            for act in acts {
                match act {
                    Act::Come(cost) => callers.push((ask(&limiter, cost), cost)),
                    Act::Poll(index) if index < callers.len() => {
                        if let Some(outcome) = poll(&mut callers[index].0) {
                            taken += outcome.map_or(0, |_| callers[index].1);
                            drop(callers.remove(index));
                        }
                    }
                    Act::Drop(index) if index < callers.len() => drop(callers.remove(index)),
                    Act::Answer => {
                        store.answer();
                    }
                    Act::Fail => store.fail(StoreError::TimedOut { deadline: Duration::from_millis(50) }),
                    Act::Pass(millis) => advance(Duration::from_millis(millis)).await,
                    Act::Try(cost) => taken += limiter.try_acquire(cost).map_or(0, |_| cost),
                    Act::Poll(_) | Act::Drop(_) => {}
                }
            }
            // From now on the store answers: everybody ends.
            for _ in 0..200 {
                callers.retain_mut(|(caller, cost)| match poll(caller) {
                    None => true,
                    Some(outcome) => {
                        taken += outcome.map_or(0, |_| *cost);
                        false
                    }
                });
                store.answer_all();
                sleep(Duration::from_millis(20)).await;
            }
            assert!(callers.is_empty(), "{} are stuck", callers.len());
            let most = 10.0 + 10.0 * start.elapsed().as_secs_f64();
            assert!(f64::from(taken) <= most, "{taken} of {most}");
            // And the lane is as if nobody had ever come.
            let lane = &limiter.0.shared.as_ref().expect("it is shared").core.alone;
            assert_eq!(lane.books().waiting(), 0);
            assert_eq!(store.waiting(), 0);
            advance(Duration::from_secs(2)).await;
            let mut last = ask(&limiter, 1);
            assert!(poll(&mut last).is_none_or(|outcome| outcome.is_ok()));
            store.answer_all();
            drop(last);
        });
    }
}
