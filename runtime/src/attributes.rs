//! The attributes, and what each of their arguments means.

/// Runs a call again after it failed, with growing pauses and an upper bound on everything.
///
/// ```
/// # #[derive(Debug)] struct HttpError; impl HttpError { fn is_transient(&self) -> bool { true } }
/// use steadfast::retry;
///
/// #[retry(max_attempts = 4, base_delay = "100ms", max_delay = "5s", when = HttpError::is_transient)]
/// async fn fetch(url: &str) -> Result<String, HttpError> {
///     // the body, unchanged: `?`, `return` and `.await` work as ever
/// #   Ok(url.to_owned())
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() { assert!(fetch("u").await.is_ok()) }
/// ```
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `preset` | `fast_api`, `slow_batch`, `critical` or `streaming`: what the other settings are where they are not written; [`RetryPreset`](crate::RetryPreset) has the values | none |
/// | `max_attempts` | attempts in all, the first included | 3 |
/// | `backoff` | `exponential`, `linear`, `fixed`, or a path or closure `fn(retry: u32) -> Duration` (the first retry is 1) ◦, beside which `multiplier`, and `base_delay` unless `jitter = decorrelated`, are of no effect | `exponential` |
/// | `base_delay` | the delay *d* before the first retry | `"1s"` |
/// | `multiplier` | *m*: the n-th delay is d·mⁿ⁻¹ (exponential), d·n (linear), d (fixed) | 2.0 |
/// | `max_delay` | upper bound of every delay, jitter included | `"60s"` |
/// | `jitter` | `full` (0 to d), `equal` (d/2 to d), `decorrelated` (base to 3 × the delay before), `none`, or a fraction f (d·(1±f)) | `full` |
/// | `max_elapsed` | deadline over all attempts and delays: no delay is begun that would pass it. A running attempt is not cut off; that is [`timeout`] | none |
/// | `when` ◦ | `&E -> bool`: which errors are retried | [`Classify`](crate::Classify), else all |
/// | `when_value` ◦ | `&T -> bool`: a value that counts as a failure. When attempts run out the caller gets it | none |
/// | `until` ◦ | `&T -> bool`: polling. A value that is not yet good enough is asked for again; if it never is, the call ends in [`ConditionNotMet`](crate::ConditionNotMet) | none |
/// | `retry_after` ◦ | `&E -> Option<Duration>`: how long the server asked to be left alone | [`Classify`](crate::Classify) |
/// | `timeouts` | whether a [`TimedOut`](crate::TimedOut) attempt is retried. Set it to `false` where the call is not idempotent | `true` |
/// | `budget` | retries per call in the long run (0.2: one in five), after a reserve of 100: an outage does not become a retry storm. Polling is not counted | none |
/// | `rejections` | flag: refusals by inner policies are retried too, after at least their `retry_after` | off |
/// | `clone(a, b)` ◦ | parameters cloned for each attempt, because the body consumes them; `clone(self)` works | none |
/// | `attempt = n` ◦ | binds `n: u32` (1, 2, …) inside the body | none |
/// | `on_retry` ◦ | `\|event: &RetryEvent\|` before each delay; may `.await` (reset a connection) | none |
///
/// Arguments marked ◦ belong to this function; all others are *settings* of the policy, which every
/// function that names it shares.
///
/// **Delays.** What the server asks for is a lower bound; where it exceeds `max_delay` or what is left of
/// `max_elapsed`, the call is not retried. No delay is begun that would pass the deadline of a
/// [`timeout`] further out. Full, equal and decorrelated jitter are those of Marc Brooker's
/// "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
///
/// **What is retried.** Errors and, if asked for, values. A refusal ([`CircuitOpen`](crate::CircuitOpen),
/// [`RateLimited`](crate::RateLimited), [`BulkheadFull`](crate::BulkheadFull)) is not, also when it comes
/// from another protected function inside your error.
///
/// **Errors.** When attempts run out the caller gets the last error, unchanged. A lone `#[retry]` without
/// `until` needs nothing of the error type.
///
/// **Arguments.** The body is run again as it is written. By-value parameters that it only borrows just
/// work. If it consumes one, rustc says so (E0382, "moved in the previous iteration of the loop"): name it
/// in `clone(..)`. A retried function cannot return a borrow of one of its `&mut` parameters.
///
/// **Cancellation.** Dropping the call drops the attempt or the delay that it is in; nothing goes on.
pub use steadfast_macros::retry;

