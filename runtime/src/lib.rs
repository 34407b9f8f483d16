//! Steadfast makes an ordinary Rust function survive a bad day: annotate it, keep its signature.
//!
//! ```
//! use steadfast::{bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout};
//!
//! # #[derive(Debug, Clone, PartialEq)] pub struct Quote(u32);
//! # fn stale_quote(_: &str) -> Quote { Quote(0) }
//! #[derive(Debug, thiserror::Error)]
//! pub enum QuoteError {
//!     #[error("the exchange answered {0}")]
//!     Status(u16),
//!     #[error(transparent)]
//!     Rejected(#[from] steadfast::Rejection), // the one variant that the policies need
//! }
//!
//! #[fallback(|_error| Ok(stale_quote(symbol)))]
//! #[retry(max_attempts = 4, base_delay = "100ms")]
//! #[circuit_breaker("quotes", failure_rate = 0.5, window = 100, recovery_timeout = "30s")]
//! #[rate_limited("quotes", rate = "200/s", burst = 50, max_wait = "250ms")]
//! #[bulkhead("quotes", max_concurrent = 16)]
//! #[timeout("2s")]
//! async fn quote(symbol: &str) -> Result<Quote, QuoteError> {
//!     // your body, unchanged
//! #   let _ = symbol; Err(QuoteError::Status(404))
//! }
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() { assert_eq!(quote("X").await.unwrap(), Quote(0)) }
//! ```
//!
//! # Five minutes
//!
//! 1. Put an attribute on a function that returns a `Result`. Nothing else changes: not its signature, not
//!    its callers, not its body. [`macro@retry`] alone needs no more than that.
//! 2. The other policies can end a call themselves. Give your error type one variant,
//!    `Rejected(#[from] steadfast::Rejection)`; `anyhow::Error`, `Box<dyn Error + Send + Sync>` and
//!    `std::io::Error` work as they are.
//! 3. Say once what your errors mean, where they are defined: implement [`Classify`]. Every policy on every
//!    function uses it; `when = ...` overrides it at one place.
//! 4. Give policies that guard one dependency the same name (`"quotes"`): functions that name it share one
//!    breaker, one limit, one bulkhead. One of them gives the settings, the others only the name.
//! 5. Look at what happens: every decision is a `tracing` event under the target `steadfast`, a typed
//!    [`Event`] for [subscribers](Registry::subscribe), and a figure in [`Registry::snapshot`].
//!
//! # The attributes
//!
//! | attribute | what it does |
//! |---|---|
//! | [`#[retry]`](macro@retry) | runs a call again after it failed, with growing pauses |
//! | [`#[circuit_breaker]`](macro@circuit_breaker) | stops calling what keeps failing |
//! | [`#[rate_limited]`](macro@rate_limited) | keeps calls under a rate |
//! | [`#[bulkhead]`](macro@bulkhead) | bounds how many calls run at once |
//! | [`#[timeout]`](macro@timeout) | drops a call at its deadline |
//! | [`#[fallback]`](macro@fallback) | answers in place of a failed call |
//!
//! Arguments are *settings* (numbers, durations, choices: they belong to the policy, and two functions that
//! share a policy must agree on them) or *site arguments* (predicates, keys, callbacks, marked ◦ in the
//! tables: they belong to one function, see its parameters, and are never compared). Durations are written
//! `"250ms"`, `"1.5s"`, `"2m"`, `"1h"` or as a constant of type `Duration`; rates `"200/s"`, `"1000/10m"`
//! or as a [`Rate`]. Every literal is checked when the program is compiled.
//!
//! Every policy attribute also takes `with = expr` ◦ (a `&CircuitBreaker` and so on to use in place of the
//! registry's: per object, per test, injected), `crate = path` (where Steadfast is found under another
//! name), and, where it can reject, `reject_with = |rejection| ...` ◦ (what the caller gets; on the topmost
//! attribute it serves the whole stack).
//!
//! # How stacks compose, and why in that order
//!
//! The topmost attribute is the outermost, as with decorators elsewhere. The order of the example is the
//! one to start from:
//!
//! - **fallback** outermost, so that it sees the final failure. Below a retry or a breaker it would hide
//!   every failure from them; that is a compile error unless `when` restricts it.
//! - **retry** around the breaker: each attempt asks the breaker again, and each counts.
//! - **circuit breaker** around the limits: an open circuit takes no permit and waits for none.
//! - **rate limit**, then **bulkhead**: a call waits for its turn before it holds a place.
//! - **timeout** innermost bounds each attempt; a second one on top bounds the whole.
//!
//! Policies of one stack know of each other. A *refusal* by an inner policy ([`CircuitOpen`],
//! [`RateLimited`], [`BulkheadFull`]) is neither retried nor counted as a failure further out, and what an
//! outer policy took for the call is given back. The same holds across functions: where the error type
//! implements `Error`, a refusal in its [`source`](std::error::Error::source) chain is recognised.
//! [`TimedOut`] is a failure, and retried. Delays and waits below a timeout know its deadline: none begins
//! that would pass it.
//!
//! # Cancellation and panics
//!
//! A call can be dropped at every `.await`: permits come back, a waiter's turn goes to the next, a
//! half-open circuit gets its probe back. A dropped call counts for nothing (`cancelled = failure` changes
//! that), except one that had already been slow, and one that a timeout further out cut off. A panic in the
//! call itself is a failure, and leaves nothing locked or lost.
//!
//! # Synchronous functions
//!
//! Work the same, with blocking waits and real sleeps (one warning if that happens inside an async
//! runtime). `#[timeout]` is refused: nothing can stop a synchronous function from outside.
//!
//! # Without attributes
//!
//! [`Retry`], [`CircuitBreaker`], [`RateLimiter`], [`Bulkhead`], [`Timeout`] and [`Fallback`] are plain
//! values, cheap to clone, with a builder whose methods are the attributes' settings:
//!
//! ```
//! use std::time::Duration;
//! use steadfast::{CircuitBreaker, Rejection};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let breaker = CircuitBreaker::builder("search").failure_rate(0.5).window(100).build()?;
//! let answer: Result<u32, Rejection> = breaker.call(async { Ok(7) }).await;
//! assert_eq!(answer?, 7);
//! # Ok(())
//! # }
//! ```
//!
//! `build()` makes an instance that nobody else knows; `install()` puts it into the [`registry()`] for
//! attributes of its name to join.
//!
//! # Many instances as one
//!
//! Limits, circuits and places belong to one process, unless the attribute says `shared`. Then all
//! instances of a service that use one [store](Store) act as one:
//!
//! ```no_run
//! # #[cfg(feature = "redis")] {
//! use steadfast::{RedisStore, circuit_breaker, rate_limited};
//! # #[derive(Debug, thiserror::Error)]
//! # enum PayError { #[error(transparent)] Rejected(#[from] steadfast::Rejection) }
//!
//! #[circuit_breaker("payments", failure_rate = 0.5, shared)] // no network on the call's path
//! #[rate_limited("partner-api", rate = "100/s", key = tenant, shared)] // one round trip
//! async fn charge(tenant: &str, cents: u64) -> Result<u64, PayError> {
//! #   let _ = tenant; Ok(cents)
//!     // ...
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = RedisStore::connect("redis://10.0.0.5/").await?;
//! steadfast::registry().set_store(store)?; // before the first shared call
//! # let _ = charge("a", 5).await; Ok(())
//! # }
//! # }
//! ```
//!
//! - **Decisions are the store's,** made in one script on its clock: clients with wrong clocks change
//!   nothing. Redis 6.2 or later, or Valkey; a single server (`redis://`, `rediss://`), Sentinel
//!   (`redis+sentinel://host:port,host:port/master`) or Cluster (`redis+cluster://host:port,host:port/`).
//! - **No call waits longer for the store than its deadline** (50 ms unless you say otherwise), and while
//!   it is known to be away, none waits at all. `on_store_error` decides then: this instance goes on with
//!   its share (`local`), everything is let through (`allow`), or refused (`deny`). Each outage is one
//!   [`StoreDown`](Event::StoreDown) and one [`StoreUp`](Event::StoreUp) event;
//!   [`Registry::store_health`] tells the rest.
//! - **The store has a thread and a clock of its own:** a runtime that is paused, blocked or finished does
//!   not stop it.
//! - **Without a store,** `shared` is an error at the first call and in [`Registry::validate`], never a
//!   silent local limit.
//! - What each policy guarantees over the fleet, and at worst, stands with its attribute,
//!   [`Algorithm`], [`Mode`] and [`OnStoreError`].
//!
//! In tests, [`MemoryStore`] takes the place of Redis.
//!
//! # Settings from outside
//!
//! With the feature `config`, an operator changes settings without a build: in TOML files, which go over the
//! attributes, and in the environment, which goes over the files.
//!
//! ```toml
//! [circuit_breaker.quotes]
//! failure_threshold = 8
//! recovery_timeout = "10s"
//!
//! [retry."shop::client::order"] # without a name, a policy is called by the path of its function
//! preset = "gentle"
//! max_elapsed = "none"
//!
//! [preset.retry.gentle]
//! max_attempts = 2
//! ```
//!
//! ```no_run
//! # #[cfg(feature = "config")]
//! # fn main() -> Result<(), steadfast::ConfigErrors> {
//! steadfast::registry().watch("/etc/shop/steadfast.toml")?; // loaded now, and whenever it changes
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "config"))]
//! # fn main() {}
//! ```
//!
//! A variable names the same in upper case, with `_` for every other character, and `__` before the name and
//! before the setting: `STEADFAST_CIRCUIT_BREAKER__QUOTES__FAILURE_THRESHOLD=8`. One that lacks only these is
//! a mistake; others that begin with `STEADFAST_`, and have no `__`, are not looked at.
//!
//! - **Kinds** are `retry`, `circuit_breaker`, `rate_limiter`, `bulkhead`, `timeout` and `fallback`; **keys and
//!   values** those of the attributes: durations, rates and choices in quotes, numbers and flags without.
//!   `"none"` takes away what is written further down.
//! - **`enabled = false`** is as if the policy were not there; **`force = "open"`** or `"closed"` holds a
//!   breaker there; **`preset`** names one that is built in, or one of `[preset.<kind>.<name>]`: naming it is
//!   as writing out all that its table says, and what is written beside it goes before. One that a later
//!   source names takes the place of an earlier one's. One of your own may start from one that is built in.
//! - **Several files** go over each other in the order in which they were first loaded. What depends on each
//!   other (a preset, and who starts from it) belongs in one file: each is checked with the others as they
//!   are. A watched one that was refused is tried again when another one is loaded or a policy is installed.
//! - **All or nothing.** A file with a mistake changes nothing, and every mistake is told at once with its
//!   line and column: what is unknown with the nearest that is known, and what does not go together with both
//!   places. [`Registry::validate`] finds those of the environment, too.
//! - **State is kept.** Calls that run go on under the settings that they began with; each sees the old ones or
//!   the new ones of a policy, never some of each. Those who wait are judged again, in their order. Each
//!   policy's page says what becomes of windows, buckets and places.
//! - **`shared`** stays as it was at the first call.
//! - What changed is told as [`Reconfigured`], with the old values and the new ones; a watched file that is
//!   refused as [`ConfigRejected`].
//!
//! The feature `cli` makes a command of it, `steadfast::cli`, that lists what is protected and checks a file
//! before it matters.
//!
//! # What is protected, and how it is doing
//!
//! Every annotated function that is linked into the program is known before it is called:
//! [`Registry::sites`] lists them with their stacks, with each setting in force, and with where it comes from.
//! [`Registry::validate`] finds every mistake in what they say.
//!
//! A policy without a name is called by the path of its function, `shop::client::order`; a second unnamed
//! timeout of one function adds `#2`. Functions that share a path (methods of one name in several `impl`s of a
//! module) are told apart by their places, `shop::client::order@src/client.rs:40`, and those of one macro
//! call by their order in it besides, from 0: `shop::client::order@src/client.rs:40:1#0`. Such a name changes
//! with the line: give a policy a name of its own where files, dashboards and alerts speak of it.
//!
//! [`Registry::health`] folds the policies' states, the store, and [checks of your
//! own](Registry::register_check) into one answer, whose form as JSON stays as it is:
//!
//! ```json
//! {
//!   "status": "degraded",
//!   "policies": [
//!     {"kind": "circuit_breaker", "name": "quotes", "status": "degraded", "detail": "open"}
//!   ],
//!   "store": {"status": "healthy", "detail": "up"},
//!   "checks": [
//!     {"name": "database", "status": "healthy", "detail": null, "critical": true, "took_ms": 1.204}
//!   ],
//!   "took_ms": 1.31
//! }
//! ```
//!
//! # Testing your code
//!
//! With the feature `test-util`, `tokio::time::pause()` moves every policy: breakers recover, limits
//! refill, delays and caches age in virtual time (synchronous functions sleep in real time).
//! `steadfast::test::isolated()` gives a test its own registry and state, so that parallel tests do not
//! meet.
//!
//! ```
//! # #[cfg(feature = "test-util")] {
//! # use std::time::Duration;
//! # #[steadfast::retry(max_attempts = 3, base_delay = "10s", jitter = none)]
//! # async fn flaky(calls: &mut u32) -> Result<u32, &'static str> {
//! #     *calls += 1;
//! #     if *calls < 3 { Err("not yet") } else { Ok(*calls) }
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! let _test = steadfast::test::isolated();
//! let start = tokio::time::Instant::now();
//! assert_eq!(flaky(&mut 0).await, Ok(3));
//! assert_eq!(start.elapsed(), Duration::from_secs(10 + 20)); // at once, in real time
//! # });
//! # }
//! ```
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `tracing` | yes | every event as a `tracing` event under the target `steadfast` |
//! | `serde` | yes | `Serialize` for snapshots, metrics and names |
//! | `config` | no | settings from TOML files and the environment, loaded again live |
//! | `cli` | no | `steadfast::cli`: `list`, `check`, `init` and `schema` for operators |
//! | `metrics` | no | counters, gauges and histograms of every policy through the `metrics` facade |
//! | `redis` | no | `RedisStore`: limits, circuits, places and answers shared between processes |
//! | `redis-tls` | no | the same over `rediss://` |
//! | `test-util` | no | virtual time and [`test::isolated`]; for `[dev-dependencies]` |
//!
//! Waits and delays of async functions need a Tokio runtime with time enabled.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used)]

