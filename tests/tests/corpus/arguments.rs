//! Arguments that see `self` and the parameters.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use steadfast::{
    Bulkhead, CircuitBreaker, Rate, RateLimiter, Rejection, Retry, RetryEvent, Timeout, bulkhead,
    circuit_breaker, fallback, rate_limited, retry, timeout,
};
use tokio::time::{Instant, sleep};

use crate::support::{Failure, Tries};

#[derive(Debug, Clone)]
struct Tenant {
    id: String,
    per_hour: u32,
    patience: Duration,
}

impl Tenant {
    fn plan(&self) -> Rate {
        Rate::new(self.per_hour, Duration::from_secs(3600))
    }
}

#[rate_limited(rate = tenant.plan(), key = tenant.id, cost = items.len() as u32, bypass = urgent)]
async fn charged(tenant: &Tenant, items: &[u32], urgent: bool) -> Result<usize, Failure> {
    Ok(items.len())
}

#[circuit_breaker(failure_threshold = 1, key = host, max_keys = 10)]
async fn per_host(host: &str, fails: bool) -> Result<(), Failure> {
    if fails { Err(Failure::Down) } else { Ok(()) }
}

#[bulkhead(max_concurrent = 1, key = format!("{shard}/{}", shard % 2))]
async fn per_shard(shard: u32) -> Result<(), Failure> {
    sleep(Duration::from_millis(1)).await;
    Ok(())
}

#[timeout(tenant.patience)]
async fn patient(tenant: &Tenant, work: Duration) -> Result<(), Failure> {
    sleep(work).await;
    Ok(())
}

#[timeout(after = patience * 2)]
async fn moved_parameters(patience: Duration, order: String) -> Result<String, Failure> {
    sleep(Duration::from_secs(1)).await;
    Ok(order)
}

fn shifted(retry: u32) -> Duration {
    Duration::from_millis(1 << retry)
}

