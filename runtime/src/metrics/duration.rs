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
    spread::Spread,
};
use crate::{
    call::Call,
    clock::{self, Nanos},
    lock::lock,
    per_thread::PerThread,
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
    /// By what it came to. What never happens has no series: each has as many as there are buckets.
    histograms: [OnceLock<Histogram>; ALL.len()],
    /// There as soon as there is a recorder.
    lanes: OnceLock<PerThread<Lane>>,
    bond: Bond,
}

/// The times of one thread, by what the calls came to.
#[derive(Debug, Default)]
struct Lane([OnceBox<Spread>; ALL.len()]);

impl Lane {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn get(&self, came: Came) -> Option<&Spread> {
        self.0[came as usize].get()
    }

    fn make(&self, came: Came) -> &Spread {
        self.0[came as usize].get_or_init(|| Box::new(Spread::new()))
    }
}

impl Times {
    pub(crate) fn new(function: &'static str) -> Self {
        Self {
            function,
            histograms: [const { OnceLock::new() }; ALL.len()],
            lanes: OnceLock::new(),
            bond: Bond::default(),
        }
    }

    pub(super) fn register(&self, recorder: &dyn Recorder) {
        if self.lanes.get().is_none() && self.bond.is_with(recorder) {
            CALL_DURATION.describe(recorder);
            self.histogram(Came::Error, recorder);
            self.histogram(Came::Good, recorder);
            let _ = self.lanes.set(PerThread::new(Lane::default));
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
        match self.lanes.get() {
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
        let own = self.lanes.get().and_then(PerThread::own);
        match own.and_then(|lane| lane.get(came)) {
            Some(spread) => spread.add(took),
            None => self.record_elsewhere(took, came),
        }
    }

    #[cold]
    fn record_elsewhere(&self, took: u64, came: Came) {
        if self.histograms[came as usize].get().is_none() {
            // The recorder may be this thread's alone.
            recording(|recorder| {
                if self.bond.is_with(recorder) {
                    self.histogram(came, recorder);
                }
            });
        }
        match self.lanes.get().map(PerThread::find) {
            Some(Ok(own)) => own.make(came).add(took),
            Some(Err(shared)) => shared.make(came).add_shared(took),
            None => {}
        }
    }

    /// Brings what has come since to the recorder: in a round, so that nobody else does.
    pub(super) fn publish(&self, recorder: Option<&dyn Recorder>) {
        let recorder = recorder.filter(|&recorder| self.bond.is_with(recorder));
        if let Some(recorder) = recorder {
            self.register(recorder);
        }
        let Some(lanes) = self.lanes.get() else {
            return;
        };
        for came in ALL {
            let spreads = || lanes.iter().filter_map(|lane| lane.get(came));
            let histogram = match (self.histograms[came as usize].get(), recorder) {
                (Some(histogram), _) => histogram,
                (None, Some(recorder)) if spreads().next().is_some() => {
                    self.histogram(came, recorder)
                }
                _ => continue,
            };
            for (took, count) in spreads().flat_map(Spread::news) {
                histogram.record_many(took, usize::try_from(count).unwrap_or(usize::MAX));
            }
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
