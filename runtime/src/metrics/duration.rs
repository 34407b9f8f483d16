//! How long the calls of an annotated function take.

use std::{
    collections::BTreeMap,
    sync::{Mutex, OnceLock},
};

use ::metrics::{Histogram, Key, Label, Recorder};

use super::{
    meter::METADATA,
    publisher::{attend_times, recording},
    series::CALL_DURATION,
};
use crate::{
    call::Call,
    clock::{self, Nanos},
    lock::lock,
};

/// What a call came to, as far as a label says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    Good,
    /// To an error of the function's own.
    Error,
    Refused,
    TimedOut,
    Unmet,
    /// To nothing: it was dropped, or panicked.
    Cancelled,
}

/// How many there are.
const KINDS: usize = Came::Cancelled as usize + 1;

impl Came {
    /// What OpenTelemetry calls `error.type`: absent where there is none.
    fn error_type(self) -> Option<&'static str> {
        match self {
            Self::Good => None,
            Self::Error => Some("error"),
            Self::Refused => Some("refused"),
            Self::TimedOut => Some("timeout"),
            Self::Unmet => Some("condition_not_met"),
            Self::Cancelled => Some("cancelled"),
        }
    }
}

/// Where the times of a function go.
#[derive(Debug)]
pub(crate) struct Times {
    function: &'static str,
    /// By what it came to. What never happens has no series: each has as many as there are buckets. The
    /// first is there as soon as there is a recorder.
    histograms: [OnceLock<Histogram>; KINDS],
}

impl Times {
    pub(crate) fn new(function: &'static str) -> Self {
        Self {
            function,
            histograms: [const { OnceLock::new() }; KINDS],
        }
    }

    pub(super) fn register(&self, recorder: &dyn Recorder) {
        if self.histograms[Came::Good as usize].get().is_none() {
            CALL_DURATION.describe(recorder);
            self.histogram(Came::Error, recorder);
            self.histogram(Came::Good, recorder);
        }
    }

    fn histogram(&self, came: Came, recorder: &dyn Recorder) -> &Histogram {
        self.histograms[came as usize].get_or_init(|| {
            let [function, error_type] = [CALL_DURATION.labels[0], CALL_DURATION.labels[1]];
            let function = Label::from_static_parts(function, self.function);
            let error = came.error_type();
            let error = error.map(|error| Label::from_static_parts(error_type, error));
            let labels: Vec<_> = [function].into_iter().chain(error).collect();
            recorder.register_histogram(&Key::from_parts(CALL_DURATION.name, labels), &METADATA)
        })
    }

    /// A call begins.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn begin(&'static self, call: &Call) -> Timed {
        match self.histograms[Came::Good as usize].get() {
            None => Timed::NOT,
            Some(_) => Timed {
                times: Some(self),
                begun: call.now(),
            },
        }
    }

    #[inline(never)]
    fn record(&self, begun: Nanos, came: Came) {
        let took = clock::now().since(begun).as_secs_f64();
        match self.histograms[came as usize].get() {
            Some(histogram) => histogram.record(took),
            None => self.record_first(took, came),
        }
    }

    #[cold]
    fn record_first(&self, took: f64, came: Came) {
        recording(|recorder| self.histogram(came, recorder).record(took));
    }
}

/// The functions of one registry that were called.
#[derive(Debug, Default)]
pub(crate) struct Functions(Mutex<BTreeMap<&'static str, &'static Times>>);

impl Functions {
    /// Where the times of a function go. There is one place for each as long as the program lives: as for
    /// policies, sites keep references.
    pub(crate) fn times(&self, function: &'static str) -> &'static Times {
        let mut is_new = false;
        let times = {
            let mut all = lock(&self.0);
            *all.entry(function).or_insert_with(|| {
                is_new = true;
                Box::leak(Box::new(Times::new(function)))
            })
        };
        if is_new {
            attend_times(times);
        }
        times
    }
}

/// One call of an annotated function, from its beginning on. Dropped without a result, it was cancelled.
#[derive(Debug)]
#[must_use = "what is dropped at once counts as a call that was cancelled"]
pub struct Timed {
    times: Option<&'static Times>,
    begun: Nanos,
}

impl Timed {
    /// Nobody wants to know.
    const NOT: Self = Self {
        times: None,
        begun: Nanos(0),
    };

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn is_wanted(&self) -> bool {
        self.times.is_some()
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn end(mut self, came: Came) {
        if let Some(times) = self.times.take() {
            times.record(self.begun, came);
        }
    }
}

impl Drop for Timed {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn drop(&mut self) {
        if let Some(times) = self.times {
            times.record(self.begun, Came::Cancelled);
        }
    }
}