#[retry(max_attempts = 4, backoff = shifted, jitter = none)]
async fn backoff_by_path(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[retry(max_attempts = 3, backoff = |retry| unit * retry * 10, jitter = none)]
async fn backoff_by_closure(unit: Duration, tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[retry(max_attempts = 9, base_delay = "1ms", until = |n| *n >= wanted)]
async fn polled(wanted: u32, tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[retry(max_attempts = 9, base_delay = "1ms", when_value = |n: &u32| *n < wanted)]
#[circuit_breaker(when_value = |n| *n == 0, failure_threshold = 100)]
async fn value_is_a_failure(wanted: u32, tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[retry(max_attempts = 2, base_delay = "1ms", max_delay = "1h", retry_after = |error| match error {
    Failure::Gone(seconds) => Some(Duration::from_secs(u64::from(*seconds))),
    _ => None,
})]
async fn asked_to_wait(seconds: u16) -> Result<u32, Failure> {
    Err(Failure::Gone(seconds))
}

#[retry(max_attempts = 3, base_delay = "1ms", attempt = nth, on_retry = |event: &RetryEvent| {
    log.push(event.attempt);
    reconnect(log).await;
})]
async fn told(log: &mut Vec<u32>) -> Result<u32, Failure> {
    log.push(nth * 10);
    Err(Failure::Down)
}

async fn reconnect(log: &mut Vec<u32>) {
    sleep(Duration::from_millis(1)).await;
    log.push(100);
}

#[retry(max_attempts = 3, base_delay = "1ms", on_retry = note)]
async fn told_by_path(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

static NOTED: AtomicU32 = AtomicU32::new(0);

fn note(event: &RetryEvent) {
    NOTED.fetch_add(event.attempt, Relaxed);
}

#[timeout("10ms", reject_with = |rejection| Failure::Gone(if rejection.is_refusal() { 1 } else { status }))]
#[circuit_breaker]
async fn rejected_with(status: u16) -> Result<(), Failure> {
    sleep(Duration::from_secs(1)).await;
    Ok(())
}

#[circuit_breaker(failure_threshold = 1, reject_with = unavailable)]
fn rejected_by_path() -> Result<(), u16> {
    Err(500)
}

fn unavailable(_: Rejection) -> u16 {
    503
}

struct Client {
    breaker: CircuitBreaker,
    limiter: RateLimiter,
    bulkhead: Bulkhead,
    retry: Retry,
    timeout: Timeout,
    tries: Tries,
}

impl Client {
    #[retry(with = &self.retry, when = Failure::is_down)]
    #[circuit_breaker(with = &self.breaker)]
    #[rate_limited(with = &self.limiter, cost = cost)]
    #[bulkhead(with = &self.bulkhead)]
    #[timeout(with = &self.timeout)]
    async fn injected(&self, cost: u32) -> Result<u32, Failure> {
        self.tries.ask()
    }

    #[retry(with = &self.retry)]
    #[circuit_breaker(with = &self.breaker)]
    async fn injected_into_a_changing_self(&mut self) -> Result<u32, Failure> {
        self.tries = Tries::good_at(2);
        self.tries.ask()
    }

    #[circuit_breaker(failure_threshold = 2, when = |error| self.counts(error))]
    async fn judged_by_self(&self) -> Result<u32, Failure> {
        self.tries.ask()
    }

    fn counts(&self, error: &Failure) -> bool {
        self.tries.made() > 1 && error.is_down()
    }
}

fn tenant(id: &str) -> Tenant {
    Tenant {
        id: id.into(),
        per_hour: 3,
        patience: Duration::from_millis(10),
    }
}

fn client() -> Client {
    Client {
        breaker: CircuitBreaker::builder("client")
            .failure_threshold(2)
            .build()
            .unwrap(),
        limiter: RateLimiter::builder("client")
            .rate(Rate::per_second(1000))
            .build()
            .unwrap(),
        bulkhead: Bulkhead::builder("client").build().unwrap(),
        retry: Retry::builder("client")
            .max_attempts(3)
            .base_delay(Duration::from_millis(1))
            .build()
            .unwrap(),
        timeout: Timeout::builder("client")
            .after(Duration::from_secs(1))
            .build()
            .unwrap(),
        tries: Tries::never_good(),
    }
}

impl Client {
    #[fallback(Self::stand_in)]
    #[retry(max_attempts = 2, base_delay = "1ms")]
    async fn stood_in_for(&self, text: &str, n: u32) -> Result<String, Failure> {
        self.tries.ask()?;
        Ok(format!("{text} {n}"))
    }

    async fn stand_in(&self, text: &str, n: u32, error: Failure) -> Result<String, Failure> {
        Ok(format!("{error} {text} {n} {}", self.tries.made()))
    }

    #[fallback(Client::change)]
    #[retry(max_attempts = 2, base_delay = "1ms")]
    fn changed(&mut self, n: u32) -> Result<u32, Failure> {
        self.tries.ask().map(|made| made + n)
    }

    fn change(&mut self, n: u32, _error: Failure) -> Result<u32, Failure> {
        let made = self.tries.made();
        self.tries = Tries::good_at(1);
        Ok(made + n)
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_sees_the_parameters() {
    let (a, b) = (tenant("a"), tenant("b"));
    assert_eq!(charged(&a, &[1, 2], false).await, Ok(2));
    assert!(charged(&a, &[1, 2], false).await.is_err());
    assert_eq!(charged(&a, &[1, 2], true).await, Ok(2));
    assert_eq!(charged(&a, &[1], false).await, Ok(1));
    assert_eq!(charged(&b, &[1, 2, 3], false).await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn keys_separate() {
    assert!(per_host("a", true).await.is_err());
    assert!(matches!(
        per_host("a", false).await,
        Err(Failure::Rejected(_))
    ));
    assert_eq!(per_host("b", false).await, Ok(()));
    let (one, two, again) = tokio::join!(per_shard(1), per_shard(2), per_shard(1));
    assert!(one.is_ok() && two.is_ok() && again.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_timeout_sees_the_parameters() {
    let tenant = tenant("a");
    assert!(patient(&tenant, Duration::from_millis(9)).await.is_ok());
    assert!(patient(&tenant, Duration::from_millis(11)).await.is_err());
    let patience = Duration::from_millis(600);
    assert_eq!(moved_parameters(patience, "o".into()).await, Ok("o".into()));
    let cut = moved_parameters(Duration::from_millis(1), "o".into()).await;
    assert!(matches!(cut, Err(Failure::Rejected(_))));
}

#[tokio::test(start_paused = true)]
async fn delays_come_from_functions() {
    let start = Instant::now();
    assert_eq!(backoff_by_path(&Tries::good_at(4)).await, Ok(4));
    assert_eq!(start.elapsed(), Duration::from_millis(2 + 4 + 8));
    let start = Instant::now();
    let unit = Duration::from_millis(1);
    assert_eq!(backoff_by_closure(unit, &Tries::good_at(3)).await, Ok(3));
    assert_eq!(start.elapsed(), Duration::from_millis(30));
    let start = Instant::now();
    assert!(asked_to_wait(30).await.is_err());
    assert!(start.elapsed() >= Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn predicates_see_the_parameters() {
    assert_eq!(polled(3, &Tries::good_at(1)).await, Ok(3));
    assert!(matches!(
        polled(30, &Tries::good_at(1)).await,
        Err(Failure::Rejected(Rejection::ConditionNotMet(_)))
    ));
    assert_eq!(value_is_a_failure(3, &Tries::good_at(1)).await, Ok(3));
    assert_eq!(value_is_a_failure(30, &Tries::good_at(1)).await, Ok(9));
    let client = client();
    assert_eq!(client.judged_by_self().await, Err(Failure::Down));
    assert_eq!(client.judged_by_self().await, Err(Failure::Down));
    assert_eq!(client.judged_by_self().await, Err(Failure::Down));
    assert!(matches!(
        client.judged_by_self().await,
        Err(Failure::Rejected(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn callbacks_share_the_parameters_with_the_body() {
    let mut log = Vec::new();
    assert!(told(&mut log).await.is_err());
    assert_eq!(log, [10, 1, 100, 20, 2, 100, 30]);
    assert_eq!(told_by_path(&Tries::good_at(3)).await, Ok(3));
    assert_eq!(NOTED.load(Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn rejections_are_converted_as_asked() {
    assert_eq!(rejected_with(504).await, Err(Failure::Gone(504)));
    assert_eq!(rejected_by_path(), Err(500));
    assert_eq!(rejected_by_path(), Err(503));
}

#[tokio::test(start_paused = true)]
async fn policies_are_injected() {
    let mut client = client();
    let refused = client.injected(1).await;
    assert!(matches!(
        refused,
        Err(Failure::Rejected(Rejection::CircuitOpen(_)))
    ));
    assert_eq!(client.tries.made(), 2);
    client.breaker.reset();
    assert!(client.injected_into_a_changing_self().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_method_stands_in_for_a_method() {
    let mut client = client();
    assert_eq!(
        client.stood_in_for("t", 7).await.unwrap(),
        "down t 7 2".to_owned()
    );
    assert_eq!(client.changed(100), Ok(104));
    assert_eq!(client.changed(100), Ok(101));
}
