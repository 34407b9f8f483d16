//! The policy.

use std::{future::Future, sync::Arc, time::Duration};

use super::{
    Run, TimeoutBuilder, TimeoutSettings,
    run::{Bare, Elapsed, LONGEST, Layers, Outer, Outermost},
};
use crate::{
    call::Call,
    clock::nanos,
    counter::Counters,
    event::{CutOff, Event, Sink},
    name::PolicyName,
    outcome::Outcome,
    policy::{
        Policy,
        settings::{PolicySettings, Setting, Value},
    },
    rejection::{FromRejection, Rejection, TimedOut},
    step::reject,
};

/// Drops a call at its deadline, so that nobody waits for an answer that has lost its worth.
///
/// The value behind `#[timeout]`. Cheap to clone; clones are one policy.
///
/// ```
/// use std::time::Duration;
/// use steadfast::{Rejection, Timeout};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let timeout = Timeout::builder("search").after(Duration::from_millis(5)).build()?;
/// let result: Result<(), Rejection> = timeout.call(std::future::pending()).await;
/// assert!(matches!(result, Err(Rejection::TimedOut(_))));
/// # Ok(())
/// # }
/// ```
///
/// # Cancellation
/// At the deadline the future is dropped, at the `.await` where it stands; what it holds is dropped
/// with it. A future that never yields cannot be cut off.
#[derive(Debug, Clone)]
pub struct Timeout(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: PolicyName,
    settings: TimeoutSettings,
    after: Duration,
    after_nanos: u64,
    totals: Counters<1>,
    sink: Sink,
}

/// What a timeout counted since its start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TimeoutMetrics {
    /// Calls that were cut off.
    pub timed_out: u64,
}

impl Timeout {
    /// Begins a timeout of that name.
    pub fn builder(name: impl Into<PolicyName>) -> TimeoutBuilder {
        TimeoutBuilder::new(name)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &PolicyName {
        &self.0.name
    }

    /// The time that a call has.
    #[must_use]
    pub fn after(&self) -> Duration {
        self.0.after
    }

    /// What it counted.
    #[must_use]
    pub fn metrics(&self) -> TimeoutMetrics {
        TimeoutMetrics {
            timed_out: self.0.totals.sum(0),
        }
    }

    /// Makes the call, and drops it at the deadline.
    ///
    /// # Errors
    /// The call's own, or [`TimedOut`] in its type.
    pub async fn call<F>(&self, future: F) -> F::Output
    where
        F: Future<Output: Outcome<Error: FromRejection>>,
    {
        let call = Call::new();
        match self.run_body::<Outermost, _>(&call, future).await {
            Ok(outcome) => outcome,
            Err(elapsed) => F::Output::from_result(Err(reject(self.elapsed(&call, elapsed)))),
        }
    }

    #[doc(hidden)]
    /// Runs the layers inside under this timeout.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn run<'c, O: Outer, F>(&self, call: &'c Call, layers: F) -> Run<'c, O, Layers<F>> {
        let outer = O::begin(call, self.0.after_nanos);
        Run::new(call, outer, Layers::new(layers))
    }

    #[doc(hidden)]
    /// The same with a time that the site gives.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn run_for<'c, O: Outer, F>(
        &self,
        call: &'c Call,
        after: Duration,
        layers: F,
    ) -> Run<'c, O, Layers<F>> {
        // The expression at the site may have taken its time.
        call.time_passes();
        let outer = O::begin(call, bounded(after));
        Run::new(call, outer, Layers::new(layers))
    }

    #[doc(hidden)]
    /// Runs the body under this timeout.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn run_body<'c, O: Outer, F>(&self, call: &'c Call, body: F) -> Run<'c, O, Bare<F>> {
        let outer = O::begin(call, self.0.after_nanos);
        call.begin_body();
        Run::new(call, outer, Bare::new(body))
    }

    #[doc(hidden)]
    /// The same with a time that the site gives.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn run_body_for<'c, O: Outer, F>(
        &self,
        call: &'c Call,
        after: Duration,
        body: F,
    ) -> Run<'c, O, Bare<F>> {
        call.time_passes();
        let outer = O::begin(call, bounded(after));
        call.begin_body();
        Run::new(call, outer, Bare::new(body))
    }

    #[doc(hidden)]
    /// The rejection of a call that it cut off.
    #[cold]
    pub fn elapsed(&self, call: &Call, elapsed: Elapsed) -> Rejection {
        self.elapsed_after(call, elapsed, self.0.after)
    }

    #[doc(hidden)]
    /// The same after the time that the site gave.
    #[cold]
    pub fn elapsed_after(&self, call: &Call, _: Elapsed, after: Duration) -> Rejection {
        call.has_been_cut();
        self.timed_out(after)
    }

    fn timed_out(&self, after: Duration) -> Rejection {
        self.0.totals.add(0, 1);
        self.0.sink.tell_debug(|| {
            Event::TimedOut(CutOff {
                policy: self.0.name.clone(),
                after,
            })
        });
        Rejection::TimedOut(TimedOut {
            policy: self.0.name.clone(),
            after,
        })
    }
}

fn bounded(after: Duration) -> u64 {
    nanos(after).min(LONGEST)
}

impl Policy for Timeout {
    type Settings = TimeoutSettings;

    fn assemble(name: PolicyName, settings: &TimeoutSettings, sink: Sink) -> Self {
        Self(Arc::new(Inner {
            name,
            settings: *settings,
            after: settings.after.unwrap_or(Duration::MAX),
            after_nanos: settings.after.map_or(LONGEST, bounded),
            totals: Counters::new(),
            sink,
        }))
    }

    fn settings(&self) -> Vec<Setting> {
        self.0.settings.effective()
    }

    fn observe(&self) -> Vec<(&'static str, Value)> {
        vec![("timed_out", self.metrics().timed_out.into())]
    }

    fn reset(&self) {
        self.0.totals.reset();
    }
}
