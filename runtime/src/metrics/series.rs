//! The one table of what there is to see: documentation, dashboard, alerts and tests are held to it.

use ::metrics::{KeyName, Recorder, Unit};

/// One metric: a name, and the labels that tell its series apart.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Series {
    /// Its name, as the recorder gets it.
    pub name: &'static str,
    /// What it is.
    pub kind: SeriesKind,
    /// Its labels, in order. No value of them comes from a caller: policies' and functions' names, and
    /// words of this library.
    pub labels: &'static [&'static str],
    /// What it counts or measures: `seconds`, or what there is so many of.
    pub unit: &'static str,
    /// What it means, in a sentence.
    pub help: &'static str,
    /// Of a histogram: upper bounds that tell apart what matters, for recorders that want to be told.
    pub buckets: &'static [f64],
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesKind {
    /// Only rises, as long as the program lives.
    Counter,
    /// Rises and falls.
    Gauge,
    /// How often which values came.
    Histogram,
}

impl SeriesKind {
    /// The kind in a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Every metric of this library.
///
/// ```
/// use steadfast::metrics::SERIES;
///
/// for series in SERIES.iter().filter(|series| !series.buckets.is_empty()) {
///     // An exporter's builder is told: `set_buckets_for_metric(name, series.buckets)`, say.
///     assert!(series.name.ends_with("_seconds") || series.name == "retry_attempts");
/// }
/// ```
pub const SERIES: &[Series] = &[
    CIRCUIT_BREAKER_STATE,
    CIRCUIT_BREAKER_SUCCESSES,
    CIRCUIT_BREAKER_FAILURES,
    CIRCUIT_BREAKER_SLOW_CALLS,
    CIRCUIT_BREAKER_REJECTED,
    CIRCUIT_BREAKER_STATE_CHANGES,
    RETRY_ATTEMPTS,
    RETRY_ATTEMPTS_TOTAL,
    RETRY_EXHAUSTED,
    RATE_LIMIT_ALLOWED,
    RATE_LIMIT_REJECTED,
    RATE_LIMIT_BYPASSED,
    RATE_LIMIT_WAIT,
    BULKHEAD_IN_FLIGHT,
    BULKHEAD_WAITING,
    BULKHEAD_REJECTED,
    TIMEOUT,
    FALLBACK,
    CALL_DURATION,
    STORE_UP,
];

const SECONDS: &str = "seconds";
const NANOS_PER_SECOND: f64 = 1e9;

/// Those that OpenTelemetry advises for durations of requests, and longer ones for calls that are retried.
const DURATIONS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0,
];

pub(crate) const CIRCUIT_BREAKER_STATE: Series = Series {
    labels: &["policy", "state"],
    unit: "circuits",
    ..gauge(
        "circuit_breaker_state",
        "Circuits in this state: 1 or 0, or with a key how many of those remembered.",
    )
};

pub(crate) const CIRCUIT_BREAKER_SUCCESSES: Series = Series {
    unit: "calls",
    ..counter(
        "circuit_breaker_successes_total",
        "Calls through a breaker that succeeded.",
    )
};

pub(crate) const CIRCUIT_BREAKER_FAILURES: Series = Series {
    unit: "calls",
    ..counter(
        "circuit_breaker_failures_total",
        "Calls through a breaker that failed.",
    )
};

pub(crate) const CIRCUIT_BREAKER_SLOW_CALLS: Series = Series {
    unit: "calls",
    ..counter(
        "circuit_breaker_slow_calls_total",
        "Calls through a breaker that were slow, whether they succeeded or not.",
    )
};

pub(crate) const CIRCUIT_BREAKER_REJECTED: Series = Series {
    unit: "calls",
    ..counter(
        "circuit_breaker_rejected_total",
        "Calls that a breaker refused, or would have where it does not enforce.",
    )
};

pub(crate) const CIRCUIT_BREAKER_STATE_CHANGES: Series = Series {
    labels: &["policy", "from", "to"],
    unit: "changes",
    ..counter(
        "circuit_breaker_state_changes_total",
        "Changes of circuits from one state to another.",
    )
};

pub(crate) const RETRY_ATTEMPTS: Series = Series {
    unit: "attempts",
    buckets: &[1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 25.0],
    ..histogram(
        "retry_attempts",
        "Attempts that a call took until it ended.",
    )
};

pub(crate) const RETRY_ATTEMPTS_TOTAL: Series = Series {
    labels: &["policy", "attempt"],
    unit: "attempts",
    ..counter(
        "retry_attempts_total",
        "Attempts: the first of each call that has ended, and retries.",
    )
};

pub(crate) const RETRY_EXHAUSTED: Series = Series {
    unit: "calls",
    ..counter(
        "retry_exhausted_total",
        "Calls that failed for good since attempts, time or budget ran out.",
    )
};

pub(crate) const RATE_LIMIT_ALLOWED: Series = Series {
    unit: "calls",
    ..counter(
        "rate_limit_allowed_total",
        "Calls that got their permits from a limiter.",
    )
};

pub(crate) const RATE_LIMIT_REJECTED: Series = Series {
    unit: "calls",
    ..counter(
        "rate_limit_rejected_total",
        "Calls that a limiter refused, or would have where it does not enforce.",
    )
};

