//! The attempts of one call: whether there is another one, and when.

use std::{future::Future, pin::Pin, time::Duration};

use super::{Retry, settings::Plan};
use crate::{
    call::Call,
    clock::{self, Nanos},
    event::{Event, Exhausted, RetriesExhausted, RetryEvent},
    judge::{Finding, Judge},
    outcome::Outcome,
    rejection::{ConditionNotMet, Rejection},
    waiter,
};

/// The attempts of one call. Dropping it, however the call ended, counts the call.
#[derive(Debug)]
pub struct Attempts<'c> {
    retry: &'c Retry,
    /// As it was when the call began, whatever is in force by now.
    plan: &'c Plan,
    /// The end of `max_elapsed`; [`ABSENT`] where the retry is switched off.
    give_up: Nanos,
    /// `None` until an attempt has failed: most calls make one and keep no room for more.
    further: Option<Box<Further<'c>>>,
}

#[derive(Debug)]
struct Further<'c> {
    call: &'c Call,
    attempt: u32,
    /// The last delay, as it was planned.
    previous: Duration,
    /// How long to wait before the next attempt.
    delay: Duration,
    /// Whether any attempt has come as far as the body.
    ran: bool,
}

/// Not counted: there is no retry. Said where a call looks that ends, which is nearer than its plan.
pub(super) const ABSENT: Nanos = Nanos(0);

/// What follows an attempt.
///
/// Without anything that has to be dropped, which would be code in every function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the caller gets this outcome.
    Stop,
    /// Nothing, although the value is not as wanted: the caller gets [`Attempts::unmet`].
    Unmet,
    /// Another attempt, after [`Attempts::pause`].
    Again,
}

/// The delay that the site's own function plans.
type Planned<'f> = Option<&'f mut dyn FnMut(u32) -> Duration>;

