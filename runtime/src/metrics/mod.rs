//! Figures of every policy for Prometheus and its kin, through the [`metrics`](https://docs.rs/metrics) facade.
//!
//! Install a recorder, and the series are there; nothing else has to be done or called. With
//! `metrics-exporter-prometheus`:
//!
//! ```
//! use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
//! use steadfast::{Rate, RateLimiter, metrics::SERIES};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut exporter = PrometheusBuilder::new();
//! for series in SERIES.iter().filter(|series| !series.buckets.is_empty()) {
//!     let name = Matcher::Full(series.name.to_owned());
//!     exporter = exporter.set_buckets_for_metric(name, series.buckets)?; // else it makes quantiles
//! }
//! let exporter = exporter.install_recorder()?; // best before the first call
//!
//! let limiter = RateLimiter::builder("mails").rate(Rate::per_second(1)).build()?;
//! limiter.try_acquire(1)?;
//! assert!(limiter.try_acquire(1).is_err());
//!
//! # steadfast::metrics::publish();
//! let scraped = exporter.render(); // a quarter of a second later
//! assert!(scraped.contains(r#"rate_limit_allowed_total{policy="mails"} 1"#));
//! assert!(scraped.contains(r#"rate_limit_rejected_total{policy="mails"} 1"#));
//! # Ok(())
//! # }
//! ```
//!
//! # What there is
//!
//! | metric | kind | labels | of | what it says |
//! |---|---|---|---|---|
//! | `circuit_breaker_state` | gauge | `policy`, `state` | circuits | circuits in this state: `closed`, `open`, `half_open`, `forced_open`, `disabled`. One breaker has 1 in one of them; one with a `key` the number of circuits that it remembers, but for those that are open and that nobody has used for a whole recovery; one that is switched off is in none |
//! | `circuit_breaker_successes_total` | counter | `policy` | calls | calls that succeeded |
//! | `circuit_breaker_failures_total` | counter | `policy` | calls | calls that failed |
//! | `circuit_breaker_slow_calls_total` | counter | `policy` | calls | calls that were slow, whether they succeeded or not |
//! | `circuit_breaker_rejected_total` | counter | `policy` | calls | calls that were refused, or would have been with `enforce = false` |
//! | `circuit_breaker_state_changes_total` | counter | `policy`, `from`, `to` | changes | changes of state. The four that a breaker makes by itself are there from the start, others once they happen |
//! | `retry_attempts` | histogram | `policy` | attempts | attempts that a call took; counted when it has ended |
//! | `retry_attempts_total` | counter | `policy`, `attempt` | attempts | attempts: `first`, one for each call that has ended, and `retry`, when it is decided upon |
//! | `retry_exhausted_total` | counter | `policy` | calls | calls that failed for good since attempts, time or budget ran out |
//! | `rate_limit_allowed_total` | counter | `policy` | calls | calls that got their permits |
//! | `rate_limit_rejected_total` | counter | `policy` | calls | calls that were refused, or would have been with `enforce = false` |
//! | `rate_limit_bypassed_total` | counter | `policy` | calls | calls that went past the limit by their `bypass` |
//! | `rate_limit_wait_seconds` | histogram | `policy` | seconds | time that a call waited for its turn, whether it came or not. Calls that did not have to wait are not in it, nor are those dropped while they waited; for a `shared` limit, asking the store is part of it |
//! | `bulkhead_in_flight` | gauge | `policy` | calls | calls that hold a place; with a `key` those of all keys, of a `shared` bulkhead those of this instance |
//! | `bulkhead_waiting` | gauge | `policy` | calls | calls that wait for a place |
//! | `bulkhead_rejected_total` | counter | `policy` | calls | calls that found it full and were refused, or would have been with `enforce = false` |
//! | `timeout_total` | counter | `policy` | calls | calls that were cut off |
//! | `fallback_total` | counter | `policy`, `source` | calls | failed calls that were answered, by where the answer came from: `cache`, `stale_cache`, `fallback` |
//! | `call_duration_seconds` | histogram | `code_function_name`, `error_type` | seconds | time that an annotated function took, all its policies with their waits and retries included |
//! | `store_up` | gauge |  | stores | 1 while the store of shared state answers, else 0; not there where none is set |
//!
//! The table as data is [`SERIES`]; its `buckets` are for exporters that have to be told them.
//!
//! `policy` is the policy's name, as in the [snapshot](crate::Registry::snapshot): for one without a name the
//! path of its function. Policies of one name add up, also those that [`build`](crate::RetryBuilder::build)
//! made outside the registry: counts are sums, and gauges say how many circuits are in a state, and how many
//! calls hold a place, over all of them. A policy that is dropped leaves its counts, and is in no state.
//! **No label ever holds the value of a `key`**, or anything else that comes from a caller, so the number of
//! series is bounded by the source code.
//!
//! Words of `error_type`: none where the function came to a good answer, a fallback's included; `error` (an
//! error of its own), `refused` (by a breaker, limiter or bulkhead), `timeout`, `condition_not_met` (of
//! `until`), `cancelled` (dropped by its caller, or a panic).
//!
//! # How fresh, and at what cost
//!
//! Policies count per thread anyway; a thread called `steadfast-metrics` brings what is new to the recorder
//! four times a second, so a figure is at most a quarter of a second old, whether there are calls, or any
//! runtime, or not. [`publish`] does it at once: call it at the end of the program, before the exporter renders
//! or pushes for the last time, or the last quarter of a second is missing. The calls themselves pay for
//! `call_duration_seconds` alone, two readings of the clock and a count: the recorder's work is done by that
//! thread. Without a recorder that is a look whether there is one, and 16 bytes in the function's future; without
//! the feature `metrics`, nothing.
//!
//! Number and sum of a function's times are exact (a call that ends in the very microsecond in which they are
//! brought may be in the sum a round before it is in the number). Each time is told to within 0.8 %, and exactly where none
//! but the same came in that quarter of a second on its thread. For that, each thread that calls the function
//! keeps 2 kB for each factor of two that its times spread over: 8 kB where they lie between 5 and 50 ms.
//!
//! Handles are found once per policy, never by name in a call. A recorder may be installed at any time: counts
//! go on from the making of each policy, and only values of the two histograms of seconds that came before are
//! lost. Resetting a policy, or the registry, changes no counter.
//!
//! A policy has series from its first call on; one whose first call fails comes with a count of 1, which
//! Prometheus takes for no increase. [`Registry::snapshot`](crate::Registry::snapshot), called once at the start
//! (after what the program installs itself), has all annotated functions shown from then on, with zeros.
//!
//! A recorder that forgets what nothing happens to for a while, as the Prometheus exporter with an
//! `idle_timeout` does, keeps all counters and gauges; a histogram comes back with the next call, from zero. A
//! recorder that is a type without any size is taken for none.
//!
//! # OpenTelemetry
//!
//! There are no conventions for breakers, retries and bulkheads (they have been asked for since June 2025), and
//! those for rate limits are ASP.NET Core's own. So names are those above, and what is agreed upon in general
//! is followed: seconds as the unit of time, a description and a unit for every metric, no label without bounds,
//! the buckets advised for durations, and on `call_duration_seconds` the attributes `code.function.name` and
//! `error.type`, spelt as Prometheus spells them and with `error.type` absent where there is none.

mod duration;
mod meter;
mod publisher;
mod series;
mod spread;

pub use duration::Timed;
pub(crate) use duration::{Came, Functions, Times};
pub(crate) use meter::{Levels, Line, Lines, Meter, Metered, close};
pub(crate) use publisher::attend;
pub use publisher::publish;
pub(crate) use series::*;
pub use series::{SERIES, Series, SeriesKind};
