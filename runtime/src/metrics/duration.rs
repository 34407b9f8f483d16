//! How long the calls of an annotated function take.

use std::{
    collections::BTreeMap,
    sync::{Mutex, OnceLock},
};

use ::metrics::{Histogram, Key, Label, Recorder};
use once_cell::race::OnceBox;

use super::{
    meter::{Bond, METADATA},
    publisher::{attend_times, recording},
    series::CALL_DURATION,
    spread::Spreads,
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

const ALL: [Came; 6] = [
    Came::Good,
    Came::Error,
    Came::Refused,
    Came::TimedOut,
    Came::Unmet,
    Came::Cancelled,
];

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
    histograms: [OnceLock<Histogram>; ALL.len()],
    spreads: [OnceBox<Spreads>; ALL.len()],
    bond: Bond,
}

impl Times {
    pub(crate) fn new(function: &'static str) -> Self {
        Self {
            function,
            histograms: [const { OnceLock::new() }; ALL.len()],
            spreads: [const { OnceBox::new() }; ALL.len()],
            bond: Bond::default(),
        }
    }

    pub(super) fn register(&self, recorder: &dyn Recorder) {
        if self.histograms[Came::Good as usize].get().is_none() && self.bond.is_with(recorder) {
            CALL_DURATION.describe(recorder);
            let _ = self.histogram(Came::Error, recorder);
            let _ = self.histogram(Came::Good, recorder);
        }
    }

    /// As the recorder has it now: one that nothing happened to for a while it may have forgotten.
    fn histogram(&self, came: Came, recorder: &dyn Recorder) -> Histogram {
        let [function, error_type] = [CALL_DURATION.labels[0], CALL_DURATION.labels[1]];
        let function = Label::from_static_parts(function, self.function);
        let error = came.error_type();
        let error = error.map(|error| Label::from_static_parts(error_type, error));
        let labels: Vec<_> = [function].into_iter().chain(error).collect();
        let key = Key::from_parts(CALL_DURATION.name, labels);
        let histogram = recorder.register_histogram(&key, &METADATA);
        let _ = self.histograms[came as usize].set(histogram.clone());
        histogram
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
        let took = clock::now().0.saturating_sub(begun.0);
        match self.spreads[came as usize].get() {
            Some(spreads) => spreads.add(took),
            None => self.record_first(took, came),
        }
    }

    #[cold]
    fn record_first(&self, took: u64, came: Came) {
        // The recorder may be this thread's alone.
        recording(|recorder| {
            if self.bond.is_with(recorder) {
                let _ = self.histogram(came, recorder);
            }
        });
        let make = || Box::new(Spreads::new());
        self.spreads[came as usize].get_or_init(make).add(took);
    }

    /// Brings what has come since to the recorder: in a round, so that nobody else does.
    pub(super) fn publish(&self, recorder: Option<&dyn Recorder>) {
        let recorder = recorder.filter(|&recorder| self.bond.is_with(recorder));
        if let Some(recorder) = recorder {
            self.register(recorder);
        }
        for came in ALL {
            let known = self.histograms[came as usize].get();
            let Some(spreads) = self.spreads[came as usize].get() else {
                continue;
            };
            if known.is_none() && recorder.is_none() {
                continue;
            }
            spreads.bring(&CALL_DURATION, || {
                let now = recorder.map(|recorder| self.histogram(came, recorder));
                now.or_else(|| known.cloned())
            });
        }
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