impl<'c> Attempts<'c> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn new(retry: &'c Retry, call: &'c Call) -> Self {
        let plan = retry.plan();
        let give_up = match plan.is_free_at_first {
            true => Nanos::NEVER,
            false => retry.prepare(plan, call),
        };
        Self {
            retry,
            plan,
            give_up,
            further: None,
        }
    }

    /// The number of the attempt that is running or to be run, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.further.as_ref().map_or(1, |further| further.attempt)
    }

    /// Judges the attempt.
    pub fn next<R: Outcome>(&mut self, call: &'c Call, judge: Judge<'_, R>) -> Next {
        match judge.finding() {
            Finding::Final => Next::Stop,
            finding => self.after(call, finding, None),
        }
    }

    /// The same with the site's own backoff.
    pub fn next_with<R: Outcome>(
        &mut self,
        call: &'c Call,
        judge: Judge<'_, R>,
        mut backoff: impl FnMut(u32) -> Duration,
    ) -> Next {
        match judge.finding() {
            Finding::Final => Next::Stop,
            finding => self.after(call, finding, Some(&mut backoff)),
        }
    }

    /// Waits before the next attempt. Boxed, so that calls which need no other attempt keep no room for
    /// the wait.
    #[cold]
    pub fn pause(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.sleep())
    }

    async fn sleep(&mut self) {
        let delay = self.at_most_what_is_left();
        if delay.is_zero() {
            // A call that fails at once and is retried at once must not keep the others from running.
            tokio::task::yield_now().await;
        } else {
            waiter::sleep(delay).await;
        }
        self.resume(delay);
    }

    /// The same, blocking the thread.
    #[cold]
    pub fn pause_blocking(&mut self) {
        let delay = self.at_most_what_is_left();
        waiter::sleep_blocking(delay);
        self.resume(delay);
    }

    #[cold]
    fn after(&mut self, call: &'c Call, finding: Finding, planned: Planned<'_>) -> Next {
        let plan = self.plan;
        if !plan.is_on {
            // Nor is a value asked for again, or refused, that is not as wanted.
            return Next::Stop;
        }
        let (retried, asked, paid) = match finding {
            Finding::Final => return Next::Stop,
            Finding::Unmet => (true, None, false),
            Finding::Failed { retry_after } => (true, retry_after, true),
            Finding::TimedOut => (plan.timeouts, None, true),
            Finding::Refused { retry_after } => (plan.rejections, retry_after, true),
        };
        if !retried {
            return Next::Stop;
        }
        match self.delay(call, asked.unwrap_or_default(), paid, planned) {
            Ok(()) => self.again(),
            Err(reason) => self.exhausted(reason, finding),
        }
    }

    /// Plans how long to wait before the next attempt, at least for as long as was `asked`.
    fn delay(
        &mut self,
        call: &'c Call,
        asked: Duration,
        paid: bool,
        planned: Planned<'_>,
    ) -> Result<(), Exhausted> {
        let (plan, attempt) = (self.plan, self.attempt());
        if attempt >= plan.max_attempts {
            return Err(Exhausted::Attempts);
        }
        let left = self.left(call);
        if asked > plan.schedule.max() || left.is_some_and(|left| asked > left) {
            return Err(Exhausted::RetryAfter);
        }
        let random = fastrand::u64(..);
        let previous = self.further.as_ref().map(|further| further.previous);
        let own = match planned {
            None => plan.schedule.delay(attempt, previous, random),
            Some(planned) => {
                let planned = planned(attempt);
                plan.schedule.delay_of(planned, previous, random)
            }
        };
        let delay = own.max(asked);
        if left.is_some_and(|left| delay > left || left.is_zero()) {
            return Err(Exhausted::Time);
        }
        if paid && plan.share.is_some() && !self.retry.budget().withdraw() {
            return Err(Exhausted::Budget);
        }
        let ran_before = self.further.as_ref().is_some_and(|further| further.ran);
        self.further = Some(Box::new(Further {
            call,
            attempt,
            previous: own,
            delay,
            ran: ran_before || call.has_begun(),
        }));
        Ok(())
    }

    /// The time until no delay may last any longer: the end of `max_elapsed`, or of a timeout further
    /// out. `None`: for ever, and the clock has not been read.
    fn left(&self, call: &Call) -> Option<Duration> {
        let end = self.give_up.min(call.deadline());
        (end != Nanos::NEVER).then(|| end.since(clock::now()))
    }

    /// `on_retry` may have taken its time since the delay was decided upon.
    fn at_most_what_is_left(&self) -> Duration {
        let Some(further) = &self.further else {
            return Duration::ZERO;
        };
        let left = self.left(further.call).unwrap_or(Duration::MAX);
        further.delay.min(left)
    }

    fn again(&self) -> Next {
        self.retry.count_retry();
        self.retry.tell(&Event::Retry(self.event()));
        Next::Again
    }

    /// The retry that is to come: what `on_retry` is told.
    #[must_use]
    pub fn event(&self) -> RetryEvent {
        RetryEvent {
            policy: self.retry.name().clone(),
            attempt: self.attempt(),
            delay: self
                .further
                .as_ref()
                .map_or(Duration::ZERO, |further| further.delay),
        }
    }

    /// What the caller gets of a value that is not as wanted.
    #[must_use]
    pub fn unmet(&self) -> Rejection {
        Rejection::ConditionNotMet(ConditionNotMet {
            policy: self.retry.name().clone(),
            attempts: self.attempt(),
        })
    }

    fn exhausted(&self, reason: Exhausted, finding: Finding) -> Next {
        let policy = self.retry.name();
        self.retry.count_exhausted();
        self.retry.tell(&Event::RetriesExhausted(RetriesExhausted {
            policy: policy.clone(),
            attempts: self.attempt(),
            reason,
        }));
        match finding {
            Finding::Unmet => Next::Unmet,
            _ => Next::Stop,
        }
    }

    fn resume(&mut self, waited: Duration) {
        self.retry.count_wait(waited);
        if let Some(further) = &mut self.further {
            further.call.add_waited(waited);
            further.call.begin_anew();
            further.attempt = further.attempt.saturating_add(1);
        }
    }
}

