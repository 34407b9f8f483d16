//! `#[retry]`: every argument, in virtual time.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use steadfast::{Classify, Event, Exhausted, Rejection, RetryEvent, registry, retry, timeout};
use tokio::time::Instant;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// When each attempt was made, since the first.
#[derive(Default)]
struct Attempts(Vec<Instant>);

impl Attempts {
    fn note(&mut self) -> u32 {
        self.0.push(Instant::now());
        u32::try_from(self.0.len()).unwrap()
    }

    fn gaps(&self) -> Vec<Duration> {
        self.0.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn exponential_delays_double() {
    #[retry(max_attempts = 4, base_delay = "100ms", jitter = none)]
    async fn call(attempts: &mut Attempts) -> Result<(), u32> {
        Err(attempts.note())
    }
    let mut attempts = Attempts::default();
    assert_eq!(
        call(&mut attempts).await,
        Err(4),
        "the last error, unchanged"
    );
    assert_eq!(attempts.gaps(), [ms(100), ms(200), ms(400)]);
}

#[tokio::test(start_paused = true)]
async fn linear_and_fixed_delays_and_their_cap() {
    #[retry(max_attempts = 5, backoff = linear, base_delay = "1s", max_delay = "3s", jitter = none)]
    async fn linear(attempts: &mut Attempts) -> Result<(), u32> {
        Err(attempts.note())
    }
    #[retry(max_attempts = 3, backoff = fixed, base_delay = "7s", jitter = none)]
    async fn fixed(attempts: &mut Attempts) -> Result<(), u32> {
        Err(attempts.note())
    }
    let mut attempts = Attempts::default();
    linear(&mut attempts).await.unwrap_err();
    assert_eq!(attempts.gaps(), [ms(1000), ms(2000), ms(3000), ms(3000)]);
    let mut attempts = Attempts::default();
    fixed(&mut attempts).await.unwrap_err();
    assert_eq!(attempts.gaps(), [ms(7000), ms(7000)]);
}

#[tokio::test(start_paused = true)]
async fn multiplier_and_a_backoff_of_ones_own() {
    #[retry(max_attempts = 4, base_delay = "1s", multiplier = 3.0, jitter = none)]
    async fn tripling(attempts: &mut Attempts) -> Result<(), u32> {
        Err(attempts.note())
    }
    let step = 10;
    #[retry(max_attempts = 4, backoff = |retry| ms(u64::from(retry) * step), jitter = none)]
    async fn own(attempts: &mut Attempts, step: u64) -> Result<(), u32> {
        Err(attempts.note())
    }
    fn squares(retry: u32) -> Duration {
        ms(u64::from(retry * retry))
    }
    #[retry(max_attempts = 4, backoff = squares, jitter = none)]
    async fn path(attempts: &mut Attempts) -> Result<(), u32> {
        Err(attempts.note())
    }
    let mut attempts = Attempts::default();
    tripling(&mut attempts).await.unwrap_err();
    assert_eq!(attempts.gaps(), [ms(1000), ms(3000), ms(9000)]);
    let mut attempts = Attempts::default();
    own(&mut attempts, step).await.unwrap_err();
    assert_eq!(attempts.gaps(), [ms(10), ms(20), ms(30)]);
    let mut attempts = Attempts::default();
    path(&mut attempts).await.unwrap_err();
    assert_eq!(attempts.gaps(), [ms(1), ms(4), ms(9)]);
}

#[tokio::test(start_paused = true)]
async fn jitter_stays_within_its_bounds() {
    #[retry(max_attempts = 50, backoff = fixed, base_delay = "1s")]
    async fn full(attempts: &mut Attempts) -> Result<(), u32> {
        Err(attempts.note())
    }
    #[retry(max_attempts = 50, backoff = fixed, base_delay = "1s", jitter = equal)]
    async fn equal(attempts: &mut Attempts) -> Result<(), u32> {
        Err(attempts.note())
    }
    #[retry(max_attempts = 50, backoff = fixed, base_delay = "1s", jitter = 0.1)]
    async fn fraction(attempts: &mut Attempts) -> Result<(), u32> {
        Err(attempts.note())
    }
    #[retry(max_attempts = 50, base_delay = "1s", max_delay = "5s", jitter = decorrelated)]
    async fn decorrelated(attempts: &mut Attempts) -> Result<(), u32> {
        Err(attempts.note())
    }
    // Tokio's timer has a resolution of one millisecond.
    let within = |attempts: &Attempts, low: u64, high: u64| {
        let gaps = attempts.gaps();
        assert!(
            gaps.iter()
                .all(|gap| (ms(low)..=ms(high + 1)).contains(gap)),
            "{gaps:?}"
        );
        assert!(gaps.iter().any(|gap| *gap != gaps[0]), "no jitter at all");
    };
    let mut attempts = Attempts::default();
    full(&mut attempts).await.unwrap_err();
    within(&attempts, 0, 1000);
    let mut attempts = Attempts::default();
    equal(&mut attempts).await.unwrap_err();
    within(&attempts, 500, 1000);
    let mut attempts = Attempts::default();
    fraction(&mut attempts).await.unwrap_err();
    within(&attempts, 900, 1100);
    let mut attempts = Attempts::default();
    decorrelated(&mut attempts).await.unwrap_err();
    within(&attempts, 1000, 5000);
}

#[tokio::test(start_paused = true)]
async fn no_delay_is_begun_that_would_pass_max_elapsed() {
    #[retry(max_attempts = 10, base_delay = "1s", jitter = none, max_elapsed = "4s")]
    async fn call(attempts: &mut Attempts) -> Result<(), u32> {
        Err(attempts.note())
    }
    let start = Instant::now();
    let mut attempts = Attempts::default();
    assert_eq!(call(&mut attempts).await, Err(3));
    assert_eq!(
        start.elapsed(),
        ms(3000),
        "the third delay, of four seconds, was not begun"
    );
}

#[tokio::test(start_paused = true)]
async fn a_predicate_sees_the_parameters_and_decides_what_is_retried() {
    #[retry(base_delay = "1s", when = |error| *error < limit)]
    async fn call(attempts: &mut Attempts, limit: u32) -> Result<(), u32> {
        Err(attempts.note())
    }
    assert_eq!(call(&mut Attempts::default(), 2).await, Err(2));
    assert_eq!(call(&mut Attempts::default(), 9).await, Err(3));
}

#[tokio::test(start_paused = true)]
async fn a_bad_value_is_retried_and_finally_returned() {
    #[retry(base_delay = "1s", when_value = |value| *value < 5)]
    async fn call(attempts: &mut Attempts) -> Result<u32, ()> {
        Ok(attempts.note())
    }
    assert_eq!(call(&mut Attempts::default()).await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn polling_ends_when_the_value_is_as_wanted_or_says_that_it_never_was() {
    #[retry(max_attempts = 5, backoff = fixed, base_delay = "1s", jitter = none, until = |n| *n >= wanted)]
    async fn poll(attempts: &mut Attempts, wanted: u32) -> Result<u32, Rejection> {
        Ok(attempts.note())
    }
    assert_eq!(poll(&mut Attempts::default(), 4).await, Ok(4));
    let error = poll(&mut Attempts::default(), 9).await.unwrap_err();
    let Rejection::ConditionNotMet(error) = error else {
        panic!("{error}")
    };
    assert_eq!(error.attempts, 5);
}

#[derive(Debug, PartialEq)]
enum Api {
    Busy(u64),
    Gone,
}

impl Classify for Api {
    fn is_retryable(&self) -> bool {
        *self != Api::Gone
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Api::Busy(seconds) => Some(Duration::from_secs(*seconds)),
            Api::Gone => None,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn classification_decides_without_an_argument() {
    #[retry(base_delay = "1s", jitter = none)]
    async fn call(attempts: &mut Attempts, error: fn() -> Api) -> Result<(), Api> {
        attempts.note();
        Err(error())
    }
    let mut attempts = Attempts::default();
    call(&mut attempts, || Api::Gone).await.unwrap_err();
    assert_eq!(attempts.0.len(), 1);
    let mut attempts = Attempts::default();
    call(&mut attempts, || Api::Busy(30)).await.unwrap_err();
    assert_eq!(
        attempts.gaps(),
        [ms(30_000), ms(30_000)],
        "a lower bound for the delay"
    );
    let mut attempts = Attempts::default();
    call(&mut attempts, || Api::Busy(61)).await.unwrap_err();
    assert_eq!(attempts.0.len(), 1, "longer than max_delay: not retried");
}

#[tokio::test(start_paused = true)]
async fn what_the_server_asks_for_may_be_said_at_the_site() {
    #[retry(base_delay = "1s", jitter = none, retry_after = |error| Some(ms(*error)))]
    async fn call(attempts: &mut Attempts) -> Result<(), u64> {
        Err(u64::from(attempts.note()) * 1500)
    }
    let mut attempts = Attempts::default();
    call(&mut attempts).await.unwrap_err();
    assert_eq!(attempts.gaps(), [ms(1500), ms(3000)]);
}

#[tokio::test(start_paused = true)]
async fn a_budget_stops_a_retry_storm_after_its_reserve() {
    let _test = steadfast::test::isolated();
    #[retry("budgeted", max_attempts = 2, base_delay = "1ms", budget = 0.5)]
    async fn call(calls: &mut u32) -> Result<(), ()> {
        *calls += 1;
        Err(())
    }
    let mut calls = 0;
    for _ in 0..1000 {
        call(&mut calls).await.unwrap_err();
    }
    let retries = calls - 1000;
    // The reserve of 100, and half a retry for each of 1000 calls.
    assert!((598..=601).contains(&retries), "{retries} retries");
}

#[tokio::test(start_paused = true)]
async fn polling_needs_no_budget() {
    let _test = steadfast::test::isolated();
    #[retry("polling", max_attempts = 300, backoff = fixed, base_delay = "1ms", budget = 0.1, until = |n| *n >= 300)]
    async fn poll(calls: &mut u32) -> Result<u32, Rejection> {
        *calls += 1;
        Ok(*calls)
    }
    assert_eq!(poll(&mut 0).await, Ok(300));
}

#[tokio::test(start_paused = true)]
async fn attempts_are_numbered_inside_the_body_and_owned_arguments_cloned() {
    #[retry(base_delay = "1ms", clone(order), attempt = n)]
    async fn call(order: String, seen: &mut Vec<u32>) -> Result<String, String> {
        seen.push(n);
        let consumed: String = order;
        if n < 3 { Err(consumed) } else { Ok(consumed) }
    }
    let mut seen = Vec::new();
    assert_eq!(call("o".to_owned(), &mut seen).await, Ok("o".to_owned()));
    assert_eq!(seen, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn on_retry_may_await_and_change_what_the_call_uses() {
    struct Connection {
        resets: Vec<(u32, Duration)>,
    }
    impl Connection {
        async fn reset(&mut self, event: &RetryEvent) {
            tokio::task::yield_now().await;
            self.resets.push((event.attempt, event.delay));
        }

        #[retry(base_delay = "1s", jitter = none, on_retry = |event| self.reset(event).await)]
        async fn query(&mut self) -> Result<usize, ()> {
            if self.resets.len() < 2 {
                Err(())
            } else {
                Ok(self.resets.len())
            }
        }
    }
    let mut connection = Connection { resets: Vec::new() };
    assert_eq!(connection.query().await, Ok(2));
    assert_eq!(connection.resets, [(1, ms(1000)), (2, ms(2000))]);
}

#[tokio::test(start_paused = true)]
async fn no_delay_is_begun_that_would_pass_the_deadline_of_a_timeout_further_out() {
    #[timeout("2500ms")]
    #[retry(max_attempts = 9, backoff = fixed, base_delay = "1s", jitter = none)]
    async fn call(attempts: &mut Attempts) -> Result<(), Error> {
        attempts.note();
        Err(Error::Own)
    }
    let start = Instant::now();
    let mut attempts = Attempts::default();
    assert_eq!(
        call(&mut attempts).await,
        Err(Error::Own),
        "not TimedOut: the caller learns why"
    );
    assert_eq!((attempts.0.len(), start.elapsed()), (3, ms(2000)));
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum Error {
    #[error("own")]
    Own,
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_was_cut_off_is_retried_unless_it_must_not_be() {
    #[retry(base_delay = "1ms")]
    #[timeout("1s")]
    async fn read(calls: &mut u32) -> Result<(), Error> {
        *calls += 1;
        std::future::pending().await
    }
    #[retry(base_delay = "1ms", timeouts = false)]
    #[timeout("1s")]
    async fn write(calls: &mut u32) -> Result<(), Error> {
        *calls += 1;
        std::future::pending().await
    }
    let (mut reads, mut writes) = (0, 0);
    let read = read(&mut reads).await;
    assert!(matches!(read, Err(Error::Rejected(Rejection::TimedOut(_)))));
    assert!(write(&mut writes).await.is_err());
    assert_eq!((reads, writes), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn refusals_are_retried_only_where_it_is_said_and_after_their_time() {
    use steadfast::rate_limited;
    let _test = steadfast::test::isolated();

    #[retry(base_delay = "1ms", jitter = none)]
    #[rate_limited("strict", rate = "1/10s")]
    async fn strict() -> Result<(), Error> {
        Ok(())
    }
    #[retry(base_delay = "1ms", jitter = none, rejections)]
    #[rate_limited("patient", rate = "1/10s")]
    async fn patient() -> Result<(), Error> {
        Ok(())
    }
    strict().await.unwrap();
    assert!(matches!(
        strict().await,
        Err(Error::Rejected(Rejection::RateLimited(_)))
    ));
    patient().await.unwrap();
    let start = Instant::now();
    patient().await.unwrap();
    assert!(
        (ms(10_000)..=ms(10_002)).contains(&start.elapsed()),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn each_retry_and_the_end_are_told() {
    let test = steadfast::test::isolated();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&seen);
    let _subscription = test.registry().subscribe(move |event| {
        let line = match event {
            Event::Retry(e) => format!("retry {} {:?}", e.attempt, e.delay),
            Event::RetriesExhausted(e) => format!("exhausted {} {:?}", e.attempts, e.reason),
            _ => return,
        };
        writer.lock().unwrap().push(line);
    });
    #[retry("told", base_delay = "1s", jitter = none)]
    async fn call() -> Result<(), ()> {
        Err(())
    }
    call().await.unwrap_err();
    assert_eq!(
        *seen.lock().unwrap(),
        ["retry 1 1s", "retry 2 2s", "exhausted 3 Attempts"]
    );
    assert_eq!(Exhausted::Attempts, Exhausted::Attempts);

    let metrics = registry().retry("told").unwrap().metrics();
    assert_eq!(
        (metrics.calls, metrics.retries, metrics.exhausted),
        (1, 2, 1)
    );
}

#[test]
fn a_synchronous_function_is_retried_in_real_time() {
    #[retry(max_attempts = 3, base_delay = "2ms", jitter = none, attempt = n)]
    fn call(seen: &mut Vec<u32>) -> Result<u32, ()> {
        seen.push(n);
        if n == 3 { Ok(n) } else { Err(()) }
    }
    let start = std::time::Instant::now();
    let mut seen = Vec::new();
    assert_eq!(call(&mut seen), Ok(3));
    assert_eq!(seen, [1, 2, 3]);
    assert!(start.elapsed() >= ms(6));
}