pub(crate) const RATE_LIMIT_BYPASSED: Series = Series {
    unit: "calls",
    ..counter(
        "rate_limit_bypassed_total",
        "Calls that went past a limiter by their bypass.",
    )
};

pub(crate) const RATE_LIMIT_WAIT: Series = Series {
    unit: SECONDS,
    buckets: DURATIONS,
    ..histogram(
        "rate_limit_wait_seconds",
        "Time that a call waited for its turn at a limiter; calls that did not wait are not in it.",
    )
};

pub(crate) const BULKHEAD_IN_FLIGHT: Series = Series {
    unit: "calls",
    ..gauge(
        "bulkhead_in_flight",
        "Calls that hold a place in a bulkhead; with a key, those of all keys.",
    )
};

pub(crate) const BULKHEAD_WAITING: Series = Series {
    unit: "calls",
    ..gauge(
        "bulkhead_waiting",
        "Calls that wait for a place in a bulkhead; with a key, those of all keys.",
    )
};

pub(crate) const BULKHEAD_REJECTED: Series = Series {
    unit: "calls",
    ..counter(
        "bulkhead_rejected_total",
        "Calls that found a bulkhead full and were refused, or would have been where it does not enforce.",
    )
};

pub(crate) const TIMEOUT: Series = Series {
    unit: "calls",
    ..counter("timeout_total", "Calls that a timeout cut off.")
};

pub(crate) const FALLBACK: Series = Series {
    labels: &["policy", "source"],
    unit: "calls",
    ..counter(
        "fallback_total",
        "Failed calls that a fallback answered, by where its answer came from.",
    )
};

pub(crate) const CALL_DURATION: Series = Series {
    labels: &["code_function_name", "error_type"],
    unit: SECONDS,
    buckets: DURATIONS,
    ..histogram(
        "call_duration_seconds",
        "Time that an annotated function took, with all its waits and retries.",
    )
};

pub(crate) const STORE_UP: Series = Series {
    labels: &[],
    unit: "stores",
    ..gauge(
        "store_up",
        "Whether the store of shared state answers; none where none is set.",
    )
};

const fn counter(name: &'static str, help: &'static str) -> Series {
    series(name, SeriesKind::Counter, help)
}

const fn gauge(name: &'static str, help: &'static str) -> Series {
    series(name, SeriesKind::Gauge, help)
}

const fn histogram(name: &'static str, help: &'static str) -> Series {
    series(name, SeriesKind::Histogram, help)
}

/// That of a policy, told apart by its name alone.
const fn series(name: &'static str, kind: SeriesKind, help: &'static str) -> Series {
    Series {
        name,
        kind,
        labels: &["policy"],
        unit: "",
        help,
        buckets: &[],
    }
}

impl Series {
    /// How many of those that it is gathered in make one of its unit.
    pub(super) fn scale(&self) -> f64 {
        match self.unit {
            SECONDS => NANOS_PER_SECOND,
            _ => 1.0,
        }
    }

    /// Tells a recorder what it is.
    pub(super) fn describe(&self, recorder: &dyn Recorder) {
        let name = KeyName::from_const_str(self.name);
        let unit = Some(if self.unit == SECONDS {
            Unit::Seconds
        } else {
            Unit::Count
        });
        match self.kind {
            SeriesKind::Counter => recorder.describe_counter(name, unit, self.help.into()),
            SeriesKind::Gauge => recorder.describe_gauge(name, unit, self.help.into()),
            SeriesKind::Histogram => recorder.describe_histogram(name, unit, self.help.into()),
        }
    }
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_page_lists_every_metric_as_it_is() {
        let page = include_str!("mod.rs");
        let rows = page.lines().filter(|line| line.starts_with("//! | `"));
        let rows: Vec<_> = rows.collect();
        let written: Vec<String> = SERIES
            .iter()
            .map(|series| {
                let labels: Vec<_> = series.labels.iter().map(|l| format!("`{l}`")).collect();
                let labels = labels.join(", ");
                let (name, kind) = (series.name, series.kind.as_str());
                format!("//! | `{name}` | {kind} | {labels} | {} |", series.unit)
            })
            .collect();
        for (row, written) in rows.iter().zip(&written) {
            assert!(
                row.starts_with(written),
                "{row}\nshould begin with {written}"
            );
        }
        assert_eq!(rows.len(), written.len());
    }

    #[test]
    fn counters_end_in_total_and_seconds_are_so_named() {
        for series in SERIES {
            let is_counter = series.kind == SeriesKind::Counter;
            assert_eq!(
                series.name.ends_with("_total"),
                is_counter,
                "{}",
                series.name
            );
            let in_seconds = series.unit == SECONDS;
            assert_eq!(
                series.name.ends_with("_seconds"),
                in_seconds,
                "{}",
                series.name
            );
            let is_histogram = series.kind == SeriesKind::Histogram;
            assert_eq!(!series.buckets.is_empty(), is_histogram, "{}", series.name);
            assert!(series.buckets.is_sorted() && !series.unit.is_empty());
        }
    }
}