/// Stops calling what keeps failing, and finds out by itself when it is well again.
///
/// ```
/// use steadfast::circuit_breaker;
/// # #[derive(Debug, thiserror::Error)]
/// # enum PayError { #[error(transparent)] Rejected(#[from] steadfast::Rejection) }
///
/// #[circuit_breaker("payments", failure_rate = 0.5, window = 100, recovery_timeout = "30s")]
/// async fn pay(cents: u64) -> Result<u64, PayError> {
/// #   Ok(cents)
///     // ...
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() { assert_eq!(pay(5).await.unwrap(), 5) }
/// ```
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `preset` | `low_volume` or `high_volume`: what the other settings are where they are not written; [`CircuitPreset`](crate::CircuitPreset) has the values | none |
/// | `failure_threshold` | consecutive failures that open it | 5; off where `failure_rate` is set |
/// | `failure_rate` | share of failures in the window that opens it (at or above) | off |
/// | `window` | a number of calls, or a duration. Both really slide | 100 |
/// | `minimum_calls` | outcomes before a rate means anything | 10 (a smaller count window: its size) |
/// | `slow_call` | a call that takes longer is slow: the time of all that lies inside the breaker, without the waits of policies below | off |
/// | `slow_call_rate` | share of slow calls that opens it | 0.5 |
/// | `recovery_timeout` | open this long, then half-open | `"60s"` |
/// | `recovery_jitter` | fraction of it added at random, so that a fleet does not probe at once | 0 |
/// | `max_recovery_timeout` | doubles the open time at each failed recovery, up to this | off |
/// | `success_threshold` | successful probes that close it; one failed (or slow) probe opens it again | 3 |
/// | `half_open_requests` | probes in flight at once while half-open; the rest are refused | `success_threshold` |
/// | `half_open_timeout` | a probe that has not ended by then has lost its place, and its result no longer counts | `recovery_timeout` |
/// | `when`, `when_value` ◦ | `&E -> bool`, `&T -> bool`: which errors and which values are failures; the others count as successes | [`Classify`](crate::Classify), else all errors |
/// | `ignore` ◦ | `&E -> bool`: neither success nor failure | none |
/// | `cancelled` | `ignore` or `failure`: what a call counts as that its caller dropped. Its permit comes back either way | `ignore` |
/// | `key` ◦ | an expression, anything `Display`: one circuit per value (a host, a shard) | one circuit |
/// | `max_keys` | how many of them | 10 000 |
/// | `enforce` | `false`: decides, records and tells, but lets everything through | `true` |
///
/// To share one circuit between all instances of a service (see [shared state](crate#many-instances-as-one)):
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `shared` | keeps its state in the registry's [store](crate::Store); needs a name. Rates are taken over the calls of the whole fleet, an opening reaches the others within 500 ms while they call, and all instances together make no more than `half_open_requests` probes. No network on the call's path: outcomes are sent ten times a second | off |
/// | `quorum` | instances that must have reached their own `failure_threshold` to open it for all | 1 |
/// | `on_store_error` | while the store is away: `local` (this instance goes on by itself), `allow` or `deny` ([`StoreUnavailable`](crate::StoreUnavailable)) | `local` |
///
/// Rates are evaluated after every recorded outcome. The result of a call that began in an earlier state
/// changes nothing. Time is monotonic: no step of the wall clock moves a state.
///
/// **Errors.** While open: [`CircuitOpen`](crate::CircuitOpen), with `retry_after`.
///
/// **Cancellation and panics.** A dropped call gives its place back; a panic in the call's own poll is a
/// failure; being dropped because something else unwinds is a cancellation. A [`timeout`] further out that
/// cuts a begun body is a failure.
///
/// The breaker itself is `steadfast::registry().circuit_breaker("payments")`: its state, its metrics, and
/// control by hand.
pub use steadfast_macros::circuit_breaker;