impl Attempts<'_> {
    #[cold]
    fn end(&self, further: &Further<'_>) {
        self.retry.count_call(further.attempt);
        if further.ran {
            further.call.has_run_before();
        }
    }
}

impl Drop for Attempts<'_> {
    #[inline]
    fn drop(&mut self) {
        match &self.further {
            None if self.give_up == ABSENT => {}
            None => self.retry.count_call(1),
            Some(further) => self.end(further),
        }
    }
}

#[cfg(all(test, not(steadfast_loom), feature = "test-util"))]
#[allow(clippy::unwrap_used)] // clippy does not see that this module is for tests
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::{
        algorithm::{backoff::Backoff, jitter::Jitter},
        event::Sink,
        policy::{Policy, Switch, retry::RetrySettings, settings::Written},
        probe::Traits,
        rejection::{CircuitOpen, TimedOut},
        step::Step,
    };

    type Answer = Result<u32, &'static str>;

    const SECOND: Duration = Duration::from_secs(1);

    /// Exact delays: 1, 2, 4… seconds.
    fn settings() -> RetrySettings {
        RetrySettings::new().max_attempts(4).jitter(Jitter::None)
    }

    struct Bench {
        retry: Retry,
        events: Arc<Mutex<Vec<String>>>,
        _subscription: crate::Subscription,
    }

    fn bench(settings: RetrySettings) -> Bench {
        assert_eq!(settings.check(), Ok(()));
        let sink = Sink::new();
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&events);
        let subscription = sink.subscribe(move |event| {
            heard.lock().unwrap().push(match event {
                Event::Retry(e) => format!("{} after {:?}", e.attempt, e.delay),
                Event::RetriesExhausted(e) => format!("{:?} after {}", e.reason, e.attempts),
                other => format!("{other:?}"),
            });
        });
        Bench {
            retry: Retry::assemble("test".into(), &settings, sink),
            events,
            _subscription: subscription,
        }
    }

    impl Bench {
        fn heard(&self) -> Vec<String> {
            std::mem::take(&mut self.events.lock().unwrap())
        }
    }

    fn failed() -> Step<Answer> {
        Step::Done(Err("broken"))
    }

    fn value(value: u32) -> Step<Answer> {
        Step::Done(Ok(value))
    }

    fn timed_out() -> Step<Answer> {
        Step::Rejected(Rejection::TimedOut(TimedOut {
            policy: "slow".into(),
            after: SECOND,
        }))
    }

    fn refused(retry_after: Option<Duration>) -> Step<Answer> {
        Step::Rejected(Rejection::CircuitOpen(CircuitOpen {
            policy: "open".into(),
            retry_after,
        }))
    }

    fn judge(step: &Step<Answer>) -> Judge<'_, Answer> {
        Judge::new(step, Traits::unknown())
    }

    fn asks(step: &Step<Answer>, pause: Duration) -> Judge<'_, Answer> {
        judge(step).retry_after(move |_| Some(pause))
    }

    #[track_caller]
    fn delay(attempts: &Attempts<'_>, next: Next) -> Duration {
        match next {
            Next::Again => attempts.event().delay,
            other => panic!("not retried: {other:?}"),
        }
    }

    #[track_caller]
    fn next_delay<'c>(
        attempts: &mut Attempts<'c>,
        call: &'c Call,
        judge: Judge<'_, Answer>,
    ) -> Duration {
        let next = attempts.next(call, judge);
        delay(attempts, next)
    }

    #[track_caller]
    fn first_delay(retry: &Retry, call: &Call, judge: Judge<'_, Answer>) -> Duration {
        next_delay(&mut retry.begin(call), call, judge)
    }

    #[track_caller]
    fn stops(next: Next) {
        assert!(matches!(next, Next::Stop), "{next:?}");
    }

    async fn go_on(attempts: &mut Attempts<'_>, next: Next) {
        match next {
            Next::Again => attempts.pause().await,
            other => panic!("not retried: {other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_numbered_and_run_out() {
        let bench = bench(settings());
        let call = Call::new();
        let mut attempts = bench.retry.begin(&call);
        let start = clock::now();
        for attempt in 1..4 {
            assert_eq!(attempts.attempt(), attempt);
            let next = attempts.next(&call, judge(&failed()));
            go_on(&mut attempts, next).await;
        }
        stops(attempts.next(&call, judge(&failed())));
        assert_eq!(clock::now().since(start), 7 * SECOND);
        assert_eq!(call.waited(), 7 * SECOND);
        drop(attempts);
        assert_eq!(
            bench.heard(),
            ["1 after 1s", "2 after 2s", "3 after 4s", "Attempts after 4"]
        );
        let metrics = bench.retry.metrics();
        assert_eq!((metrics.calls, metrics.retried, metrics.retries), (1, 1, 3));
        assert_eq!((metrics.exhausted, metrics.by_attempts[3]), (1, 1));
        assert_eq!((metrics.waited, metrics.budget_left), (7 * SECOND, None));
    }

    #[test]
    fn a_success_and_an_error_that_is_final_end_it_silently() {
        let bench = bench(settings());
        let call = Call::new();
        stops(bench.retry.begin(&call).next(&call, judge(&value(1))));
        let step = failed();
        let judge = judge(&step).when(|_| false);
        stops(bench.retry.begin(&call).next(&call, judge));
        assert!(bench.heard().is_empty());
        assert_eq!(
            (bench.retry.metrics().calls, bench.retry.metrics().exhausted),
            (2, 0)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_server_asked_for_is_a_lower_bound() {
        let bench = bench(settings());
        let call = Call::new();
        let mut attempts = bench.retry.begin(&call);
        let next = attempts.next(&call, asks(&failed(), 5 * SECOND));
        assert_eq!(delay(&attempts, next), 5 * SECOND);
        go_on(&mut attempts, next).await;
        let next = attempts.next(&call, asks(&failed(), SECOND));
        assert_eq!(delay(&attempts, next), 2 * SECOND, "its own is longer");
    }

    #[test]
    fn a_server_that_asks_for_more_than_the_longest_delay_is_not_asked_again() {
        let bench = bench(settings().max_delay(8 * SECOND));
        let call = Call::new();
        let delay = first_delay(&bench.retry, &call, asks(&failed(), 8 * SECOND));
        assert_eq!(delay, 8 * SECOND);
        stops(
            bench
                .retry
                .begin(&call)
                .next(&call, asks(&failed(), 8 * SECOND + Duration::from_nanos(1))),
        );
        assert_eq!(bench.heard(), ["1 after 8s", "RetryAfter after 1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn nor_one_that_asks_for_more_than_is_left() {
        let bench = bench(settings().max_elapsed(6 * SECOND));
        let call = Call::new();
        let attempts = bench.retry.begin(&call);
        tokio::time::sleep(2 * SECOND).await;
        let mut attempts = attempts;
        assert_eq!(
            next_delay(&mut attempts, &call, asks(&failed(), 4 * SECOND)),
            4 * SECOND
        );
        stops(attempts.next(
            &call,
            asks(&failed(), 4 * SECOND + Duration::from_millis(1)),
        ));
        assert_eq!(bench.heard(), ["1 after 4s", "RetryAfter after 1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn no_delay_is_begun_that_would_pass_max_elapsed() {
        let bench = bench(settings().max_elapsed(3 * SECOND));
        let call = Call::new();
        let mut attempts = bench.retry.begin(&call);
        let next = attempts.next(&call, judge(&failed()));
        go_on(&mut attempts, next).await;
        let next = attempts.next(&call, judge(&failed()));
        assert_eq!(delay(&attempts, next), 2 * SECOND, "ends exactly then");
        go_on(&mut attempts, next).await;
        stops(attempts.next(&call, judge(&failed())));
        assert_eq!(bench.heard()[2], "Time after 3");
    }

    #[tokio::test(start_paused = true)]
    async fn nor_one_that_would_pass_the_deadline_of_a_timeout_further_out() {
        let bench = bench(settings());
        let call = Call::new();
        call.set_deadline(clock::now().after(2 * SECOND));
        let mut attempts = bench.retry.begin(&call);
        let next = attempts.next(&call, judge(&failed()));
        go_on(&mut attempts, next).await;
        stops(attempts.next(&call, judge(&failed())));
        assert_eq!(bench.heard(), ["1 after 1s", "Time after 2"]);
    }

    #[test]
    fn refusals_are_not_retried() {
        let bench = bench(settings());
        let call = Call::new();
        stops(
            bench
                .retry
                .begin(&call)
                .next(&call, judge(&refused(Some(SECOND)))),
        );
        stops(bench.retry.begin(&call).next(&call, judge(&refused(None))));
        assert!(bench.heard().is_empty());
    }

    #[test]
    fn unless_told_so_and_then_after_their_time() {
        let bench = bench(settings().rejections(true));
        let call = Call::new();
        let after = |pause| first_delay(&bench.retry, &call, judge(&refused(pause)));
        assert_eq!(after(None), SECOND);
        assert_eq!(after(Some(7 * SECOND)), 7 * SECOND);
        let too_long = refused(Some(61 * SECOND));
        stops(bench.retry.begin(&call).next(&call, judge(&too_long)));
    }

    #[test]
    fn a_timed_out_attempt_is_made_again_unless_told_otherwise() {
        let call = Call::new();
        let idempotent = bench(settings());
        let delay = first_delay(&idempotent.retry, &call, judge(&timed_out()));
        assert_eq!(delay, SECOND);
        let other = bench(settings().timeouts(false));
        stops(other.retry.begin(&call).next(&call, judge(&timed_out())));
        assert_eq!(first_delay(&other.retry, &call, judge(&failed())), SECOND);
    }

    #[test]
    fn predicates_are_not_asked_about_a_timeout() {
        let bench = bench(settings());
        let call = Call::new();
        let step = timed_out();
        let judge = judge(&step).when(|_| panic!("asked"));
        assert_eq!(first_delay(&bench.retry, &call, judge), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn polling_that_is_never_satisfied_ends_in_condition_not_met() {
        let bench = bench(settings().max_attempts(2));
        let call = Call::new();
        let mut attempts = bench.retry.begin(&call);
        let next = attempts.next(&call, judge(&value(1)).until(|&v| v > 5));
        go_on(&mut attempts, next).await;
        let next = attempts.next(&call, judge(&value(5)).until(|&v| v > 5));
        assert_eq!(next, Next::Unmet);
        match attempts.unmet() {
            Rejection::ConditionNotMet(unmet) => {
                assert_eq!((&*unmet.policy, unmet.attempts), ("test", 2));
            }
            other => panic!("{other:?}"),
        }
        stops(attempts.next(&call, judge(&value(6)).until(|&v| v > 5)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_while_polling_stays_the_callers() {
        let bench = bench(settings().max_attempts(1));
        let call = Call::new();
        let mut attempts = bench.retry.begin(&call);
        stops(attempts.next(&call, judge(&failed()).until(|_| true)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_that_counts_as_a_failure_goes_to_the_caller_in_the_end() {
        let bench = bench(settings().max_attempts(2));
        let call = Call::new();
        let mut attempts = bench.retry.begin(&call);
        let next = attempts.next(&call, judge(&value(0)).when_value(|&v| v == 0));
        go_on(&mut attempts, next).await;
        stops(attempts.next(&call, judge(&value(0)).when_value(|&v| v == 0)));
        assert_eq!(bench.heard()[1], "Attempts after 2");
    }

    #[test]
    fn a_budget_that_is_used_up_ends_it_and_calls_fill_it_again() {
        let bench = bench(settings().budget(0.5));
        let call = Call::new();
        for _ in 0..100 {
            let delay = first_delay(&bench.retry, &call, judge(&failed()));
            assert_eq!(delay, SECOND);
        }
        // The hundred calls have filled in fifty but for the first half, added to a full balance.
        assert_eq!(bench.retry.metrics().budget_left, Some(49));
        let mut retried = 0;
        for _ in 0..200 {
            let mut attempts = bench.retry.begin(&call);
            retried += u32::from(matches!(
                attempts.next(&call, judge(&failed())),
                Next::Again
            ));
        }
        assert_eq!(retried, 49 + 100);
        assert!(bench.heard().contains(&"Budget after 1".to_owned()));
        bench.retry.reset();
        assert_eq!(bench.retry.metrics().budget_left, Some(100));
        assert_eq!(bench.retry.metrics().calls, 0);
    }

    #[test]
    fn polling_costs_no_budget() {
        let bench = bench(settings().budget(0.1));
        let call = Call::new();
        for _ in 0..500 {
            let unmet = value(0);
            let polled = judge(&unmet).until(|_| false);
            assert_eq!(first_delay(&bench.retry, &call, polled), SECOND);
        }
        assert_eq!(bench.retry.metrics().budget_left, Some(100));
    }

    #[test]
    fn what_is_not_retried_for_another_reason_costs_no_budget() {
        let bench = bench(settings().budget(0.1).max_attempts(1));
        let call = Call::new();
        stops(bench.retry.begin(&call).next(&call, judge(&failed())));
        assert_eq!(bench.retry.metrics().budget_left, Some(100));
    }

    #[tokio::test(start_paused = true)]
    async fn the_sites_own_backoff_is_asked_for_each_retry_and_capped() {
        let bench = bench(settings().max_delay(20 * SECOND));
        let call = Call::new();
        let mut attempts = bench.retry.begin(&call);
        let own = |retry: u32| 9 * SECOND * retry;
        for expected in [9, 18, 20] {
            let next = attempts.next_with(&call, judge(&failed()), own);
            assert_eq!(delay(&attempts, next), expected * SECOND);
            go_on(&mut attempts, next).await;
        }
        stops(attempts.next_with(&call, judge(&failed()), |_| panic!("asked")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_the_server_asked_for_is_no_step_of_a_random_walk() {
        let bench = bench(settings().jitter(Jitter::Decorrelated).max_attempts(100));
        let call = Call::new();
        for _ in 0..100 {
            let mut attempts = bench.retry.begin(&call);
            let next = attempts.next(&call, asks(&failed(), 50 * SECOND));
            go_on(&mut attempts, next).await;
            assert!(next_delay(&mut attempts, &call, judge(&failed())) <= 9 * SECOND);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_spent_in_on_retry_does_not_make_the_delay_pass_the_deadline() {
        let bench = bench(
            settings()
                .max_elapsed(5 * SECOND)
                .backoff(Backoff::Fixed)
                .base_delay(3 * SECOND),
        );
        let call = Call::new();
        let mut attempts = bench.retry.begin(&call);
        let start = clock::now();
        let next = attempts.next(&call, judge(&failed()));
        tokio::time::sleep(4 * SECOND).await;
        go_on(&mut attempts, next).await;
        assert_eq!(clock::now().since(start), 5 * SECOND);
        assert_eq!(call.waited(), SECOND);
    }

    #[tokio::test]
    async fn a_delay_of_nothing_lets_others_run() {
        let bench = bench(settings());
        let call = Call::new();
        let mut attempts = bench.retry.begin(&call);
        let next = attempts.next_with(&call, judge(&failed()), |_| Duration::ZERO);
        assert_eq!(next, Next::Again);
        let mut pause = attempts.pause();
        let first =
            std::future::poll_fn(|cx| std::task::Poll::Ready(pause.as_mut().poll(cx))).await;
        assert!(first.is_pending());
        pause.await;
        assert_eq!(attempts.attempt(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_dropped_in_a_delay_is_counted_with_the_attempts_it_made() {
        let bench = bench(settings());
        let call = Call::new();
        let mut attempts = bench.retry.begin(&call);
        let next = attempts.next(&call, judge(&failed()));
        drop(tokio::time::timeout(SECOND / 2, go_on(&mut attempts, next)).await);
        drop(attempts);
        let metrics = bench.retry.metrics();
        assert_eq!(
            (metrics.by_attempts[0], metrics.waited),
            (1, Duration::ZERO)
        );
    }

    #[test]
    fn calls_of_many_attempts_are_counted_together() {
        let bench = bench(settings());
        for attempts in [1, 16, 17, u32::MAX] {
            bench.retry.count_call(attempts);
        }
        let metrics = bench.retry.metrics();
        assert_eq!((metrics.by_attempts[0], metrics.by_attempts[15]), (1, 3));
        assert_eq!((metrics.calls, metrics.retried), (4, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_goes_by_the_settings_that_it_began_with() {
        let bench = bench(settings());
        let call = Call::new();
        let mut attempts = bench.retry.begin(&call);
        let next = attempts.next(&call, judge(&failed()));
        let other = settings().max_attempts(2).base_delay(10 * SECOND);
        bench.retry.reconfigure(&other, Switch::On);
        let start = clock::now();
        go_on(&mut attempts, next).await;
        assert_eq!(
            clock::now().since(start),
            SECOND,
            "it was to wait that long"
        );
        assert_eq!(
            next_delay(&mut attempts, &call, judge(&failed())),
            2 * SECOND
        );
        let mut new = bench.retry.begin(&call);
        let next = new.next(&call, judge(&failed()));
        assert_eq!(delay(&new, next), 10 * SECOND);
        go_on(&mut new, next).await;
        stops(new.next(&call, judge(&failed())));
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_deadline_is_that_of_calls_that_begin_from_now_on() {
        let bench = bench(settings());
        let call = Call::new();
        let mut old = bench.retry.begin(&call);
        let other = settings().max_elapsed(SECOND / 2);
        bench.retry.reconfigure(&other, Switch::On);
        assert_eq!(next_delay(&mut old, &call, judge(&failed())), SECOND);
        stops(bench.retry.begin(&call).next(&call, judge(&failed())));
        assert_eq!(bench.heard()[1], "Time after 1");
    }

    #[test]
    fn switched_off_it_makes_one_attempt_and_counts_nothing() {
        let bench = bench(settings().budget(0.1).max_elapsed(SECOND));
        let call = Call::new();
        let off = settings().rejections(true);
        bench.retry.reconfigure(&off, Switch::Off);
        for step in [failed(), timed_out(), refused(None)] {
            stops(bench.retry.begin(&call).next(&call, judge(&step)));
        }
        let unmet = value(1);
        let polled = judge(&unmet).until(|_| false);
        stops(bench.retry.begin(&call).next(&call, polled));
        let bad = judge(&unmet).when_value(|_| true);
        let own = |_| panic!("asked for a delay");
        stops(bench.retry.begin(&call).next_with(&call, bad, own));
        assert!(bench.heard().is_empty());
        let metrics = bench.retry.metrics();
        assert_eq!((metrics.calls, metrics.exhausted), (0, 0));
        assert_eq!(bench.retry.delays().count(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_began_before_it_was_switched_off_is_retried_and_counted() {
        let bench = bench(settings());
        let call = Call::new();
        let mut old = bench.retry.begin(&call);
        bench.retry.reconfigure(&settings(), Switch::Off);
        let mut between = bench.retry.begin(&call);
        bench.retry.reconfigure(&settings(), Switch::On);
        let next = old.next(&call, judge(&failed()));
        go_on(&mut old, next).await;
        drop(old);
        stops(between.next(&call, judge(&failed())));
        drop(between);
        let metrics = bench.retry.metrics();
        assert_eq!((metrics.calls, metrics.by_attempts[1]), (1, 1));
    }

    #[test]
    fn what_a_budget_has_left_stays_when_its_share_changes() {
        let bench = bench(settings().budget(1e-9));
        let call = Call::new();
        let left = || bench.retry.metrics().budget_left;
        for _ in 0..30 {
            first_delay(&bench.retry, &call, judge(&failed()));
        }
        let before = left();
        assert!(before < Some(71), "{before:?}");
        bench.retry.reconfigure(&settings().budget(0.5), Switch::On);
        assert_eq!(left(), before);
        for _ in 0..2 {
            drop(bench.retry.begin(&call));
        }
        assert_eq!(left(), before.map(|left| left + 1));
        let off = settings().budget(0.5);
        bench.retry.reconfigure(&off, Switch::Off);
        for _ in 0..10 {
            drop(bench.retry.begin(&call));
        }
        bench.retry.reconfigure(&off, Switch::On);
        assert_eq!(
            left(),
            before.map(|left| left + 1),
            "off, nothing is counted"
        );
    }

    #[test]
    fn a_budget_that_is_new_is_full() {
        let bench = bench(settings().budget(1e-9));
        let call = Call::new();
        for _ in 0..200 {
            let _ = bench.retry.begin(&call).next(&call, judge(&failed()));
        }
        assert_eq!(bench.retry.metrics().budget_left, Some(0));
        bench.retry.reconfigure(&settings(), Switch::On);
        assert_eq!(bench.retry.metrics().budget_left, None);
        first_delay(&bench.retry, &call, judge(&failed()));
        bench
            .retry
            .reconfigure(&settings().budget(1e-9), Switch::On);
        assert_eq!(bench.retry.metrics().budget_left, Some(100));
        let preset = RetrySettings::new().preset(crate::RetryPreset::FastApi);
        bench.retry.reconfigure(&settings(), Switch::Off);
        bench.retry.reconfigure(&preset, Switch::On);
        assert_eq!(bench.retry.metrics().budget_left, Some(100), "the preset's");
    }

    #[test]
    fn the_settings_in_force_are_shown() {
        let bench = bench(settings());
        bench
            .retry
            .reconfigure(&settings().max_attempts(7), Switch::On);
        assert_eq!(bench.retry.delays().count(), 6);
        let shown = bench.retry.settings();
        let attempts = shown.iter().find(|setting| setting.name == "max_attempts");
        assert_eq!(attempts.map(|setting| &*setting.value), Some("7"));
    }

    /// Four attempts without a budget, or one with: a call of two attempts has seen both.
    #[test]
    fn calls_see_one_plan_whole_while_others_come_and_go() {
        let bench = bench(settings().max_attempts(2));
        let plans = [
            (settings().max_attempts(2), Switch::On),
            (
                settings().max_attempts(4).base_delay(4 * SECOND),
                Switch::On,
            ),
            (settings().max_attempts(3), Switch::Off),
        ];
        let done = std::sync::atomic::AtomicBool::new(false);
        let relaxed = std::sync::atomic::Ordering::Relaxed;
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(relaxed) {
                        let call = Call::new();
                        let mut attempts = bench.retry.begin(&call);
                        let mut delays = Vec::new();
                        while attempts.next(&call, judge(&failed())) == Next::Again {
                            delays.push(attempts.event().delay.as_secs());
                            attempts.resume(Duration::ZERO);
                        }
                        let whole: [&[u64]; 3] = [&[], &[1], &[4, 8, 16]];
                        assert!(whole.contains(&&*delays), "{delays:?}");
                    }
                });
            }
            for n in 0..10_000 {
                let (settings, switch) = &plans[n % 3];
                bench.retry.reconfigure(settings, *switch);
            }
            done.store(true, relaxed);
        });
    }
}