mod admission;
mod algorithm;
mod attributes;
mod call;
mod circuit_state;
mod classify;
#[cfg(feature = "cli")]
#[cfg_attr(docsrs, doc(cfg(feature = "cli")))]
pub mod cli;
mod clock;
mod config;
mod counter;
mod emitted;
mod entered;
mod error;
mod event;
mod health;
mod judge;
mod key;
mod keyed;
mod kind;
mod lock;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub mod metrics;
mod name;
#[cfg(feature = "config")]
mod nearest;
mod outcome;
mod per_thread;
mod place;
mod policy;
mod probe;
mod queue;
mod rate;
mod registry;
mod rejection;
mod served;
mod step;
mod store;
mod stores;
mod sync;
#[cfg(feature = "test-util")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
pub mod test;
mod timed;
mod timer;
mod units;
mod waiter;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use algorithm::{backoff::Backoff, jitter::Jitter, schedule::Delays};
pub use attributes::{bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout};
pub use circuit_state::CircuitState;
pub use classify::Classify;
pub use config::{ConfigPlace, FilePlace};
pub use error::{ConfigError, ConfigErrors, Said, Subject};
pub use event::{
    Bypassed, ConfigRejected, CutOff, Event, Exhausted, FellBack, LeaseLost, Misconfigured,
    Reconfigured, Refused, RetriesExhausted, RetryEvent, SettingChange, StateChanged, StoreDown,
    StoreUp, Subscription,
};
pub use health::{HealthStatus, Verdict};
pub use kind::PolicyKind;
pub use name::PolicyName;
pub use outcome::Outcome;
pub use place::Place;
pub use policy::{
    bulkhead::{Bulkhead, BulkheadBuilder, BulkheadMetrics, BulkheadPermit},
    circuit_breaker::{
        Cancelled, CircuitBreaker, CircuitBreakerBuilder, CircuitMetrics, CircuitPreset,
        CircuitWhen, Permit, Window,
    },
    fallback::{
        Answer, Answering, Fallback, FallbackBuilder, FallbackMetrics, Forgetful, Memory, OrElse,
        Pass, Shareable, SharedKey,
    },
    rate_limiter::{Algorithm, Allowance, RateLimiter, RateLimiterBuilder, RateLimiterMetrics},
    retry::{Retry, RetryBuilder, RetryMetrics, RetryPreset, RetryWhen},
    settings::{Setting, Value},
    shared::{Mode, OnStoreError},
    timeout::{Timeout, TimeoutBuilder, TimeoutMetrics},
};
pub use rate::{ParseRateError, Rate};
#[cfg(feature = "config")]
#[cfg_attr(docsrs, doc(cfg(feature = "config")))]
pub use registry::Watch;
pub use registry::{
    CheckHealth, Health, HealthCheck, PolicyHealth, PolicySnapshot, Registry, Snapshot,
    listing::{Definition, Origin, Site, SitePolicy, SiteSetting},
    registry,
};
pub use rejection::{
    BulkheadFull, CircuitOpen, ConditionNotMet, RateLimited, Rejection, StoreUnavailable, TimedOut,
};
pub use served::{Served, Source};
pub use store::{Store, StoreError, StoreHealth, StoreStatus};
pub use stores::MemoryStore;
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use stores::{RedisStore, RedisStoreBuilder};