/// Keeps calls under a rate, per key if you like, waiting in order or refusing at once.
///
/// ```
/// use steadfast::rate_limited;
///
/// #[rate_limited("partner", rate = "100/s", burst = 20, key = tenant, max_wait = "250ms")]
/// async fn order(tenant: &str, item: u32) -> std::io::Result<()> {
/// #   let _ = item; Ok(())
///     // ...
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() { order("a", 1).await.unwrap() }
/// ```
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `rate` | `"200/s"`, `"10/h"`, `"1000/10m"`, or a [`Rate`](crate::Rate). With `key` also an expression that sees the parameters ◦ (`rate = tenant.plan()`) | required |
/// | `burst` | bucket size (token and leaky bucket) | the rate's count |
/// | `algorithm` | see below | `token_bucket` |
/// | `key` ◦ | an expression, anything `Display`: one limit per value | one limit |
/// | `max_keys` | bound on remembered keys. Only keys at their unused state are dropped; where there are none, new keys share overflow limits, so that a flood gains nothing and takes nothing from others | 100 000 |
/// | `cost` ◦ | `u32`: permits that this call takes. Above `burst` it is refused with no `retry_after` | 1 |
/// | `max_wait` | waits up to this long for its turn, first come first served per key. A wait that cannot succeed is refused at once; a dropped wait gives its place back | none: refused at once |
/// | `bypass` ◦ | `bool`: `true` skips the limit (a critical operation); counted and told | `false` |
/// | `min_rate`, `interval`, `adaptive_threshold`, `backoff_factor`, `recovery_factor` | for `adaptive`: its lower end, one step per interval, the share of successes below which it backs off, the factors | rate/10, `"1s"`, 0.8, 0.7, 1.2 |
/// | `enforce` | `false`: decides and tells, but lets through | `true` |
///
/// | algorithm | what it allows, at worst, in any window of the rate's length |
/// |---|---|
/// | `token_bucket` | `burst` at once, then the rate: burst + count |
/// | `leaky_bucket` | the same, drained at the rate; waiting calls leave evenly spaced |
/// | `fixed_window` | count per window aligned to the Unix epoch: up to twice the count across a boundary |
/// | `sliding_window` | count, exactly: a log of what was let through |
/// | `sliding_window_counter` | two windows weighted, O(1) memory: the long-run rate holds, but an uneven previous window can let through nearly twice the count |
/// | `adaptive` | a token bucket whose rate moves between `min_rate` and `rate` with the share of successes of the calls it let through |
///
/// To share one limit between all instances of a service (see [shared state](crate#many-instances-as-one)):
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `shared` | decides in the registry's [store](crate::Store), on its clock; needs a name. First come, first served holds within each instance; what was taken is not given back | off |
/// | `mode` | `exact`: one round trip for each decision, and calls that come meanwhile share the next; `lease`: permits are taken ahead within the bound that [`Mode::Lease`](crate::Mode::Lease) tells | `exact` |
/// | `on_store_error` | while the store is away: `local` (this instance goes on with its share: the limit divided by the instances last seen), `allow` or `deny` ([`StoreUnavailable`](crate::StoreUnavailable)) | `local` |
/// | `instances` | by how many the limit is divided at least while the store is away | 1 |
///
/// **Errors.** [`RateLimited`](crate::RateLimited), with limit, remaining, `retry_after` and
/// `reset_after`. A denied call costs nothing. Values of keys appear in no error, event or snapshot.
pub use steadfast_macros::rate_limited;

/// Bounds how many calls run at once, so that one slow dependency cannot take every task and connection.
///
/// ```
/// use steadfast::bulkhead;
///
/// #[bulkhead("reports", max_concurrent = 4, max_wait = "1s")]
/// async fn render(id: u64) -> std::io::Result<String> {
/// #   Ok(id.to_string())
///     // ...
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() { render(1).await.unwrap(); }
/// ```
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `max_concurrent` | calls that may run at once | 10 |
/// | `max_wait` | waits up to this long for a place, first come first served | none: refused at once |
/// | `max_queue` | callers that may wait at once | 1 000 |
/// | `key` ◦ | an expression, anything `Display`: one bulkhead per value | one |
/// | `max_keys` | how many of them | 10 000 |
/// | `enforce` | `false`: decides and tells, but lets through | `true` |
///
/// To bound the calls of all instances of a service together (see
/// [shared state](crate#many-instances-as-one)):
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `shared` | takes its places from the registry's [store](crate::Store); needs a name | off |
/// | `lease` | a place that is not renewed for this long (its process is gone) goes to others, at least `"1s"`. It is renewed every third of it while the call runs; one that was lost all the same is told by [`Event::LeaseLost`](crate::Event::LeaseLost) | `"10s"` |
/// | `fence = n` ◦ | binds `n: u64` in the body: a number that rises with each place taken in the fleet, so that what is called can refuse a caller whose place was lost. 0 where the place is this instance's own | none |
/// | `on_store_error` | while the store is away: `local` (this instance goes on with its share: the places divided by the instances last seen), `allow` or `deny` ([`StoreUnavailable`](crate::StoreUnavailable)) | `local` |
/// | `instances` | by how many the places are divided at least while the store is away | 1 |
///
/// **Errors.** [`BulkheadFull`](crate::BulkheadFull). **Cancellation.** A dropped call gives its place
/// back, a dropped wait its turn.
pub use steadfast_macros::bulkhead;

/// Drops a call at its deadline, so that nobody waits for an answer that has lost its worth.
///
/// ```
/// use steadfast::timeout;
///
/// #[timeout("2s")]
/// async fn search(query: &str) -> std::io::Result<Vec<String>> {
/// #   Ok(vec![query.to_owned()])
///     // ...
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() { search("q").await.unwrap(); }
/// ```
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `after` | the time that the call has: `"2s"`, a constant, or an expression that sees the parameters ◦. A lone string is the duration; `#[timeout("search", "2s")]` names it | required |
///
/// Above a [`retry`] it bounds the whole, below it each attempt; both may stand. Delays and waits below a
/// timeout know its deadline: none begins that would pass it.
///
/// **Errors.** [`TimedOut`](crate::TimedOut): a failure to breakers, retried by a [`retry`] further out.
///
/// **Cancellation.** The call is dropped at the `.await` where it stands. A synchronous function cannot be
/// stopped from outside, so the attribute is refused there.
pub use steadfast_macros::timeout;

/// Answers in place of a call that failed: with an earlier answer, or with one of your own.
///
/// ```
/// use steadfast::{Served, Source, fallback};
///
/// #[fallback(cache(key = city, fresh = "5m", stale = "1h"), |_error| Ok(Served::from(0)))]
/// async fn temperature(city: &str) -> Result<Served<i32>, std::io::Error> {
/// #   if city == "nowhere" { return Err(std::io::Error::other("no such place")); }
///     Ok(21.into())
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(temperature("Lyon").await.unwrap().source, Source::Primary);
/// assert_eq!(temperature("nowhere").await.unwrap().source, Source::Fallback);
/// # }
/// ```
///
/// Tried in the order written: first the cache, if there is one, then at most one answer.
///
/// | argument | meaning |
/// |---|---|
/// | `cache(key = expr, fresh = "5m", stale = "1h")` | remembers good answers (`T: Clone + Send + Sync + 'static`), and serves one that is not older than `fresh`, then, marked stale, not older than `stale`. The call is always tried first. A function with parameters must say its `key` (`key = ""` shares one answer). `max_entries` bounds them (10 000) |
/// | a path | a function with the same parameters and the error last, same return type, async if this one is |
/// | `\|error\| expr` | the error by value; gives the function's return type; may `.await` and `?` |
/// | `value = expr` | a `T` |
/// | `default` | `T::default()` |
/// | `when` | `&E -> bool`: which errors are answered. Default: refusals, timeouts, and what [`Classify`](crate::Classify) calls a failure (all errors where there is none) |
/// | `clone(a)` | parameters cloned because the body consumes them and the answer needs them |
/// | `shared` | the cache's answers are remembered in the registry's [store](crate::Store) as well: one instance answers with what another one got. Needs a name, a `cache(..)`, the feature `redis`, and a `T` with `serde`'s `Serialize` and `DeserializeOwned` |
///
/// With `T =` [`Served<V>`](crate::Served) the caller is told where an answer came from.
///
/// **Shared answers.** A good answer is remembered here at once, and goes to the store in the background:
/// no call waits for that. Each key is written at most once in a tenth of `fresh` (between 1 s and 60 s), so
/// what others find may be older by that; it says its true age, by the store's clock. A call that fails is
/// answered with what is remembered here if that is fresh; if not, it waits for the store, never longer than
/// its deadline, and gets the younger of the two. Calls that fail together for one key ask once.
/// `max_entries` also bounds what the store holds of this policy, for all instances together.
///
/// Answers are kept as JSON, so that versions of a program that know other fields can read them; what cannot
/// be read counts as absent. An answer above 1 MiB stays with the instance that got it, as do those of two
/// types with one path. The key, and the path of the type, are part of what the store holds: rename the type,
/// and its answers are not found. While the store is away, or where none is set (told once as
/// [`Misconfigured`](crate::Misconfigured), and by [`validate`](crate::Registry::validate)), each instance
/// goes on with what it remembers itself. [`reset`](crate::Registry::reset) clears this instance and the store;
/// other instances keep what they remember. The call's future is `Send` only if its error is: it is kept
/// while the store is asked. Dropping it takes nothing from others who ask for the same.
///
/// A fallback belongs on top: below a [`retry`] or a [`circuit_breaker`] it would hide every failure from
/// them, and is refused there unless `when` restricts it.
pub use steadfast_macros::fallback;
